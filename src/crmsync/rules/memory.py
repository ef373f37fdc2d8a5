"""Records in memory: what rule tests are evaluated on."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from crmsync.config.yaml import nearest
from crmsync.model.records import StreamState
from crmsync.model.tables import FieldType
from crmsync.warehouse.database import Database

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import ibis.expr.types as ir

    from crmsync.model.tables import Table

CONNECTION = "test"
_TYPES = {
    FieldType.TEXT: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.NUMBER: pa.decimal128(18, 4),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.DATE: pa.date32(),
    FieldType.INSTANT: pa.timestamp("us", "UTC"),
    FieldType.REFERENCE: pa.string(),
}


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


def arrow_table(table: Table, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows as they are written in YAML, in the types of a canonical table.

    Raises:
        ValueError: a field does not exist, a value does not fit, or an id stands twice.
    """
    names = [field.name for field in table.fields]
    ids = [row.get("id") for row in rows]
    for row in rows:
        for name in row:
            if name not in names:
                raise ValueError(f"{table.name} has no field “{name}”{nearest(name, names)}")
    for record_id in ids:
        if not isinstance(record_id, str) or not record_id:
            raise ValueError(f"a record of {table.name} has no id, or one that is no text")
        if ids.count(record_id) > 1:
            raise ValueError(f"the id “{record_id}” stands twice among {table.plural}")
    columns = {}
    for field in table.fields:
        values = [_value(row.get(field.name), field.type, table, field.name) for row in rows]
        if field.name == "connection":
            values = [value or CONNECTION for value in values]
        columns[field.name] = pa.array(values, _TYPES[field.type])
    return pa.table(columns)


def _value(value: object, kind: FieldType, table: Table, name: str) -> object:
    if value is None:
        return None
    try:
        return _converted(value, kind)
    except (ValueError, TypeError, ArithmeticError):
        raise ValueError(
            f"{table.name}.{name} is of type {kind}, which “{value}” does not fit"
        ) from None


def _converted(value: object, kind: FieldType) -> object:  # noqa: PLR0911  one per type
    match kind:
        case FieldType.TEXT | FieldType.REFERENCE if isinstance(value, str):
            return value
        case FieldType.BOOLEAN if isinstance(value, bool):
            return value
        case FieldType.INTEGER if isinstance(value, int) and not isinstance(value, bool):
            return value
        case FieldType.NUMBER if isinstance(value, int | float | Decimal) and not isinstance(
            value, bool
        ):
            return Decimal(str(value)).quantize(Decimal("0.0001"))
        case FieldType.DATE if isinstance(value, str):
            return date.fromisoformat(value)
        case FieldType.INSTANT if isinstance(value, str):
            instant = datetime.fromisoformat(value)
            return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
        case FieldType.DATE | FieldType.INSTANT if isinstance(value, date):
            return value
        case _:
            raise ValueError(value)
