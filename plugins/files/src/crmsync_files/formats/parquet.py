"""Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from crmsync.model.tables import FieldType
from crmsync.plugins.contract import RemoteField
from crmsync_files.formats.export import OpenExport, Piece, find_columns, piece_of, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PIECE_ROWS = 65_536
_READ_AHEAD_BYTES = 2**20


class ParquetExport:
    """A Parquet file. Values keep their types; what is nested becomes JSON text."""

    def __init__(self, export: OpenExport) -> None:
        self._export = export

    def fields(self) -> Sequence[RemoteField]:
        """The schema."""
        return [
            RemoteField(name=plain_name(field.name), type=_field_type(field.type))
            for field in self._open().schema_arrow
        ]

    def doubts(self, columns: Sequence[str]) -> Sequence[str]:
        """None: the schema tells for certain."""
        find_columns(self._export, columns, self._open().schema_arrow.names)
        return []

    def pieces(self, columns: Sequence[str], *, after: int) -> Iterator[Piece]:
        """The records after that number."""
        file = self._open()
        names = file.schema_arrow.names
        found = find_columns(self._export, columns, names)
        row = 0
        try:
            for batch in file.iter_batches(
                _PIECE_ROWS, columns=[names[at] for at in found.values()]
            ):
                first, row = row + 1, row + batch.num_rows
                if row <= after:
                    continue
                start = max(0, after - first + 1)
                numbers = pa.arange(first + start, row + 1)
                arrays = {
                    column: self._plain(column, batch.column(names[at]).slice(start))
                    for column, at in found.items()
                }
                yield piece_of(self._export, arrays, numbers, {}, rows=row)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise self._export.rejected(
                f"this Parquet file is damaged: {error}. Export it again", row=row + 1
            ) from error

    def _open(self) -> pq.ParquetFile:
        self._export.handle.seek(0)
        try:
            return pq.ParquetFile(
                self._export.handle, buffer_size=_READ_AHEAD_BYTES, pre_buffer=False
            )
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise self._export.rejected(
                "this is not a whole Parquet file; it was cut off or is in another format. "
                "Export it again"
            ) from error

    def _plain(self, column: str, array: pa.Array) -> pa.Array:
        """A column without dictionaries, nesting and bytes."""
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if pa.types.is_nested(array.type):
            texts = [
                None if value is None else orjson.dumps(value, default=str).decode()
                for value in array.to_pylist()
            ]
            return pa.array(texts, pa.string())
        if _is_bytes(array.type):
            try:
                return array.cast(pa.string())
            except pa.ArrowInvalid:
                raise self._export.rejected(
                    f"the column “{column}” holds bytes that are not text"
                ) from None
        return array


def _is_bytes(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
    )


def _field_type(type_: pa.DataType) -> FieldType | None:
    if pa.types.is_dictionary(type_):
        return _field_type(type_.value_type)
    kinds = (
        (pa.types.is_boolean, FieldType.BOOLEAN),
        (pa.types.is_integer, FieldType.INTEGER),
        (pa.types.is_floating, FieldType.NUMBER),
        (pa.types.is_decimal, FieldType.NUMBER),
        (pa.types.is_date, FieldType.DATE),
        (pa.types.is_timestamp, FieldType.INSTANT),
        (pa.types.is_string, FieldType.TEXT),
        (pa.types.is_large_string, FieldType.TEXT),
    )
    return next((field_type for is_kind, field_type in kinds if is_kind(type_)), None)
