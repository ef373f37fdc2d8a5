"""How far a stream was read: the cursor's text, and what stands in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from crmsync_salesforce.describing import Plan
from crmsync_salesforce.soql import Position

if TYPE_CHECKING:
    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import StreamRequest

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class JobPlace:
    """Where in the results of a bulk job a read stands.

    Attributes:
        listing: the id of the listing of all records that the job makes; None where it brings
            changes.
        locator: the page of results to go on with; None for the first.
    """

    id: str
    listing: str | None
    locator: str | None = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a stream was read. Instants are the org's own, as SOQL writes them.

    Attributes:
        settled: all changes before it are known, also those that became visible late.
        after: the last record of the page, in the middle of a reading.
        began: when the reading began that goes on.
        deleted_until: deletions before it are known.
        listed: when all records were last read, in seconds since 1970.
    """

    shape: str
    plan: Plan | None = None
    settled: str | None = None
    after: Position | None = None
    began: str | None = None
    job: JobPlace | None = None
    deleted_until: str | None = None
    listed: int | None = None

    def cursor(self) -> Cursor:
        """The text for the engine to keep."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return json.dumps({"version": _VERSION} | told, separators=(",", ":"), default=list)

    def finished(self, settled: str) -> Progress:
        """This progress at the end of a reading."""
        later = settled if self.settled is None else max(self.settled, settled)
        return replace(self, settled=later, after=None, began=None, job=None)


def shape_of(request: StreamRequest) -> str:
    """A digest of what a request asks for."""
    asked = [
        request.columns,
        request.key,
        request.options.model_dump(mode="json", include={"object"}),
    ]
    return hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()[:16]


def progress_of(since: Cursor | None, request: StreamRequest) -> Progress:
    """What a cursor says; nothing was read where it is for another request, or unreadable."""
    shape = shape_of(request)
    try:
        told: dict[str, Any] = json.loads(since or "{}")
        if told.pop("version") != _VERSION or told["shape"] != shape:
            return Progress(shape=shape)
        plan, after, job = told.pop("plan", None), told.pop("after", None), told.pop("job", None)
        return Progress(
            **told,
            plan=None if plan is None else _plan_of(plan),
            after=None if after is None else Position(**after),
            job=None if job is None else JobPlace(**job),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Progress(shape=shape)


def _plan_of(told: dict[str, Any]) -> Plan:
    lists = ("selected", "instants", "missing")
    return Plan(**told | {name: tuple(told[name]) for name in lists})
