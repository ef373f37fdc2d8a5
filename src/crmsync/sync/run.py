"""Reads the streams of a connection into the warehouse.

Pages are gathered to batches before they are mapped and merged, because each merge has a price of
its own; the pages of a batch and the cursor of its last one are committed together.
The warehouse is locked only while a batch is merged.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from crmsync.clock import SystemClock
from crmsync.errors import AuthError, ConnectorError, CrmsyncError, PluginError, QuotaError
from crmsync.observe import logger, redact
from crmsync.plugins.calls import HangsError, call_within, hangs
from crmsync.plugins.contract import Dated
from crmsync.sync.digests import mapping_digest
from crmsync.sync.mapping import MappingEngine, StreamMapper
from crmsync.sync.reports import StreamReport
from crmsync.sync.streams import MappedStream
from crmsync.warehouse.batch import Batch, Merged
from crmsync.warehouse.store import ReadNote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from crmsync.clock import Clock
    from crmsync.config.settings import ConnectionSettings
    from crmsync.model.pages import Cursor, Page, Snapshot
    from crmsync.plugins.contract import Reads
    from crmsync.warehouse.batch import MappingDigest
    from crmsync.warehouse.store import Warehouse

    # Called with a stream's name and how many more of its rows were read.
    Progress = Callable[[str, int], None]

# A batch is merged when it has grown to one of these. DuckDB keeps so many rows in a group: batches
# that fill groups exactly are written in two thirds of the time, with half the memory.
BATCH_ROWS = 122_880
BATCH_BYTES = 64 * 2**20
BATCH_SECONDS = 5.0

# For one page of a connector; then nobody waits for it any more.
LONGEST_WAIT = timedelta(minutes=15)
# What is younger when it is read counts as written then.
_NEW = timedelta(minutes=1)

_Answer = TypeVar("_Answer")


def _nobody(_stream: str, _rows: int) -> None:
    """Nobody is told."""


def sync_connection(
    *,
    connector: Reads,
    settings: ConnectionSettings,
    name: str,
    warehouse: Warehouse,
    clock: Clock,
    company_zone: str,
    progress: Progress | None = None,
    deletions_confirmed: bool = False,
) -> tuple[StreamReport, ...]:
    """Read every stream of a connection from where it was left.

    An error of the connector ends its stream, not the others; what was read before it stays.
    ``deletions_confirmed`` lets a complete listing delete all or most of a stream.

    Raises:
        StoreBusyError: another process held the warehouse for too long.
        StoreError: the warehouse cannot be read or written.
    """
    mappings = {
        stream: mapping_digest(one, company_zone) for stream, one in settings.streams.items()
    }
    cursors = _cursors(name, settings, mappings, warehouse, clock)
    mapping_engine = MappingEngine(warehouse.texts)
    reports, notes = [], []
    paused: str | None = None
    for stream, stream_settings in settings.streams.items():
        sync = _StreamSync(
            connector=connector,
            stream=MappedStream(
                connection=name,
                name=stream,
                settings=stream_settings,
                table=warehouse.tables[stream_settings.table],
                company_zone=company_zone,
            ),
            warehouse=warehouse,
            clock=clock,
            mapping_engine=mapping_engine,
            progress=progress or _nobody,
            deletions_confirmed=deletions_confirmed,
            report=StreamReport(connection=name, stream=stream, table=stream_settings.table),
        )
        report, note = sync.run(cursors.get(stream), paused=paused)
        paused = report.error if sync.pauses else None
        reports.append(report)
        notes.append(note)
    mapping_engine.close()
    with warehouse.writing() as writer:
        writer.note_reads(notes)
    return tuple(reports)


def _cursors(
    connection: str,
    settings: ConnectionSettings,
    mappings: Mapping[str, MappingDigest],
    warehouse: Warehouse,
    clock: Clock,
) -> dict[str, Cursor | None]:
    """Where each stream is to be read on; from its begin where its mapping has changed."""
    with warehouse.reading() as records:
        positions = records.positions(connection)
    anew = {
        stream: (settings.streams[stream].table, mapping)
        for stream, mapping in mappings.items()
        if stream not in positions or positions[stream].mapping != mapping
    }
    if anew:
        with warehouse.writing() as writer:
            writer.begin_anew(connection, anew, now=clock.now())
    return {stream: position.cursor for stream, position in positions.items() if stream not in anew}


@dataclass(kw_only=True)
class _StreamSync:
    connector: Reads
    stream: MappedStream
    warehouse: Warehouse
    mapping_engine: MappingEngine
    clock: Clock
    progress: Progress
    deletions_confirmed: bool
    report: StreamReport
    waiting: list[Page] = field(default_factory=list)
    cursor: Cursor | None = None  # of the last page that is in a batch
    # A batch is merged while the next is read; one at a time, and in order.
    merger: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))
    merging: Future[Merged] | None = None
    began: float = 0.0
    pauses: bool = False

    def run(self, since: Cursor | None, *, paused: str | None) -> tuple[StreamReport, ReadNote]:
        """Read the stream to its end or its error, and say which.

        ``paused`` is the error of a stream before this one that concerns the whole connection.
        """
        self.began, self.cursor = time.monotonic(), since
        read_at = self.clock.now()
        error = paused
        if paused is None:
            with self.merger:
                error = self._read(since, StreamMapper(self.mapping_engine, self.stream))
        self.pauses |= paused is not None
        self.report = replace(self.report, error=error)
        logger(connection=self.stream.connection, stream=self.stream.name).info(
            "stream_synced",
            rows=self.report.read,
            changed=self.report.changed,
            unreadable=self.report.quarantined,
            error=error,
        )
        return self.report, ReadNote(
            connection=self.stream.connection,
            stream=self.stream.name,
            table=self.stream.table.name,
            read_at=None if error else read_at,
            written_at=None if error else self._written_at(read_at),
            really_at=now if (now := SystemClock().now()) < read_at else None,
            error=error,
        )

    def _written_at(self, read_at: datetime) -> datetime | None:
        """When what was read was written; None where that is as good as when it was read.

        Its age is by the machine's clock, which its files bear too, also where ``--at`` says that
        it is another time; but what was there already at a past instant is as old as it was then.
        """
        if not isinstance(self.connector, Dated):
            return None
        written_at: object = self.connector.written_at(self.stream.name)
        if not isinstance(written_at, datetime) or written_at.tzinfo is None:
            return None  # a stranger's plugin may say anything
        now = SystemClock().now()
        age = (read_at if written_at <= read_at < now else now) - written_at
        return read_at - age if age >= _NEW else None

    def _read(self, since: Cursor | None, mapper: StreamMapper) -> str | None:
        """Read and merge; answers with the error's sentence, or None."""
        sentence: str | None = None
        try:
            for page in self._pages(since):
                if self.waiting and not _one_listing(self.waiting[-1].snapshot, page.snapshot):
                    self._merge_all(mapper)
                self.waiting.append(page)
                while self._is_full():
                    self._merge(mapper)
        except (ConnectorError, PluginError) as error:
            self.pauses = isinstance(error, AuthError | QuotaError | HangsError)
            sentence = redact(str(error))
        # Pages that came before an error of the connector are valid.
        try:
            self._merge_all(mapper)
            self._finish_merge()
        except ConnectorError as error:
            sentence = sentence or redact(str(error))
        return sentence

    def _pages(self, since: Cursor | None) -> Iterator[Page]:
        try:
            for page in self._within_time(since):
                rows = page.records.num_rows
                self.report = replace(self.report, read=self.report.read + rows)
                self.progress(f"{self.stream.connection}/{self.stream.name}", rows)
                yield page
        except CrmsyncError:
            raise
        except Exception as error:
            raise PluginError(
                f"the connector of {self.stream.connection} broke while it read "
                f"{self.stream.name}: {type(error).__name__}: {error}"
            ) from error

    def _within_time(self, since: Cursor | None) -> Iterator[Page]:
        """The connector's pages, as long as each comes in time.

        Raises:
            HangsError: one did not, or an earlier call has not come back to this day.
        """
        place = ("reading", self.stream.connection)
        if hangs(place):
            raise HangsError(
                f"{self.stream.connection} is left alone: an earlier call to it has still not come "
                "back; if that lasts, end this crmsync and start it again"
            )

        def within_time(call: Callable[[], _Answer]) -> _Answer:
            return call_within(LONGEST_WAIT, call, place=place)

        pages = within_time(lambda: iter(self.connector.read(self.stream.name, since)))
        while (page := within_time(lambda: next(pages, None))) is not None:
            yield page

    def _merge_all(self, mapper: StreamMapper) -> None:
        while self.waiting:
            self._merge(mapper)

    def _merge(self, mapper: StreamMapper) -> None:
        """Map what waits and begin to merge it, when the merge before it has ended well."""
        self.began = time.monotonic()
        try:
            batch = self._next_batch(mapper)
            self._finish_merge()
        except BaseException:
            self.waiting.clear()  # what comes behind a gap would hide it
            raise
        self.merging = self.merger.submit(self._write, batch)

    def _next_batch(self, mapper: StreamMapper) -> Batch:
        """What waits, mapped; of a page that is too much its first rows, with the cursor before."""
        room, snapshot = BATCH_ROWS, None
        records: list[pa.Table] = []
        while self.waiting and room > 0:
            page = self.waiting[0]
            records.append(page.records.slice(0, room))
            snapshot = page.snapshot
            if page.records.num_rows > room:
                self.waiting[0] = replace(page, records=page.records.slice(room))
                snapshot = snapshot and replace(snapshot, last=False)
            else:
                self.cursor = self.waiting.pop(0).cursor
            room -= records[-1].num_rows
        return Batch(
            connection=self.stream.connection,
            stream=self.stream.name,
            table=self.stream.table.name,
            rows=mapper.map(records),
            cursor=self.cursor,
            snapshot=snapshot,
            deletions_confirmed=self.deletions_confirmed,
        )

    def _write(self, batch: Batch) -> Merged:
        with self.warehouse.writing() as writer:
            return writer.merge(batch, now=self.clock.now())

    def _finish_merge(self) -> None:
        """Wait for the merge that goes on, and raise its error."""
        if self.merging is None:
            return
        merging, self.merging = self.merging, None
        merged = merging.result()
        self.report = replace(
            self.report,
            changed=self.report.changed + merged.changed,
            deleted=self.report.deleted + merged.deleted,
            quarantined=self.report.quarantined + merged.quarantined,
            warning=merged.warning or self.report.warning,
        )

    def _is_full(self) -> bool:
        return (
            sum(page.records.num_rows for page in self.waiting) >= BATCH_ROWS
            or sum(page.records.nbytes for page in self.waiting) >= BATCH_BYTES
            or time.monotonic() - self.began >= BATCH_SECONDS
        )


def _one_listing(before: Snapshot | None, after: Snapshot | None) -> bool:
    """Whether two pages that follow each other belong to one listing, or to none."""
    if before is None or after is None:
        return before is after
    return before.id == after.id and not before.last
