"""The locks that PostgreSQL keeps by number, and frees when a transaction or a session ends."""

from __future__ import annotations

from enum import IntEnum

import sqlalchemy as sa


class Lock(IntEnum):
    """What they are called there, beside `THIS_SCHEMA`."""

    EVALUATOR = 1_668_443_001
    MIGRATIONS = 1_668_443_002
    DAEMON = 1_668_443_003
    WORDS = 1_668_443_004


# The number of the schema in which the tables are: two ledgers in one database do not wait for
# each other.
THIS_SCHEMA = sa.func.hashtext(sa.func.current_schema())


def hold_until_the_end(connection: sa.Connection, lock: Lock) -> None:
    """Wait for a lock and keep it until the transaction ends."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(int(lock), THIS_SCHEMA)))
