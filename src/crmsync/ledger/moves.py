"""Effects are moved along the table of states, and each move is written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.batches import Rows, as_text, execute_both, speakable
from crmsync.ledger.schema import Instant, effect, transition
from crmsync.ledger.states import State, check_transition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Move:
    """One effect's next state, with all that changes beside it."""

    effect_id: int
    before: State
    after: State
    reason: str
    attempts: int
    in_doubt: bool = False
    not_before: datetime | None = None
    remote_id: str | None = None
    url: str | None = None
    error: str | None = None


def move_effects(
    connection: sa.Connection, moves: Sequence[Move], *, at: datetime, actor: str
) -> None:
    """Move effects, and write each move down.

    The caller has locked them when it read in which state they are.

    Raises:
        ForbiddenTransitionError: the table of states does not have one of the moves.
    """
    if not moves:
        return
    for before, after in {(move.before, move.after) for move in moves}:
        check_transition(before, after)
    rows: list[dict[str, object]] = [
        {
            "id": move.effect_id,
            "before": str(move.before),
            "after": str(move.after),
            "reason": speakable(move.reason),
            "attempts": move.attempts,
            "in_doubt": move.in_doubt,
            "not_before": as_text(move.not_before),
            "remote_id": speakable(move.remote_id),
            "url": speakable(move.url),
            "error": speakable(move.error),
        }
        for move in moves
    ]
    execute_both(connection, _moving, writing_down, rows, at=at, actor=actor)


# When effects were moved and by whom, in statements that are told it once for all rows.
WHEN_AND_WHO = (sa.bindparam("at", type_=Instant), sa.bindparam("actor", type_=sa.Text))
# The columns of what is written down of a move.
HISTORY = ["effect_id", "before", "after", "reason", "at", "actor"]


def _moving(rows: Rows) -> sa.Update:
    columns = rows.columns(
        id=sa.Integer,
        after=sa.Text,
        attempts=sa.Integer,
        in_doubt=sa.Boolean,
        not_before=Instant,
        remote_id=sa.Text,
        url=sa.Text,
        error=sa.Text,
    )
    kept = ("attempts", "in_doubt", "not_before", "remote_id", "url", "error")
    return (
        sa.update(effect)
        .where(effect.c.id == columns["id"])
        .values(
            state=columns["after"],
            worker=None,
            lease_until=None,
            updated_at=sa.bindparam("at", type_=Instant),
            **{name: columns[name] for name in kept},
        )
    )


def writing_down(rows: Rows) -> sa.Insert:
    """Moves into the history: the effect's id, before, after, reason; at, actor for all."""
    columns = rows.columns(id=sa.Integer, before=sa.Text, after=sa.Text, reason=sa.Text)
    return sa.insert(transition).from_select(HISTORY, sa.select(*columns.values(), *WHEN_AND_WHO))
