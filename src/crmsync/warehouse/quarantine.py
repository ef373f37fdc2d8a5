"""Rows that could not be used, each with the sentence that says why and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.model.pages import ORIGIN, PROBLEM, ROW
from crmsync.warehouse.database import BOOKS
from crmsync.warehouse.schema import QUARANTINE
from crmsync.warehouse.types import INSTANT

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.warehouse.batch import Batch
    from crmsync.warehouse.database import Database

_KEPT = "quarantine_kept"


class Quarantine:
    """The quarantined rows of one stream."""

    def __init__(self, database: Database, batch: Batch, now: ir.Scalar) -> None:
        self._database = database
        self._batch = batch
        self._now = now

    def replace(self, arrived: ir.Table) -> int:
        """Forget what was said of rows that are being read again, and note what is said now.

        A connector reads an origin from some row to its end: what was said of that row
        or a later one is outdated. Answers with how many rows are now noted.
        """
        self._forget(arrived)
        bad = arrived.filter(arrived[PROBLEM].notnull())
        return self.add(
            bad.select(origin=self._origin(bad), row=bad[ROW], record=bad.id, sentence=bad[PROBLEM])
        )

    def add(self, rows: ir.Table) -> int:
        """Note rows of ``origin``, ``row``, ``record`` and ``sentence``; answers how many."""
        kept = self._database.keep("quarantine_new", rows)
        count = int(self._database.scalar(kept.count()))
        if count:
            snapshot = self._batch.snapshot
            self._database.insert(
                QUARANTINE,
                BOOKS,
                kept.mutate(
                    connection=ibis.literal(self._batch.connection),
                    stream=ibis.literal(self._batch.stream),
                    at=self._now.cast(INSTANT),
                    snapshot=ibis.literal(snapshot.id if snapshot else None, "string"),
                ),
            )
        return count

    def _forget(self, arrived: ir.Table) -> None:
        entries = self._entries()
        if not self._database.scalar(entries.count()):
            return
        again = arrived.group_by(origin=self._origin(arrived)).agg(from_row=arrived[ROW].min())
        bad = arrived.filter(arrived[PROBLEM].notnull())
        said = bad.select(origin=self._origin(bad), sentence=bad[PROBLEM]).distinct()
        ids = arrived.filter(arrived.id.notnull()).select("id").distinct()
        reread = (entries.origin == again.origin) & (entries.row >= again.from_row)
        stays = (
            entries.anti_join(again, reread)
            .anti_join(ids, entries.record == ids.id)
            .anti_join(said, ["origin", "sentence"])
        )
        self._rewrite(stays)

    def forget_other_listings(self, snapshot: str) -> None:
        """Forget what was said of rows that the finished listing no longer has."""
        entries = self._entries()
        self._rewrite(entries.filter(entries.snapshot == snapshot))

    def unnamed(self, snapshot: str) -> int:
        """How many rows of a listing have no readable key."""
        entries = self._entries()
        found = entries.filter((entries.snapshot == snapshot) & entries.record.isnull())
        return int(self._database.scalar(found.count()))

    def _rewrite(self, stays: ir.Table) -> None:
        kept = self._database.keep(_KEPT, stays)
        mine = self._entries().select("connection", "stream").distinct()
        self._database.delete(QUARANTINE, BOOKS, rows=mine, on=["connection", "stream"])
        self._database.insert(QUARANTINE, BOOKS, kept)

    def _entries(self) -> ir.Table:
        entries = self._database.table(QUARANTINE, BOOKS)
        return entries.filter(
            (entries.connection == self._batch.connection) & (entries.stream == self._batch.stream)
        )

    def _origin(self, rows: ir.Table) -> ir.StringColumn:
        return ibis.coalesce(rows[ORIGIN], ibis.literal(self._batch.stream))
