"""The texts of rules by their version, for those inside who go by an earlier one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "rule_text",
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rule", "version", name="pk_rule_text"),
    )
