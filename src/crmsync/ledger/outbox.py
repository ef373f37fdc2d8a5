"""Effects are recorded and moved, each move along the table of states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync.ledger.enrolments import chunks, moved_meanwhile
from crmsync.ledger.payload import to_payload
from crmsync.ledger.schema import effect, transition
from crmsync.ledger.states import WAITING, State, check_transition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from crmsync.ledger.values import EnrolmentRef, NewEffect, Withheld

    _KeyRow = sa.Row[int, str, str, int, bool, str | None]

# What the gates are asked about anew, as long as no attempt can have landed.
_ASKED_AGAIN = {
    State.DEFERRED: "the step was composed anew",
    State.READY: "it still waited; the step was composed anew",
}


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
    worker: str | None = None
    lease_until: datetime | None = None
    remote_id: str | None = None
    url: str | None = None
    error: str | None = None


_UPDATE = (
    sa.update(effect)
    .where(effect.c.id == sa.bindparam("which"), effect.c.state == sa.bindparam("expected"))
    .values(
        state=sa.bindparam("after"),
        attempts=sa.bindparam("attempts"),
        in_doubt=sa.bindparam("in_doubt"),
        not_before=sa.bindparam("not_before"),
        worker=sa.bindparam("worker"),
        lease_until=sa.bindparam("lease_until"),
        remote_id=sa.bindparam("remote_id"),
        url=sa.bindparam("url"),
        error=sa.bindparam("error"),
        updated_at=sa.bindparam("at"),
    )
)


def move_effects(
    connection: sa.Connection, moves: Sequence[Move], *, at: datetime, actor: str
) -> None:
    """Move effects, and write each move down.

    Raises:
        ForbiddenTransitionError: the table of states does not have one of the moves.
        StoreBusyError: another process has moved one of them meanwhile.
    """
    if not moves:
        return
    for move in moves:
        check_transition(move.before, move.after)
    result = connection.execute(
        _UPDATE,
        [
            {
                "which": move.effect_id,
                "expected": move.before,
                "after": move.after,
                "attempts": move.attempts,
                "in_doubt": move.in_doubt,
                "not_before": move.not_before,
                "worker": move.worker,
                "lease_until": move.lease_until,
                "remote_id": move.remote_id,
                "url": move.url,
                "error": move.error,
                "at": at,
            }
            for move in moves
        ],
    )
    if result.rowcount != len(moves):
        raise moved_meanwhile()
    write_down(
        connection,
        [(move.effect_id, move.before, move.after, move.reason) for move in moves],
        at=at,
        actor=actor,
    )


def write_down(
    connection: sa.Connection,
    moves: Sequence[tuple[int, State | None, State, str]],
    *,
    at: datetime,
    actor: str,
) -> None:
    """Keep moves in the history: the effect's number, the two states, the reason."""
    if not moves:
        return
    connection.execute(
        sa.insert(transition),
        [
            {
                "effect_id": number,
                "before": before,
                "after": after,
                "at": at,
                "reason": reason,
                "actor": actor,
            }
            for number, before, after, reason in moves
        ],
    )


def record_effects(
    connection: sa.Connection,
    effects: Sequence[NewEffect],
    enrolment_ids: Mapping[EnrolmentRef, int],
    *,
    run_id: int,
    at: datetime,
) -> None:
    """Record effects as planned, then as the gates left them.

    What waited already keeps its key and its attempts, and gets the action that was composed now.

    Raises:
        StoreBusyError: another process is sending one of them, or has ended its enrolment.
    """
    if not effects:
        return
    actor = f"run {run_id}"
    keys = [new.action.key for new in effects]
    known = {row.key: row for row in _rows_by_key(connection, keys)}
    again = [(new, known[new.action.key]) for new in effects if new.action.key in known]
    _plan_again(connection, again, run_id=run_id, at=at, actor=actor)
    try:
        fresh = [
            _new_row(new, enrolment_ids[new.enrolment], run_id=run_id, at=at)
            for new in effects
            if new.action.key not in known
        ]
        if fresh:
            connection.execute(sa.insert(effect), fresh)
    except (KeyError, sa.exc.IntegrityError) as error:
        raise moved_meanwhile() from error
    rows = {row.key: row for row in _rows_by_key(connection, keys)}
    write_down(
        connection,
        [(rows[row["key"]].id, None, State.PLANNED, "its step is due") for row in fresh],
        at=at,
        actor=actor,
    )
    move_effects(
        connection,
        [_asked(new, rows[new.action.key]) for new in effects],
        at=at,
        actor=actor,
    )


