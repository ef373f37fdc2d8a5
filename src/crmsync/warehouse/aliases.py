"""Merged records: the old id stands for the survivor, in what is kept and in what will come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pyarrow as pa

from crmsync.model.pages import MERGED_INTO, ORIGIN, ROW
from crmsync.model.tables import FieldType, split_global_id
from crmsync.warehouse.database import BOOKS, RECORDS
from crmsync.warehouse.schema import ALIAS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis.expr.types as ir

    from crmsync.model.tables import Table
    from crmsync.warehouse.database import Database

_REFUSED = pa.schema(
    {"origin": pa.string(), "row": pa.int64(), "record": pa.string(), "sentence": pa.string()}
)


def resolved(database: Database, table: Table, rows: ir.Table) -> ir.Table:
    """The rows with each reference to a merged record naming its survivor."""
    aliases = database.table(ALIAS, BOOKS)
    known = set(
        database.query(aliases.select("table_name").distinct()).column("table_name").to_pylist()
    )
    for field in table.fields:
        if field.type is not FieldType.REFERENCE or field.references not in known:
            continue
        of_table = aliases.filter(aliases.table_name == field.references).select(
            "old_id", "survivor"
        )
        columns = rows.columns
        joined = rows.left_join(of_table, rows[field.name] == of_table.old_id)
        joined = joined.mutate(**{field.name: ibis.coalesce(joined.survivor, joined[field.name])})
        rows = joined.select(*columns)
    return rows


class Merges:
    """The merges of records that a batch tells of, in one table."""

    def __init__(self, database: Database, tables: Mapping[str, Table], table: str) -> None:
        self._database = database
        self._tables = tables
        self._table = table
        aliases = database.table(ALIAS, BOOKS)
        kept = database.query(aliases.filter(aliases.table_name == table)).to_pylist()
        self._before = {row["old_id"]: row["survivor"] for row in kept}
        self._targets = {row["old_id"]: row["target"] for row in kept}
        self._touched = False
        self.refused: list[dict[str, object]] = []

    def take(self, rows: ir.Table) -> None:
        """Note what winning rows say: merged into another record, or alive."""
        if self._targets:
            olds = ibis.memtable(pa.table({"id": pa.array(self._targets, pa.string())}))
            alive = rows.filter(rows[MERGED_INTO].isnull()).semi_join(olds, "id").select("id")
            for record in self._database.query(alive).column("id").to_pylist():
                del self._targets[record]
                self._touched = True
        merged = rows.filter(rows[MERGED_INTO].notnull())
        told = merged.select("id", MERGED_INTO, ORIGIN, ROW).order_by("id")
        for row in self._database.query(told).to_pylist():
            self._take_one(row)

    def _take_one(self, row: dict[str, str]) -> None:
        old, target = row["id"], row[MERGED_INTO]
        seen = target
        while seen != old and seen in self._targets:
            seen = self._targets[seen]
        if seen != old:
            self._touched |= self._targets.get(old) != target
            self._targets[old] = target
            return
        place = row[ORIGIN] or split_global_id(old)[0]
        if row[ROW] is not None:
            place = f"{place} row {row[ROW]}"
        self.refused.append(
            {
                "origin": row[ORIGIN],
                "row": row[ROW],
                "record": old,
                "sentence": f"{place}: “{split_global_id(old)[1]}” is said to be merged into "
                f"“{split_global_id(target)[1]}”, which is itself merged into it; "
                "correct one of the two in the CRM",
            }
        )

    def refused_rows(self) -> pa.Table:
        """Rows for the quarantine."""
        return pa.Table.from_pylist(self.refused, schema=_REFUSED)

    def write(self) -> None:
        """Keep what was taken, and let all that is kept name the survivors."""
        if not self._touched:
            return
        survivors = {old: self._end(old) for old in self._targets}
        aliases = self._database.table(ALIAS, BOOKS)
        mine = aliases.filter(aliases.table_name == self._table).select("table_name").distinct()
        self._database.delete(ALIAS, BOOKS, rows=mine, on=["table_name"])
        rows = pa.table(
            {
                "table_name": pa.array([self._table] * len(survivors), pa.string()),
                "old_id": pa.array(survivors.keys(), pa.string()),
                "target": pa.array([self._targets[old] for old in survivors], pa.string()),
                "survivor": pa.array(survivors.values(), pa.string()),
            }
        )
        with self._database.given("alias_rows", rows) as given:
            self._database.insert(ALIAS, BOOKS, given)
        moved = {o: s for o, s in survivors.items() if self._before.get(o) != s}
        if moved:
            self._rewrite_references(moved)

    def _end(self, old: str) -> str:
        while old in self._targets:
            old = self._targets[old]
        return old

    def _rewrite_references(self, moved: Mapping[str, str]) -> None:
        rows = pa.table(
            {
                "old_id": pa.array(moved.keys(), pa.string()),
                "survivor": pa.array(moved.values(), pa.string()),
            }
        )
        with self._database.given("moved", rows) as given:
            for table in self._tables.values():
                for field in table.fields:
                    if field.references == self._table:
                        self._rewrite(table.name, field.name, given)

    def _rewrite(self, table: str, field: str, moved: ir.Table) -> None:
        records = self._database.table(table, RECORDS)
        joined = records.join(moved, records[field] == moved.old_id)
        rewritten = self._database.keep(
            "rewritten", joined.mutate(**{field: joined.survivor}).select(*records.columns)
        )
        if self._database.scalar(rewritten.count()):
            self._database.delete(table, RECORDS, rows=rewritten.select("id"), on=["id"])
            self._database.insert(table, RECORDS, rewritten)
