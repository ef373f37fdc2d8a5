"""Reads a stream: which files, in which pages, with which cursor."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa

from crmsync.errors import ConnectorError, RejectedError, TransientError
from crmsync.model.pages import ORIGIN, PROBLEM, RESERVED_COLUMNS, ROW, Page, Snapshot
from crmsync_files.cursor import FileProgress, higher, progress_of
from crmsync_files.folder import ExportFile, Folder, identity_of
from crmsync_files.formats.export import OpenExport, parts_of
from crmsync_files.formats.opening import reader_of
from crmsync_files.options import FilesStreamOptions
from crmsync_files.update_times import read_update_times
from crmsync_files.written_tables import restored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.clock import Clock
    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import StreamRequest
    from crmsync_files.formats.export import Piece

_PAGE_ROWS = 200_000
_PAGE_BYTES = 128 * 2**20


def stream_options(request: StreamRequest) -> FilesStreamOptions:
    """The options of a stream, which the engine has validated."""
    assert isinstance(request.options, FilesStreamOptions)  # noqa: S101  the spec names that model
    return request.options


def columns_to_read(request: StreamRequest) -> tuple[str, ...]:
    """What the mapping reads, and what we need ourselves."""
    own = stream_options(request).updated_at
    return tuple(dict.fromkeys((*request.columns, *request.key, *((own,) if own else ()))))


@contextmanager
def opened(file: ExportFile, request: StreamRequest) -> Iterator[OpenExport]:
    """A file of a stream, open, and with the identity of what was opened.

    Raises:
        RejectedError: it may not be read.
        TransientError: it is gone, or the disk fails.
    """
    options = stream_options(request)
    required = (*request.key, *((options.updated_at,) if options.updated_at else ()))
    try:
        with file.path.open("rb") as handle:
            identity = identity_of(os.fstat(handle.fileno()))
            yield OpenExport(
                file=replace(file, identity=identity),
                options=options,
                handle=handle,
                required=required,
            )
    except PermissionError as error:
        raise RejectedError(
            f"{file.shown} cannot be read: {error.strerror}", origin=file.name
        ) from error
    except OSError as error:
        raise TransientError(
            f"{file.shown} cannot be read now: {error.strerror or error}"
        ) from error


class StreamReading:
    """One reading of a stream, from a cursor to the end.

    Pieces of files are put together to pages. A page is handed out when the next piece is known
    to be good, so that what turns out to be torn or changed at its end is not in any page.
    """

    def __init__(
        self, folder: Folder, request: StreamRequest, since: Cursor | None, clock: Clock
    ) -> None:
        self._folder = folder
        self._request = request
        self._options = stream_options(request)
        self._now = clock.now()
        self._columns = columns_to_read(request)
        self._progress = progress_of(since, request)
        self._tables: list[pa.Table] = []

    def pages(self) -> Iterator[Page]:
        """The pages; none where nothing has changed.

        Raises:
            RejectedError: a file is missing, or cannot be read; the cursor stays before it.
            TransientError: a file changed while it was read.
        """
        self._refuse_reserved_names()
        files = self._unread(self._folder.files(self._options))
        if files is None:
            return
        for file in files:
            # Where this file fails, what was not handed out of it is left out.
            kept, before = len(self._tables), self._progress
            try:
                for piece in self._pieces(file):
                    if not self._fits(piece.records):
                        yield self._page()
                        kept, before = 0, self._progress
                    self._add(file, piece)
            except ConnectorError:
                del self._tables[kept:]
                self._progress = before
                if self._tables:
                    yield self._page()
                raise
        yield self._page(last=True)

    @property
    def written_at(self) -> datetime | None:
        """When the newest of the files was written that were read, now or before."""
        times = [file.identity.mtime_ns for file in self._progress.files.values()]
        return datetime.fromtimestamp(max(times) / 10**9, UTC) if times else None

    def _refuse_reserved_names(self) -> None:
        for column in self._columns:
            if column in RESERVED_COLUMNS:
                raise RejectedError(
                    f"the column “{column}” of {self._folder.shown(self._options.file)} has a name "
                    "that crmsync keeps for itself; rename it in the export",
                    origin=self._options.file,
                )

    def _unread(self, files: tuple[ExportFile, ...]) -> Sequence[ExportFile] | None:
        """The files to read now; None where all are as they were when they had been read."""
        there = {file.name: file.identity for file in files}
        known = self._progress.files
        same = {name for name, file in known.items() if there.get(name) == file.identity}
        unread = [file for file in files if file.name not in same or not known[file.name].done]
        if not self._options.complete:
            left = {name: file for name, file in known.items() if name in there}
            self._progress = replace(self._progress, files=left)
            return unread or None
        # The files are one listing: where one of them is another now, all are read again.
        unchanged = len(same) == len(known)
        if unchanged and self._progress.snapshot is not None:
            return unread
        if unchanged and not unread:
            return None
        self._progress = replace(self._progress, snapshot=uuid4().hex, files={})
        return files

    def _pieces(self, file: ExportFile) -> Iterator[Piece]:
        """The pieces of a file that were not read before; at its end it is done."""
        with opened(file, self._request) as export:
            progress = self._start(export.file)
            self._progress = self._progress.with_file(file.name, progress)
            at_start = progress.rows == 0
            try:
                for piece in reader_of(export).pieces(self._columns, after=progress.rows):
                    if at_start:
                        _refuse_unreadable(export, piece)
                    at_start = False
                    _refuse_changed(export)
                    yield from parts_of(piece, most=_PAGE_ROWS)
            except RejectedError:
                _refuse_changed(export)
                raise
            _refuse_changed(export)
        finished = self._progress.files[file.name].finished()
        self._progress = self._progress.with_file(file.name, finished)

    def _start(self, file: ExportFile) -> FileProgress:
        before = self._progress.files.get(file.name)
        if before is None:
            return FileProgress(identity=file.identity)
        if before.identity == file.identity:
            return before
        return FileProgress(identity=file.identity, mark=before.mark)

    def _fits(self, records: pa.Table) -> bool:
        """Whether records can join those that wait for the page."""
        if not self._tables:
            return True
        if sum(table.num_rows for table in self._tables) + records.num_rows > _PAGE_ROWS:
            return False
        if sum(table.nbytes for table in self._tables) + records.nbytes > _PAGE_BYTES:
            return False
        types = {field.name: field.type for table in self._tables for field in _typed(table.schema)}
        return all(
            types.get(field.name, field.type) == field.type for field in _typed(records.schema)
        )

    def _add(self, file: ExportFile, piece: Piece) -> None:
        progress = self._progress.files[file.name]
        records = restored(file.name, piece.records)
        top = progress.highest
        own = self._options.updated_at
        if own is not None and not self._options.complete:
            times = read_update_times(records[own], self._options.updated_at_format)
            top = higher(top, times.highest(self._now))
            if progress.mark is not None:
                records = records.filter(times.at_or_after(progress.mark))
        self._tables.append(records.select(self._handed_out(records.column_names)))
        progress = replace(
            progress,
            rows=piece.rows,
            problems=progress.problems or PROBLEM in piece.records.column_names,
            highest=top,
        )
        self._progress = self._progress.with_file(file.name, progress)

    def _handed_out(self, columns: Sequence[str]) -> list[str]:
        """The columns without the one that only we have read."""
        asked = {*self._request.columns, *self._request.key}
        return [name for name in columns if name in asked or name != self._options.updated_at]

    def _page(self, *, last: bool = False) -> Page:
        records = pa.concat_tables([self._no_records(), *self._tables], promote_options="default")
        self._tables = []
        snapshot = None
        if self._options.complete:
            assert self._progress.snapshot is not None  # noqa: S101  a listing was begun
            # A row that could not be read may be any record, so nothing is taken for deleted.
            readable = not any(file.problems for file in self._progress.files.values())
            snapshot = Snapshot(id=self._progress.snapshot, last=last and readable)
        if last:
            self._progress = replace(self._progress, snapshot=None)
        return Page(
            records=_without_null_types(records), cursor=self._progress.cursor(), snapshot=snapshot
        )

    def _no_records(self) -> pa.Table:
        fields = [pa.field(column, pa.null()) for column in self._handed_out(self._columns)]
        fields += [pa.field(ORIGIN, pa.string()), pa.field(ROW, pa.int64())]
        return pa.schema(fields).empty_table()


def _refuse_unreadable(export: OpenExport, piece: Piece) -> None:
    """Where nothing at the start of a file can be read, it is the file, not its rows."""
    if piece.readable or not piece.records.num_rows:
        return
    problem = piece.records[PROBLEM][0].as_py()
    all_of_them = f"; so it is with all rows down to row {piece.rows}" if piece.rows > 1 else ""
    raise RejectedError(
        f"{problem}{all_of_them}",
        origin=export.file.name,
        row=piece.records[ROW][0].as_py(),
    )


def _refuse_changed(export: OpenExport) -> None:
    if identity_of(os.fstat(export.handle.fileno())) != export.file.identity:
        raise TransientError(
            f"{export.file.shown} changed while it was read; it is read again at the next sync"
        )


def _typed(schema: pa.Schema) -> list[pa.Field]:
    """The fields that have a type; a column in which all is null has none yet."""
    return [field for field in schema if not pa.types.is_null(field.type)]


def _without_null_types(records: pa.Table) -> pa.Table:
    fields = [
        field.with_type(pa.string()) if pa.types.is_null(field.type) else field
        for field in records.schema
    ]
    return records.cast(pa.schema(fields))
