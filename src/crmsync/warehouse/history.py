"""The past of tracked fields, as readers see it: typed, and through merges.

A merged record's past belongs to the one that survived, for the time before the survivor itself
was known: some CRMs give the result of a merge a new id. Where several were merged into it, the
one that is known the longest stands for all. A merge itself is no change.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import sqlglot.expressions as sge

from crmsync.warehouse.aliases import read_aliases
from crmsync.warehouse.database import BOOKS, named
from crmsync.warehouse.meanings import since_when
from crmsync.warehouse.schema import ALIAS, HISTORY, STREAM_STATE, TWIN
from crmsync.warehouse.twins import Twins
from crmsync.warehouse.types import DATA_TYPES, INSTANT, KNOWN_SINCE, STREAM, record_columns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import ibis.expr.types as ir

    from crmsync.model.tables import Field, Table
    from crmsync.warehouse.database import Database
    from crmsync.warehouse.types import StreamTables


class History:
    """The past of records in an open file.

    Args:
        streams: the table of each stream of the config, by connection and stream.
    """

    def __init__(
        self, database: Database, tables: Mapping[str, Table], streams: StreamTables
    ) -> None:
        self._database = database
        self._tables = tables
        self._streams = streams
        self.twins = Twins(database, tables)

    def records(self, name: str) -> ir.Table:
        """Every record of a table, tombstones too, with ``stream`` and ``known_since``.

        ``known_since`` is the instant from which on the record's values are known: what a
        tracked field was before its first row of history is that row's ``old``.
        """
        seen, columns = self.twins.seen(name), record_columns(self._tables[name])
        # Named, not looked up: to ask the file for its columns costs more than a small query.
        return ibis.table(columns, name=seen.name, database=seen.db or None)

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field: ``id``, ``old`` and ``new`` of its type, ``at`` (UTC)."""
        definition = self._tables[table].field(field)
        if definition is None:
            raise LookupError(f"{table} has no field {field}")
        far, history = definition.references, self.of(table)
        return _changes_of(
            definition,
            history.filter(history.field == field),
            self.elders(table, field),
            None if far is None else self.merged(far),
        )

    def known_since(self, table: str, field: str) -> ir.Table:
        """Columns ``id``, ``since`` and ``created``, as in `RecordSource`."""
        return _known_of(self._records_of(table, field), self.elders(table, field))

    def elders(self, table: str, field: str | None = None) -> ir.Table | None:
        """The merged records whose past is a survivor's, as `_elders_of` has them."""
        merged = self.merged(table)
        return None if merged is None else _elders_of(self._records_of(table, field), merged)

    def _records_of(self, table: str, field: str | None) -> ir.Table:
        """All records of a table; ``known_since`` is that of a field, where one is named."""
        records = self.records(table)
        mapped_at = None if field is None else self.mapped_at(records, table, field)
        if mapped_at is None:
            return records
        return records.mutate(**{KNOWN_SINCE: ibis.greatest(records[KNOWN_SINCE], mapped_at)})

    def mapped_at(self, records: ir.Table, table: str, field: str) -> ir.Value | None:
        """For each record since when a field is mapped as it is, null where it always was.

        Args:
            records: with ``connection`` and ``stream``.

        Returns:
            None where it always was for all.
        """
        anew = {
            stream: since
            for stream, meanings in self.meanings.items()
            if self._streams.get(stream) == table
            and (since := since_when(meanings, field)) is not None
        }
        return _of_stream(records, anew) if anew else None

    def of(self, table: str) -> ir.Table:
        """The history of a table, without what became of fields when they were mapped anew.

        Beside its columns: ``place``, the order in which it was told.
        """
        history = self._database.table(HISTORY, BOOKS)
        history = history.mutate(place=history.rowid())
        history = history.filter(history.table_name == table)
        records = self.records(table).select("connection", "stream", record="id")
        rows = history.left_join(records, [("id", "record")])
        mapped = {
            field.name: mapped_at
            for field in self._tables[table].fields
            if field.tracked and (mapped_at := self.mapped_at(rows, table, field.name)) is not None
        }
        if not mapped:
            return history
        for name, mapped_at in mapped.items():
            late = mapped_at.isnull() | (rows["at"] > mapped_at)
            rows = rows.filter((rows.field != name) | late)
        return rows.select(*history.columns)

    @cached_property
    def meanings(self) -> dict[tuple[str, str], str | None]:
        """By connection and stream, what is kept of what its fields mean; see `meanings`."""
        select = sge.select("connection", "stream", "meanings").from_(named(STREAM_STATE, BOOKS))
        rows = self._database.fetch(select).to_pylist()
        return {(row["connection"], row["stream"]): row["meanings"] for row in rows}

    def merged(self, table: str) -> ir.Table | None:
        """Columns ``old_id`` and ``survivor`` of a table; None where nothing was merged."""
        if table not in self.aliases:
            return None
        aliases = self._database.table(ALIAS, BOOKS)
        aliases = aliases.filter(aliases.table_name == table).select("old_id", "survivor")
        if table not in self.twins.pairs:
            return aliases
        twins = self._database.table(TWIN, BOOKS)
        twins = twins.filter(twins.table_name == table).select("id", "primary_id")
        rows = aliases.left_join(twins, [("survivor", "id")])
        survivors = rows.select("old_id", survivor=rows.primary_id.coalesce(rows.survivor))
        return survivors.union(twins.rename(old_id="id", survivor="primary_id"))

    @cached_property
    def aliases(self) -> dict[str, dict[str, str]]:
        """By table, the ids of merged records, each with the one that survived in the end.

        Records that another stands for are among them.
        """
        found = read_aliases(self._database)
        for table, pairs in self.twins.pairs.items():
            survivors = {old: pairs.get(s, s) for old, s in found.get(table, {}).items()}
            found[table] = {**survivors, **pairs}
        return found


