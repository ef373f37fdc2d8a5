"""Effects are moved along the table of states, and each move is written down."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.batches import Rows, as_text, execute_rows, insert_for_each, speakable
from crmsync.ledger.schema import Instant, effect, history, transition
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
    execute_rows(connection, _moving, rows, at=at)
    alike: defaultdict[tuple[State, State, str], list[int]] = defaultdict(list)
    for move in moves:
        alike[move.before, move.after, move.reason].append(move.effect_id)
    for (before, after, reason), ids in alike.items():
        write_down(connection, ids, before, after, reason=reason, at=at, actor=actor)


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


def write_down(
    connection: sa.Connection,
    ids: Sequence[int],
    before: State | None,
    after: State,
    *,
    reason: str,
    at: datetime,
    actor: str,
) -> None:
    """Write down a move of these effects, each of which is there once."""
    if not ids:
        return
    said = {"reason": speakable(reason), "at": at, "actor": speakable(actor)}
    moved = {"before": before, "after": after, **said}
    number = connection.execute(_MOVED, moved).scalar_one()
    insert_for_each(connection, history.c.effect_id, ids, transition_id=number)


_MOVED = sa.insert(transition).returning(transition.c.id)
