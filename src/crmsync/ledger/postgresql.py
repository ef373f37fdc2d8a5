"""The ledger in a PostgreSQL schema: for any number of processes, on any number of machines."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from crmsync.clock import readable
from crmsync.errors import (
    CrmsyncError,
    StoreBusyError,
    StoreError,
    StoreUnreachableError,
)
from crmsync.ledger.engine import BUSY, Database, Sole
from crmsync.ledger.locks import THIS_SCHEMA, Lock, hold_until_the_end
from crmsync.ledger.payload import load
from crmsync.observe import remember_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    import psycopg

_LOCKS = {Sole.EVALUATOR: Lock.EVALUATOR, Sole.DAEMON: Lock.DAEMON}

# SQLSTATE: the server is stopping, or has no connection left.
_PASSING = frozenset({"57P01", "57P02", "57P03", "53300"})
# While a connection is made there is no SQLSTATE, only words.
_PASSING_WORDS = ("starting up", "shutting down", "too many", "refused", "No such file")
_SENTENCES = {
    "42501": "does not allow this user what crmsync needs: give it a schema of its own",
    "25006": "may only be read; name the primary with “ledger” in the config",
    "53100": "is on a full disk; nothing of this step was recorded; make room and run again",
}
_BUSY = frozenset({"55P03", "40P01", "40001"})  # lock time-out, deadlock, serialization


class PostgresDatabase(Database):
    """A database on a server; its tables are in the first schema of the search path.

    Args:
        url: ``postgresql://user:password@host:port/database?key=value``, as libpq reads it.
        wait_seconds: how long to wait for a held lock, and for a server that is starting.

    Raises:
        StoreError: the URL is none, or the driver is not installed.
    """

    def __init__(self, url: str, *, wait_seconds: float) -> None:
        parsed = _parse(url)
        self.name = f"the database “{parsed.database or parsed.username or ''}”"
        if parsed.host:
            self.name += f" at {parsed.host}"
        self.engine = _make_engine(parsed, wait_seconds=wait_seconds)

    def reads_only(self, connection: sa.Connection) -> sa.Connection:
        """A transaction whose statements all see the state at its first."""
        return connection.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    def hold_migrations(self, connection: sa.Connection) -> None:
        """By an advisory lock that ends with the transaction."""
        hold_until_the_end(connection, Lock.MIGRATIONS)

    @contextmanager
    def alone(self, sole: Sole, *, since: datetime) -> Iterator[Callable[[], None]]:
        """By an advisory lock of a session of its own: it ends with the process."""
        held = _Held(self, sole, since)
        try:
            held.take()
            try:
                yield held.keep
            finally:
                held.let_go()
        except DBAPIError as error:
            raise self.sentence(error.orig) from error

    def who(self, sole: Sole, *, now: datetime) -> str | None:
        """By the server's list of locks."""
        with self.reading() as connection:
            return _holder(connection, int(_LOCKS[sole]), now)

    def sentence(
        self,
        cause: BaseException | None,
        *,
        committing: bool = False,
    ) -> CrmsyncError:
        """What PostgreSQL said, as a sentence for the person who must act."""
        state = getattr(cause, "sqlstate", None) or ""
        if state in _BUSY:
            return StoreBusyError(
                f"another process is writing to {self.name}; "
                "wait until it has ended, then try again"
            )
        if state in _SENTENCES:
            return StoreError(f"{self.name} {_SENTENCES[state]}")
        if _is_lost(cause):
            refusal = _words(cause).partition("FATAL:")[2].strip()
            if refusal and not _may_pass(cause):
                return StoreError(
                    f"{self.name} lets nobody in: {refusal}; look at “ledger” in the config"
                )
            if committing:
                return StoreError(
                    f"the connection to {self.name} broke while a step was being recorded; "
                    "it was recorded as a whole or not at all; run again, which finds out"
                )
            return StoreUnreachableError(
                f"{self.name} cannot be reached ({_words(cause)}); nothing of this step was "
                "recorded; see that the server runs, and try again"
            )
        return StoreError(f"{self.name} could not be read or written: {_words(cause)}")


