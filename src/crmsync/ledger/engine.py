"""The SQLite engine: durable, patient with other processes, and clear when it cannot go on."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from crmsync.errors import CrmsyncError, StoreBusyError, StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_READS_ONLY = "crmsync_reads_only"
_MODE_ATTEMPTS = 50


def make_engine(path: Path, *, wait_seconds: float) -> sa.Engine:
    """An engine over the file: WAL, every commit flushed, ``wait_seconds`` for a held lock."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
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


@contextmanager
def writing(engine: sa.Engine, path: Path) -> Iterator[sa.Connection]:
    """One transaction that writes; all of it is kept, or nothing.

    Raises:
        StoreBusyError: another process held the lock for longer than the wait.
        StoreError: the file cannot be written.
    """
    with _as_store_errors(path), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: sa.Engine, path: Path) -> Iterator[sa.Connection]:
    """One consistent view of the ledger; waits for nobody.

    Raises:
        StoreError: the file cannot be read.
    """
    with _as_store_errors(path), engine.connect() as connection:
        yield connection.execution_options(**{_READS_ONLY: True})


@contextmanager
def _as_store_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, sa.exc.IntegrityError):
            raise
        raise store_error(error.orig, path) from error


def store_error(cause: Any, path: Path) -> CrmsyncError:  # noqa: ANN401  whatever the driver raised
    """What SQLite said, as a sentence for the person who must act."""
    name = getattr(cause, "sqlite_errorname", "")
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
        return StoreError(f"{path} cannot be opened for writing: {cause}; check its permissions")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreError(f"{path} is damaged or no ledger ({cause}); restore it from a backup")
    return StoreError(f"{path} could not be read or written: {cause}")
