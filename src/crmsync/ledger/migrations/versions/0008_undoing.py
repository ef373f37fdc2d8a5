"""Undoing a run: in which run a subject entered, which run was undone, by whom and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.add_column("enrolment", sa.Column("run_id", sa.Integer))
    op.add_column("run", sa.Column("undoes", sa.Integer))
    op.add_column("run", sa.Column("said_by", sa.Text))
    op.add_column("run", sa.Column("reason", sa.Text))
