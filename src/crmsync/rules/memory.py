"""Records in memory: what rule tests are evaluated on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from crmsync.config.yaml import nearest
from crmsync.model.records import StreamState
from crmsync.model.tables import FieldType
from crmsync.rules.memory_history import EVER, changes_of, known_since
from crmsync.rules.memory_rows import CONNECTION, TYPES, arrow_table
from crmsync.warehouse.database import Database

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    import ibis.expr.types as ir

    from crmsync.model.tables import Table


class MemoryRecords:
    """A `RecordSource` over rows that are given.

    Args:
        records: table name to rows; ids and references as they are, without a connection.
        unread: tables whose stream was never read; all others are complete as of ``now``.

    Raises:
        ValueError: a table or field does not exist, or a value does not fit its type.
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        records: Mapping[str, Sequence[Mapping[str, object]]],
        *,
        now: datetime,
        unread: Collection[str] = (),
    ) -> None:
        for name in (*records, *unread):
            if name not in tables:
                raise ValueError(f"there is no table “{name}”{nearest(name, tables)}")
        self._database = Database(Path(":memory:"), read_only=False)
        self._definitions = tables
        self._records = records
        self._rows = {name: arrow_table(tables[name], rows) for name, rows in records.items()}
        self._tables: dict[str, ir.Table] = {}
        self._states = tuple(
            StreamState(
                connection=CONNECTION,
                stream=name,
                table=name,
                read_at=None if name in unread else now,
            )
            for name in tables
        )

    def table(self, name: str) -> ir.Table:
        """The records of a table."""
        if name not in self._tables:
            rows = self._rows.get(name)
            if rows is None:
                rows = arrow_table(self._definitions[name], ())
            self._tables[name] = self._database.kept(rows)
        return self._tables[name]

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field: ``id``, ``old`` and ``new`` of its type, ``at`` (UTC)."""
        definition = self._definitions[table]
        found = [
            change
            for row in self._records.get(table, ())
            for change in changes_of(definition, row)
            if change.field == field
        ]
        kind = next(TYPES[known.type] for known in definition.fields if known.name == field)
        columns = {
            "id": pa.array([change.record for change in found], pa.string()),
            "old": pa.array([change.old for change in found], kind),
            "new": pa.array([change.new for change in found], kind),
            "at": pa.array([change.at for change in found], TYPES[FieldType.INSTANT]),
        }
        return self._database.kept(pa.table(columns))

    def known_since(self, table: str, field: str) -> ir.Table:  # noqa: ARG002  the same for all fields
        """Columns ``id``, ``since`` and ``created``, as in `RecordSource`."""
        definition, rows = self._definitions[table], self._records.get(table, ())
        since = [known_since(definition, row) for row in rows]
        known = pa.table(
            {
                "id": pa.array([row["id"] for row in rows], pa.string()),
                "since": pa.array([at or EVER for at in since], TYPES[FieldType.INSTANT]),
                # Of what is known of for ever, it does not matter when it came into being.
                "born": pa.array([None if at else EVER for at in since], TYPES[FieldType.INSTANT]),
            }
        )
        rows = self._database.kept(known).inner_join(self.table(table), "id")
        return rows.select("id", "since", created=rows.created_at.coalesce(rows.born))

    def query(self, expression: ir.Table) -> pa.Table:
        """The rows of an expression over these tables."""
        return self._database.query(expression)

    def keep(self, rows: ir.Table | pa.Table) -> ir.Table:
        """The rows of an expression, or rows at hand, as a table that lasts as long as this."""
        return self._database.kept(rows)

    def stream_states(self) -> Sequence[StreamState]:
        """One for each table."""
        return self._states

    def close(self) -> None:
        """Free the memory."""
        self._database.close()
