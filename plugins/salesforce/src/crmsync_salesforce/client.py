"""Calls an org through simple-salesforce, hardened where that library is known to fail.

What it does not do, and is done here: a time-out on each call; one new session where the old one
has expired, never more, and with the caller's own headers; the allowance told by each answer,
also a refusal's; errors named by what happens next.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from simple_salesforce.api import Salesforce

from crmsync.errors import AuthError, QuotaError, TransientError, UncertainError
from crmsync.observe import logger
from crmsync_salesforce.errors import (
    LOST_PLACE,
    REST_AFTER_QUOTA,
    RefusedError,
    SessionExpiredError,
    refusal_of,
)
from crmsync_salesforce.login import log_in
from crmsync_salesforce.transport import http_session, sent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import requests

    from crmsync.clock import Clock
    from crmsync.plugins.contract import Allowance
    from crmsync_salesforce.options import SalesforceOptions

_log = logger()
_NO_CONTENT, _REFUSED = 204, 300
_OF_THE_API = ("application/json", "text/csv")


class _Api(Salesforce):
    """simple-salesforce, which sends through a client of ours."""

    def __init__(self, client: SalesforceClient, session_id: str, address: str) -> None:
        self._client = client
        super().__init__(
            instance_url=address,
            session_id=session_id,
            session=client.http,
            version=client.options.api_version,
            # Amounts are exact: 0.1 is no binary fraction.
            parse_float=str,
            object_pairs_hook=dict,
        )

    def _call_salesforce(
        self,
        method: str,
        url: str,
        name: str = "",
        retries: int = 0,
        max_retries: int = 3,
        **kwargs: Any,  # noqa: ANN401  the library's own signature
    ) -> requests.Response:
        """The library's own way to the wire, in ours."""
        del name, retries, max_retries
        return self._client.call(method, url.removeprefix(self.base_url), **kwargs)


