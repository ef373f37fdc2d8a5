"""Rows that could not be used, each with the sentence that says why and where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import sqlglot.expressions as sge

from crmsync.model.pages import ORIGIN, PROBLEM, ROW
from crmsync.warehouse.database import BOOKS, RECORDS, equals, is_one_of, named
from crmsync.warehouse.schema import QUARANTINE
from crmsync.warehouse.types import arrow_instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import ibis.expr.types as ir

    from crmsync.warehouse.batch import Batch
    from crmsync.warehouse.database import Database

_KEPT = "quarantine_kept"
_ARRIVED = "quarantine_arrived"
_WANTED = "quarantine_wanted"
# So few rows of a stream are bad rows, and no sign of a bad mapping.
_FEW = 0.05
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What is said of rows; record is the global id where the key could be read.
SAID = pa.schema(
    {"origin": pa.string(), "row": pa.int64(), "record": pa.string(), "sentence": pa.string()}
)


@dataclass(frozen=True, kw_only=True)
class QuarantinedRow:
    """A row that could not be used. ``at`` is the instant (UTC) of the sync that met it."""

    connection: str
    stream: str
    sentence: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class QuarantineReport:
    """How many rows are in quarantine, by connection and stream, and the newest of them."""

    counts: Mapping[tuple[str, str], int]
    newest: tuple[QuarantinedRow, ...]


class Quarantine:
    """The quarantined rows of one stream."""

    def __init__(self, database: Database, batch: Batch, now: datetime) -> None:
        self._database = database
        self._batch = batch
        self._now = now
        self._mine = equals(connection=batch.connection, stream=batch.stream)

    def replace(self, arrived: pa.Table) -> int:
        """Forget what was said of rows that are being read again, and note what is said now.

        A connector reads an origin from some row to its end: what was said of that row
        or a later one is outdated. Answers with how many rows are now noted.
        """
        some = sge.select("row").from_(named(QUARANTINE, BOOKS)).where(self._mine).limit(1)
        if arrived.num_rows and self._database.fetch(some).num_rows:
            self._forget(arrived)
        bad = arrived.filter(arrived[PROBLEM].is_valid())
        columns = [self._origins(bad), bad[ROW], bad["id"], bad[PROBLEM]]
        return self.add(pa.table(columns, schema=SAID))

    def add(self, rows: pa.Table) -> int:
        """Note rows of `SAID`; answers how many."""
        if rows.num_rows:
            snapshot = self._batch.snapshot
            same = {
                "connection": pa.scalar(self._batch.connection),
                "stream": pa.scalar(self._batch.stream),
                "at": arrow_instant(self._now),
                "snapshot": pa.scalar(snapshot.id if snapshot else None, pa.string()),
            }
            for name, value in same.items():
                rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
            self._database.insert(QUARANTINE, BOOKS, rows)
        return int(rows.num_rows)

    def _forget(self, arrived: pa.Table) -> None:
        rows = pa.table(
            {
                "origin": self._origins(arrived),
                "row": arrived[ROW],
                "id": arrived["id"],
                "sentence": arrived[PROBLEM],
            }
        )
        with self._database.given(_ARRIVED, rows):
            self._rewrite(_not_said_again(self._entries(), self._database.table(_ARRIVED)))

    def forget_other_listings(self, snapshot: str) -> None:
        """Forget what was said of rows that the finished listing no longer has."""
        other = sge.column("snapshot").eq(snapshot).not_()
        unknown = sge.column("snapshot").is_(sge.null())
        self._database.delete(QUARANTINE, BOOKS, sge.and_(self._mine, sge.or_(other, unknown)))

    def unnamed(self, snapshot: str) -> int:
        """How many rows of a listing have no readable key."""
        found = sge.and_(
            self._mine,
            equals(snapshot=snapshot),
            sge.column("record").is_(sge.null()),
        )
        select = sge.select("row").from_(named(QUARANTINE, BOOKS)).where(found)
        return int(self._database.fetch(select).num_rows)

    def _rewrite(self, stays: ir.Table) -> None:
        self._database.keep(_KEPT, stays)
        self._database.delete(QUARANTINE, BOOKS, self._mine.copy())
        self._database.insert(QUARANTINE, BOOKS, self._database.table(_KEPT))

    def _entries(self) -> ir.Table:
        entries = self._database.table(QUARANTINE, BOOKS)
        return entries.filter(
            (entries.connection == self._batch.connection) & (entries.stream == self._batch.stream)
        )

    def _origins(self, rows: pa.Table) -> pa.ChunkedArray:
        return pc.fill_null(rows[ORIGIN], self._batch.stream)


def _not_said_again(entries: ir.Table, arrived: ir.Table) -> ir.Table:
    again = arrived.group_by("origin").agg(from_row=arrived.row.min())
    said = arrived.filter(arrived.sentence.notnull()).select("origin", "sentence").distinct()
    ids = arrived.filter(arrived.id.notnull()).select("id").distinct()
    reread = (entries.origin == again.origin) & (entries.row >= again.from_row)
    return (
        entries.anti_join(again, reread)
        .anti_join(ids, entries.record == ids.id)
        .anti_join(said, ["origin", "sentence"])
    )


def read_quarantine(database: Database, newest: int) -> QuarantineReport:
    """The rows that could not be used, and the sentences of the newest."""
    entries = named(QUARANTINE, BOOKS)
    stream = [sge.column("connection"), sge.column("stream")]
    counts = sge.select(*stream, sge.alias_(sge.Count(this=sge.Star()), "rows")).from_(entries)
    latest = sge.select(*stream, sge.column("sentence"), sge.column("at")).from_(entries)
    latest = latest.order_by(
        sge.Ordered(this=sge.column("at"), desc=True),
        *stream,
        sge.column("origin"),
        sge.column("row"),
    )
    counted = database.fetch(counts.group_by(*stream).order_by(*stream)).to_pylist()
    rows = database.fetch(latest.limit(newest))
    # Arrow would load pandas to make datetimes of them.
    instants = [_EPOCH + timedelta(microseconds=n) for n in rows["at"].cast(pa.int64()).to_pylist()]
    return QuarantineReport(
        counts={(row["connection"], row["stream"]): row["rows"] for row in counted},
        newest=tuple(
            QuarantinedRow(**row, at=at)
            for row, at in zip(rows.drop_columns("at").to_pylist(), instants, strict=True)
        ),
    )


def read_missing(
    database: Database, streams: Mapping[tuple[str, str], str]
) -> dict[tuple[str, str], tuple[int, int]]:
    """Of the streams that lack many records because their rows cannot be used: how many.

    A row that stands twice, or that would have changed a record, leaves the record there.
    Where few rows cannot be used, that is not looked up: it takes a second for millions of records.

    Args:
        streams: connection and stream, with the table.

    Returns:
        How many records are missing, and how many there would be with them.
    """
    found = {}
    for (connection, stream), rows in read_quarantine(database, 0).counts.items():
        table = streams.get((connection, stream))
        if table is None:
            continue
        mine = equals(connection=connection, stream=stream)
        live = sge.and_(mine, sge.column("deleted_at").is_(sge.null()))
        ids = sge.select("id").from_(named(table, RECORDS)).where(live)
        there = _counted(database, ids)
        if rows <= (there + rows) * _FEW:
            continue
        said = sge.select("record").from_(named(QUARANTINE, BOOKS)).where(mine.copy())
        # DuckDB builds its hash of the few that are sought, and not of all that are there.
        kept = ids.where(sge.column("id").isin(query=said))
        gone = sge.or_(
            sge.column("record").is_(sge.null()), sge.column("record").isin(query=kept).not_()
        )
        unusable = sge.select("row").from_(named(QUARANTINE, BOOKS))
        missing = _counted(database, unusable.where(sge.and_(mine.copy(), gone)))
        if missing:
            found[connection, stream] = (missing, missing + there)
    return found


def _counted(database: Database, rows: sge.Select) -> int:
    count = sge.select(sge.Count(this=sge.Star())).from_(rows.subquery("counted"))
    return int(database.fetch(count)[0][0].as_py())


def read_unread(
    database: Database, streams: Collection[tuple[str, str]], ids: Iterable[str]
) -> dict[str, str]:
    """Those of these records of which a row of the streams could not be used; the sentence why."""
    entries = sge.select("connection", "stream", "record", "sentence")
    entries = entries.from_(named(QUARANTINE, BOOKS)).where(is_one_of("record", _WANTED))
    with database.given(_WANTED, pa.table({"id": pa.array(list(set(ids)), pa.string())})):
        rows = database.fetch(entries).to_pylist()
    return {
        row["record"]: row["sentence"]
        for row in rows
        if (row["connection"], row["stream"]) in streams
    }
