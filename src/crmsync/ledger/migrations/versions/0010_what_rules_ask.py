"""What each rule asked when it was last evaluated, to notice one that asks something else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.add_column("rule_state", sa.Column("asks", sa.String(20)))
