"""Merges a batch into its table and its cursor into the books, within one transaction.

Changed rows are deleted and inserted. DuckDB's UPDATE and MERGE of rows in random order can take
minutes where this takes half a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, PROBLEM, ROW
from crmsync.warehouse import versions
from crmsync.warehouse.aliases import Merges, resolved
from crmsync.warehouse.batch import POSITION, Merged
from crmsync.warehouse.database import BOOKS, RECORDS
from crmsync.warehouse.quarantine import Quarantine
from crmsync.warehouse.schema import HISTORY
from crmsync.warehouse.snapshots import Listing
from crmsync.warehouse.types import INSTANT, STREAM, record_columns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import ibis.expr.types as ir

    from crmsync.model.tables import Table
    from crmsync.warehouse.batch import Batch
    from crmsync.warehouse.database import Database


class Merge:
    """One batch into one table, within a transaction that the caller has begun."""

    def __init__(
        self, database: Database, tables: Mapping[str, Table], batch: Batch, now: datetime
    ) -> None:
        self._database = database
        self._tables = tables
        self._table = tables[batch.table]
        self._batch = batch
        self._now = ibis.literal(now, INSTANT)
        self._quarantine = Quarantine(database, batch, self._now)

    def run(self) -> Merged:
        """Merge the rows.

        Raises:
            RejectedError: a listing would delete all or most of the stream.
        """
        with self._database.given("arrived", self._batch.rows) as arrived:
            quarantined = self._quarantine.replace(arrived)
            staged = self._staged(arrived)
            stored = self._stored(staged)
            if self._batch.snapshot is None:
                return self._records(staged, stored, quarantined)
            listing = Listing(self._database, self._batch, self._batch.snapshot, self._now)
            quarantined += self._quarantine.add(listing.outdone(staged, stored))
            merged = self._records(staged, stored, quarantined)
            listing.note(arrived, stored)
            if not self._batch.snapshot.last:
                return merged
            return self._finish(listing, arrived, stored, merged)

    def _finish(
        self, listing: Listing, arrived: ir.Table, stored: ir.Table, merged: Merged
    ) -> Merged:
        deleted, warning = merged.deleted, None
        unnamed = self._quarantine.unnamed(listing.id)
        if unnamed:
            warning = (
                f"{self._batch.connection}, stream {self._batch.stream}: "
                f"{unnamed} {'row has' if unnamed == 1 else 'rows have'} no key that can be read, "
                "so nothing was deleted for being absent; mend the export"
            )
        else:
            deleted += listing.delete_absent(arrived, stored)
        listing.forget()
        self._quarantine.forget_other_listings(listing.id)
        return Merged(
            changed=merged.changed,
            deleted=deleted,
            quarantined=merged.quarantined,
            warning=warning,
        )

    def _staged(self, arrived: ir.Table) -> ir.Table:
        """The usable rows, with the columns of a record and of service."""
        good = arrived.filter(arrived[PROBLEM].isnull())
        service = [POSITION, DELETED, MERGED_INTO, ORIGIN, ROW]
        good = good.select(*(field.name for field in self._table.fields), *service)
        good = good.mutate(**{STREAM: ibis.literal(self._batch.stream)})
        return resolved(self._database, self._table, good)

    def _stored(self, staged: ir.Table) -> ir.Table:
        """What the warehouse has of the records that the batch names."""
        records = self._database.table(self._table.name, RECORDS)
        return self._database.keep("stored", records.semi_join(staged, "id"))

    def _records(self, staged: ir.Table, stored: ir.Table, quarantined: int) -> Merged:
        counts = staged.group_by("id").agg(times=staged.count())
        repeated = counts.filter(counts.times > 1).select("id")
        contested = self._database.keep(
            "contested", ibis.union(repeated, stored.select("id"), distinct=True)
        )
        if not self._database.scalar(contested.count()):
            return self._write(versions.new_records(staged, self._now), None, None, quarantined)
        fresh = versions.new_records(staged.anti_join(contested, "id"), self._now)
        rows = versions.from_batch(staged.semi_join(contested, "id"), self._now)
        before = versions.from_store(stored)
        accepted = self._database.keep(
            "accepted", versions.accepted(ibis.union(before, rows.select(*before.columns)))
        )
        changed = self._database.keep(
            "changed", versions.changed_records(self._table, accepted, stored, self._now)
        )
        return self._write(fresh, changed, accepted, quarantined)

    def _write(
        self,
        fresh: ir.Table,
        changed: ir.Table | None,
        accepted: ir.Table | None,
        quarantined: int,
    ) -> Merged:
        merges = Merges(self._database, self._tables, self._table.name)
        merges.take(fresh)
        if changed is not None:
            merges.take(changed)
        if merges.refused:
            with self._database.given("refused", merges.refused_rows()) as refused:
                quarantined += self._quarantine.add(refused)
                kept = self._database.keep("merges_refused", refused.select(id=refused.record))
            fresh = fresh.anti_join(kept, "id")
            changed = None if changed is None else changed.anti_join(kept, "id")
            accepted = None if accepted is None else accepted.anti_join(kept, "id")
        count = self._insert(fresh)
        deleted = 0
        if changed is not None and accepted is not None:
            self._keep_history(accepted)
            replaced, deleted = self._replace(changed)
            count += replaced
        merges.write()
        return Merged(changed=count, deleted=deleted, quarantined=quarantined)

    def _insert(self, fresh: ir.Table) -> int:
        columns = list(record_columns(self._table))
        self._database.insert(self._table.name, RECORDS, fresh.select(*columns))
        return int(self._database.scalar(fresh.filter(~fresh[DELETED]).count()))

    def _replace(self, changed: ir.Table) -> tuple[int, int]:
        """Write what differs; answers how many live records changed and how many were deleted."""
        differing = changed.filter(~changed.unchanged)
        self._database.delete(self._table.name, RECORDS, rows=differing.select("id"), on=["id"])
        columns = list(record_columns(self._table))
        self._database.insert(self._table.name, RECORDS, differing.select(*columns))
        counts = differing.agg(
            changed=(~differing[DELETED]).sum(),
            deleted=(differing[DELETED] & differing.was_live).sum(),
        )
        (row,) = self._database.query(counts).to_pylist()
        return int(row["changed"] or 0), int(row["deleted"] or 0)

    def _keep_history(self, accepted: ir.Table) -> None:
        tracked = [field for field in self._table.fields if field.tracked]
        if tracked:
            changes = versions.tracked_changes(self._table, accepted, tracked, self._now)
            self._database.insert(HISTORY, BOOKS, changes)
