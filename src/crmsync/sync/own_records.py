"""Records that come from no connector: what follows from others, and what crmsync itself did.

They stand in the canonical tables under connections of our own, whose names no config can give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from crmsync.model.pages import DELETED, ROW
from crmsync.warehouse.batch import POSITION, SERVICE_COLUMNS
from crmsync.warehouse.types import DATA_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from crmsync.model.tables import Table

    Column: TypeAlias = pa.Array | pa.ChunkedArray


def own_rows(table: Table, connection: str, given: Mapping[str, Column]) -> pa.Table:
    """The rows of a batch: what is given, ``id`` among it, and every other column empty.

    Args:
        given: columns by their field's name, all of one length; `DELETED` where some are gone.
    """
    count = len(given["id"])
    columns: dict[str, Column] = {
        field.name: pa.nulls(count, DATA_TYPES[field.type].to_pyarrow()) for field in table.fields
    }
    columns |= {name: pa.nulls(count, pa.string()) for name in SERVICE_COLUMNS}
    columns |= {
        "connection": pa.repeat(connection, count),
        POSITION: pa.array(range(count), pa.int64()),
        ROW: pa.nulls(count, pa.int64()),
        DELETED: pa.repeat(False, count),
    }
    return pa.table(columns | dict(given))
