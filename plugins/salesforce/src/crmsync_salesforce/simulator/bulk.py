"""Query jobs of the Bulk API 2.0."""

from __future__ import annotations

import base64
import tempfile
from array import array
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.messages import Answer, Fault, Request
from crmsync_salesforce.simulator.objects import minted_id
from crmsync_salesforce.simulator.query import prepared
from crmsync_salesforce.simulator.rest_values import as_csv

if TYPE_CHECKING:
    from crmsync_salesforce.simulator.org import Org
    from crmsync_salesforce.simulator.service import Settings

_STATES = ("UploadComplete", "InProgress", "JobComplete")
_AT_ONCE = 5_000


@dataclass(kw_only=True)
class Job:
    """A job and its results, which lie in a file."""

    id: str
    operation: str
    query: str
    version: str
    object: str
    polls: int = 0
    state: str = "UploadComplete"
    fails: str | None = None
    gone: bool = False
    file: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    header: bytes = b""
    ends: array[int] = field(default_factory=lambda: array("q", [0]))

    def told(self) -> dict[str, Any]:
        """As the org tells it."""
        return {
            "id": self.id,
            "operation": self.operation,
            "object": self.object,
            "state": self.state,
            "contentType": "CSV",
            "columnDelimiter": "COMMA",
            "lineEnding": "LF",
            "concurrencyMode": "Parallel",
            "apiVersion": float(self.version),
        } | self._outcome()

    def _outcome(self) -> dict[str, Any]:
        if self.state == "Failed":
            return {"errorMessage": self.fails or "Aborted"}
        done = self.state == "JobComplete"
        return {"numberRecordsProcessed": len(self.ends) - 1} if done else {}


class Jobs:
    """All jobs of an org."""

    def __init__(self, org: Org, settings: Settings) -> None:
        self._org, self._settings = org, settings
        self._jobs: dict[str, Job] = {}

    def close(self) -> None:
        """Give up all results."""
        for job in self._jobs.values():
            job.file.close()

    def fail_all(self) -> None:
        """Let all jobs come to nothing, as when an administrator aborts them."""
        for job in self._jobs.values():
            job.state = "Failed"

    def answer(self, request: Request, fault: Fault | None) -> Answer:
        """Answer a request to ``jobs/query``.

        Raises:
            OrgError: it is refused.
        """
        match request.method, request.parts[2:]:
            case "POST", ():
                return Answer(body=self._create(request, fault).told())
            case "GET", (job_id,):
                return Answer(body=self._polled(self._job(job_id, request)).told())
            case "GET", (job_id, "results"):
                return self._results(self._job(job_id, request), request)
            case "DELETE", (job_id,):
                self._jobs.pop(self._job(job_id, request).id).file.close()
                return Answer(status=204)
        raise OrgError("NOT_FOUND", "The requested resource does not exist", status=404)

    def _create(self, request: Request, fault: Fault | None) -> Job:
        asked = request.json()
        unknown = asked.keys() - {
            "operation", "query", "columnDelimiter", "lineEnding", "contentType",
        }  # fmt: skip
        if unknown or asked.get("operation") not in {"query", "queryAll"}:
            raise OrgError("INVALIDJOB", f"Unable to parse the job: {sorted(unknown)}")
        answer = prepared(self._org, asked["query"], all_rows=asked["operation"] == "queryAll")
        if not answer.columns or " offset " in asked["query"].lower():
            raise OrgError("API_ERROR", "Aggregates, OFFSET and the like are not supported")
        if answer.object.name in self._settings.no_bulk:
            words = f"Entity '{answer.object.name}' is not supported by the Bulk API"
            raise OrgError("INVALIDENTITY", words)
        job = Job(
            id=minted_id("750", len(self._jobs) + 1),
            operation=asked["operation"],
            query=asked["query"],
            version=request.version,
            object=answer.object.name,
        )
        job.fails = self._settings.fails_in_bulk.get(job.object)
        if fault is Fault.JOB_FAILED:
            job.fails = "InternalServerError : it failed"
        job.gone = fault is Fault.JOB_GONE
        self._jobs[job.id] = job
        return job

    def _job(self, job_id: str, request: Request) -> Job:
        job = self._jobs.get(job_id)
        if job is None:
            raise OrgError("NOT_FOUND", "The requested resource does not exist", status=404)
        if job.version != request.version:
            raise OrgError("API_ERROR", "The job was created with another API version", status=409)
        return job

    def _polled(self, job: Job) -> Job:
        job.polls += 1
        if job.state in {"UploadComplete", "InProgress"}:
            job.state = "Failed" if job.fails and job.polls > 1 else _STATES[min(job.polls, 2)]
            if job.state == "JobComplete":
                self._run(job)
        return job

    def _run(self, job: Job) -> None:
        answer = prepared(self._org, job.query, all_rows=job.operation == "queryAll")
        job.header = as_csv(answer, [], header=True).encode()
        with self._org.connected() as connection:
            rows = connection.execute(answer.statement)
            while found := rows.fetchmany(_AT_ONCE):
                end = job.ends[-1]
                for row in found:
                    line = as_csv(answer, [row], header=False).encode()
                    job.file.write(line)
                    end += len(line)
                    job.ends.append(end)

    def _results(self, job: Job, request: Request) -> Answer:
        if job.gone:
            raise OrgError("NOT_FOUND", "The results of the job are gone", status=404)
        if job.state != "JobComplete":
            raise OrgError("INVALIDJOBSTATE", f"The job is {job.state}")
        start = _row_of(request.query.get("locator"))
        rows = min(
            int(request.query.get("maxRecords", self._settings.bulk_rows)), self._settings.bulk_rows
        )
        total = len(job.ends) - 1
        stop = min(start + rows, total)
        job.file.seek(job.ends[start])
        body = job.file.read(job.ends[stop] - job.ends[start])
        head = job.header if start == 0 or self._settings.headers_on_all_pages else b""
        return Answer(
            body=head + body,
            headers={
                "Content-Type": "text/csv",
                "Sforce-Locator": "null" if stop == total else _locator(stop),
                "Sforce-NumberOfRecords": str(stop - start),
            },
        )


def _locator(row: int) -> str:
    return base64.urlsafe_b64encode(str(row).encode()).decode().rstrip("=")


def _row_of(locator: str | None) -> int:
    if locator is None:
        return 0
    try:
        return int(base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)))
    except ValueError:
        raise OrgError("INVALID_QUERY_LOCATOR", "invalid query locator") from None