def _asked(new: NewEffect, row: _KeyRow) -> Move:
    return Move(
        effect_id=row.id,
        before=State.PLANNED,
        after=new.state,
        reason=new.reason,
        attempts=row.attempts,
        not_before=new.not_before,
        error=new.reason if new.state is State.DROPPED else row.error,
    )


def _rows_by_key(connection: sa.Connection, keys: Sequence[str]) -> list[_KeyRow]:
    rows: list[_KeyRow] = []
    columns = effect.c
    for portion in chunks(keys):
        query = sa.select(
            columns.id,
            columns.key,
            columns.state,
            columns.attempts,
            columns.in_doubt,
            columns.error,
        )
        rows += connection.execute(query.where(columns.key.in_(portion))).all()
    return rows


def _plan_again(
    connection: sa.Connection,
    again: Sequence[tuple[NewEffect, _KeyRow]],
    *,
    run_id: int,
    at: datetime,
    actor: str,
) -> None:
    """A step that waited was composed anew: its action replaces the one that waited."""
    if not again:
        return
    waiting = {*_ASKED_AGAIN, State.PLANNED}
    if any(row.in_doubt or State(row.state) not in waiting for _, row in again):
        raise moved_meanwhile()
    move_effects(
        connection,
        [
            _back_to_planned(row, _ASKED_AGAIN[State(row.state)], error=row.error)
            for _, row in again
            if row.state != State.PLANNED
        ],
        at=at,
        actor=actor,
    )
    connection.execute(
        sa.update(effect)
        .where(effect.c.id == sa.bindparam("which"))
        .values(
            payload=sa.bindparam("new_payload"),
            connection=sa.bindparam("new_connection"),
            run_id=sa.bindparam("new_run"),
        ),
        [
            {
                "which": row.id,
                "new_payload": to_payload(new.action),
                "new_connection": new.connection,
                "new_run": run_id,
            }
            for new, row in again
        ],
    )


def _back_to_planned(row: _KeyRow, reason: str, *, error: str | None) -> Move:
    return Move(
        effect_id=row.id,
        before=State(row.state),
        after=State.PLANNED,
        reason=reason,
        attempts=row.attempts,
        error=error,
    )


def withhold(
    connection: sa.Connection, withheld: Sequence[Withheld], *, at: datetime, actor: str
) -> None:
    """Take back what is ready and must not be sent now; what is on its way already is left."""
    reasons = {one.key: one.reason for one in withheld}
    rows = _rows_by_key(connection, list(reasons))
    move_effects(
        connection,
        [
            _back_to_planned(row, reasons[row.key], error=reasons[row.key])
            for row in rows
            if row.state == State.READY and not row.in_doubt
        ],
        at=at,
        actor=actor,
    )


def _new_row(new: NewEffect, enrolment_id: int, *, run_id: int, at: datetime) -> dict[str, Any]:
    return {
        "key": new.action.key,
        "run_id": run_id,
        "enrolment_id": enrolment_id,
        "step": new.step,
        "connection": new.connection,
        "kind": new.action.kind,
        "payload": to_payload(new.action),
        "state": State.PLANNED,
        "attempts": 0,
        "in_doubt": False,
        "created_at": at,
        "updated_at": at,
    }


def drop_waiting(
    connection: sa.Connection, reasons: Mapping[int, str], *, at: datetime, actor: str
) -> int:
    """Drop what these enrolments (number: reason) have waiting; the count of what was dropped."""
    moves: list[Move] = []
    for portion in chunks(sorted(reasons)):
        rows = connection.execute(
            sa.select(effect).where(
                effect.c.enrolment_id.in_(portion), effect.c.state.in_(sorted(WAITING))
            )
        )
        for row in rows:
            reason = reasons[row.enrolment_id]
            if row.in_doubt:
                reason += "; an earlier attempt may have landed"
            moves.append(
                Move(
                    effect_id=row.id,
                    before=State(row.state),
                    after=State.DROPPED,
                    reason=reason,
                    attempts=row.attempts,
                    in_doubt=row.in_doubt,
                    error=reason,
                )
            )
    move_effects(connection, moves, at=at, actor=actor)
    return len(moves)
