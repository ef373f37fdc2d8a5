"""Arrow columns as connectors give them, made ready for the mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

# Bytes with which white space can begin or end in UTF-8. Other letters share some of them;
# their columns are trimmed for nothing.
_EDGES = np.zeros(256, dtype=bool)
_EDGES[: ord(" ") + 1] = True
_EDGES[[0xC2, 0xE2, 0xEF, 0x87, 0xA0, 0xAF, 0xBF]] = True


def put_together(pages: Sequence[pa.Table]) -> list[pa.Table]:
    """Pages joined where those that follow each other have the same columns, in order."""
    groups: list[list[pa.Table]] = []
    for page in pages:
        records = _without_dictionaries(page)
        if groups and groups[-1][0].schema.equals(records.schema):
            groups[-1].append(records)
        else:
            groups.append([records])
    return [pa.concat_tables(group) for group in groups]


def _without_dictionaries(records: pa.Table) -> pa.Table:
    for index, field in enumerate(records.schema):
        if pa.types.is_dictionary(field.type):
            column = records.column(index).cast(field.type.value_type)
            records = records.set_column(index, field.name, column)
    return records


def trimmed_columns(records: pa.Table) -> frozenset[str]:
    """The text columns in which no value begins or ends with white space.

    Looking at the edges costs a fraction of what trimming costs.
    """
    return frozenset(
        field.name
        for field in records.schema
        if pa.types.is_string(field.type)
        and not any(_has_space_at_edges(chunk) for chunk in records[field.name].chunks)
    )


def _has_space_at_edges(values: pa.StringArray) -> bool:
    _, offsets, data = values.buffers()
    if data is None or len(values) == 0:
        return False
    ends = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    text = np.frombuffer(data, dtype=np.uint8)
    filled = ends[1:] > ends[:-1]
    first, last = text[ends[:-1][filled]], text[ends[1:][filled] - 1]
    return bool(_EDGES[first].any() or _EDGES[last].any())
