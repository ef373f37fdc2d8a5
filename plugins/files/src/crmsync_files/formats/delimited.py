"""CSV: streamed through Arrow, without a loop over rows."""

from __future__ import annotations

import csv
import io
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from crmsync.plugins.contract import RemoteField
from crmsync_files.formats.export import OpenExport, Piece, find_columns, piece_of, plain_name
from crmsync_files.formats.text import (
    FaultKind,
    Utf8Source,
    find_fault,
    is_undecodable,
    start_of_text,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.errors import RejectedError

_BLOCK_BYTES = 4 * 2**20  # also the most that one record can have; Arrow reads 32 of them ahead
_MOST_HEADER = 2**20  # characters
_OTHER_DELIMITERS = ";\t|,"

# A row of our own after the last one: where it is missing, a quote was open at the end.
_END = "\0end of file\0"


@dataclass(kw_only=True)
class _Ragged:
    """Rows with another number of values than the header, as the parser meets them.

    The parser runs ahead of the batches that it hands out, so rows wait here for their place.
    """

    waiting: deque[tuple[int, int]] = field(default_factory=deque)

    def meet(self, row: pacsv.InvalidRow) -> str:
        # The parser counts records from 1, and the header is the first.
        self.waiting.append((row.number - 1, row.actual_columns))
        return "skip"

    def first_before(self, row: int) -> tuple[int, int] | None:
        return self.waiting.popleft() if self.waiting and self.waiting[0][0] < row else None

    def rest(self) -> list[tuple[int, int]]:
        rest = list(self.waiting)
        self.waiting.clear()
        return rest


class DelimitedExport:
    """A CSV file: RFC 4180 quoting, values as text, line ends inside quotes allowed."""

    def __init__(self, export: OpenExport) -> None:
        self._export = export
        self._delimiter = export.options.delimiter_of(export.file.name)

    def fields(self) -> Sequence[RemoteField]:
        """The header's names."""
        return [RemoteField(name=plain_name(name)) for name in self._header() if name.strip()]

    def doubts(self, columns: Sequence[str]) -> Sequence[str]:
        """None: the header tells for certain."""
        self._find(columns, self._header_of_records())
        return []

    def pieces(self, columns: Sequence[str], *, after: int) -> Iterator[Piece]:
        """The records after that number, a few megabytes at a time."""
        names = self._header_of_records()
        found = self._find(columns, names)
        try:
            yield from self._parsed(found, len(names), after)
        except pa.ArrowInvalid as error:
            raise self._explained(error) from error
        except UnicodeError as error:
            raise self._explained(error) from error

    def _header_of_records(self) -> list[str]:
        """The header's values.

        Without one there is no export: what made the file has failed, and "no records" would be
        believed.
        """
        names = self._header()
        if not names:
            raise self._export.empty(
                "is empty, without even a header; an export of no records has its header still"
            )
        return names

    def _header(self) -> list[str]:
        """The header's values; none where the file is empty.

        Raises:
            RejectedError: it is no text in the encoding, or no CSV.
        """
        handle = self._export.handle
        encoding = start_of_text(handle, self._export.options.encoding)
        with text_of(handle, encoding) as text:
            try:
                start = io.StringIO(text.read(_MOST_HEADER), newline="")
                records = csv.reader(start, delimiter=self._delimiter)
                names = next((record for record in records if record), [])
            except UnicodeError:
                raise self._export.undecodable(encoding, None) from None
            except csv.Error as error:
                raise self._export.rejected(f"the header cannot be read: {error}") from error
        if any(is_undecodable(name) for name in names):
            raise self._export.undecodable(encoding, None)
        return names

    def _find(self, columns: Sequence[str], names: Sequence[str]) -> dict[str, int]:
        """Where the columns stand; with a hint where the whole header came out as one."""
        others = [other for other in _OTHER_DELIMITERS if len(names) == 1 and other in names[0]]
        hint = (
            f"; the header is one column as it stands: is the stream's “delimiter” “{others[0]}”?"
            if others
            else None
        )
        return find_columns(self._export, columns, names, hint=hint)

    def _parsed(self, found: dict[str, int], width: int, after: int) -> Iterator[Piece]:
        ragged = _Ragged()
        source = self._source(width)
        row = 0
        ended = False
        for batch in self._batches(source, found, width, ragged):
            first = row + 1
            ended, count = _without_ending(batch)
            numbers, bad, row = _numbered(ragged, first, count)
            if ended:
                rest = ragged.rest()
                row += len(rest)
                if rest and rest[-1][1] < width and not source.ends_with_newline:
                    raise self._truncated(row)
                bad += rest
            if row <= after:
                continue
            arrays = {name: batch.column(str(at)).slice(0, count) for name, at in found.items()}
            yield self._piece(arrays, numbers, bad, width, after=after, rows=row)
        if not ended:
            fault = find_fault(self._export.handle, self._export.options.encoding, self._delimiter)
            raise self._truncated(fault.row)

    def _source(self, width: int) -> Utf8Source:
        ending = "\n" + self._delimiter.join([_END] * width) + "\n"
        handle = self._export.handle
        encoding = start_of_text(handle, self._export.options.encoding)
        return Utf8Source(handle, encoding, ending.encode())

    def _batches(
        self, source: Utf8Source, found: dict[str, int], width: int, ragged: _Ragged
    ) -> Iterator[pa.RecordBatch]:
        # Columns are called by their position: a header's names may be empty or stand twice.
        names = [str(position) for position in range(width)]
        read = sorted({0, *found.values()})
        yield from pacsv.open_csv(
            source,
            read_options=pacsv.ReadOptions(
                block_size=_BLOCK_BYTES,
                column_names=names,
                skip_rows_after_names=1,
                # With threads the parser does not tell which row is ragged; they gain nothing.
                use_threads=False,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                invalid_row_handler=ragged.meet,
            ),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[str(position) for position in read],
                strings_can_be_null=False,
            ),
        )

    def _piece(
        self,
        arrays: dict[str, pa.Array],
        numbers: pa.Array,
        bad: list[tuple[int, int]],
        width: int,
        *,
        after: int,
        rows: int,
    ) -> Piece:
        old = pc.sum(pc.less_equal(numbers, after)).as_py() or 0
        arrays = {name: array.slice(old) for name, array in arrays.items()}
        numbers = numbers.slice(old)
        problems = {
            number: f"it has {actual} value{'s' if actual != 1 else ''}, and the header has "
            f"{width} columns"
            for number, actual in bad
            if number > after
        }
        return piece_of(self._export, arrays, numbers, problems, rows=rows)

    def _truncated(self, row: int | None) -> RejectedError:
        return self._export.rejected(
            "the file ends in the middle of this row; it was cut off, or a quote is never closed. "
            "Export it again",
            row=row,
        )

    def _explained(self, error: Exception) -> RejectedError:
        """What is wrong with a file that the parser has given up."""
        options = self._export.options
        fault = find_fault(self._export.handle, options.encoding, self._delimiter)
        if fault.kind is FaultKind.UNDECODABLE:
            encoding = start_of_text(self._export.handle, options.encoding)
            return self._export.undecodable(encoding, fault.row)
        if fault.kind is FaultKind.UNCLOSED:
            return self._truncated(fault.row)
        if "straddl" in str(error):
            return self._export.rejected(
                f"a record is longer than {_BLOCK_BYTES >> 20} MiB; is a quote never closed?"
            )
        return self._export.rejected(f"this is not valid CSV: {error}", row=fault.row)


def _without_ending(batch: pa.RecordBatch) -> tuple[bool, int]:
    """Whether a batch ends with our own last row, and how many rows it has without it."""
    count = batch.num_rows
    ended = count > 0 and batch.column("0")[count - 1].as_py() == _END
    return ended, count - ended


def _numbered(
    ragged: _Ragged, first: int, count: int
) -> tuple[pa.Array, list[tuple[int, int]], int]:
    """The numbers of a batch's rows, the ragged ones among them, and the last number."""
    parts: list[pa.Array] = []
    bad: list[tuple[int, int]] = []
    start, left = first, count
    while left:
        end = start + left
        gap = ragged.first_before(end)
        stop = end if gap is None else gap[0]
        parts.append(pa.arange(start, stop))
        left -= stop - start
        if gap is None:
            start = stop
        else:
            bad.append(gap)
            start = stop + 1
    numbers = pa.concat_arrays(parts) if parts else pa.array([], pa.int64())
    return numbers, bad, start - 1
