"""Records as they are written in YAML, and their past, in the types of a canonical table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmsync.config.yaml import nearest
from crmsync.model.tables import FieldType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.tables import Table

CONNECTION = "test"
HISTORY = "history"  # beside the fields of a record: what they were before
TYPES = {
    FieldType.TEXT: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.NUMBER: pa.decimal128(18, 4),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.DATE: pa.date32(),
    FieldType.INSTANT: pa.timestamp("us", "UTC"),
    FieldType.REFERENCE: pa.string(),
}


def arrow_table(table: Table, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Rows as they are written in YAML, in the types of a canonical table.

    Raises:
        ValueError: a field does not exist, a value does not fit, or an id stands twice.
    """
    seen: set[object] = set()
    for row in rows:
        _check_names(table, row)
        if row["id"] in seen:
            raise ValueError(f"the id “{row['id']}” stands twice among {table.plural}")
        seen.add(row["id"])
    columns = {}
    for field in table.fields:
        values = [read_value(row.get(field.name), field.type, table, field.name) for row in rows]
        if field.name == "connection":
            values = [value or CONNECTION for value in values]
        columns[field.name] = pa.array(values, TYPES[field.type])
    return pa.table(columns)


def check_row(table: Table, row: Mapping[str, object]) -> None:
    """Whether a row could stand in a table.

    Raises:
        ValueError: a field does not exist, or a value does not fit.
    """
    _check_names(table, row)
    for field in table.fields:
        read_value(row.get(field.name), field.type, table, field.name)


def _check_names(table: Table, row: Mapping[str, object]) -> None:
    names = [field.name for field in table.fields]
    for name in row:
        if name not in names and name != HISTORY:
            raise ValueError(f"{table.name} has no field “{name}”{nearest(name, names)}")
    if not isinstance(row.get("id"), str) or not row["id"]:
        raise ValueError(f"a record of {table.name} has no id, or one that is no text")


def read_value(value: object, kind: FieldType, table: Table, name: str) -> Any:  # noqa: ANN401  of the field's type
    """A YAML value as one of a field's type.

    Raises:
        ValueError: it does not fit; the sentence names the field.
    """
    if value is None:
        return None
    try:
        return _converted(value, kind)
    except (ValueError, TypeError, ArithmeticError):
        raise ValueError(
            f"{table.name}.{name} is of type {kind}, which “{value}” does not fit"
        ) from None


def _converted(value: object, kind: FieldType) -> object:
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
