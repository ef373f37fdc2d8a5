"""JSON Lines: one JSON object a line."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from crmsync.config.yaml import nearest
from crmsync.model.tables import FieldType
from crmsync.plugins.contract import RemoteField
from crmsync_files.formats.export import OpenExport, Piece, piece_of
from crmsync_files.formats.text import is_undecodable, start_of_text, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.errors import RejectedError

_MOST_BYTES = 16 * 2**20  # a line that is longer is no record
_PIECE_ROWS = 20_000
_PIECE_BYTES = 16 * 2**20
_SAMPLE_ROWS = 1_000  # what tells the fields, since no header does

_TYPES = (  # a boolean is an integer to Python, so it comes first
    (bool, FieldType.BOOLEAN),
    (int, FieldType.INTEGER),
    (float, FieldType.NUMBER),
    (str, FieldType.TEXT),
)


@dataclass(kw_only=True)
class _Gathered:
    """The lines of a piece so far."""

    records: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    problems: dict[int, str] = field(default_factory=dict)
    size: int = 0

    @property
    def full(self) -> bool:
        lines = len(self.records) + len(self.problems)
        return lines >= _PIECE_ROWS or self.size >= _PIECE_BYTES


class JsonLinesExport:
    """A JSON Lines file. Values keep JSON's types; what is nested becomes JSON text."""

    def __init__(self, export: OpenExport) -> None:
        self._export = export
        self._encoding = export.options.encoding

    def fields(self) -> Sequence[RemoteField]:
        """What the first thousand records have."""
        types: dict[str, set[FieldType | None]] = {}
        for _, line in islice(self._lines(), _SAMPLE_ROWS):
            record = _parsed(line)
            for name, value in record.items() if isinstance(record, dict) else ():
                types.setdefault(name, set())
                if value is not None:
                    types[name].add(_type_of(value))
        return [
            RemoteField(name=name, type=found.pop() if len(found) == 1 else None)
            for name, found in types.items()
        ]

    def doubts(self, columns: Sequence[str]) -> Sequence[str]:
        """The columns that none of the first thousand records has."""
        names = [field.name for field in self.fields()]
        if not names:
            self._refuse_deleting_all()
            return [f"{self._export.file.shown} has no records"]
        shown = self._export.file.shown
        return [
            f"{shown}: none of the first {_SAMPLE_ROWS:,} records has the field “{column}”"
            f"{nearest(column, names)}"
            for column in columns
            if column not in names
        ]

    def pieces(self, columns: Sequence[str], *, after: int) -> Iterator[Piece]:
        """The records after that number."""
        gathered = _Gathered()
        row = 0
        for row, line in self._lines():
            if row <= after:
                continue
            record = _parsed(line)
            if isinstance(record, dict):
                gathered.records.append(record)
                gathered.numbers.append(row)
            else:
                gathered.problems[row] = self._problem(line, record, row)
            gathered.size += len(line)
            if gathered.full:
                yield self._piece(columns, gathered, row)
                gathered = _Gathered()
        if gathered.numbers or gathered.problems:
            yield self._piece(columns, gathered, row)
        if row == 0:
            self._refuse_deleting_all()

    def _lines(self) -> Iterator[tuple[int, str | bytes]]:
        """The lines with something in them, numbered from 1."""
        handle = self._export.handle
        self._encoding = start_of_text(handle, self._export.options.encoding)
        if self._encoding == "utf-8":  # the parser decodes it itself, and faster
            yield from enumerate(self._split(handle), 1)
            return
        try:
            with text_of(handle, self._encoding) as text:
                yield from enumerate(self._split(text), 1)
        except UnicodeError:
            # Text of two bytes a character is decoded ahead, so the row is not known.
            raise self._export.undecodable(self._encoding, None) from None

    def _split(self, source: IO[Any]) -> Iterator[Any]:
        row = 1
        while line := source.readline(_MOST_BYTES):
            if len(line) >= _MOST_BYTES:
                raise self._export.rejected(
                    f"the line is longer than {_MOST_BYTES >> 20} MiB; is this JSON Lines, "
                    "with one object a line?",
                    row=row,
                )
            if line.strip():
                yield line
                row += 1

    def _problem(self, line: str | bytes, record: object, row: int) -> str:
        """Why a line is no record.

        Raises:
            RejectedError: it concerns the whole file.
        """
        text = line if isinstance(line, str) else line.decode("utf-8", "surrogateescape")
        if not text.endswith("\n"):
            raise self._truncated(row)
        if is_undecodable(text):
            raise self._export.undecodable(self._encoding, row)
        if row == 1 and text.strip() == "[":
            raise self._one_array()
        if isinstance(record, list) and row == 1:
            raise self._one_array()
        if isinstance(record, orjson.JSONDecodeError):
            return f"it is not valid JSON: {record.msg}, at character {record.colno}"
        return "it is no JSON object; a record is written {…}"

    def _require(self, records: list[dict[str, Any]]) -> None:
        """Hold the first records against what none can be without.

        A field that is empty may be left out of a record, so all others may be missing.
        """
        for column in self._export.required:
            if not any(column in record for record in records):
                hint = nearest(column, {name for record in records for name in record})
                raise self._export.rejected(f"no record has the field “{column}”{hint}")

    def _refuse_deleting_all(self) -> None:
        """Refuse a file of no records where absence is deletion.

        Elsewhere it may be what it says, since JSON Lines has no header that could be missing.
        """
        if self._export.options.complete:
            raise self._export.empty(
                "has no records; as a complete export it would say that every record is deleted"
            )

    def _one_array(self) -> RejectedError:
        return self._export.rejected(
            "this is one JSON array, not JSON Lines; export it with one object a line"
        )

    def _truncated(self, row: int) -> RejectedError:
        return self._export.rejected(
            "the file ends in the middle of this row; it was cut off. Export it again", row=row
        )

    def _piece(self, columns: Sequence[str], gathered: _Gathered, rows: int) -> Piece:
        if 1 in gathered.numbers[:1]:
            self._require(gathered.records)
        arrays = {
            column: as_array([record.get(column) for record in gathered.records])
            for column in columns
        }
        return piece_of(
            self._export,
            arrays,
            pa.array(gathered.numbers, pa.int64()),
            gathered.problems,
            rows=rows,
        )


def as_array(values: list[Any]) -> pa.Array:
    """Values of JSON as a column: its own type where all agree, else text."""
    if any(isinstance(value, dict | list) for value in values):
        return _as_text(values)
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return _as_text(values)


def _as_text(values: list[Any]) -> pa.Array:
    return pa.array(
        [
            value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
            for value in values
        ],
        pa.string(),
    )


def _parsed(line: str | bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return error


def _type_of(value: object) -> FieldType | None:
    return next((type_ for kind, type_ in _TYPES if isinstance(value, kind)), None)
