"""Query jobs of the Bulk API 2.0: made, waited for, and read page by page."""

from __future__ import annotations

import io
import re
import time
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import urllib3

from crmsync.errors import AuthError, TransientError
from crmsync.observe import logger
from crmsync_salesforce.errors import RefusedError, sentence_of
from crmsync_salesforce.tables import csv_as_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync_salesforce.client import SalesforceClient

_log = logger()
_CHUNK = 2**20
_RECORDS_A_CALL = 100_000
FIRST_WAIT, LONGEST_WAIT = 1.0, 20.0  # seconds between two looks at a job
# What a job says where it cannot read such an object or field; a query may.
_NO_BULK = re.compile(
    r"not supported|not support query|cannot serialize value|invalidentity|featurenotenabled",
    re.IGNORECASE,
)
# The engine waits fifteen minutes for a page.
LONGEST_SILENCE = 300.0


class JobLostError(Exception):
    """The job came to nothing, the org does not know it, or its results are not there."""


class NoBulkError(Exception):
    """The Bulk API does not read this object, or these fields."""


def create_job(client: SalesforceClient, query: str) -> str:
    """Ask for a job that also brings what was deleted or archived; answers with its id.

    Raises:
        NoBulkError: such a query must go another way.
    """
    asked = {
        "operation": "queryAll",
        "query": query,
        "columnDelimiter": "COMMA",
        "lineEnding": "LF",
    }
    try:
        job: dict[str, Any] = client.call("POST", "jobs/query", json=asked).json()
    except RefusedError as error:
        if error.code in {"INVALID_FIELD", "MALFORMED_QUERY", "INVALID_TYPE"}:
            raise
        raise NoBulkError(str(error)) from None
    except AuthError as error:
        # Some editions, users and objects may be queried only; a query tells what else is wrong.
        raise NoBulkError(str(error)) from None
    _log.info("bulk_job_made", job=job["id"], object=job.get("object"))
    return str(job["id"])


def wait_for(client: SalesforceClient, job_id: str) -> bool:
    """Whether the job has come to its end; False after a while without.

    Raises:
        JobLostError: it has failed, or the org does not know it.
        NoBulkError: it has failed, and so would another.
    """
    pause, began = FIRST_WAIT, time.monotonic()
    while True:
        job = _asked(client, f"jobs/query/{job_id}").json()
        match job.get("state"):
            case "JobComplete":
                return True
            case "Failed" | "Aborted" as state:
                told = sentence_of(state, str(job.get("errorMessage", "")))
                if _NO_BULK.search(told):
                    raise NoBulkError(told)
                raise JobLostError(f"the bulk job {job_id} came to nothing: {told}")
        if time.monotonic() - began > LONGEST_SILENCE:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_WAIT)


def results(
    client: SalesforceClient, job_id: str, locator: str | None, selected: Sequence[str]
) -> Iterator[tuple[pa.Table, str | None, bool]]:
    """Parts of one page of results; with the last one the locator of the next page, or None.

    Raises:
        JobLostError: the org has not kept them.
        TransientError: they are cut off.
    """
    params = {"maxRecords": str(_RECORDS_A_CALL)} | (
        {} if locator is None else {"locator": locator}
    )
    response = _asked(client, f"jobs/query/{job_id}/results", params=params, stream=True)
    try:
        following = response.headers.get("Sforce-Locator", "null")
        promised = response.headers.get("Sforce-NumberOfRecords")
        response.raw.decode_content = True
        response.raw.auto_close = False
        source: IO[bytes] = io.BufferedReader(response.raw, _CHUNK)
        rows, before = 0, None
        for table in csv_as_tables(source, selected):
            if before is not None:
                yield before, locator, False
            before = table
            rows += table.num_rows
        if promised is not None and rows != int(promised):
            raise TransientError(f"{rows} of {promised} records of the bulk job {job_id} came")
        empty = pa.table({name: pa.array([], pa.string()) for name in selected})
        yield before or empty, None if following == "null" else following, True
    except (urllib3.exceptions.HTTPError, pa.ArrowInvalid, OSError):
        raise TransientError(f"the results of the bulk job {job_id} broke off") from None
    finally:
        response.close()


def _asked(client: SalesforceClient, path: str, **arguments: Any) -> Any:  # noqa: ANN401  an answer
    try:
        return client.call("GET", path, **arguments)
    except RefusedError as error:
        # Whatever the reason, to ask the same again would not mend it, but a new job may.
        raise JobLostError(f"the results of a bulk job are not there: {error}") from None
