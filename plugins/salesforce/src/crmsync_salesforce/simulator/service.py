"""The REST API of an org: which request is answered how."""

from __future__ import annotations

import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from crmsync_salesforce.simulator.bulk import Jobs
from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.field_history import definitions
from crmsync_salesforce.simulator.messages import Answer, CutError, Fault, Request
from crmsync_salesforce.simulator.oauth import Sessions
from crmsync_salesforce.simulator.query import prepared, read_query
from crmsync_salesforce.simulator.rest_values import as_record, without_empty
from crmsync_salesforce.simulator.tooling import tooling
from crmsync_salesforce.simulator.values import told
from crmsync_salesforce.simulator.writes import Writes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync_salesforce.simulator.org import Org

_VERSIONS = [f"{number}.0" for number in range(52, 67)]
_LONGEST_TARGET = 16_384
_SMALLEST_BATCH, _LARGEST_BATCH = 200, 2_000
_REPLICATED = timedelta(days=15)


@dataclass(kw_only=True)
class Settings:
    """How an org is set up.

    Attributes:
        page_rows: how many records a page of a query has at most.
        bulk_rows: the same for a page of a job's results.
        headers_on_all_pages: whether each page of a job's results begins with the header.
        daily_calls: how many calls an org may get within 24 hours.
        most_deleted: how many deleted ids the org tells at once.
        deletions_forgotten: until when the org has forgotten early what was deleted.
        no_bulk: the objects that the Bulk API does not read.
        fails_in_bulk: likewise, where only the job tells it; with the words that it tells.
        shows_new_fields: whether an administrator gives the API's user the fields that are made,
            as soon as they are.
    """

    client_id: str = "3MVG9simulated.client.id"
    client_secret: str = "simulated-client-secret"  # noqa: S105  it opens nothing real
    username: str = "admin@example.com"
    password: str = "simulated-password"  # noqa: S105  it opens nothing real
    public_key: str | None = None
    audiences: tuple[str, ...] = ("https://login.salesforce.com",)
    page_rows: int = _LARGEST_BATCH
    bulk_rows: int = 250_000
    headers_on_all_pages: bool = True
    daily_calls: int = 100_000
    most_deleted: int = 600_000
    retry_after: int = 30
    deletions_forgotten: datetime | None = None
    no_bulk: frozenset[str] = frozenset({"TaskStatus"})
    fails_in_bulk: Mapping[str, str] = field(default_factory=dict)
    shows_new_fields: bool = False


