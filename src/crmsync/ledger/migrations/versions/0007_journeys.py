"""Journeys: what became of steps that make nothing, when the next one is due, goals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.add_column(
        "enrolment", sa.Column("goal", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("enrolment", sa.Column("next_step", sa.Text))
    op.add_column("enrolment", sa.Column("next_due_at", sa.DateTime(timezone=True)))
    op.create_table(
        "step_outcome",
        sa.Column("enrolment_id", sa.Integer, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("result", sa.String(20), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["enrolment_id"], ["enrolment.id"], name="fk_step_outcome_enrolment_id"
        ),
        sa.PrimaryKeyConstraint("enrolment_id", "step", name="pk_step_outcome"),
    )
