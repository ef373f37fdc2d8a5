"""Since when an enrolment's conditions hold: what ``for`` in a rule counts from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.add_column("enrolment", sa.Column("holds_since", sa.DateTime(timezone=True)))