class SalesforceClient:
    """An org, logged in when it is first called.

    Args:
        told: what it told another process of its allowance.

    Attributes:
        seen: the org's own time (UTC) before which the last answer was not begun, so that it
            tells of all that was committed until then; None before the first call.
        used, allowed: the org's calls of the last 24 hours, and how many it may get; None where it
            has not told.
        calls: how many this client made.
        user: the id of the API's user; None before the first call, and where the config names a
            session instead of a login.
    """

    def __init__(
        self,
        options: SalesforceOptions,
        folder: Path,
        clock: Clock,
        *,
        told: Allowance | None = None,
    ) -> None:
        self.options, self.clock = options, clock
        ca_file = None if options.ca_file is None else str(folder / options.ca_file)
        self.http = http_session(ca_file)
        self._lock = threading.RLock()
        self._api: _Api | None = None
        self.seen: datetime | None = None
        self.used = None if told is None else told.used
        self.allowed = None if told is None else told.allowed
        self._told_at = None if told is None else told.at
        self.calls = 0
        self.user: str | None = None

    def __repr__(self) -> str:
        return f"SalesforceClient({self.options.url})"

    @property
    def api(self) -> Salesforce:
        """simple-salesforce, logged in.

        Raises:
            AuthError: the login is refused.
            TransientError: the org cannot be reached.
        """
        with self._lock:
            if self._api is None:
                login = log_in(self.options, self.http, self.clock)
                self.user = login.user
                self._api = _Api(self, login.session, login.address)
            return self._api

    def close(self) -> None:
        """Close all connections."""
        self.http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        writing: bool = False,
        **arguments: Any,  # noqa: ANN401  whatever requests takes
    ) -> requests.Response:
        """The answer to a call that was not refused.

        Args:
            path: behind ``/services/data/vXX.0/``, or a whole URL, or one that begins with a slash.
            writing: what it does cannot be done twice without harm.

        Raises:
            ConnectorError: one of the five.
        """
        self._keep_to_budget()
        api = self.api
        try:
            return self._called(api, method, path, headers, writing=writing, **arguments)
        except SessionExpiredError:
            if self.options.session_id is not None:
                raise AuthError(
                    "the session has expired, and a session id cannot be renewed; log in another "
                    "way, for example with client credentials"
                ) from None
        with self._lock:
            if self._api is api:  # else another thread has logged in meanwhile
                self._api = None
        try:
            return self._called(self.api, method, path, headers, writing=writing, **arguments)
        except SessionExpiredError:
            raise AuthError(
                "Salesforce ends each session at once; has the API's user a login policy that "
                "forbids this machine's address?"
            ) from None

    def pages(self, resource: str, query: str) -> Iterator[list[dict[str, Any]]]:
        """The records of a query, page by page; ``resource`` is ``query`` or ``queryAll``.

        Numbers are texts.

        Raises:
            ConnectorError: one of the five.
        """
        answer = self.call("GET", resource, params={"q": query}).json(parse_float=str)
        yield answer["records"]
        while following := answer.get("nextRecordsUrl"):
            try:
                answer = self.call("GET", following).json(parse_float=str)
            except RefusedError as error:
                if error.code in LOST_PLACE:
                    raise TransientError(f"a query lost its place: {error}") from None
                raise
            yield answer["records"]

    def records(self, resource: str, query: str) -> list[dict[str, Any]]:
        """All records of a query.

        Raises:
            ConnectorError: one of the five.
        """
        return [record for page in self.pages(resource, query) for record in page]

    def _called(
        self,
        api: Salesforce,
        method: str,
        path: str,
        headers: Mapping[str, str] | None,
        *,
        writing: bool,
        **arguments: Any,  # noqa: ANN401  whatever requests takes
    ) -> requests.Response:
        if path.startswith("/"):
            url = f"https://{api.sf_instance}{path}"
        else:
            url = path if path.startswith("https://") else api.base_url + path
        self.calls += 1
        response = sent(
            self.http,
            method,
            url,
            writing=writing,
            headers=api.headers | dict(headers or {}),
            **arguments,
        )
        self._note(response)
        if response.status_code >= _REFUSED:
            raise refusal_of(response, writing=writing, now=self.clock.now())
        kind = response.headers.get("Content-Type", "").lower()
        if response.status_code != _NO_CONTENT and not kind.startswith(_OF_THE_API):
            words = (
                f"instead of Salesforce, something answers that is not its API ({kind or 'nothing'}"
                "); does a proxy or a notice of maintenance stand in between?"
            )
            raise UncertainError(words) if writing else TransientError(words)
        return response

    def _note(self, response: requests.Response) -> None:
        usage = Salesforce.parse_api_usage(response.headers.get("Sforce-Limit-Info", ""))
        total = usage.get("api-usage")
        if total is not None:
            self.used, self.allowed = total.used, total.total
            self._told_at = self.clock.now()
        self.seen = self._seen_in(response)

    @staticmethod
    def _seen_in(response: requests.Response) -> datetime | None:
        """The org's time before which an answer was not begun."""
        try:
            told = parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
        except (KeyError, ValueError):
            return None
        # The answer was begun when the request went out, and the header has no fractions.
        return told - response.elapsed - timedelta(seconds=1)

    def _keep_to_budget(self) -> None:
        if self.used is None or not self.allowed or self._told_at is None:
            return
        if abs(self.clock.now() - self._told_at) >= REST_AFTER_QUOTA:
            return  # by now some have come back; only a call can tell
        if self.used >= self.options.daily_share * self.allowed:
            share = f"{self.options.daily_share:g}"
            _log.warning("calls_used_up", used=self.used, allowed=self.allowed, share=share)
            raise QuotaError(
                f"{self.used:,} of the org's {self.allowed:,} calls in 24 hours are used, by "
                f"whomever; with daily_share: {share}, this connection makes no more",
                until=self.clock.now() + REST_AFTER_QUOTA,
            )
