"""What a portal answers, named by what happens next.

Sources: HubSpot's pages on error handling and usage guidelines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson

from crmsync.errors import (
    AuthError,
    ConnectorError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# The allowance of a day comes back at the portal's midnight; it is asked for again within the hour.
REST_AFTER_QUOTA = timedelta(hours=1)
_LOCKED = timedelta(seconds=2)  # HubSpot: “wait at least 2 seconds”
_LONGEST_SHOWN = 500
_SCOPE_OF_KEY = (
    "a super admin adds it to the service key (Development, Keys, Service keys) or, where the "
    "token is one of a private app, to that (Development, Legacy apps)"
)
_SCOPE_OF_APP = "whoever keeps the app adds it there, and the portal installs the app anew"

_WORDS = {
    "OBJECT_NOT_FOUND": "there is no such record, or the token may not see it",
    "CONFLICT": "it is there already",
    "PROPERTY_DOESNT_EXIST": "the portal has no such property",
    "VALIDATION_ERROR": "HubSpot refuses a value",
}


class RefusedError(RejectedError):
    """A request that was refused for good, with HubSpot's own category."""

    def __init__(self, sentence: str, *, status: int, category: str) -> None:
        super().__init__(sentence)
        self.status, self.category = status, category

    @property
    def may_be_one_records(self) -> bool:
        """Whether one record of a batch may have spoilt it for all."""
        return self.status in {400, 404, 409}


class UnreachedError(TransientError):
    """Nobody answers at the address at all."""


class TokenExpiredError(Exception):
    """The access token is not valid any more, and another may be."""


class TooFastError(Exception):
    """Nothing happened, because too many calls were made in a short time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True, kw_only=True)
class Told:
    """What stands in the body of an error; any of it may be missing."""

    category: str
    message: str
    policy: str
    scopes: tuple[str, ...]


def told_in(body: bytes) -> Told:
    """What an error's body says."""
    try:
        told: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = {}
    return told_by(told if isinstance(told, dict) else {})


def told_by(told: Mapping[str, Any]) -> Told:
    """What an error says, of a whole request or of one record in a batch."""
    inner = [one for one in told.get("errors") or () if isinstance(one, dict)]
    message = str(told.get("message") or "")
    details = dict.fromkeys(_named(one) for one in inner if one.get("message"))
    # The outer one may end in JSON, which says the same as the inner ones.
    if details and ("{" in message or not message):
        message = "; ".join(details)
    category = str(told.get("category") or told.get("errorType") or "")
    codes = [str(one.get("code") or "") for one in inner]
    if "PROPERTY_DOESNT_EXIST" in {category, *codes} or "PROPERTY_DOESNT_EXIST" in message:
        category = "PROPERTY_DOESNT_EXIST"
    return Told(
        category=category,
        message=" ".join(message.split())[:_LONGEST_SHOWN],
        policy=str(told.get("policyName") or ""),
        scopes=tuple(_scopes([told, *inner])),
    )


def _named(one: Mapping[str, Any]) -> str:
    """What is said of one property, with its name."""
    context = one.get("context")
    names = context.get("propertyName") if isinstance(context, dict) else None
    return f"{', '.join(map(str, names))}: {one['message']}" if names else str(one["message"])


def _scopes(parts: list[Mapping[str, Any]]) -> list[str]:
    names: list[str] = []
    for part in parts:
        context = part.get("context")
        if isinstance(context, dict):
            for key in ("requiredGranularScopes", "requiredScopes", "missingScopes"):
                names += [str(name) for name in context.get(key) or ()]
    return sorted(set(names))


def sentence_of(told: Told, status: int) -> str:
    """What a person is told of an error."""
    words = _WORDS.get(told.category)
    code = told.category or str(status)
    if words is None:
        return f"HubSpot says {code}: {told.message}"
    return f"{words} ({code}: {told.message})"


def error_of(one: Mapping[str, Any]) -> ConnectorError:
    """The error that one record of a batch met."""
    told = told_by(one)
    if told.category in {"RATE_LIMITS", "RATE_LIMIT"}:
        return TransientError(sentence_of(told, 429))
    if told.category == "INTERNAL_ERROR" or str(one.get("status")) in {"500", "503"}:
        return UncertainError(sentence_of(told, 500))
    status = 409 if told.category == "CONFLICT" else 400
    return RefusedError(sentence_of(told, status), status=status, category=told.category)


def refusal_of(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    writing: bool,
    private: bool = True,
    now: datetime,
) -> ConnectorError:
    """The error that a whole request met.

    Args:
        private: the app is a portal's own, and not one that is installed in portals.

    Raises:
        TokenExpiredError: another token may help.
        TooFastError: the same call may be made again in a moment.
    """
    told = told_in(body)
    wait = retry_after(headers, now)
    match status:
        case 429:
            return _too_many(told, wait, headers, now)
        case 401:
            raise TokenExpiredError
        case 403:
            return _forbidden(told, writing=writing, private=private)
        case 530:
            return AuthError("HubSpot does not know the token's portal; copy the token anew")
        case 423:
            locked = "records are locked at HubSpot by another change of many"
            return TransientError(locked, retry_after=max(wait or _LOCKED, _LOCKED))
        case 477:
            return QuotaError(
                "HubSpot moves the portal to another data centre, and answers nothing meanwhile",
                until=now + (wait or timedelta(hours=24)),
            )
        case 503:
            return TransientError("HubSpot is not available for the moment", retry_after=wait)
    if status >= 500:  # noqa: PLR2004  HTTP: the server failed
        words = f"HubSpot failed ({status})"
        return UncertainError(words) if writing else TransientError(words, retry_after=wait)
    return RefusedError(sentence_of(told, status), status=status, category=told.category)


def _too_many(
    told: Told, wait: timedelta | None, headers: Mapping[str, str], now: datetime
) -> ConnectorError:
    """By the name of the policy: a day's calls are used up, or too many came at once."""
    if told.policy.upper() == "DAILY" or "daily" in told.message.lower():
        return QuotaError(
            "the portal's calls of today are used up, so HubSpot answers no more; read less often, "
            "or buy more calls",
            until=now + REST_AFTER_QUOTA,
        )
    if wait is not None:
        raise TooFastError(wait.total_seconds())
    if told.policy.upper() == "SECONDLY":
        raise TooFastError(1.0)
    interval = headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
    raise TooFastError(int(interval) / 1000 if interval.isdigit() else 10.0)


def _forbidden(told: Told, *, writing: bool, private: bool) -> ConnectorError:
    if told.scopes:
        how = _SCOPE_OF_KEY if private else _SCOPE_OF_APP
        sentence = f"the token lacks the scope {' or '.join(told.scopes)}; {how}"
    else:
        sentence = f"the token may not do this: {sentence_of(told, 403)}"
    # What cannot be written now can be once somebody has mended it; what cannot be read is no
    # reason to leave other streams alone.
    if writing:
        return AuthError(sentence)
    return RefusedError(sentence, status=403, category=told.category or "MISSING_SCOPES")


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long the portal asks to wait; None where it does not say."""
    text = headers.get("retry-after")
    if text is None:
        return None
    if text.isdigit():
        return timedelta(seconds=int(text))
    try:
        return max(parsedate_to_datetime(text) - now, timedelta())
    except (TypeError, ValueError):
        return None
