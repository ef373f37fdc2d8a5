"""Records in memory: what rule tests are evaluated on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from crmsync.config.yaml import nearest
from crmsync.model.records import NOTHING, StreamState
from crmsync.model.tables import FieldType
from crmsync.rules.unit_tests.memory_history import EVER, changes_of, known_since
from crmsync.rules.unit_tests.memory_rows import CONNECTION, TYPES, arrow_table
from crmsync.warehouse.associations import indirect_of
from crmsync.warehouse.database import Database
from crmsync.warehouse.texts import QueryTexts
from crmsync.warehouse.types import DATA_TYPES, INSTANT, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    import ibis.expr.types as ir

    from crmsync.model.records import Answers, Compiled, Given, Kept
    from crmsync.model.tables import Table

# Compiled queries, from one company in memory to the next.
_TEXTS = QueryTexts()


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
        self._database = Database(Path(":memory:"), read_only=False, texts=_TEXTS)
        self._definitions = tables
        for name, table in tables.items():
            self._database.register(_called(name), arrow_table(table, records.get(name, ())))
            self._register_past(table, records.get(name, ()))
        self._states = tuple(
            StreamState(
                connection=CONNECTION,
                stream=name,
                table=name,
                read_at=None if name in unread else now,
            )
            for name in tables
        )

    @property
    def shape(self) -> str:
        """Differs where a table has other columns."""
        return f"memory {shape_of(self._definitions)}"

    def table(self, name: str) -> ir.Table:
        """The records of a table."""
        fields = self._definitions[name].fields
        columns = {field.name: DATA_TYPES[field.type] for field in fields}
        return ibis.table(columns, name=_called(name))

    def is_filled(self, table: str, field: str) -> bool:  # noqa: ARG002  it is not looked for
        """Whether it is known that there are no empty ones; see `RecordSource`."""
        return False

    def has_indirect(self, table: str) -> bool:  # noqa: ARG002  it is not looked for
        """Whether there may be any; see `RecordSource`."""
        return True

    def indirect(self, table: str) -> ir.Table:
        """Columns ``activity`` and ``record``, as in `RecordSource`."""
        return indirect_of(table, self.table)

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field: ``id``, ``old`` and ``new`` of its type, ``at`` (UTC)."""
        definition = self._definitions[table].field(field)
        if definition is None:
            raise LookupError(f"{table} has no field {field}")
        kind = DATA_TYPES[definition.type]
        columns = {"id": dt.string, "old": kind, "new": kind, "place": dt.int64}
        columns["at"] = INSTANT
        return ibis.table(columns, name=_called(f"{table} {field} changes"))

    def known_since(self, table: str, field: str) -> ir.Table:  # noqa: ARG002  the same for all fields
        """Columns ``id``, ``since`` and ``created``, as in `RecordSource`."""
        columns = {"known_id": dt.string, "since": INSTANT, "born": INSTANT}
        known = ibis.table(columns, name=_called(f"{table} known"))
        rows = self.table(table).inner_join(known, [("id", "known_id")])
        return rows.select("id", "since", created=rows.created_at.coalesce(rows.born))

    def _register_past(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        changes = [change for row in rows for change in changes_of(table, row)]
        for field in table.fields:
            if not field.tracked:
                continue
            found = [change for change in changes if change.field == field.name]
            columns = {
                "id": pa.array([change.record for change in found], pa.string()),
                "old": pa.array([change.old for change in found], TYPES[field.type]),
                "new": pa.array([change.new for change in found], TYPES[field.type]),
                "place": pa.array(range(len(found)), pa.int64()),
                "at": pa.array([change.at for change in found], TYPES[FieldType.INSTANT]),
            }
            name = _called(f"{table.name} {field.name} changes")
            self._database.register(name, pa.table(columns))
        since = [known_since(table, row) for row in rows]
        known = {
            "known_id": pa.array([row["id"] for row in rows], pa.string()),
            "since": pa.array([at or EVER for at in since], TYPES[FieldType.INSTANT]),
            # Of what is known of for ever, it does not matter when it came into being.
            "born": pa.array([None if at else EVER for at in since], TYPES[FieldType.INSTANT]),
        }
        self._database.register(_called(f"{table.name} known"), pa.table(known))

    def compiled(self, key: str, build: Callable[[], ir.Table | Answers]) -> Compiled:
        """The text of a query; ``build`` is called where nobody has asked with this key before."""
        return self._database.compiled(f"{self.shape} {key}", build)

    def query(self, query: ir.Table | Compiled, given: Given = NOTHING) -> pa.Table:
        """The rows of a query over these tables."""
        return self._database.query(query, given)

    def keep(self, rows: ir.Table | Compiled | pa.Table, given: Given = NOTHING) -> Kept:
        """The rows of a query, or rows at hand, as a table that queries can be given."""
        return self._database.kept(rows, given)

    def stream_states(self) -> Sequence[StreamState]:
        """One for each table."""
        return self._states

    def close(self) -> None:
        """Free the memory."""
        self._database.close()


def _called(name: str) -> str:
    return f"memory_{name}"  # no name that a query is given
