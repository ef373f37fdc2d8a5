"""What waits for its time, what there is by kind, and what the daemon has noted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync.ledger.effects import IS_STEP
from crmsync.ledger.schema import (
    connection_pause,
    daemon_note,
    decision,
    effect,
    enrolment,
    history,
    transition,
)
from crmsync.ledger.states import WAITING, State
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.ledger.values.runs import Answer
from crmsync.model.actions import ActionKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

# Topics of notes.
WAKE_NOTE, REFUSED_NOTE = "wake", "refused files"

_WAITS = (str(State.DEFERRED), str(State.READY))


@dataclass(frozen=True, kw_only=True)
class Note:
    """What the daemon has noted about a topic, and the instant (UTC) that it is about."""

    at: datetime
    text: str = ""


def next_instant(connection: sa.Connection, *, after: datetime) -> datetime | None:
    """When the first effect that waits comes due, or a connection may be called again."""
    due = sa.select(sa.func.min(effect.c.not_before)).where(
        effect.c.state.in_(_WAITS), effect.c.not_before > after
    )
    paused = sa.select(sa.func.min(connection_pause.c.until)).where(
        connection_pause.c.until > after
    )
    found = (connection.scalar(due), connection.scalar(paused))
    return min((instant for instant in found if instant is not None), default=None)


def due_between(
    connection: sa.Connection, *, after: datetime, until: datetime
) -> Mapping[datetime, int]:
    """How many effects that wait come due, by full hour (UTC)."""
    rows = connection.scalars(
        sa.select(effect.c.not_before).where(
            effect.c.state.in_(_WAITS), effect.c.not_before > after, effect.c.not_before <= until
        )
    )
    hours = Counter(instant.replace(minute=0, second=0, microsecond=0) for instant in rows)
    return dict(sorted(hours.items()))


def steps_due_between(
    connection: sa.Connection, *, after: datetime, until: datetime
) -> Mapping[datetime, int]:
    """How many enrolments wait for the time of their next step, by full hour (UTC)."""
    rows = connection.scalars(
        sa.select(enrolment.c.next_due_at).where(
            enrolment.c.status == EnrolmentStatus.ACTIVE,
            enrolment.c.next_due_at > after,
            enrolment.c.next_due_at <= until,
        )
    )
    hours = Counter(instant.replace(minute=0, second=0, microsecond=0) for instant in rows)
    return dict(sorted(hours.items()))


def waiting_because(connection: sa.Connection) -> Sequence[tuple[str, str, int]]:
    """What waits in the outbox: state, reason, and how many; the most first."""
    waits = effect.c.state.in_(sorted(WAITING)) & IS_STEP
    last = (
        sa.select(effect.c.state, sa.func.max(history.c.transition_id).label("transition_id"))
        .join(history, history.c.effect_id == effect.c.id)
        .where(waits)
        .group_by(effect.c.id, effect.c.state)
        .subquery()
    )
    return _counted(
        connection,
        sa.select(last.c.state, transition.c.reason, sa.func.count())
        .join(transition, transition.c.id == last.c.transition_id)
        .group_by(last.c.state, transition.c.reason),
    )


def held_because(connection: sa.Connection) -> Sequence[tuple[str, str, int]]:
    """What the last run that decided has held back, in the same form; nothing waits for it yet."""
    last = sa.select(sa.func.max(decision.c.run_id)).scalar_subquery()
    return _counted(
        connection,
        sa.select(decision.c.answer, decision.c.reason, sa.func.count())
        .where(decision.c.run_id == last, decision.c.answer == Answer.HOLD)
        .group_by(decision.c.answer, decision.c.reason),
    )


def _counted(connection: sa.Connection, query: sa.Select[Any]) -> Sequence[tuple[str, str, int]]:
    rows = [(str(state), reason, count) for state, reason, count in connection.execute(query)]
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))


def counts_by_kind(connection: sa.Connection) -> Mapping[tuple[State, ActionKind], int]:
    """How many effects there are of each state and kind; none are left out of what is there."""
    rows = connection.execute(
        sa.select(effect.c.state, effect.c.kind, sa.func.count()).group_by(
            effect.c.state, effect.c.kind
        )
    )
    return {(State(state), ActionKind(kind)): count for state, kind, count in rows}


def read_notes(connection: sa.Connection) -> Mapping[str, Note]:
    """All notes, by their topic."""
    rows = connection.execute(sa.select(daemon_note))
    return {row.topic: Note(at=row.at, text=row.text) for row in rows}


def write_notes(connection: sa.Connection, notes: Mapping[str, Note | None]) -> None:
    """Replace what is noted about these topics; None forgets it."""
    topics = sorted(notes)
    connection.execute(sa.delete(daemon_note).where(daemon_note.c.topic.in_(topics)))
    rows = [
        {"topic": topic, "at": note.at, "text": note.text}
        for topic, note in notes.items()
        if note is not None
    ]
    if rows:
        connection.execute(sa.insert(daemon_note), rows)
