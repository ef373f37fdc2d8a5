"""What all formats share: an open file, the pieces it is read in, and its columns."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

import pyarrow as pa

from crmsync.config.yaml import nearest
from crmsync.errors import RejectedError
from crmsync.model.pages import ORIGIN, PROBLEM, ROW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.plugins.contract import RemoteField
    from crmsync_files.folder import ExportFile
    from crmsync_files.options import FilesStreamOptions


@dataclass(frozen=True, kw_only=True)
class OpenExport:
    """A file of a stream, opened for reading bytes.

    Attributes:
        required: the columns that no record can be without.
    """

    file: ExportFile
    options: FilesStreamOptions
    handle: IO[bytes]
    required: tuple[str, ...] = ()

    def rejected(self, sentence: str, *, row: int | None = None) -> RejectedError:
        """The error that this file cannot be read, with the sentence after its name."""
        place = self.file.shown if row is None else f"{self.file.shown}, row {row}"
        return RejectedError(f"{place}: {sentence}", origin=self.file.name, row=row)

    def empty(self, sentence: str) -> RejectedError:
        """The error that this file holds nothing, with the sentence after its name."""
        return RejectedError(
            f"{self.file.shown} {sentence}. Export it again", origin=self.file.name
        )

    def undecodable(self, encoding: str, row: int | None) -> RejectedError:
        """The error that the bytes are not text in the encoding."""
        other = "cp1252 or latin-1" if encoding == "utf-8" else "utf-8"
        return self.rejected(
            f"this is not {encoding} text; set the stream's “encoding” to what the file was "
            f"saved in, for example {other}",
            row=row,
        )


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some records of a file, in its order.

    Attributes:
        records: the columns asked for, the origin and the number of each row; where rows could
            not be read also their problem.
        rows: the number of the last record that is in this piece or before it.
        readable: how many records could be read.
    """

    records: pa.Table
    rows: int
    readable: int


class Export(Protocol):
    """A file in one of the formats."""

    def fields(self) -> Sequence[RemoteField]:
        """The columns that the file has.

        Raises:
            RejectedError: that cannot be told.
        """
        ...

    def doubts(self, columns: Sequence[str]) -> Sequence[str]:
        """Sentences about columns that may be missing, told without reading all of the file.

        Raises:
            RejectedError: one is missing for certain.
        """
        ...

    def pieces(self, columns: Sequence[str], *, after: int) -> Iterator[Piece]:
        """The records whose number is higher than ``after``.

        Raises:
            RejectedError: the file cannot be read, from some row on or at all.
        """
        ...


def plain_name(name: str) -> str:
    """A column's name as names are compared: without space around it, letters composed."""
    return unicodedata.normalize("NFC", name.replace("\ufeff", "")).strip()


def find_columns(
    export: OpenExport, wanted: Sequence[str], names: Sequence[str], *, hint: str | None = None
) -> dict[str, int]:
    """The position in ``names`` of each wanted column.

    Raises:
        RejectedError: one is missing or stands there twice.
    """
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        positions.setdefault(plain_name(name), []).append(position)
    found = {}
    for column in wanted:
        there = positions.get(plain_name(column), [])
        if not there:
            if hint is None:
                hint = nearest(plain_name(column), (name for name in positions if name))
            raise export.rejected(f"there is no column “{column}”{hint}")
        if len(there) > 1:
            raise export.rejected(
                f"the column “{column}” stands {len(there)} times in the header; "
                "rename all but one of them"
            )
        found[column] = there[0]
    return found


def piece_of(
    export: OpenExport,
    columns: Mapping[str, pa.Array],
    numbers: pa.Array,
    problems: Mapping[int, str],
    *,
    rows: int,
) -> Piece:
    """A piece of the readable records with these numbers, and of those with problems."""
    good = len(numbers)
    schema = [pa.field(name, array.type) for name, array in columns.items()]
    schema += [pa.field(ORIGIN, pa.string()), pa.field(ROW, pa.int64())]
    arrays = [*columns.values(), pa.repeat(pa.scalar(export.file.name), good), numbers]
    records = pa.Table.from_arrays(arrays, schema=pa.schema(schema))
    if problems:
        sentences = [
            f"{export.file.shown}, row {row}: {sentence}" for row, sentence in problems.items()
        ]
        unreadable = pa.table(
            {
                ORIGIN: pa.repeat(pa.scalar(export.file.name), len(problems)),
                ROW: pa.array(list(problems), pa.int64()),
                PROBLEM: pa.array(sentences, pa.string()),
            }
        )
        records = pa.concat_tables([records, unreadable], promote_options="default")
    return Piece(records=records, rows=rows, readable=good)


def parts_of(piece: Piece, *, most: int) -> Iterator[Piece]:
    """A piece in parts of at most so many records."""
    records = piece.records
    if records.num_rows <= most:
        yield piece
        return
    if PROBLEM in records.column_names:  # those with problems stand after the others
        records = records.sort_by(ROW)
    for start in range(0, records.num_rows, most):
        part = records.slice(start, most)
        at_end = start + most >= records.num_rows
        rows = piece.rows if at_end else part[ROW][-1].as_py()
        yield Piece(records=part, rows=rows, readable=piece.readable)