class _Held:
    """A lock of a session of its own; it is gone when the server has ended that session."""

    def __init__(self, database: PostgresDatabase, sole: Sole, since: datetime) -> None:
        self._database = database
        self._sole = sole
        self._since = since
        self._lock = int(_LOCKS[sole])
        self._connection: sa.Connection | None = None
        self._session = 0

    def take(self) -> None:
        """In a new session.

        Raises:
            StoreBusyError: another session has it.
        """
        connection = self._connection = self._database.engine.connect()
        connection.execution_options(isolation_level="AUTOCOMMIT")
        asked = sa.select(
            sa.func.pg_try_advisory_lock(self._lock, THIS_SCHEMA), sa.func.pg_backend_pid()
        )
        taken, self._session = connection.execute(asked).one()
        if not taken:
            holder = _holder(connection, self._lock, self._since) or "one that ended just now"
            self._close()
            told = BUSY[self._sole].format(name=self._database.name, holder=holder)
            raise StoreBusyError(told)

    def keep(self) -> None:
        """Take it again where its session was lost."""
        # Not asked in its own session, whose last change of state says since when it is held.
        mine = sa.select(_LOCK_TABLE.c.pid).where(_is_held(self._lock))
        with self._database.reading() as connection:
            if connection.scalar(mine.where(_LOCK_TABLE.c.pid == self._session)) is not None:
                return
        if self._connection is not None:
            self._connection.invalidate()
        self._close()
        try:
            self.take()
        except DBAPIError as error:
            raise self._database.sentence(error.orig) from error

    def let_go(self) -> None:
        """Give it back."""
        if self._connection is None:
            return
        unlock = sa.select(sa.func.pg_advisory_unlock(self._lock, THIS_SCHEMA))
        try:
            self._connection.execute(unlock)
        except DBAPIError:
            self._connection.invalidate()  # a lock ends with its session
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):  # whose words would repeat the URL, with its password
        parsed = sa.URL.create("none")
    if parsed.drivername not in {"postgresql", "postgres"}:
        raise StoreError(
            "the ledger's URL is none of a PostgreSQL database; "
            "write postgresql://USER@HOST/DATABASE"
        )
    if parsed.password:
        remember_secret(str(parsed.password))
    return parsed.set(drivername="postgresql+psycopg")


def _make_engine(url: sa.URL, *, wait_seconds: float) -> sa.Engine:
    try:
        engine = sa.create_engine(
            url,
            # What a writer reads it locks, row by row (see `claims`), so that this suffices.
            isolation_level="READ COMMITTED",
            # A connection that died while it lay in the pool is replaced before it is used.
            pool_pre_ping=True,
            hide_parameters=True,
            json_deserializer=load,
            connect_args={
                "application_name": f"crmsync, process {os.getpid()} on {socket.gethostname()}"[
                    :63
                ],
                "client_encoding": "utf8",
            },
        )
    except ModuleNotFoundError as error:
        raise StoreError(
            "a ledger on PostgreSQL needs the driver psycopg: install crmsync[postgres]"
        ) from error

    @sa.event.listens_for(engine, "do_connect")
    def _connect(
        _dialect: object, _record: object, arguments: tuple[Any, ...], options: dict[str, Any]
    ) -> psycopg.Connection[Any]:
        import psycopg  # noqa: PLC0415  only where it is installed

        # Nothing has happened yet, so a server that is just starting is waited for.
        for attempt in Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_delay(wait_seconds),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            reraise=True,
        ):
            with attempt:
                connection = psycopg.connect(*arguments, **options)
        return connection

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: psycopg.Connection[Any], _record: object) -> None:
        milliseconds = max(1, round(wait_seconds * 1000))
        connection.execute("SELECT set_config('TimeZone', 'UTC', false)")
        connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{milliseconds}ms"])
        connection.commit()

    return engine


_LOCK_TABLE = sa.table(
    "pg_locks", *map(sa.column, ("pid", "locktype", "classid", "objid", "granted", "database"))
)


def _is_held(lock: int) -> sa.ColumnElement[bool]:
    locks = _LOCK_TABLE.c
    this_schema = sa.cast(THIS_SCHEMA, sa.BigInteger).op("&")(0xFFFFFFFF)
    return sa.and_(
        locks.locktype == "advisory",
        locks.granted,
        locks.classid == lock,
        sa.cast(locks.objid, sa.BigInteger) == this_schema,
    )


def _holder(connection: sa.Connection, lock: int, since: datetime) -> str | None:
    """Which session has a lock, and since when; None where there is none."""
    sessions = sa.table(
        "pg_stat_activity", *map(sa.column, ("pid", "application_name", "state_change", "datname"))
    )
    # The lock's connection does nothing else, so its last change of state was then.
    row = connection.execute(
        sa.select(sessions.c.application_name, sessions.c.state_change)
        .join_from(_LOCK_TABLE, sessions, _LOCK_TABLE.c.pid == sessions.c.pid)
        .where(_is_held(lock), sessions.c.datname == sa.func.current_database())
    ).first()
    if row is None:
        return None
    if row.state_change is None:  # another role's sessions are not for everybody's eyes
        return str(row.application_name)
    begun: datetime = row.state_change
    return f"{row.application_name}, since {readable(begun.astimezone(since.tzinfo))}"


def _may_pass(error: BaseException | None) -> bool:
    """Whether it is worth waiting a little: the server refuses for now, or does not listen yet."""
    words = str(error)
    return getattr(error, "sqlstate", None) in _PASSING or any(
        sign in words for sign in _PASSING_WORDS
    )


def _is_lost(cause: BaseException | None) -> bool:
    """Whether the server ended the connection, or there was none."""
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state in _PASSING or state.startswith("08")
    # Without a state it is libpq that speaks: it has no connection, or none any more.
    return type(cause).__name__ == "OperationalError"


def _words(cause: BaseException | None) -> str:
    """The first line alone: the others may quote what was to be written."""
    primary = getattr(getattr(cause, "diag", None), "message_primary", None)
    lines = (primary or str(cause)).strip().splitlines()
    return str(lines[0]) if lines else type(cause).__name__
