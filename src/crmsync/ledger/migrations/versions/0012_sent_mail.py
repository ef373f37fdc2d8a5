"""The mails of the last minute are found without a look at all that was ever sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_SENT = sa.text("kind = 'email' AND state IN ('done', 'uncertain')")


def upgrade() -> None:
    """Apply the change."""
    op.create_index(
        "ix_effect_sent_mail",
        "effect",
        ["connection", "updated_at"],
        sqlite_where=_SENT,
        postgresql_where=_SENT,
    )
