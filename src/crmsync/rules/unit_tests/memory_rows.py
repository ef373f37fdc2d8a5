"""Records as they are written in YAML, and their past, in the types of a canonical table."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmsync.config.yaml import nearest
from crmsync.model.tables import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
        for name in row:
            _check_name(table, name)
        _check_id(table, row)
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


def mistakes_in_row(table: Table, row: Mapping[str, object]) -> Iterator[tuple[str | None, str]]:
    """Why a row could not stand in a table: each field that is meant, None for all, and why."""
    for name, value in row.items():
        field = table.field(name)
        try:
            _check_name(table, name)
            if field is not None:
                read_value(value, field.type, table, name)
        except ValueError as error:
            yield name, str(error)
    try:
        _check_id(table, row)
    except ValueError as error:
        yield None, str(error)


def _check_name(table: Table, name: str) -> None:
    if table.field(name) is None and name != HISTORY:
        hint = nearest(name, (field.name for field in table.fields))
        raise ValueError(f"{table.name} has no field “{name}”{hint}")


def _check_id(table: Table, row: Mapping[str, object]) -> None:
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
