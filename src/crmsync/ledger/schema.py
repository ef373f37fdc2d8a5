"""The ledger's tables, in portable SQLAlchemy Core.

Whoever changes them adds a migration; a test holds the two against each other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class Instant(TypeDecorator[datetime]):
    """An aware datetime; UTC in the database, also where that knows no zones (SQLite)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Into the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the ledger takes aware instants only")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Out of the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("finished_at", Instant),
    sa.Column("counts", sa.JSON, nullable=False),
    sa.Column("error", sa.Text),
    # Of an undo: which run, who wanted it, and why.
    sa.Column("undoes", sa.Integer),
    sa.Column("said_by", sa.Text),
    sa.Column("reason", sa.Text),
)

rule_state = sa.Table(
    "rule_state",
    metadata,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("first_seen_at", Instant, nullable=False),
    sa.Column("asks", sa.String(20)),
)

# What rules asked and did, by their version, for those who go by an earlier one.
rule_text = sa.Table(
    "rule_text",
    metadata,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("version", sa.String(20), primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("first_seen_at", Instant, nullable=False),
)

enrolment = sa.Table(
    "enrolment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("rule_version", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("steps", sa.JSON, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("entered_at", Instant, nullable=False),
    sa.Column("holds_since", Instant),
    sa.Column("ended_at", Instant),
    sa.Column("end_reason", sa.Text),
    sa.Column("goal", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("next_step", sa.Text),
    sa.Column("next_due_at", Instant),
    # In which it entered.
    sa.Column("run_id", sa.Integer),
    sa.UniqueConstraint("rule", "key"),
    sa.Index(None, "status"),
    sa.Index(None, "subject"),
)

step_outcome = sa.Table(
    "step_outcome",
    metadata,
    sa.Column("enrolment_id", sa.Integer, sa.ForeignKey("enrolment.id"), primary_key=True),
    sa.Column("step", sa.Text, primary_key=True),
    sa.Column("result", sa.String(20), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

effect = sa.Table(
    "effect",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("key", sa.String(80), nullable=False),
    sa.Column("run_id", sa.Integer, sa.ForeignKey("run.id"), nullable=False),
    sa.Column("enrolment_id", sa.Integer, sa.ForeignKey("enrolment.id"), nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("connection", sa.Text, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("in_doubt", sa.Boolean, nullable=False),
    sa.Column("not_before", Instant),
    sa.Column("worker", sa.Text),
    sa.Column("lease_until", Instant),
    sa.Column("remote_id", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.UniqueConstraint("key"),
    # A claim walks this one from its beginning, so its cost does not grow with the backlog, nor
    # with what waits for its time. It is the only one that a move touches.
    sa.Index(None, "state", "connection", "not_before", "id"),
    sa.Index(None, "enrolment_id"),
)

# Both engines use its index only where a query says it in these very words.
SENT_MAIL = sa.and_(
    effect.c.kind == sa.literal_column("'email'"),
    effect.c.state.in_([sa.literal_column("'done'"), sa.literal_column("'uncertain'")]),
)
sa.Index(
    "ix_effect_sent_mail",
    effect.c.connection,
    effect.c.updated_at,
    sqlite_where=SENT_MAIL,
    postgresql_where=SENT_MAIL,
)

# Effects that are moved together, in the same way and for the same reason, share a line.
transition = sa.Table(
    "transition",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("before", sa.String(20)),
    sa.Column("after", sa.String(20), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
)

# Which effects were moved by which transitions: the most written table of all, so it is narrow.
# Written in one transaction with both, which are never deleted; on PostgreSQL a foreign key would
# be half of what a line costs.
history = sa.Table(
    "history",
    metadata,
    sa.Column("effect_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("transition_id", sa.Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

decision = sa.Table(
    "decision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.Integer, sa.ForeignKey("run.id"), nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("step", sa.Text),
    sa.Column("answer", sa.String(20), nullable=False),
    sa.Column("gate", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("until", Instant),
    sa.Column("at", Instant, nullable=False),
    sa.Index(None, "run_id"),
    sa.Index(None, "subject"),
)

connection_pause = sa.Table(
    "connection_pause",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("until", Instant, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

# A line for each word of a person; never deleted, so it is known later who said what, and when.
stop = sa.Table(
    "stop",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("said_by", sa.Text, nullable=False),
    sa.Column("said_at", Instant, nullable=False),
    sa.Column("until", Instant),
    sa.Column("lifted_by", sa.Text),
    sa.Column("lifted_at", Instant),
    # Asked before each mail.
    sa.Index(None, "target"),
)

# What the daemon tells others, and itself after a restart.
daemon_note = sa.Table(
    "daemon_note",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)

# What people have said about effects that await approval, and about enrolments that are previewed.
review = sa.Table(
    "review",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("effect_id", sa.Integer, sa.ForeignKey("effect.id")),
    sa.Column("enrolment_id", sa.Integer, sa.ForeignKey("enrolment.id")),
    sa.Column("said_by", sa.Text, nullable=False),
    sa.Column("said_at", Instant, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    # The action as the person saw it, or as they worded it.
    sa.Column("payload", sa.JSON),
    sa.Index(None, "effect_id"),
    sa.Index(None, "enrolment_id"),
)
