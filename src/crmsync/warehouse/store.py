"""The warehouse: one DuckDB file, read by many or written by one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import sqlglot.expressions as sge

from crmsync.model.tables import CANONICAL_TABLES
from crmsync.warehouse.changes import ChangeLog
from crmsync.warehouse.database import BOOKS, RECORDS, Database, equals, named, store_errors
from crmsync.warehouse.locking import file_lock
from crmsync.warehouse.meanings import meanings_anew
from crmsync.warehouse.merge import Merge
from crmsync.warehouse.reader import Records
from crmsync.warehouse.schema import (
    STREAM_STATE,
    ensure_schema,
    is_current,
    knows_all_migrations,
)
from crmsync.warehouse.texts import QueryTexts
from crmsync.warehouse.twins import write_twins
from crmsync.warehouse.types import arrow_instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from crmsync.model.tables import Table
    from crmsync.warehouse.batch import Batch, MappingDigest, Merged
    from crmsync.warehouse.twins import Pairs, TwinState
    from crmsync.warehouse.types import StreamTables

_States = dict[tuple[str, str], dict[str, str | None]]  # rows by connection and stream

Stamp = tuple[tuple[int, int] | None, ...]

_WAIT = timedelta(seconds=60)
_INSTANTS = ("read_at", "written_at", "really_at")


@dataclass(frozen=True, kw_only=True)
class ReadNote:
    """How a read of a stream ended.

    Attributes:
        read_at: the instant at which a read that reached the end began; None keeps what was
            noted before.
        written_at, really_at: as of `StreamState`.
        error: why it did not reach the end.
    """

    connection: str
    stream: str
    table: str
    read_at: datetime | None = None
    written_at: datetime | None = None
    really_at: datetime | None = None
    error: str | None = None


class Writer:
    """The warehouse open for merging; nobody else can read or write until its ``with`` ends."""

    def __init__(
        self, database: Database, tables: Mapping[str, Table], streams: StreamTables
    ) -> None:
        self._database = database
        self._tables = tables
        self._streams = streams

    def merge(self, batch: Batch, *, now: datetime) -> Merged:
        """Merge a batch and commit it together with its cursor.

        Raises:
            RejectedError: a listing would delete all or most of the stream; nothing is written.
            StoreError: the file cannot be written; nothing of the batch is.
        """
        streams = [
            stream
            for (connection, stream), table in self._streams.items()
            if connection == batch.connection and table == batch.table
        ]
        with self._writing():
            merged = Merge(self._database, self._tables, batch, now, streams).run()
            states = self._states()
            _change(states, batch.connection, batch.stream, batch.table, cursor=batch.cursor)
            self._keep_states(states, [(batch.connection, batch.stream)])
        return merged

    def note_reads(self, notes: Sequence[ReadNote]) -> None:
        """Note how reads of streams ended; the cursors stay.

        Raises:
            StoreError: the file cannot be written.
        """
        with self._writing():
            states = self._states()
            for note in notes:
                _change(states, note.connection, note.stream, note.table, error=note.error)
                if note.read_at is not None:
                    state = states[note.connection, note.stream]
                    for name in _INSTANTS:
                        at: datetime | None = getattr(note, name)
                        state[name] = None if at is None else at.isoformat()
            self._keep_states(states, [(note.connection, note.stream) for note in notes])

    def begin_anew(
        self,
        connection: str,
        mappings: Mapping[str, tuple[str, MappingDigest]],
        *,
        now: datetime,
    ) -> None:
        """Forget the cursors of streams whose mapping is new, and keep table and mapping of each.

        Where its ids are made in another way, what a stream gave under the old ones is deleted; it
        comes back if it is still there. Where ``updated_at`` is made in another way, the old times
        are forgotten: held against them, what is read now could seem late.

        Raises:
            StoreError: the file cannot be written.
        """
        with self._writing():
            states = self._states()
            for stream, (table, mapping) in mappings.items():
                ChangeLog(self._database).note_whole(table)
                kept = states.get((connection, stream))
                if kept and kept["mapping_of_ids"] != mapping.ids:
                    self._rewrite(str(kept["table_name"]), connection, stream, deleted_at=now)
                elif kept and kept["mapping_of_times"] != mapping.times:
                    self._rewrite(table, connection, stream, updated_at=None)
                said = {"mapping": mapping.whole, "mapping_of_ids": mapping.ids}
                said |= {"mapping_of_times": mapping.times}
                first = not kept or kept["mapping"] is None
                before = kept["meanings"] if kept else None
                said |= {"meanings": meanings_anew(before, mapping.fields, now, first=first)}
                _change(states, connection, stream, table, cursor=None, **said)
            self._keep_states(states, [(connection, stream) for stream in mappings])

    def link_twins(self, pairs: Pairs, state: TwinState) -> None:
        """Let some records stand for others, in the place of what did before.

        Raises:
            StoreError: the file cannot be written.
        """
        with self._writing():
            write_twins(self._database, ChangeLog(self._database), pairs, state)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with store_errors(self._database.path, "written"), self._database.transaction():
            yield

    def _rewrite(
        self, table: str, connection: str, stream: str, **instants: datetime | None
    ) -> None:
        """Set columns of the live records that a stream has given."""
        if table not in self._tables:
            return
        live = equals(connection=connection, stream=stream)
        select = sge.select("*").from_(named(table, RECORDS)).where(live)
        rows = self._database.fetch(select.where(sge.column("deleted_at").is_(sge.null())))
        for name, instant in instants.items():
            values = pa.repeat(arrow_instant(instant), rows.num_rows)
            rows = rows.set_column(rows.column_names.index(name), name, values)
        ChangeLog(self._database).note(table, rows["id"])
        self._database.delete_ids(table, RECORDS, rows["id"])
        self._database.insert(table, RECORDS, rows)

    def _states(self) -> _States:
        rows = self._database.fetch(sge.select("*").from_(named(STREAM_STATE, BOOKS)))
        for name in _INSTANTS:
            place = rows.column_names.index(name)
            rows = rows.set_column(place, name, rows[name].cast(pa.string()))
        return {(row["connection"], row["stream"]): row for row in rows.to_pylist()}

    def _keep_states(self, states: _States, streams: Collection[tuple[str, str]]) -> None:
        """Write the states of these streams."""
        mine = [equals(connection=connection, stream=stream) for connection, stream in streams]
        if mine:
            self._database.delete(STREAM_STATE, BOOKS, sge.or_(*mine))
            self._database.insert_texts(STREAM_STATE, BOOKS, [states[key] for key in streams])


def _change(
    states: _States, connection: str, stream: str, table: str, **changes: str | None
) -> None:
    state = states.setdefault((connection, stream), dict.fromkeys(_INSTANTS))
    state |= {"connection": connection, "stream": stream, "table_name": table} | changes


class Warehouse:
    """A DuckDB file and the lock beside it.

    Args:
        path: the file; made when it is first needed.
        tables: the canonical tables, an installation's custom fields included.
        streams: the table of each stream of the config, by connection and stream.
        texts: where compiled queries are kept, from one opening to the next.
    """

    def __init__(
        self,
        path: Path,
        tables: Mapping[str, Table] | None = None,
        streams: StreamTables | None = None,
        texts: QueryTexts | None = None,
    ) -> None:
        self.path = path
        self.tables = dict(CANONICAL_TABLES if tables is None else tables)
        self._streams = dict(streams or {})
        self._lock = path.with_name(path.name + ".lock")
        self._current: tuple[int, int] | None = None  # the file whose schema we know to be current
        self.texts = QueryTexts() if texts is None else texts

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
                if not self._is_known_current(database):
                    with store_errors(self.path, "written"), database.transaction():
                        ensure_schema(database, self.tables)
                    self._current = self._identity()
                yield Writer(database, self.tables, self._streams)
            finally:
                database.close()

    def stamp(self) -> Stamp:
        """Another one once anything was written; costs no opening."""
        found: list[tuple[int, int] | None] = []
        for path in (self.path, self.path.with_name(self.path.name + ".wal")):
            try:
                status = path.stat()
            except FileNotFoundError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_size))
        return tuple(found)

    @property
    def _called(self) -> str:
        return f"the warehouse {self.path}"

    def _identity(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_dev, found.st_ino

    def _is_known_current(self, database: Database) -> bool:
        """Whether it is the file that we looked at before, and nobody has migrated it since."""
        if self._current != self._identity():
            return False
        with store_errors(self.path, "read"):
            return knows_all_migrations(database)

    @contextmanager
    def _open_current(self) -> Iterator[Database | None]:
        """The file for reading, or None where it has first to be made current."""
        if not self.path.exists():
            yield None
            return
        with store_errors(self.path, "read"):
            database = Database(self.path, read_only=True, texts=self.texts)
        try:
            if not self._is_known_current(database):
                with store_errors(self.path, "read"):
                    current = is_current(database, self.tables)
                self._current = self._identity() if current else None
            yield database if self._current is not None else None
        finally:
            database.close()
