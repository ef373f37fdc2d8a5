"""Brings a ledger to this version's schema when it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config

# The last migration. Known here so that opening an up-to-date ledger need not import Alembic;
# a test holds it against the migrations.
SCHEMA_REVISION = "0013"


def is_current(connection: sa.Connection) -> bool:
    """Whether nothing is to be done: asked first, because it needs no lock."""
    return _revision(connection) == SCHEMA_REVISION


def migrate(connection: sa.Connection, name: str) -> None:
    """Run the migrations that are missing, in the connection's transaction.

    Args:
        name: what sentences call the ledger.

    Raises:
        StoreError: the ledger is newer than this version of crmsync.
    """
    revision = _revision(connection)
    if revision == SCHEMA_REVISION:  # another process was quicker
        return
    from alembic import command  # noqa: PLC0415  slow to import, and seldom needed
    from alembic.script import ScriptDirectory  # noqa: PLC0415  likewise

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreError(
            f"{name} was written by a newer version of crmsync (its schema is {revision}, "
            f"this one knows {SCHEMA_REVISION}); update crmsync, or open a copy made before"
        )
    command.upgrade(config, "head")


def alembic_config(connection: sa.Connection) -> Config:
    """Alembic's configuration, without a file: the shipped migrations on this connection."""
    from alembic.config import Config  # noqa: PLC0415  slow to import, and seldom needed

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version = sa.table("alembic_version", sa.column("version_num", sa.String))
    return connection.scalar(sa.select(version.c.version_num))
