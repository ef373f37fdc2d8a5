"""What waits for its time, what there is by kind, and what the daemon has noted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.schema import connection_pause, daemon_note, effect
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind

if TYPE_CHECKING:
    from collections.abc import Mapping
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
