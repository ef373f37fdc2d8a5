"""Reads a stream: what has changed, in pages, each with a cursor to go on from.

A change may become visible some minutes after the time that it bears, so a reading begins a
look-back before the time at which the one before it began; what is read twice changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from crmsync.errors import RejectedError, TransientError
from crmsync.model.pages import Page, Snapshot
from crmsync.observe import logger
from crmsync_salesforce import bulk, soql
from crmsync_salesforce.cursor import JobPlace, Progress, progress_of
from crmsync_salesforce.describing import no_field
from crmsync_salesforce.errors import LOST_PLACE, QueryTimeoutError, RefusedError
from crmsync_salesforce.formers import formers
from crmsync_salesforce.options import SalesforceStreamOptions
from crmsync_salesforce.tables import page_table, rows_as_table, tombstones

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import StreamRequest
    from crmsync_salesforce.client import SalesforceClient
    from crmsync_salesforce.describing import Descriptions, Plan
    from crmsync_salesforce.formers import Formers

_DESCRIBED_FOR = timedelta(days=1).total_seconds()
_MISSING_FOR = timedelta(hours=1).total_seconds()
_DELETIONS_EVERY = timedelta(hours=20)
_REPLICATED = timedelta(days=14)  # the org keeps them for 15 days
_WINDOW_REFUSED = {"INVALID_REPLICATION_DATE", "EXCEEDED_ID_LIMIT"}
_MOST_MOVES = 100
_LONG_AGO = "1970-01-02T00:00:00Z"


class StreamReading:
    """One reading of a stream, from a cursor to the end."""

    def __init__(
        self,
        client: SalesforceClient,
        descriptions: Descriptions,
        request: StreamRequest,
        since: Cursor | None,
    ) -> None:
        assert isinstance(request.options, SalesforceStreamOptions)  # noqa: S101  the spec names that model
        self._client, self._descriptions, self._request = client, descriptions, request
        self._options = request.options
        self._object = request.options.object
        self._columns = tuple(dict.fromkeys((*request.columns, *request.key)))
        self._progress = progress_of(since, request)
        self._log = logger(stream=request.name, object=self._object)
        self._told: Cursor | None = None
        self._formers: Formers | None = None
        self._lost_a_job = False
        self._no_bulk: bulk.NoBulkError | None = None

    def pages(self) -> Iterator[Page]:
        """The pages; none where nothing has changed.

        Raises:
            ConnectorError: one of the five; the cursor stays before what was not handed out.
        """
        before = self._progress
        self._describe()
        if before.settled is None:
            self._formers = formers(self._client, self._descriptions, self._request, self._plan)
        try:
            yield from self._steps()
        except RefusedError as error:
            if error.code in LOST_PLACE:
                raise TransientError(f"a reading lost its place: {error}") from None
            if error.code != "INVALID_FIELD":
                raise
            # Somebody has hidden or removed a field since the org was last asked.
            self._describe(anew=True)
            yield from self._steps()
        fresh = replace(self._progress, settled=before.settled) != before
        if fresh and self._told != self._progress.cursor():
            yield self._page(rows_as_table([], self._plan.selected), self._progress)

    def _steps(self) -> Iterator[Page]:
        if self._plan.changed is None:
            raise RejectedError(
                f"{self._object} has no field that tells when a record was changed, so it cannot "
                "be read"
            )
        if self._progress.job is not None:
            yield from self._job_pages()
        if self._must_list():
            yield from self._listing()
        else:
            yield from self._changes()
        yield from self._deletions()

    @property
    def _plan(self) -> Plan:
        plan = self._progress.plan
        assert plan is not None  # noqa: S101  a reading begins with one
        return plan

    def _now(self) -> datetime:
        """The org's own time; where it has not told, a time that is surely not after it."""
        if self._client.seen is not None:
            return self._client.seen
        known = self._progress.after.at if self._progress.after else self._progress.settled
        return datetime.fromisoformat(known or _LONG_AGO)

    def _describe(self, *, anew: bool = False) -> None:
        """Ask the org what it lets us read: once a day, while something is missing once an hour.

        Raises:
            RejectedError: it does not show a column that is not optional. Were it taken for empty,
                people who want no mail would get some.
        """
        if anew:
            self._descriptions.forget()
        plan = self._progress.plan
        now = self._clock()
        if plan and not anew:
            holds_for = _MISSING_FOR if plan.missing else _DESCRIBED_FOR
            if now - plan.described < holds_for:
                return
        fresh = self._descriptions.plan(
            self._object, self._columns, now=now, with_creation=bool(self._request.tracked)
        )
        for column in fresh.missing:
            if column not in self._options.optional:
                there = self._descriptions.fields(self._object)
                raise RejectedError(no_field(self._object, column, there))
        if plan is not None and {*fresh.selected, fresh.changed} - {*plan.selected}:
            # Fields came back: what is known of all records is to be completed.
            self._progress = Progress(shape=self._progress.shape)
        elif plan is not None and fresh.selected != plan.selected:
            self._progress = replace(self._progress, job=None)  # its columns are others
        self._progress = replace(self._progress, plan=fresh)

    def _must_list(self) -> bool:
        """Whether all records are due to be read again."""
        every, listed = self._options.reread_after, self._progress.listed
        if every is None or listed is None or self._progress.after is not None:
            return False
        return self._clock() - listed >= every.total_seconds()

    def _changes(self) -> Iterator[Page]:
        """What has changed; from a lost place it is begun again where it stood."""
        for _ in range(_MOST_MOVES):
            try:
                yield from self._queried()
            except RefusedError as error:
                if error.code not in LOST_PLACE:
                    raise
                self._log.info("query_begun_again", code=error.code)
            else:
                return

    def _queried(self) -> Iterator[Page]:
        progress, plan = self._progress, self._plan
        if progress.settled is None and progress.after is None and self._is_large():
            yield from self._listing()
            return
        query = self._query(plan)
        if len(query) > soql.LONGEST_QUERY:
            yield from self._by_job()
            return
        try:
            answer = self._asked("queryAll", params={"q": query})
        except QueryTimeoutError as error:
            self._log.info("reads_by_bulk", why=str(error))
            yield from self._by_job()
            return
        began = progress.began or soql.instant(self._now())
        self._progress = replace(progress, began=began, listed=progress.listed or self._clock())
        total = int(answer["totalSize"])
        if total >= self._options.bulk_from and total:
            self._log.info("reads_by_bulk", records=total, bulk_from=self._options.bulk_from)
            yield from self._by_job(answer)
            return
        yield from self._query_pages(answer)

    def _is_large(self) -> bool:
        """Whether a first reading is for the Bulk API; to sort so much would take too long."""
        query = soql.everything(self._object, ("count()",))
        try:
            total = int(self._asked("queryAll", params={"q": query})["totalSize"])
        except QueryTimeoutError:
            return True
        large = total >= self._options.bulk_from and total > 0
        self._log.info("first_reading", records=total, bulk=large)
        return large

    def _query(self, plan: Plan, *, ordered: bool = True) -> str:
        assert plan.changed is not None  # noqa: S101  `pages` has seen to it
        return soql.changes(
            self._object,
            plan.selected,
            plan.changed,
            since=self._progress.settled,
            after=self._progress.after,
            ordered=ordered,
        )

    def _query_pages(self, answer: dict[str, Any]) -> Iterator[Page]:
        """The pages of a query's answer, from its first on."""
        plan = self._plan
        while True:
            records, following = answer["records"], answer.get("nextRecordsUrl")
            if records:
                last = records[-1]
                place = soql.Position(at=_written(last[plan.changed]), id=last["Id"])
                self._progress = replace(self._progress, after=place)
            if following is None:
                self._settle()
            if records:
                yield self._page(rows_as_table(records, plan.selected), self._progress)
            if following is None:
                return
            answer = self._asked(following)

    def _settle(self, *, listing: bool = False) -> None:
        """Note that a reading has come to its end."""
        began = self._progress.began or soql.instant(self._now())
        floor = soql.instant(datetime.fromisoformat(began) - self._options.look_back.length)
        self._progress = self._progress.finished(floor)
        if listing or self._progress.deleted_until is None:
            self._progress = replace(self._progress, deleted_until=floor)
        if listing:
            self._progress = replace(self._progress, listed=self._clock())

    def _by_job(self, answer: dict[str, Any] | None = None) -> Iterator[Page]:
        """By the Bulk API, or by the query's own pages where it does not read such an object."""
        try:
            # A job keeps its place without an order, and to sort so much may take too long.
            job = self._made_job(self._query(self._plan, ordered=False))
        except bulk.NoBulkError as error:
            self._log.info("reads_by_queries", why=str(error))
            if answer is None:
                raise RejectedError(
                    f"{self._object} is read with more fields than an address can name, and the "
                    f"Bulk API does not read it: {error}"
                ) from None
            yield from self._query_pages(answer)
            return
        began = self._progress.began or soql.instant(self._now())
        self._progress = replace(self._progress, job=JobPlace(id=job, listing=None), began=began)
        yield from self._job_pages()

    def _made_job(self, query: str) -> str:
        """A new job's id.

        Raises:
            NoBulkError: the Bulk API does not read this.
        """
        if self._no_bulk is not None:
            raise self._no_bulk
        return bulk.create_job(self._client, query)

    def _job_pages(self) -> Iterator[Page]:
        """The rest of a job's results; where they are lost, they are made anew, but only once.

        What the Bulk API turns out not to read is queried.

        Raises:
            TransientError: they were lost twice.
        """
        place = self._progress.job
        assert place is not None  # noqa: S101  the callers have set it
        try:
            yield from self._results(place)
        except bulk.JobLostError as error:
            self._log.info("bulk_job_lost", why=str(error))
            self._progress = replace(self._progress, job=None)
            if self._lost_a_job:
                # The next sync is not to ask for this one again.
                yield self._page(rows_as_table([], self._plan.selected), self._progress)
                raise TransientError(str(error)) from None
            self._lost_a_job = True
        except bulk.NoBulkError as error:
            self._progress, self._no_bulk = replace(self._progress, job=None), error
        else:
            return
        yield from self._queried() if place.listing is None else self._listing()

    def _results(self, place: JobPlace) -> Iterator[Page]:
        while not bulk.wait_for(self._client, place.id):
            # It goes on at the org; who waits for a page is told that so do we.
            yield self._page(rows_as_table([], self._plan.selected), self._progress)
        while True:
            parts = bulk.results(self._client, place.id, place.locator, self._plan.selected)
            following: str | None = None
            for table, following, complete in parts:
                ended = complete and following is None
                if ended:
                    self._settle(listing=place.listing is not None)
                elif complete:
                    place = replace(place, locator=following)
                    self._progress = replace(self._progress, job=place)
                snapshot = None if place.listing is None else Snapshot(id=place.listing, last=ended)
                if table.num_rows or ended:
                    yield self._page(table, self._progress, snapshot)
            if following is None:
                return

    def _listing(self) -> Iterator[Page]:
        """All records, so that what is not among them is known to be gone."""
        query = soql.everything(self._object, self._plan.selected)
        try:
            job = self._made_job(query)
        except bulk.NoBulkError as error:
            self._log.info("reads_by_queries", why=str(error))
            yield from self._listed_by_queries(query)
            return
        began, place = soql.instant(self._now()), JobPlace(id=job, listing=uuid4().hex)
        self._progress = replace(self._progress, began=began, after=None, job=place)
        yield from self._job_pages()

    def _listed_by_queries(self, query: str) -> Iterator[Page]:
        listing = uuid4().hex
        before = self._progress
        answer = self._asked("queryAll", params={"q": query})
        self._progress = replace(before, began=soql.instant(self._now()), after=None)
        while True:
            following = answer.get("nextRecordsUrl")
            if following is None:
                self._settle(listing=True)
            table = rows_as_table(answer["records"], self._plan.selected)
            # Broken off, it is begun again: another listing, with another id.
            place = self._progress if following is None else before
            yield self._page(table, place, Snapshot(id=listing, last=following is None))
            if following is None:
                return
            answer = self._asked(following)

    def _deletions(self) -> Iterator[Page]:
        """What was removed for good, which no query tells; asked for once a day."""
        until = self._progress.deleted_until
        if not self._plan.deletable or until is None or self._client.seen is None:
            return
        start, now = datetime.fromisoformat(until), self._client.seen
        if now - start < _DELETIONS_EVERY + self._options.look_back.length:
            return
        if now - start > _REPLICATED:
            self._log.info("deletions_unknown", since=until)
            yield from self._listing()
            return
        try:
            window = {"start": soql.instant(start), "end": soql.instant(now)}
            told = self._asked(f"sobjects/{self._object}/deleted", params=window)
        except RefusedError as error:
            if error.code not in _WINDOW_REFUSED:
                # Not every object keeps a list of what was deleted.
                self._log.info("deletions_not_told", why=str(error))
                self._progress = replace(self._progress, deleted_until=soql.instant(now))
                return
            yield from self._listing()
            return
        if datetime.fromisoformat(told["earliestDateAvailable"]) > start + timedelta(minutes=1):
            yield from self._listing()
            return
        covered = soql.instant(datetime.fromisoformat(told["latestDateCovered"]))
        self._progress = replace(self._progress, deleted_until=covered)
        gone = {one["id"]: _written(one["deletedDate"]) for one in told["deletedRecords"]}
        if gone:
            page = tombstones(list(gone), list(gone.values()), self._plan, self._columns)
            self._told = self._progress.cursor()
            yield Page(records=page, cursor=self._told)

    def _page(self, table: pa.Table, progress: Progress, snapshot: Snapshot | None = None) -> Page:
        self._told = progress.cursor()
        if self._formers is not None and table.num_rows:
            table = self._formers.with_former(table)
        records = page_table(table, self._plan, self._columns)
        return Page(records=records, cursor=self._told, snapshot=snapshot)

    def _asked(self, path: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401  whatever requests takes
        response = self._client.call("GET", path, **arguments)
        answer: dict[str, Any] = response.json(parse_float=str)
        return answer

    def _clock(self) -> int:
        """Our own time will do for how often something is asked; in seconds since 1970."""
        return int(self._client.clock.now().timestamp())


def _written(text: str) -> str:
    """An instant of an answer, as a query writes it."""
    return text.replace("+0000", "Z")
