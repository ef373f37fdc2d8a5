"""Effects that are moved alike share a line of history; no index that only an undo would use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "history",
        sa.Column("effect_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("transition_id", sa.Integer, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("effect_id", "transition_id", name="pk_history"),
        sqlite_with_rowid=False,
    )
    numbers = ("effect_id", "id")
    line = sa.table("transition", *[sa.column(name, sa.Integer) for name in numbers])
    pair = sa.table("history", sa.column("effect_id"), sa.column("transition_id"))
    lines = sa.select(line.c.effect_id, line.c.id).order_by(line.c.effect_id, line.c.id)
    op.execute(sa.insert(pair).from_select(["effect_id", "transition_id"], lines))
    op.drop_index("ix_transition_effect_id", "transition")
    op.drop_column("transition", "effect_id")
    op.drop_index("ix_effect_run_id", "effect")
