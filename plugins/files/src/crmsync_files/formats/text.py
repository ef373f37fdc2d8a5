"""Bytes as text: encodings, byte order marks, and which row cannot be read."""

from __future__ import annotations

import codecs
import csv
import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# The csv module's limit on a value is one for the whole process, and lower than a long mail.
csv.field_size_limit(2**31 - 1)

# The longer first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNDECODABLE = re.compile("[\udc80-\udcff]")  # what the error handler surrogateescape leaves


def start_of_text(handle: IO[bytes], declared: str) -> str:
    """Move to the first character; answers with the encoding: that of a mark, else as declared."""
    handle.seek(0)
    start = handle.read(4)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            handle.seek(len(mark))
            return encoding
    handle.seek(0)
    return "utf-8" if declared == "utf-8-sig" else declared


class Utf8Source(io.RawIOBase):
    """A file's text as UTF-8, without empty lines at its start, and with an ending of our own."""

    def __init__(self, handle: IO[bytes], encoding: str, ending: bytes) -> None:
        super().__init__()
        self._handle = handle
        self._decoder = (
            None if encoding == "utf-8" else codecs.getincrementaldecoder(encoding)("strict")
        )
        self._ending = ending
        self._ended = False
        self._waiting = b""
        self._last = b""

    @property
    def ends_with_newline(self) -> bool:
        """Whether the text that was read so far ends with the end of a line, or is empty."""
        return self._last in {b"", b"\n", b"\r"}

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for, fewer only at the end: Arrow parses what it reads at once.

        Raises:
            UnicodeDecodeError: the file is not text in its encoding.
        """
        parts = [self._waiting]
        length = len(self._waiting)
        while length < size and not self._ended:
            parts.append(self._more(size))
            length += len(parts[-1])
        read = b"".join(parts)
        self._waiting = read[size:]
        return read[:size] if self._waiting else read

    def _more(self, size: int) -> bytes:
        raw = self._handle.read(size)
        text = raw
        if self._decoder is not None:
            text = self._decoder.decode(raw, final=not raw).encode("utf-8")
        if not self._last:
            text = text.lstrip(b"\r\n")
        self._last = text[-1:] or self._last
        if raw:
            return text
        self._ended = True
        return text + self._ending


@contextmanager
def text_of(handle: IO[bytes], encoding: str) -> Iterator[io.TextIOWrapper]:
    """The rest of a file as lines; what cannot be decoded becomes lone surrogates."""
    text = io.TextIOWrapper(
        handle,
        encoding=encoding,
        errors="strict" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape",
        newline="",
    )
    try:
        yield text
    finally:
        text.detach()  # the handle stays open


def is_undecodable(text: str) -> bool:
    """Whether the text holds what could not be decoded."""
    return _UNDECODABLE.search(text) is not None


class FaultKind(Enum):
    """Why a CSV file cannot be read."""

    UNDECODABLE = "undecodable"
    UNCLOSED = "unclosed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Where a CSV file cannot be read; the row is None where that cannot be told."""

    kind: FaultKind
    row: int | None = None


_END = "\0end\0"
_END_OF_LINE = "\0end of the last line\0"  # where it has no line end


def find_fault(handle: IO[bytes], declared: str, delimiter: str) -> Fault:
    """Look for the first record of a CSV file that cannot be read.

    Slow, since it goes through the file record by record: for a file that is known to be broken.
    """
    encoding = start_of_text(handle, declared)
    row = -1  # the header is no record
    record: list[str] = []
    with text_of(handle, encoding) as text:
        records = csv.reader(_ended(text), delimiter=delimiter)
        try:
            for record in records:
                row += bool(record)
                if any(is_undecodable(value) for value in record):
                    cut = is_undecodable(record[-1][-1:]) and next(records, None) == [_END_OF_LINE]
                    return Fault(kind=FaultKind.UNCLOSED if cut else FaultKind.UNDECODABLE, row=row)
        except UnicodeError:
            return Fault(kind=FaultKind.UNDECODABLE)
        except csv.Error:
            return Fault(kind=FaultKind.UNKNOWN, row=row + 1)
    if record not in ([_END], [_END_OF_LINE]):
        return Fault(kind=FaultKind.UNCLOSED, row=row)
    return Fault(kind=FaultKind.UNKNOWN)


def _ended(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines, then one of our own, which is a record of its own unless a quote is open."""
    last = "\n"
    for line in text:
        yield line
        last = line
    yield _END if last.endswith(("\n", "\r")) else _END_OF_LINE
