"""Merges a batch into its table and its cursor into the books, within one transaction.

Changed rows are deleted and inserted. DuckDB's UPDATE and MERGE of rows in random order can take
minutes where this takes half a second.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot.expressions as sge

from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, PROBLEM, ROW
from crmsync.model.tables import split_global_id
from crmsync.warehouse import versions
from crmsync.warehouse.aliases import Merges, resolved
from crmsync.warehouse.batch import POSITION, Merged
from crmsync.warehouse.changes import ChangeLog
from crmsync.warehouse.database import BOOKS, RECORDS, is_one_of, named
from crmsync.warehouse.former import with_past
from crmsync.warehouse.quarantine import SAID, Quarantine
from crmsync.warehouse.schema import HISTORY
from crmsync.warehouse.snapshots import Listing, repeated
from crmsync.warehouse.types import INSTANT, STREAM, record_columns

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from crmsync.model.tables import Table
    from crmsync.warehouse.batch import Batch
    from crmsync.warehouse.database import Database


class Merge:
    """One batch into one table, within a transaction that the caller has begun.

    Args:
        streams: the streams of the batch's connection that the config maps to its table.
    """

    def __init__(
        self,
        database: Database,
        tables: Mapping[str, Table],
        batch: Batch,
        now: datetime,
        streams: Collection[str] = (),
    ) -> None:
        self._database = database
        self._tables = tables
        self._table = tables[batch.table]
        self._batch = batch
        self._now = now
        self._others = {stream for stream in streams if stream != batch.stream}
        self._quarantine = Quarantine(database, batch, now)
        self._log = ChangeLog(database)

    def run(self) -> Merged:
        """Merge the rows.

        Raises:
            RejectedError: a listing would delete all or most of the stream.
        """
        quarantined = self._quarantine.replace(self._batch.rows)
        usable = self._usable()
        stored = self._stored(usable)
        usable, foreign = self._without_foreign(usable, stored)
        quarantined += self._quarantine.add(foreign)
        if self._batch.snapshot is None:
            quarantined += self._quarantine.add(self._twice_in_a_file(usable))
            return self._records(usable, stored, quarantined)
        listing = Listing(
            database=self._database,
            batch=self._batch,
            snapshot=self._batch.snapshot,
            usable=usable,
            stored=stored,
            now=self._now,
            log=self._log,
        )
        quarantined += self._quarantine.add(listing.outdone())
        merged = self._records(usable, stored, quarantined)
        listing.note()
        return self._finish(listing, merged) if self._batch.snapshot.last else merged

    def _finish(self, listing: Listing, merged: Merged) -> Merged:
        deleted, warning = merged.deleted, None
        unnamed = self._quarantine.unnamed(listing.id)
        if unnamed:
            warning = (
                f"{self._batch.connection}, stream {self._batch.stream}: "
                f"{unnamed} {'row has' if unnamed == 1 else 'rows have'} no key that can be read, "
                "so nothing was deleted for being absent; mend the export"
            )
        else:
            deleted += listing.delete_absent()
        listing.forget()
        self._quarantine.forget_other_listings(listing.id)
        return replace(merged, deleted=deleted, warning=warning)

    def _usable(self) -> pa.Table:
        """The usable rows, with the columns of a record and of service."""
        rows = self._batch.rows
        good = (
            rows.filter(rows[PROBLEM].is_null()) if rows[PROBLEM].null_count < len(rows) else rows
        )
        service = [POSITION, DELETED, MERGED_INTO, ORIGIN, ROW]
        good = good.select([*(field.name for field in self._table.fields), *service])
        good = good.append_column(STREAM, pa.repeat(self._batch.stream, good.num_rows))
        return resolved(self._database, self._table, good)

    def _stored(self, usable: pa.Table) -> pa.Table:
        """What the warehouse has of the records that the batch names."""
        records = sge.select("*").from_(named(self._table.name, RECORDS))
        with self._database.given("wanted", usable.select(["id"])):
            return self._database.fetch(records.where(is_one_of("id", "wanted")))

    def _without_foreign(self, usable: pa.Table, stored: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The rows without those whose record another stream gives, and what is said of these."""
        others = pc.is_in(stored[STREAM], value_set=pa.array(self._others, pa.string()))
        owned = stored.filter(pc.and_(others, stored["deleted_at"].is_null()))
        if not owned.num_rows:
            return usable, SAID.empty_table()
        owners = dict(zip(owned["id"].to_pylist(), owned[STREAM].to_pylist(), strict=True))
        foreign = pc.is_in(usable["id"], value_set=owned["id"].combine_chunks())
        said = [
            self._foreign(row, owners[row["id"]])
            for row in usable.filter(foreign).select(["id", ORIGIN, ROW]).to_pylist()
        ]
        return usable.filter(pc.invert(foreign)), pa.Table.from_pylist(said, schema=SAID)

    def _twice_in_a_file(self, usable: pa.Table) -> pa.Table:
        """Rows whose key another row of the same file has too, with the same time of change.

        Different times tell two changes of a record, and that is no mistake. Rows without a
        number come from an API, which may give a record as often as it likes.
        """
        again = repeated(usable["id"])
        if not len(again):
            return SAID.empty_table()
        chosen = usable.filter(
            pc.and_(pc.is_in(usable["id"], value_set=again), usable[ROW].is_valid())
        )
        rows = chosen.select(["id", "updated_at", ORIGIN, ROW]).to_pylist()
        last = {(row["id"], row[ORIGIN], row["updated_at"]): row[ROW] for row in rows}
        said = []
        for row in rows:
            counts = last[row["id"], row[ORIGIN], row["updated_at"]]
            if row[ROW] != counts:
                origin, key = row[ORIGIN] or self._batch.stream, split_global_id(row["id"])[1]
                said.append(
                    {
                        "origin": origin,
                        "row": row[ROW],
                        "record": row["id"],
                        "sentence": f"{origin}, row {row[ROW]}: the key “{key}” stands again in "
                        f"row {counts}, which counts; give each record a key of its own",
                    }
                )
        return pa.Table.from_pylist(said, schema=SAID)

    def _foreign(self, row: Mapping[str, Any], owner: str) -> dict[str, object]:
        key = split_global_id(row["id"])[1]
        origin = row[ORIGIN] or self._batch.stream
        place = origin if row[ROW] is None else f"{origin}, row {row[ROW]}"
        return {
            "origin": origin,
            "row": row[ROW],
            "record": row["id"],
            "sentence": f"{place}: stream “{owner}” of {self._batch.connection} gives "
            f"{self._table.name} “{key}” already, so the row of stream “{self._batch.stream}” was "
            "left out; let one of the two give it, or make them two connections",
        }

    def _records(self, usable: pa.Table, stored: pa.Table, quarantined: int) -> Merged:
        stored = with_past(self._database, self._log, self._table, usable, stored)
        ids = usable["id"]
        doubtful = [*stored["id"].chunks, *repeated(ids).chunks]
        if not sum(map(len, doubtful)):
            return self._write(versions.new_records(usable, self._now), None, stored, quarantined)
        known = pc.is_in(ids, value_set=pa.chunked_array(doubtful).combine_chunks())
        contested = usable.filter(known)
        fresh = versions.new_records(usable.filter(pc.invert(known)), self._now)
        with (
            self._database.given("contested", contested),
            self._database.given("stored", stored),
        ):
            changed = self._changed()
            return self._write(fresh, changed, stored, quarantined)

    def _changed(self) -> pa.Table:
        """The records that change, of those that the warehouse has or the batch has twice."""
        now = ibis.literal(self._now, INSTANT)
        stored = self._database.table("stored")
        rows = versions.from_batch(self._database.table("contested"), now)
        before = versions.from_store(stored)
        every = ibis.union(before, rows.select(*before.columns))
        self._database.keep("accepted", versions.accepted(every))
        accepted = self._database.table("accepted")
        rows = versions.changed_records(self._table, accepted, stored, now)
        return self._database.query(rows.filter(~rows.unchanged | rows[MERGED_INTO].notnull()))

    def _write(
        self, fresh: pa.Table, changed: pa.Table | None, stored: pa.Table, quarantined: int
    ) -> Merged:
        merges = Merges(self._database, self._tables, self._table.name, self._log)
        merges.take(fresh)
        if changed is not None:
            merges.take(changed)
        refused = pa.Table.from_pylist(merges.refused, schema=SAID)
        quarantined += self._quarantine.add(refused)
        fresh = _without(fresh, refused["record"])
        count = self._insert(fresh)
        deleted = 0
        if changed is not None:
            self._keep_history(refused["record"])
            replaced, deleted = self._replace(_without(changed, refused["record"]), stored)
            count += replaced
        merges.write()
        return Merged(changed=count, deleted=deleted, quarantined=quarantined)

    def _insert(self, rows: pa.Table) -> int:
        """Add records; answers how many of them are live."""
        self._log.note(self._table.name, rows["id"])
        if rows.num_rows:
            # What is not named is null; to say so of every row costs a fifth of the insert.
            columns = [c for c in record_columns(self._table) if rows[c].null_count < len(rows)]
            self._database.insert(self._table.name, RECORDS, rows.select(columns))
        return _count(pc.invert(rows[DELETED]))

    def _replace(self, changed: pa.Table, stored: pa.Table) -> tuple[int, int]:
        """Write what differs; answers how many live records changed and how many were deleted."""
        differing = changed.filter(pc.invert(changed["unchanged"]))
        if differing.num_rows:
            self._database.delete_ids(self._table.name, RECORDS, differing["id"])
            self._log.note_left(self._table, stored, differing)
        count = self._insert(differing)
        return count, _count(pc.and_(differing[DELETED], differing[versions.WAS_LIVE]))

    def _keep_history(self, refused: pa.ChunkedArray) -> None:
        tracked = [field for field in self._table.fields if field.tracked]
        if not tracked:
            return
        accepted = self._database.table("accepted")
        if len(refused):
            accepted = accepted.filter(accepted.id.notin(refused.to_pylist()))
        now = ibis.literal(self._now, INSTANT)
        changes = versions.tracked_changes(self._table, accepted, tracked, now)
        self._database.insert(HISTORY, BOOKS, changes)


def _without(rows: pa.Table, ids: pa.ChunkedArray) -> pa.Table:
    if not len(ids):
        return rows
    return rows.filter(pc.invert(pc.is_in(rows["id"], value_set=ids.combine_chunks())))


def _count(said: pa.ChunkedArray) -> int:
    return int(pc.sum(said, min_count=0).as_py())
