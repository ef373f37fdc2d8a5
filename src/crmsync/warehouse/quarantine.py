"""Rows that could not be used, each with the sentence that says why and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import sqlglot.expressions as sge

from crmsync.model.pages import ORIGIN, PROBLEM, ROW
from crmsync.warehouse.database import BOOKS, equals, named
from crmsync.warehouse.schema import QUARANTINE
from crmsync.warehouse.types import arrow_instant

if TYPE_CHECKING:
    from datetime import datetime

    import ibis.expr.types as ir

    from crmsync.warehouse.batch import Batch
    from crmsync.warehouse.database import Database

_KEPT = "quarantine_kept"
_ARRIVED = "quarantine_arrived"

# What is said of rows; record is the global id where the key could be read.
SAID = pa.schema(
    {"origin": pa.string(), "row": pa.int64(), "record": pa.string(), "sentence": pa.string()}
)


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
