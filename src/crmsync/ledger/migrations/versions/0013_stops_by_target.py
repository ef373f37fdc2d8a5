"""Whether anybody has said to leave an address or an account alone is asked before each mail."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_index("ix_stop_target", "stop", ["target"])
