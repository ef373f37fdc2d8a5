"""The connector: an open folder."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.errors import ConnectorError
from crmsync.model.tables import FieldType
from crmsync.plugins.contract import Finding, RemoteField
from crmsync_files.folder import WRITTEN, Folder
from crmsync_files.formats.opening import reader_of
from crmsync_files.options import FilesOptions
from crmsync_files.reading import StreamReading, opened, stream_options
from crmsync_files.writing import FolderWriter
from crmsync_files.written_tables import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from crmsync.model.actions import Action, Receipt
    from crmsync.model.pages import Cursor, Page
    from crmsync.plugins.contract import ConnectionContext, StreamRequest
    from crmsync_files.folder import ExportFile

_LONG_AGO = 3  # days; an export of every working day is never older


class FilesConnector:
    """A folder of exports; tasks, notes, updates and mail are written into it."""

    def __init__(self, context: ConnectionContext) -> None:
        assert isinstance(context.options, FilesOptions)  # noqa: S101  the spec names that model
        self._context = context
        taken = frozenset(stream_options(one).file for one in context.streams.values())
        self._folder = Folder(context.options, context.folder, taken)
        self._writer = FolderWriter(self._folder, context.clock, context.streams)
        self._readings: dict[str, StreamReading] = {}

    def check(self) -> Sequence[Finding]:
        """Whether the folder is there and writable, and the files with their columns."""
        if not self._folder.exists():
            return [Finding(sentence=self._folder.missing())]
        findings = []
        if not os.access(self._folder.path, os.W_OK | os.X_OK):
            shown = self._folder.shown("")
            findings.append(
                Finding(sentence=f"tasks and mail cannot be written to the folder {shown}")
            )
        for request in self._context.streams.values():
            findings += self._check_stream(request)
        return [*findings, *self._check_age()]

    def _check_age(self) -> Iterator[Finding]:
        """Whether nobody seems to export any more: then customers look silent who are not.

        Of one file it says nothing: colleagues, say, may be exported once.
        """
        files: list[ExportFile] = []
        exports = (stream_options(request) for request in self._context.streams.values())
        for options in exports:
            if options.file in WRITTEN:
                continue
            with suppress(ConnectorError):
                files += self._folder.files(options)
        if not files:
            return
        newest = max(files, key=lambda file: file.identity.mtime_ns)
        age = self._context.clock.now().timestamp() - newest.identity.mtime_ns / 10**9
        days = int(age // 86_400)
        if days >= _LONG_AGO:
            yield Finding(
                sentence=f"the newest export is {newest.shown}, written {days} days ago; is the "
                "export still running? What is read counts as known as of then",
                fatal=False,
            )

    def _check_stream(self, request: StreamRequest) -> Iterator[Finding]:
        columns = tuple(dict.fromkeys((*request.columns, *request.key)))
        own = stream_options(request).updated_at
        if own is not None and own not in columns:
            columns += (own,)
        try:
            for file in self._folder.files(stream_options(request)):
                with opened(file, request) as export:
                    for sentence in reader_of(export).doubts(columns):
                        yield Finding(sentence=sentence, fatal=False, stream=request.name)
        except ConnectorError as error:
            yield Finding(sentence=str(error), stream=request.name)

    def close(self) -> None:
        """Nothing stays open between calls."""

    def describe(self, stream: str) -> Sequence[RemoteField]:
        """The columns of all files of the stream; of one that we write, also before it is there.

        Raises:
            RejectedError: there is no file, or its columns cannot be read.
        """
        request = self._context.streams[stream]
        fields: dict[str, RemoteField] = {}
        files = self._folder.files(stream_options(request))
        if not files:
            own = COLUMNS[stream_options(request).file]
            return [RemoteField(name=name, type=FieldType.TEXT) for name in own]
        for file in files:
            with opened(file, request) as export:
                for field in reader_of(export).fields():
                    known = fields.setdefault(field.name, field)
                    if known.type is not field.type:
                        fields[field.name] = replace(known, type=None)
        return list(fields.values())

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        """The records of files that are not as they were at that cursor.

        Raises:
            RejectedError: a file is missing, or cannot be read.
            TransientError: a file changed while it was read.
        """
        request = self._context.streams[stream]
        reading = StreamReading(self._folder, request, since, self._context.clock)
        self._readings[stream] = reading
        return reading.pages()

    def written_at(self, stream: str) -> datetime | None:
        """When the newest file of the stream was written that the last reading knew.

        What we write ourselves is no export that grows old: it is as of when it is read.
        """
        reading = self._readings.get(stream)
        if reading is None or stream_options(self._context.streams[stream]).file in WRITTEN:
            return None
        return reading.written_at

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Write tasks, notes and updates to their files, and mail to the outbox."""
        return self._writer.apply(actions)

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """What was written under these keys."""
        return self._writer.find(keys)
