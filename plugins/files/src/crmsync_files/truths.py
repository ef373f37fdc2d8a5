"""Which words an export has for yes and no: whoever imports `updates.csv` expects the same."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from crmsync.errors import ConnectorError
from crmsync_files.formats.opening import reader_of
from crmsync_files.reading import opened, stream_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crmsync.plugins.contract import StreamRequest
    from crmsync_files.folder import Folder

# Those that are read as yes and no without a translation, in any case.
_PAIRS = (("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("1", "0"))
_OTHERWISE = _PAIRS[0]


class TruthWords:
    """Yes and no as the columns of a folder's exports have them; each column is looked at once."""

    def __init__(self, folder: Folder, streams: Mapping[str, StreamRequest]) -> None:
        self._folder = folder
        self._streams = streams
        self._known: dict[tuple[str, str], tuple[str, str]] = {}

    def word(self, stream: str, column: str, *, value: bool) -> str:
        """The word for a value; ``true`` or ``false`` where the export shows none of its own."""
        at = (stream, column)
        if at not in self._known:
            self._known[at] = self._found(stream, column)
        return self._known[at][0 if value else 1]

    def _found(self, stream: str, column: str) -> tuple[str, str]:
        request = self._streams.get(stream)
        # An export that cannot be read just now shows nothing, which is no reason to write nothing.
        with suppress(ConnectorError):
            for text in () if request is None else self._texts(request, column):
                for pair in _PAIRS:
                    if text.lower() in pair:
                        return _spelt_like(text, pair)
        return _OTHERWISE

    def _texts(self, request: StreamRequest, column: str) -> Iterator[str]:
        """What stands in a column, until somebody has seen enough."""
        for file in self._folder.files(stream_options(request)):
            with opened(file, request) as export:
                for piece in reader_of(export).pieces([column], after=0):
                    values = piece.records[column]
                    if pa.types.is_string(values.type):
                        yield from pc.unique(
                            pc.utf8_trim_whitespace(values.drop_null())
                        ).to_pylist()


def _spelt_like(text: str, pair: tuple[str, str]) -> tuple[str, str]:
    yes, no = pair
    if text == text.lower():
        return yes, no
    return (yes.upper(), no.upper()) if text == text.upper() else (yes.title(), no.title())
