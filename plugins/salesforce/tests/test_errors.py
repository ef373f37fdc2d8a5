"""Each code of the facts, named by what happens next."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import requests

from crmsync.errors import (
    AuthError,
    ConnectorError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync_salesforce.errors import SessionExpiredError, error_of, refusal_of

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def refused(
    status: int, code: str = "", message: str = "words", **headers: str
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    body = json.dumps([{"errorCode": code, "message": message}]) if code else "<html>"
    response._content = body.encode()  # noqa: SLF001  there is no other way to make one
    response.headers.update(headers)
    return response


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("UNABLE_TO_LOCK_ROW", TransientError),
        ("SERVER_UNAVAILABLE", TransientError),
        ("QUERY_TIMEOUT", TransientError),
        ("REQUEST_LIMIT_EXCEEDED", QuotaError),
        ("LIMIT_EXCEEDED", QuotaError),
        ("ENTITY_IS_DELETED", RejectedError),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", RejectedError),
        ("STRING_TOO_LONG", RejectedError),
        ("REQUIRED_FIELD_MISSING", RejectedError),
        ("DUPLICATES_DETECTED", RejectedError),
        ("DUPLICATE_VALUE", RejectedError),
        ("TXN_SECURITY_METERING_ERROR", RejectedError),
        ("SOMETHING_NEW", RejectedError),
    ],
)
def test_what_one_record_meets(code: str, expected: type[ConnectorError]) -> None:
    error = error_of(code, "the org's\n own words", now=NOW)
    assert type(error) is expected or isinstance(error, expected)
    assert "the org's own words" in str(error)
    assert code in str(error)


@pytest.mark.parametrize(
    ("response", "reading", "writing"),
    [
        (refused(400, "INVALID_FIELD"), RejectedError, RejectedError),
        (refused(400, "MALFORMED_QUERY"), RejectedError, RejectedError),
        (refused(400, "QUERY_TIMEOUT"), TransientError, TransientError),
        (refused(400, "REQUEST_RUNNING_TOO_LONG"), TransientError, UncertainError),
        (refused(403, "REQUEST_LIMIT_EXCEEDED"), QuotaError, QuotaError),
        (refused(429), QuotaError, QuotaError),
        (
            refused(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests Limit exceeded."),
            TransientError,
            TransientError,
        ),
        (refused(403, "API_DISABLED_FOR_ORG"), AuthError, AuthError),
        (refused(403, "INSUFFICIENT_ACCESS"), AuthError, AuthError),
        (refused(403), AuthError, AuthError),
        (refused(403, "OPERATION_TOO_LARGE"), RejectedError, RejectedError),
        (refused(404, "NOT_FOUND"), RejectedError, RejectedError),
        (refused(410, "GONE"), RejectedError, RejectedError),
        (refused(414), RejectedError, RejectedError),
        (refused(500, "UNKNOWN_EXCEPTION"), TransientError, UncertainError),
        (refused(502), TransientError, UncertainError),
        (refused(503, "SERVER_UNAVAILABLE"), TransientError, TransientError),
        (refused(401, "INVALID_AUTH_HEADER"), AuthError, AuthError),
        # jsforce #1301: no new session helps.
        (
            refused(
                401, "INVALID_SESSION_ID", "This session is not valid for use with the REST API"
            ),
            AuthError,
            AuthError,
        ),
    ],
)
def test_what_a_request_meets(
    response: requests.Response, reading: type[ConnectorError], writing: type[ConnectorError]
) -> None:
    assert isinstance(refusal_of(response, writing=False, now=NOW), reading)
    assert isinstance(refusal_of(response, writing=True, now=NOW), writing)


def test_an_expired_session_may_be_renewed() -> None:
    with pytest.raises(SessionExpiredError):
        refusal_of(refused(401, "INVALID_SESSION_ID"), writing=True, now=NOW)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("30", timedelta(seconds=30)),
        ("Mon, 02 Mar 2026 09:02:00 GMT", timedelta(minutes=2)),
        ("Mon, 02 Mar 2026 08:00:00 GMT", timedelta()),
        ("soon", None),
    ],
)
def test_when_to_ask_again(told: str, expected: timedelta | None) -> None:
    response = refused(503, "SERVER_UNAVAILABLE", **{"Retry-After": told})
    error = refusal_of(response, writing=False, now=NOW)
    assert isinstance(error, TransientError)
    assert error.retry_after == expected