class Service:
    """The API.

    Attributes:
        faults: come true one a call, after so many calls as are ``spared``.
        calls, requests: all that came over the wire, but logins.
        mistakes: the simulator's own.
    """

    def __init__(self, org: Org, settings: Settings) -> None:
        self.org, self.settings = org, settings
        self.sessions = Sessions(settings)
        self.jobs = Jobs(org, settings)
        self.writes = Writes(org)
        self.faults: deque[Fault] = deque()
        self.spared = 0
        self.calls: list[str] = []
        self.requests: list[Request] = []
        self.used = 0
        self.mistakes: list[str] = []
        self.address = ""
        self._locators: dict[str, list[dict[str, Any]]] = {}

    def answer(self, request: Request) -> Answer:
        """Answer a request.

        Raises:
            CutError: the connection is to be broken.
        """
        if request.parts[:1] == ("oauth2",):
            return self._login(request)
        self.calls.append(f"{request.method} {'/'.join(request.parts)}")
        self.requests.append(request)
        fault = self._fault(request)
        try:
            self._stop(fault)
            self._admit(request, fault)
            answer = self._routed(request, fault)
        except OrgError as error:
            answer = Answer(status=error.status, body=error.as_body())
        if fault is Fault.CUT_AFTER:
            raise CutError
        limit = f"api-usage={self.used}/{self.settings.daily_calls}"
        headers = {"Sforce-Limit-Info": limit} | dict(answer.headers)
        if answer.status == 503:  # noqa: PLR2004  HTTP: service unavailable
            headers["Retry-After"] = str(self.settings.retry_after)
        return Answer(status=answer.status, body=answer.body, headers=headers)

    def close(self) -> None:
        """Give up all that is open."""
        self.jobs.close()
        self.org.engine.dispose()

    def _login(self, request: Request) -> Answer:
        fault = self._fault(request)
        self._stop(fault, also=(Fault.UNAVAILABLE, Fault.REQUEST_LIMIT))
        if fault is Fault.UNAVAILABLE:
            headers = {"Retry-After": str(self.settings.retry_after)}
            return Answer(status=503, body={"error": "server_error"}, headers=headers)
        if fault is Fault.REQUEST_LIMIT:
            body = {"error": "rate_limit_exceeded", "error_description": "Login Rate Exceeded"}
            return Answer(status=403, body=body)
        return self.sessions.answer(request, fault, address=self.address, user=self.org.user)

    def _fault(self, request: Request) -> Fault | None:
        """The fault that comes true now, if the next one concerns such a request."""
        if not self.faults:
            return None
        if self.spared > 0:
            self.spared -= 1
            return None
        fault, parts = self.faults[0], request.parts
        login, results = parts[:1] == ("oauth2",), parts[-1:] == ("results",)
        concerned = {
            Fault.EXPIRED_SESSION: not login,
            Fault.BAD_LOGIN: True,
            Fault.ROW_LOCK: request.writes,
            Fault.CUT_AFTER: request.writes,
            Fault.QUERY_TIMEOUT: parts[:1] in {("query",), ("queryAll",)},
            Fault.LOCATOR_GONE: parts[:1] == ("query",) and len(parts) > 1,
            Fault.JOB_FAILED: parts[:1] == ("jobs",) and request.method == "POST",
            Fault.JOB_GONE: parts[:1] == ("jobs",) and request.method == "POST",
            Fault.EXPIRED_IN_JOB: results,
        }.get(fault, True)
        if not concerned:
            return None
        if fault is Fault.BAD_LOGIN and not login:
            self.sessions.end_all()  # and it stays for the login that follows
            return None
        return self.faults.popleft()

    def _stop(self, fault: Fault | None, also: tuple[Fault, ...] = ()) -> None:
        if fault in also:
            return
        match fault:
            case Fault.SLOW:
                time.sleep(1)
            case Fault.HANG:
                time.sleep(3600)
            case Fault.CUT_BEFORE:
                raise CutError
            case Fault.UNAVAILABLE:
                raise OrgError("SERVER_UNAVAILABLE", "Server is busy", status=503)
            case Fault.REQUEST_LIMIT:
                raise _over_the_limit()
            case Fault.EXPIRED_SESSION | Fault.EXPIRED_IN_JOB:
                self.sessions.end_all()
            case Fault.QUERY_TIMEOUT:
                raise OrgError("QUERY_TIMEOUT", "Your query request was running for too long.")

    def _admit(self, request: Request, fault: Fault | None) -> None:
        del fault
        if len(request.target) > _LONGEST_TARGET:
            raise OrgError("URI_TOO_LONG", "URI Too Long", status=414)
        if not self.sessions.knows(request):
            raise OrgError("INVALID_SESSION_ID", "Session expired or invalid", status=401)
        if self.used >= self.settings.daily_calls:
            raise _over_the_limit()
        self.used += 1
        if request.version not in _VERSIONS:
            if request.version and float(request.version) <= 30:  # noqa: PLR2004  retired
                raise OrgError("GONE", "API version is not supported", status=410)
            raise _not_found()

    def _routed(  # noqa: C901  a route each
        self, request: Request, fault: Fault | None
    ) -> Answer:
        match request.method, request.parts:
            case "GET", ("query" | "queryAll",):
                return Answer(body=self._query(request))
            case "GET", ("query" | "queryAll", locator):
                return Answer(body=self._more(locator, fault, request))
            case "GET", ("sobjects",):
                summaries = [one.summary() for one in self.org.objects.values()]
                return Answer(
                    body={"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": summaries}
                )
            case "GET", ("sobjects", name, "describe"):
                return Answer(body=self.org.object(name).describe())
            case "GET", ("sobjects", name, "deleted"):
                return Answer(body=self._deleted(name, request))
            case "GET", ("sobjects", name, "updated"):
                start, end = self._window(request)
                ids = self.org.updated_between(self.org.object(name).name, start, end)
                return Answer(body={"ids": ids, "latestDateCovered": _minute(end)})
            case "GET", ("limits",):
                left = max(self.settings.daily_calls - self.used, 0)
                daily = {"Max": self.settings.daily_calls, "Remaining": left}
                return Answer(body={"DailyApiRequests": daily})
            case _, ("jobs", "query", *_):
                return self.jobs.answer(request, fault)
            case _, ("tooling", *_):
                return tooling(self.org, request, shown=self.settings.shows_new_fields)
        if request.writes:
            return self.writes.answer(request, locked=fault is Fault.ROW_LOCK)
        raise _not_found()

    def _query(self, request: Request) -> dict[str, Any]:
        text = request.query.get("q", "")
        asked = read_query(text)
        if asked.object.lower() == "fielddefinition":
            found = definitions(self.org, asked)
            return {"totalSize": len(found), "done": True, "records": found}
        answer = prepared(self.org, text, all_rows=request.parts[0] == "queryAll")
        with self.org.connected() as connection:
            rows = connection.execute(answer.statement).all()
        if not answer.columns:
            return {"totalSize": rows[0][0], "done": True, "records": []}
        records = [without_empty(as_record(answer, row, request.version)) for row in rows]
        size = self._batch_size(request)
        page: dict[str, Any] = {"totalSize": len(records), "done": len(records) <= size}
        return page | self._page(records, size, request)

    def _page(self, records: list[dict[str, Any]], size: int, request: Request) -> dict[str, Any]:
        page, rest = records[:size], records[size:]
        if not rest:
            return {"records": page}
        locator = f"01g{secrets.token_hex(7)}Z-{size}"
        self._locators[locator] = rest
        return {
            "nextRecordsUrl": f"/services/data/v{request.version}/query/{locator}",
            "records": page,
        }

    def _more(self, locator: str, fault: Fault | None, request: Request) -> dict[str, Any]:
        rest = self._locators.get(locator)
        if rest is None or fault is Fault.LOCATOR_GONE:
            raise OrgError("INVALID_QUERY_LOCATOR", "invalid query locator")
        size = self._batch_size(request)
        head = {"totalSize": len(rest), "done": len(rest) <= size}
        return head | self._page(rest, size, request)

    def _batch_size(self, request: Request) -> int:
        told_size = request.headers.get("sforce-query-options", "").partition("batchSize=")[2]
        asked = int(told_size) if told_size.isdigit() else _LARGEST_BATCH
        if not _SMALLEST_BATCH <= asked <= _LARGEST_BATCH:
            raise OrgError("INVALID_BATCH_SIZE", "batch size must be between 200 and 2000")
        return min(asked, self.settings.page_rows)

    def _window(self, request: Request) -> tuple[datetime, datetime]:
        try:
            start = datetime.fromisoformat(request.query["start"])
            end = datetime.fromisoformat(request.query["end"])
            if start.tzinfo is None or end.tzinfo is None:
                raise ValueError
        except (KeyError, ValueError):
            raise OrgError("INVALID_REPLICATION_DATE", "not a valid date") from None
        start, end = start.replace(second=0), end.replace(second=0)
        if end <= start:
            raise OrgError("INVALID_REPLICATION_DATE", "endDate must be at least a minute later")
        return start, end

    def _deleted(self, name: str, request: Request) -> dict[str, Any]:
        start, end = self._window(request)
        earliest = self.org.clock.now() - _REPLICATED
        if start < earliest.replace(second=0, microsecond=0):
            raise OrgError("INVALID_REPLICATION_DATE", "startDate is before the earliest available")
        earliest = max(earliest, self.settings.deletions_forgotten or earliest)
        start = max(start, earliest)
        found = self.org.deleted_between(self.org.object(name).name, start, end)
        if len(found) > self.settings.most_deleted:
            raise OrgError("EXCEEDED_ID_LIMIT", "too many records were deleted")
        return {
            "deletedRecords": [
                {"id": record_id, "deletedDate": at.replace("Z", "+0000")}
                for record_id, at in sorted(found.items())
            ],
            "earliestDateAvailable": _minute(earliest),
            "latestDateCovered": _minute(end),
        }


def _minute(instant: datetime) -> str:
    return told(instant.replace(second=0, microsecond=0)).replace("Z", "+0000")


def _over_the_limit() -> OrgError:
    return OrgError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)


def _not_found() -> OrgError:
    return OrgError("NOT_FOUND", "The requested resource does not exist", status=404)
