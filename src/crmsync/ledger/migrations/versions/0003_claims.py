"""Cheaper moves: one index for claims and states, no foreign key for each line of history."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.drop_index("ix_effect_connection_state_id", "effect")
    op.drop_index("ix_effect_state", "effect")
    op.create_index(
        "ix_effect_state_connection_not_before_id",
        "effect",
        ["state", "connection", "not_before", "id"],
    )
    with op.batch_alter_table("transition") as batch_op:
        batch_op.drop_constraint("fk_transition_effect_id", type_="foreignkey")
