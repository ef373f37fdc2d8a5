"""The warehouse: one DuckDB file, read by many or written by one."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa

from crmsync.model.tables import CANONICAL_TABLES
from crmsync.warehouse.database import BOOKS, Database, store_errors
from crmsync.warehouse.locking import file_lock
from crmsync.warehouse.merge import Merge
from crmsync.warehouse.reader import Records
from crmsync.warehouse.schema import STREAM_STATE, ensure_schema, is_current

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from crmsync.model.tables import Table
    from crmsync.warehouse.batch import Batch, Merged
    from crmsync.warehouse.reader import StreamTables

_WAIT = timedelta(seconds=60)


class Writer:
    """The warehouse open for merging; nobody else can read or write until its ``with`` ends."""

    def __init__(self, database: Database, tables: Mapping[str, Table]) -> None:
        self._database = database
        self._tables = tables

    def merge(self, batch: Batch, *, now: datetime) -> Merged:
        """Merge a batch and commit it together with its cursor.

        Raises:
            RejectedError: a listing would delete all or most of the stream; nothing is written.
            StoreError: the file cannot be written; nothing of the batch is.
        """
        with store_errors(self._database.path, "written"), self._database.transaction():
            merged = Merge(self._database, self._tables, batch, now).run()
            self._keep_state(batch.connection, batch.stream, batch.table, cursor=batch.cursor)
        return merged

    def note_read(
        self,
        connection: str,
        stream: str,
        table: str,
        *,
        read_at: datetime | None = None,
        error: str | None = None,
    ) -> None:
        """Note how a read of a stream ended.

        ``read_at`` is the instant at which a read that reached the end began; None keeps
        what was noted before, and so does the cursor.

        Raises:
            StoreError: the file cannot be written.
        """
        with store_errors(self._database.path, "written"), self._database.transaction():
            self._keep_state(connection, stream, table, read_at=read_at, error=error)

    def _keep_state(
        self,
        connection: str,
        stream: str,
        table: str,
        **changes: object,
    ) -> None:
        states = self._database.table(STREAM_STATE, BOOKS)
        mine = states.filter((states.connection == connection) & (states.stream == stream))
        kept = self._database.query(mine).to_pylist()
        row = kept[0] if kept else {}
        row |= {"connection": connection, "stream": stream, "table_name": table}
        row |= {k: v for k, v in changes.items() if v is not None or k == "error"}
        schema = ibis.schema(dict(states.schema())).to_pyarrow()
        with self._database.given("state", pa.Table.from_pylist([row], schema=schema)) as state:
            self._database.delete(STREAM_STATE, BOOKS, rows=state, on=["connection", "stream"])
            self._database.insert(STREAM_STATE, BOOKS, state)


class Warehouse:
    """A DuckDB file and the lock beside it.

    Args:
        path: the file; made when it is first needed.
        tables: the canonical tables, an installation's custom fields included.
        streams: the table of each stream of the config, by connection and stream.
    """

    def __init__(
        self,
        path: Path,
        tables: Mapping[str, Table] | None = None,
        streams: StreamTables | None = None,
    ) -> None:
        self.path = path
        self.tables = dict(CANONICAL_TABLES if tables is None else tables)
        self._streams = dict(streams or {})
        self._lock = path.with_name(path.name + ".lock")
        self._current: tuple[int, int] | None = None  # the file whose schema we know to be current

    @contextmanager
    def reading(self, wait: timedelta = _WAIT) -> Iterator[Records]:
        """The records as last committed; several processes can read at once.

        Raises:
            StoreBusyError: a merge still held the file after ``wait``.
            StoreError: the file cannot be read, or was written by a newer crmsync.
        """
        while True:
            with (
                file_lock(self._lock, exclusive=False, wait=wait, store=self._called),
                self._open_current() as database,
            ):
                if database is not None:
                    yield Records(database, self.tables, self._streams)
                    return
            with self.writing(wait):
                pass  # opening it for writing makes the schema current

    @contextmanager
    def writing(self, wait: timedelta = _WAIT) -> Iterator[Writer]:
        """The file for a merge, alone; the schema is made current first.

        Raises:
            StoreBusyError: somebody still held the file after ``wait``.
            StoreError: the file cannot be written, or was written by a newer crmsync.
        """
        with file_lock(self._lock, exclusive=True, wait=wait, store=self._called):
            with store_errors(self.path, "written"):
                database = Database(self.path, read_only=False)
            try:
                if self._current != self._identity():
                    with store_errors(self.path, "written"), database.transaction():
                        ensure_schema(database, self.tables)
                    self._current = self._identity()
                yield Writer(database, self.tables)
            finally:
                database.close()

    @property
    def _called(self) -> str:
        return f"the warehouse {self.path}"

    def _identity(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    @contextmanager
    def _open_current(self) -> Iterator[Database | None]:
        """The file for reading, or None where it has first to be made current."""
        if not self.path.exists():
            yield None
            return
        with store_errors(self.path, "read"):
            database = Database(self.path, read_only=True)
        try:
            if self._current != self._identity():
                with store_errors(self.path, "read"):
                    current = is_current(database, self.tables)
                self._current = self._identity() if current else None
            yield database if self._current is not None else None
        finally:
            database.close()
