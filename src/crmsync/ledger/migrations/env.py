"""Run by Alembic, within the transaction that ``crmsync.ledger.migrate`` has begun."""

from __future__ import annotations

from alembic import context

from crmsync.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction is the one that counts
    render_as_batch=True,  # SQLite changes a table by making it anew
)
context.run_migrations()
