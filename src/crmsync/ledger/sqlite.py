"""The ledger in a SQLite file: durable, and patient with other processes."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.clock import readable
from crmsync.errors import CrmsyncError, StoreBusyError, StoreError
from crmsync.ledger.engine import BUSY, Database
from crmsync.ledger.payload import load

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crmsync.ledger.engine import Sole

_READS_ONLY = "crmsync_reads_only"
_MODE_ATTEMPTS = 50


class SqliteDatabase(Database):
    """A file in WAL mode, every commit flushed.

    Args:
        path: the file; its folder must exist.
        wait_seconds: how long to wait for a held lock.

    Raises:
        StoreError: there is no such folder.
    """

    def __init__(self, path: Path, *, wait_seconds: float) -> None:
        if not path.parent.is_dir():
            raise StoreError(f"{path} cannot be made: the folder {path.parent} does not exist")
        self.path = path
        self.name = str(path)
        self.engine = _make_engine(path, wait_seconds=wait_seconds)

    def reads_only(self, connection: sa.Connection) -> sa.Connection:
        """A transaction without the writer's lock: it sees the file as it was when it began."""
        return connection.execution_options(**{_READS_ONLY: True})

    def hold_migrations(self, connection: sa.Connection) -> None:
        """Nothing: whoever writes has the whole file already."""

    @contextmanager
    def alone(self, sole: Sole, *, since: datetime) -> Iterator[Callable[[], None]]:
        """By a lock file: the kernel's locks end with the process, so none is ever left behind."""
        path = self._lock_file(sole)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(descriptor, since)
                raise StoreBusyError(BUSY[sole].format(name=self.name, holder=holder)) from None
            note = f"{os.getpid()} {socket.gethostname()} {since.isoformat()}"
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, note.encode(), 0)
            yield lambda: None  # nobody can take it away
        finally:
            os.close(descriptor)  # which also gives the lock back

    def who(self, sole: Sole, *, now: datetime) -> str | None:
        """By trying for a share of the lock, which is given back at once."""
        try:
            descriptor = os.open(self._lock_file(sole), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(descriptor, now)
        else:
            return None
        finally:
            os.close(descriptor)

    def _lock_file(self, sole: Sole) -> Path:
        return self.path.with_name(f"{self.path.name}.{sole}")

    def sentence(
        self,
        cause: BaseException | None,
        *,
        committing: bool = False,  # noqa: ARG002  SQLite knows: what failed was not kept
    ) -> CrmsyncError:
        """What SQLite said, as a sentence for the person who must act."""
        name, path = getattr(cause, "sqlite_errorname", ""), self.name
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreBusyError(
                f"another process is writing to {path}; wait until it has ended, then try again"
            )
        if name.startswith("SQLITE_FULL"):
            return StoreError(
                f"the disk with {path} is full; nothing of this step was recorded; "
                "make room and run again"
            )
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            return StoreError(
                f"{path} cannot be opened for writing: {cause}; check its permissions"
            )
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            return StoreError(f"{path} is damaged or no ledger ({cause}); restore it from a backup")
        return StoreError(f"{path} could not be read or written: {cause}")


def _make_engine(path: Path, *, wait_seconds: float) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        json_deserializer=load,
        connect_args={"timeout": wait_seconds, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own idea of when a transaction begins comes too late for SELECT;
        # `_begin` does it instead.
        connection.isolation_level = None
        _write_ahead(connection, wait_seconds)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes the lock before it reads, so that what it read still holds when it writes.
        reads_only = connection.get_execution_options().get(_READS_ONLY, False)
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


def _write_ahead(connection: sqlite3.Connection, wait_seconds: float) -> None:
    """Switch to WAL. SQLite does not wait for other processes here, so we do."""
    for attempt in range(_MODE_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except Exception as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_BUSY" or (
                attempt == _MODE_ATTEMPTS - 1
            ):
                raise
            time.sleep(wait_seconds / _MODE_ATTEMPTS)
        else:
            return


def _holder(descriptor: int, since: datetime) -> str:
    """Who wrote the note in the lock file; it may just be about to."""
    words = os.pread(descriptor, 1000, 0).decode(errors="replace").split()
    if len(words) != 3:  # noqa: PLR2004  process, host, instant
        return "one that began just now"
    process, host, instant = words
    begun = datetime.fromisoformat(instant).astimezone(since.tzinfo)
    return f"process {process} on {host}, since {readable(begun)}"
