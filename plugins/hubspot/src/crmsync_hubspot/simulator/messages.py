"""Requests and answers, apart from the server that carries them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson

from crmsync_hubspot.simulator.errors import PortalError, bad_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Request:
    """What came over the wire; the names of headers are in small letters.

    Attributes:
        target: path and query as they were sent.
        route: what is asked for, whichever version of the API is in the path: ``objects``,
            ``properties``, … and what follows it, decoded.
        query: all values of each parameter.
    """

    method: str
    target: str
    route: tuple[str, ...]
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401  JSON is anything
        """The body.

        Raises:
            PortalError: it is no JSON, or not told to be.
        """
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise PortalError(f"HTTP 415 Unsupported Media Type: {kind}", status=415)
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise bad_json(f"on line {error.lineno}, column {error.colno}") from None

    def fields(self) -> dict[str, Any]:
        """The body, which must be a JSON object."""
        body = self.json()
        if not isinstance(body, dict):
            raise bad_json("an object is expected")
        return body

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A parameter that is true or false."""
        told = self.text(name, "true" if default else "false").lower()
        if told not in {"true", "false"}:
            raise PortalError(f"{name} must be true or false")
        return told == "true"

    def text(self, name: str, default: str = "") -> str:
        """A parameter's last value."""
        return self.query.get(name, (default,))[-1]

    def number(self, name: str, default: int, most: int) -> int:
        """A parameter that is a number from 1 to ``most``."""
        told = self.text(name, str(default))
        if not told.isdecimal() or int(told) < 1:
            raise PortalError(f"Invalid integer {told!r} for {name}")
        if int(told) > most:
            raise PortalError(
                f"limit must be less than or equal to {most}",
                details=[{"message": f"{name} was {told}, at most {most} are supported"}],
            )
        return int(told)

    def names(self, name: str) -> list[str] | None:
        """A list: repeated, or with commas between; None where the parameter is absent."""
        if name not in self.query:
            return None
        return [one.strip() for told in self.query[name] for one in told.split(",") if one.strip()]

    @property
    def writes(self) -> bool:
        """Whether something is changed by it."""
        if self.method == "GET" or self.route[:1] == ("oauth",):
            return False
        return self.route[-1] not in {"search", "read"}

    @property
    def searches(self) -> bool:
        """Whether it asks the search index."""
        return self.route[:1] == ("objects",) and self.route[-1] == "search"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back; ``body`` is JSON unless it is bytes, None is no body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Fault(StrEnum):
    """What can go wrong on demand; each concerns the next request that it can concern."""

    SECONDLY = "secondly"  # 429: the search API's limit for a second
    TEN_SECONDLY = "ten secondly"  # 429: the app's limit for ten seconds
    DAILY = "daily"  # 429: the account's limit for a day
    BARE_429 = "bare 429"  # 429 by something in front of the API: HTML, and no policy
    LOCKED = "locked"  # 423
    MIGRATION = "migration"  # 477, with a Retry-After of a minute
    ORIGIN_DNS = "origin dns"  # 530
    BAD_GATEWAY = "bad gateway"  # 502, HTML
    UNAVAILABLE = "unavailable"  # 503
    GATEWAY_TIMEOUT = "gateway timeout"  # 504, before anything happened
    TIMEOUT_AFTER = "timeout after"  # 504, after the write took effect
    SERVER_ERROR = "server error"  # 500
    EXPIRED_ACCESS = "expired access"  # 401, until the token is refreshed
    BAD_ACCESS = "bad access"  # 401, for one request
    ITEM_FAILS = "item fails"  # 207: the first input of the next batch is refused
    ITEM_UNKNOWN = "item unknown"  # 207: of the first record that is asked for nothing is known
    UNDECLARED = "undeclared"  # 202 without a body, after the write took effect
    UNDECLARED_BODY = "undeclared body"  # 200 where 201 is declared, and the other way round
    SLOW = "slow"  # the answer takes a second
    HANG = "hang"  # the answer never comes
    CUT_BEFORE = "cut before"  # the connection breaks, and nothing happened
    CUT_AFTER = "cut after"  # the write takes effect, and then the connection breaks
    CUT_WITHIN = "cut within"  # the connection breaks in the middle of the answer
    SAME_PAGE = "same page"  # the paging token leads to the same page once more
    ENDLESS = "endless"  # from now on a page without records tells of a next one
    SHORT_PAGE = "short page"  # a page holds fewer records than were asked for, and goes on
    EMPTY_PAGE = "empty page"  # a page holds no records, and goes on
    NOT_JSON = "not json"  # 200, and HTML


class CutError(Exception):
    """The connection is to be broken; after ``body`` is sent in part where there is one."""

    def __init__(self, part: Answer | None = None) -> None:
        super().__init__()
        self.part = part
