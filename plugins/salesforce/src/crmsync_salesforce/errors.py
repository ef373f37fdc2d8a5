"""What the org answers, named by what happens next."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from crmsync.errors import (
    AuthError,
    ConnectorError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)

if TYPE_CHECKING:
    from datetime import datetime

    import requests

# The allowance is a rolling sum over 24 hours, so some of it comes back within the hour.
REST_AFTER_QUOTA = timedelta(hours=1)
# Requests of others that run for long; that is no allowance, and soon over.
_AFTER_OTHERS = timedelta(minutes=1)

# An answer's next page is not there any more; a query must be begun again.
LOST_PLACE = {"INVALID_QUERY_LOCATOR", "QUERY_LOCATOR_EXPIRED"}
_QUOTA = {"REQUEST_LIMIT_EXCEEDED", "LIMIT_EXCEEDED", "rate_limit_exceeded"}
_TRANSIENT = {
    "UNABLE_TO_LOCK_ROW",
    "SERVER_UNAVAILABLE",
    "QUERY_TIMEOUT",
}
# The org has stopped the request; what it had done by then, its answer does not say.
_STOPPED = {"REQUEST_RUNNING_TOO_LONG", "REQUEST_RUNNING_TOO_LONG_FOR_USER"}
_AUTH = {
    "API_CURRENTLY_DISABLED",
    "API_DISABLED_FOR_ORG",
    "FUNCTIONALITY_NOT_ENABLED",
    "INSUFFICIENT_ACCESS",
    "INVALID_AUTH_HEADER",
    "INVALID_LOGIN",
    "INVALID_SESSION_ID",
    "ORG_LOCKED",
    "PASSWORD_LOCKOUT",
    "USER_NOT_ACTIVE",
}
_WORDS = {
    "DUPLICATES_DETECTED": "a duplicate rule of the org refuses it",
    "ENTITY_IS_DELETED": "the record was deleted",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "a validation rule of the org refuses it",
    "INACTIVE_OWNER_OR_USER": "the user is not active",
    "INVALID_CROSS_REFERENCE_KEY": "there is no such record, or the API's user may not see it",
    "REQUIRED_FIELD_MISSING": "the org wants more fields than crmsync gives",
    "STRING_TOO_LONG": "a text is too long for its field",
    "TXN_SECURITY_METERING_ERROR": "a transaction security policy of the org refuses it",
    "GONE": "the org has no such version of the API any more; set api_version",
}


class RefusedError(RejectedError):
    """A request that was refused for good, with the org's own code."""

    def __init__(self, sentence: str, *, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class QueryTimeoutError(TransientError):
    """A query was too much for the org to answer at once; a bulk job has more time."""


class SessionExpiredError(Exception):
    """The session is not valid any more, and another may be."""


def sentence_of(code: str, message: str) -> str:
    """What a person is told of an error."""
    words = _WORDS.get(code)
    told = " ".join(message.split())[:500]
    return f"Salesforce says {code}: {told}" if words is None else f"{words} ({code}: {told})"


def error_of(code: str, message: str, *, now: datetime) -> ConnectorError:
    """The error that one record met."""
    sentence = sentence_of(code, message)
    if code in _QUOTA:
        return QuotaError(sentence, until=now + REST_AFTER_QUOTA)
    if code in _TRANSIENT:
        return TransientError(sentence)
    return RefusedError(sentence, code=code)


def codes_of(response: requests.Response) -> tuple[str, str]:
    """The code and the message in a refusal; empty where it has none."""
    try:
        body: Any = json.loads(response.content)
    except ValueError:
        return "", ""
    first = body[0] if isinstance(body, list) and body else body
    if not isinstance(first, dict):
        return "", ""
    code = first.get("errorCode") or first.get("error") or ""
    return str(code), str(first.get("message") or first.get("error_description") or "")


def refusal_of(response: requests.Response, *, writing: bool, now: datetime) -> ConnectorError:
    """The error that a whole request met.

    Raises:
        SessionExpiredError: a new session may help.
    """
    status = response.status_code
    code, message = codes_of(response)
    if status == 401:  # noqa: PLR2004  HTTP: unauthorized
        # jsforce #1301: such a session stays unfit, however often one logs in.
        if code == "INVALID_SESSION_ID" and "not valid for use with" not in message:
            raise SessionExpiredError
        return AuthError(f"Salesforce does not accept the login ({code}: {message})")
    if code in _QUOTA and "concurrent" in message.lower():
        return TransientError(
            "too many long requests run at the org at once", retry_after=_AFTER_OTHERS
        )
    if code in _QUOTA or status == 429:  # noqa: PLR2004  HTTP: too many requests
        return QuotaError(
            "the org's calls of the last 24 hours are used up, so Salesforce answers no more; "
            "raise the org's allowance, or read less often",
            until=now + REST_AFTER_QUOTA,
        )
    wait = _retry_after(response, now)
    if code == "QUERY_TIMEOUT":
        return QueryTimeoutError("a query took the org too long (QUERY_TIMEOUT)")
    if status == 503 or code in _TRANSIENT:  # noqa: PLR2004  HTTP: service unavailable
        return TransientError(f"Salesforce is busy ({code or status})", retry_after=wait)
    if status >= 500 or code in _STOPPED:  # noqa: PLR2004  HTTP: the server failed
        words = f"Salesforce failed ({status} {code})"
        return UncertainError(words) if writing else TransientError(words, retry_after=wait)
    if code in _AUTH or (status == 403 and not code):  # noqa: PLR2004  HTTP: forbidden
        return AuthError(
            f"the API's user lacks a permission: {sentence_of(code, message)}; "
            "an administrator gives it with a permission set"
        )
    return RefusedError(sentence_of(code or str(status), message), code=code or str(status))


def _retry_after(response: requests.Response, now: datetime) -> timedelta | None:
    text = response.headers.get("Retry-After")
    if text is None:
        return None
    if text.isdigit():
        return timedelta(seconds=int(text))
    try:
        return max(parsedate_to_datetime(text) - now, timedelta())
    except (TypeError, ValueError):
        return None
