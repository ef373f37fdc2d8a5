"""What a field's type is in the warehouse.

Instants are TIMESTAMP WITH TIME ZONE: DuckDB keeps them as microseconds since 1970 in UTC, so a
comparison with an aware datetime compares two integers and prunes by block, whatever the zone of
the machine; each connection's session zone is UTC, so parts of an instant are those in UTC.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import ibis.expr.datatypes as dt
import pyarrow as pa

from crmsync.model.tables import FieldType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from crmsync.model.tables import Table

    # The table of each stream of the config, by connection and stream.
    StreamTables = Mapping[tuple[str, str], str]

INSTANT = dt.Timestamp(timezone="UTC", scale=6)

DATA_TYPES: dict[FieldType, dt.DataType] = {
    FieldType.TEXT: dt.string,
    FieldType.INTEGER: dt.int64,
    FieldType.NUMBER: dt.Decimal(18, 4),
    FieldType.BOOLEAN: dt.boolean,
    FieldType.DATE: dt.date,
    FieldType.INSTANT: INSTANT,
    FieldType.REFERENCE: dt.string,
}

# Columns of a record that are no fields: where it came from, and since when its values are known.
STREAM = "stream"
KNOWN_SINCE = "known_since"


def arrow_instant(instant: datetime | None) -> pa.Scalar:
    """An instant for Arrow."""
    return pa.scalar(instant, INSTANT.to_pyarrow())


def record_columns(table: Table) -> dict[str, dt.DataType]:
    """The columns in which the warehouse keeps a table, in order."""
    columns = {field.name: DATA_TYPES[field.type] for field in table.fields}
    return columns | {STREAM: dt.string, KNOWN_SINCE: INSTANT}


def shape_of(tables: Mapping[str, Table]) -> str:
    """A digest of the tables' columns."""
    columns = [(name, field.name, field.type) for name in tables for field in tables[name].fields]
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:16]