def _changes_of(
    field: Field, history: ir.Table, elders: ir.Table | None, aliases: ir.Table | None
) -> ir.Table:
    """The changes of a tracked field, as `RecordSource.changes` promises them.

    Args:
        history: that of the field, with ``place``, the order in which it was told.
        elders: what `_elders_of` says; None where nothing was merged.
        aliases: ``old_id`` and ``survivor`` of the table that a reference leads to; None for
            other fields, and where nothing was merged there.
    """
    kind = DATA_TYPES[field.type]
    old, new = history.old.cast(kind), history.new.cast(kind)
    rows = history.select("id", "at", "place", old=old, new=new)
    if elders is not None:
        inherited = rows.inner_join(elders, [("id", "elder")])
        inherited = inherited.filter(inherited["at"] < inherited.until)
        columns = {name: name for name in rows.columns} | {"id": "survivor"}
        rows = rows.union(inherited.select(**columns))
    if aliases is not None:
        rows = _with_survivors(_with_survivors(rows, "old", aliases), "new", aliases)
        rows = rows.filter(~rows.old.identical_to(rows.new))
    return rows


def _known_of(records: ir.Table, elders: ir.Table | None) -> ir.Table:
    """How far back records are known, as `RecordSource.known_since` promises it.

    Args:
        records: all of a table, tombstones too, with ``known_since``.
    """
    own = records.select("id", since=KNOWN_SINCE, created="created_at")
    if elders is None:
        return own
    rows = own.left_join(elders, [("id", "survivor")])
    return rows.select(
        "id",
        since=rows.elder_since.coalesce(rows.since),
        created=ibis.least(rows.elder_created, rows.created),
    )


def _elders_of(records: ir.Table, aliases: ir.Table) -> ir.Table:
    """Those merged records whose past continues a survivor's.

    Returns:
        ``survivor``, ``elder`` (its id), ``elder_since``, ``elder_created``, and ``until``, the
        instant from which on the survivor itself is known; one row for each survivor at most.
    """
    merged = records.select(elder="id", elder_since=KNOWN_SINCE, elder_created="created_at")
    own = records.select(own_id="id", until=KNOWN_SINCE)
    rows = merged.inner_join(aliases, [("elder", "old_id")])
    rows = rows.inner_join(own, [("survivor", "own_id")])
    rows = rows.filter(rows.elder_since < rows.until)
    oldest = ibis.window(group_by=rows.survivor, order_by=[rows.elder_since, rows.elder])
    rows = rows.mutate(place=ibis.row_number().over(oldest))
    rows = rows.filter(rows.place == 0)
    return rows.select("survivor", "elder", "elder_since", "elder_created", "until")


def _with_survivors(rows: ir.Table, name: str, aliases: ir.Table) -> ir.Table:
    joined = rows.left_join(aliases, [(name, "old_id")])
    return joined.select(
        **{column: joined[column] for column in rows.columns}
        | {name: joined.survivor.coalesce(joined[name])}
    )


def _of_stream(records: ir.Table, instants: Mapping[tuple[str, str], datetime]) -> ir.Value:
    """For each record the instant that belongs to its stream; null where none does."""
    return ibis.cases(
        *(
            (
                (records.connection == connection) & (records[STREAM] == stream),
                ibis.literal(instant, INSTANT),
            )
            for (connection, stream), instant in instants.items()
        ),
        else_=ibis.null(INSTANT),
    )
