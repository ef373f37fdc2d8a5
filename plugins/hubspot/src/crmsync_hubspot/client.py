"""Calls a portal: in its limits, with retries where nothing can happen twice, and errors named.

Whoever calls says which statuses of success the documentation declares; any other is no success.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson

from crmsync.errors import AuthError, ConnectorError, TransientError, UncertainError
from crmsync.observe import logger
from crmsync_hubspot import waiting
from crmsync_hubspot.budget import Budget
from crmsync_hubspot.errors import (
    TokenExpiredError,
    TooFastError,
    UnreachedError,
    refusal_of,
)
from crmsync_hubspot.tokens import Tokens
from crmsync_hubspot.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from crmsync.clock import Clock
    from crmsync_hubspot.options import HubSpotOptions
    from crmsync_hubspot.transport import Response

_log = logger()
# How often a call is made again before whoever called is told, and how long is waited in all.
TRIES = 4
ACCOUNT = "/account-info/v3/details"
LONGEST_WAIT = 12.0
_LATELY = 60.0  # seconds
_REFUSED = 300
_OK = (200,)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A success: the status, and what the body says."""

    status: int
    body: Any


class HubSpotClient:
    """A portal.

    Attributes:
        ahead: how far the portal's clock is before ours, as its last answer told, and rather less;
            None before the first.
    """

    def __init__(self, options: HubSpotOptions, name: str, folder: Path, clock: Clock) -> None:
        self.options, self.clock = options, clock
        ca_file = None if options.ca_file is None else str(folder / options.ca_file)
        self.budget = Budget(options.daily_share, clock)
        self.tokens = Tokens(options, name, folder, clock)
        self._transport = Transport(options.url, ca_file)
        self.ahead: timedelta | None = None
        self._unreached_at: float | None = None
        self._zone: ZoneInfo | None = None

    def __repr__(self) -> str:
        return f"HubSpotClient({self.options.url})"

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def portal_zone(self) -> ZoneInfo:
        """The zone of the portal's people.

        Raises:
            ConnectorError: the portal cannot be asked.
        """
        if self._zone is None:
            told = self.call("GET", ACCOUNT).body
            try:
                self._zone = ZoneInfo(str(told["timeZone"]))
            except (KeyError, ValueError):
                self._zone = ZoneInfo("UTC")
        return self._zone

    def portal_time(self) -> datetime:
        """The portal's present, rather too early; ours where it has told nothing yet."""
        return self.clock.now() + (self.ahead or timedelta())

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Any = None,  # noqa: ANN401  JSON
        writing: bool = False,
        search: bool = False,
        accepted: Collection[int] = _OK,
    ) -> Answer:
        """An answer with one of the accepted statuses.

        Args:
            path: from the host on.
            writing: what it does cannot be done twice without harm.
            search: it counts to the searches.

        Raises:
            ConnectorError: one of the five.
        """
        if self.budget.must_ask:
            self.call("GET", ACCOUNT)
        waited, renewed = 0.0, False
        tries = self._tries()
        for attempt in range(1, tries + 1):
            self.budget.wait(search=search)
            token = self.tokens.token()
            try:
                return self._called(
                    method, path, token, query, body, writing=writing, accepted=accepted
                )
            except TokenExpiredError:
                if not self.tokens.renewable or renewed:
                    raise self._not_accepted() from None
                self.tokens.forget(token)
                renewed = True
                continue
            except TooFastError as error:
                seconds, why = error.seconds, "too_fast"
                last: ConnectorError = TransientError(
                    "too many calls were made to HubSpot in a short time",
                    retry_after=timedelta(seconds=seconds),
                )
            except TransientError as error:
                last, why = error, str(error)
                wait = error.retry_after
                seconds = float(attempt) if wait is None else wait.total_seconds()
            if isinstance(last, UnreachedError) and attempt == tries:
                self._unreached_at = waiting.now()
            if attempt == tries or waited + seconds > LONGEST_WAIT:
                raise last
            _log.info("call_again", path=path, why=why, seconds=seconds)
            waiting.sleep(seconds)
            waited += seconds
        raise self._not_accepted()

    def _tries(self) -> int:
        """One only while nobody could be reached a moment ago: other streams need not wait, too."""
        unreached = self._unreached_at
        lately = unreached is not None and waiting.now() - unreached < _LATELY
        return 1 if lately else TRIES

    def _called(
        self,
        method: str,
        path: str,
        token: str,
        query: Sequence[tuple[str, str]],
        body: Any,  # noqa: ANN401  JSON
        *,
        writing: bool,
        accepted: Collection[int],
    ) -> Answer:
        began = waiting.now()
        headers = {"Authorization": f"Bearer {token}"}
        response = self._transport.send(method, path, headers, query, body, writing=writing)
        self._unreached_at = None
        self.budget.note(response.headers)
        self._note_time(response, waiting.now() - began)
        if response.status >= _REFUSED:
            raise refusal_of(
                response.status,
                response.headers,
                response.body,
                writing=writing,
                private=not self.tokens.renewable,
                now=self.clock.now(),
            )
        if response.status not in accepted:
            # The vendor's library takes such an answer for nothing, and says nothing of it.
            words = f"HubSpot answered in a way that it does not declare ({response.status})"
            raise UncertainError(words) if writing else TransientError(words)
        try:
            told = orjson.loads(response.body) if response.body else None
        except orjson.JSONDecodeError:
            words = "HubSpot's answer cannot be read"
            raise (UncertainError(words) if writing else TransientError(words)) from None
        return Answer(status=response.status, body=told)

    def _note_time(self, response: Response, seconds: float) -> None:
        """Learn what time it is there."""
        try:
            told = parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
        except (KeyError, ValueError):
            return
        # The answer was begun when the request went out, and the header has no fractions.
        self.ahead = told - timedelta(seconds=seconds + 1) - self.clock.now()

    def _not_accepted(self) -> AuthError:
        if self.tokens.renewable:
            return AuthError(
                "HubSpot does not accept the login, though it was renewed a moment ago; is the app "
                "still installed in the portal?"
            )
        return AuthError(
            "HubSpot does not accept the access token; copy it anew from Development, Keys, "
            "Service keys or, where it is one of a private app, from Development, Legacy apps"
        )
