"""One index for claims and states, that also passes over what waits for its time."""

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
