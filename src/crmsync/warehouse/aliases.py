"""Merged records: the old id stands for the survivor, in what is kept and in what will come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import sqlglot.expressions as sge

from crmsync.model.pages import MERGED_INTO, ORIGIN, ROW
from crmsync.model.tables import FieldType, split_global_id
from crmsync.warehouse.database import BOOKS, RECORDS, equals, is_one_of, named
from crmsync.warehouse.schema import ALIAS, HISTORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.tables import Table
    from crmsync.warehouse.changes import ChangeLog
    from crmsync.warehouse.database import Database

_MOVED = "moved"


def read_aliases(database: Database) -> dict[str, dict[str, str]]:
    """By table, the ids of merged records, each with the one that survived in the end."""
    select = sge.select("table_name", "old_id", "survivor").from_(named(ALIAS, BOOKS))
    found: dict[str, dict[str, str]] = {}
    for row in database.fetch(select).to_pylist():
        found.setdefault(row["table_name"], {})[row["old_id"]] = row["survivor"]
    return found


def resolved(database: Database, table: Table, rows: pa.Table) -> pa.Table:
    """The rows with each reference to a merged record naming its survivor."""
    references = [field for field in table.fields if field.type is FieldType.REFERENCE]
    far_tables = sorted({str(field.references) for field in references})
    if not far_tables or not rows.num_rows:
        return rows
    aliases = _aliases(database, far_tables)
    for field in references:
        mine = aliases.filter(pc.equal(aliases["table_name"], field.references))
        rows = _with_survivors(rows, field.name, mine)
    return rows


def _with_survivors(rows: pa.Table, field: str, aliases: pa.Table) -> pa.Table:
    if not aliases.num_rows:
        return rows
    found = pc.index_in(rows[field], value_set=aliases["old_id"].combine_chunks())
    survivors = pc.coalesce(aliases["survivor"].take(found), rows[field])
    return rows.set_column(rows.column_names.index(field), field, survivors)


def _aliases(database: Database, tables: Sequence[str]) -> pa.Table:
    select = sge.select("table_name", "old_id", "target", "survivor").from_(named(ALIAS, BOOKS))
    return database.fetch(select.where(sge.column("table_name").isin(*tables)))


class Merges:
    """The merges of records that a batch tells of, in one table."""

    def __init__(
        self, database: Database, tables: Mapping[str, Table], table: str, log: ChangeLog
    ) -> None:
        self._log = log
        self._database = database
        self._tables = tables
        self._table = table
        kept = _aliases(database, [table]).to_pylist()
        self._before = {row["old_id"]: row["survivor"] for row in kept}
        self._targets = {row["old_id"]: row["target"] for row in kept}
        self._touched = False
        self.refused: list[dict[str, object]] = []

    def take(self, rows: pa.Table) -> None:
        """Note what winning rows say: merged into another record, or alive."""
        merged = rows[MERGED_INTO].is_valid()
        if self._targets:
            olds = pa.array(self._targets, pa.string())
            alive = pc.and_not(pc.is_in(rows["id"], value_set=olds), merged)
            for record in rows["id"].filter(alive).to_pylist():
                del self._targets[record]
                self._touched = True
        told = rows.select(["id", MERGED_INTO, ORIGIN, ROW]).filter(merged)
        for row in told.sort_by("id").to_pylist():
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
            place = f"{place}, row {row[ROW]}"
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

    def write(self) -> None:
        """Keep what was taken, and let all that is kept name the survivors."""
        if not self._touched:
            return
        survivors = {old: self._end(old) for old in self._targets}
        self._database.delete(ALIAS, BOOKS, equals(table_name=self._table))
        rows = pa.table(
            {
                "table_name": pa.array([self._table] * len(survivors), pa.string()),
                "old_id": pa.array(survivors.keys(), pa.string()),
                "target": pa.array([self._targets[old] for old in survivors], pa.string()),
                "survivor": pa.array(survivors.values(), pa.string()),
            }
        )
        self._database.insert(ALIAS, BOOKS, rows)
        moved = {o: s for o, s in survivors.items() if self._before.get(o) != s}
        freed = {o: s for o, s in self._before.items() if o not in survivors}
        if moved or freed:
            # What was known of a merged record is its survivor's now, or its own again.
            changed = pa.array([*moved, *moved.values(), *freed, *freed.values()], pa.string())
            self._log.note(self._table, pa.chunked_array([changed]))
            self._note_history(pa.array([*moved, *freed], pa.string()))
        if moved:
            self._rewrite_references(moved)

    def _note_history(self, olds: pa.Array) -> None:
        """Records that once referred to these have another past from now on."""
        for table in self._tables.values():
            for field in table.fields:
                if field.references != self._table or not field.tracked:
                    continue
                with self._database.given(_MOVED, pa.table({"id": olds})):
                    rows = self._database.fetch(
                        sge.select("id")
                        .distinct()
                        .from_(named(HISTORY, BOOKS))
                        .where(equals(table_name=table.name, field=field.name))
                        .where(sge.or_(is_one_of("old", _MOVED), is_one_of("new", _MOVED)))
                    )
                self._log.note(table.name, rows["id"])

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
        for table in self._tables.values():
            for field in table.fields:
                if field.references == self._table:
                    self._rewrite(table.name, field.name, rows)

    def _rewrite(self, table: str, field: str, moved: pa.Table) -> None:
        select = sge.select("*").from_(named(table, RECORDS))
        with self._database.given(_MOVED, moved.select(["old_id"]).rename_columns(["id"])):
            rows = self._database.fetch(select.where(is_one_of(field, _MOVED)))
        if rows.num_rows:
            self._database.delete_ids(table, RECORDS, rows["id"])
            after = _with_survivors(rows, field, moved)
            self._log.note(table, after["id"])
            self._log.note_left(self._tables[table], rows, after)
            self._database.insert(table, RECORDS, after)
