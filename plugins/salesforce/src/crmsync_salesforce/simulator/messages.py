"""Requests and answers, apart from the server that carries them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from crmsync_salesforce.simulator.errors import OrgError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Request:
    """What came over the wire; the names of headers are in small letters.

    Attributes:
        parts: the path behind ``/services``, cut at its slashes, decoded.
        version: the API version in the path; empty where it has none.
    """

    method: str
    target: str
    parts: tuple[str, ...]
    version: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401  JSON is anything
        """The body.

        Raises:
            OrgError: it is no JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise OrgError("JSON_PARSER_ERROR", "Unexpected character in the body") from None

    @property
    def writes(self) -> bool:
        """Whether records are changed by it."""
        return self.method != "GET" and self.parts[:1] in {("composite",), ("sobjects",)}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back; ``body`` is JSON unless it is bytes, None is no body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Fault(StrEnum):
    """What can go wrong on demand."""

    EXPIRED_SESSION = "expired session"  # the next call's session is not valid any more
    BAD_LOGIN = "bad login"  # likewise, and the next login is refused
    ROW_LOCK = "row lock"  # the next write finds its first record locked
    REQUEST_LIMIT = "request limit"  # the day's calls are used up, for one call
    UNAVAILABLE = "unavailable"  # 503, try again later
    SLOW = "slow"  # the next answer takes a second
    HANG = "hang"  # the next answer never comes
    CUT_BEFORE = "cut before"  # the connection breaks, and nothing happened
    CUT_AFTER = "cut after"  # the next write lands, and then the connection breaks
    QUERY_TIMEOUT = "query timeout"  # the next query takes too long
    LOCATOR_GONE = "locator gone"  # the next page of an answer is not there any more
    JOB_FAILED = "job failed"  # the next bulk job fails
    JOB_GONE = "job gone"  # the results of the next bulk job are not there any more
    EXPIRED_IN_JOB = "expired in job"  # the session dies between a job's end and its results


class CutError(Exception):
    """The connection is to be broken."""
