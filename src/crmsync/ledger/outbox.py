"""Effects are recorded as the gates left them; what waits is composed anew, or taken back."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync.ledger.batches import (
    Rows,
    as_text,
    execute_rows,
    rows_where,
    speakable,
)
from crmsync.ledger.effects import IS_STEP, number_of
from crmsync.ledger.enrolments import moved_meanwhile
from crmsync.ledger.moves import Move, move_effects, write_down
from crmsync.ledger.payload import dump
from crmsync.ledger.schema import Instant, effect, enrolment
from crmsync.ledger.states import WAITING, State, check_transition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from crmsync.ledger.values.effects import NewEffect, Withheld
    from crmsync.ledger.values.enrolments import StepOutcome

    _KeyRow = sa.Row[int, str, str, int, bool, str | None]

# What the gates are asked about anew, as long as no attempt can have landed.
_ASKED_AGAIN = {
    State.DEFERRED: "the step was composed anew",
    State.AWAITING: "the step was composed anew",
    State.READY: "it still waited; the step was composed anew",
}


def record_effects(
    connection: sa.Connection, effects: Sequence[NewEffect], *, run_id: int, at: datetime
) -> None:
    """Record effects as planned, then as the gates left them.

    What waited already keeps its key and its attempts, and gets the action that was composed now.

    Raises:
        StoreBusyError: another process is sending one of them, or has ended its enrolment.
    """
    if not effects:
        return
    actor = f"run {run_id}"
    known = {row.key: row for row in _rows_by_key(connection, [new.action.key for new in effects])}
    fresh = [new for new in effects if new.action.key not in known]
    _record_fresh(connection, fresh, run_id=run_id, at=at, actor=actor)
    again = [(new, known[new.action.key]) for new in effects if new.action.key in known]
    _plan_again(connection, again, run_id=run_id, at=at, actor=actor)
    moves = [_asked(new, row) for new, row in again]
    move_effects(connection, moves, at=at, actor=actor)


def _record_fresh(
    connection: sa.Connection,
    effects: Sequence[NewEffect],
    *,
    run_id: int,
    at: datetime,
    actor: str,
) -> None:
    for state in {new.state for new in effects}:
        check_transition(State.PLANNED, state)
    rows = [_new_row(new, position) for position, new in enumerate(effects)]
    try:
        recorded = execute_rows(connection, _recording, rows, run_id=run_id, at=at)
    except sa.exc.IntegrityError as error:  # an enrolment is missing
        raise moved_meanwhile() from error
    if recorded != len(effects):  # a key is there after all
        raise moved_meanwhile()
    numbers = number_of(connection, [new.action.key for new in effects])
    alike: defaultdict[tuple[State, str], list[int]] = defaultdict(list)
    for new in effects:
        alike[new.state, new.reason].append(numbers[new.action.key])
    said: Any = {"at": at, "actor": actor}
    born = sorted(numbers.values())
    write_down(connection, born, None, State.PLANNED, reason="its step is due", **said)
    for (state, reason), ids in alike.items():
        write_down(connection, ids, State.PLANNED, state, reason=reason, **said)


def _new_row(new: NewEffect, position: int) -> dict[str, object]:
    return {
        "position": position,
        "rule": new.enrolment.rule,
        "enrolment_key": new.enrolment.key,
        "key": new.action.key,
        "step": new.step,
        "connection": new.connection,
        "kind": str(new.action.kind),
        "payload": dump(new.action),
        "state": str(new.state),
        "not_before": as_text(new.not_before),
        "error": speakable(new.reason) if new.state is State.DROPPED else None,
    }


def _recording(rows: Rows) -> sa.Insert:
    own = ("key", "step", "connection", "kind", "state", "error")
    texts = dict.fromkeys((*own, "rule", "enrolment_key", "payload"), sa.Text())
    columns = rows.columns(**texts, position=sa.Integer, not_before=Instant)
    at = sa.bindparam("at", type_=Instant)
    # Looked up for each: PostgreSQL would rather read all enrolments than join a few.
    entered = sa.select(enrolment.c.id).where(
        enrolment.c.rule == columns["rule"], enrolment.c.key == columns["enrolment_key"]
    )
    values: dict[str, sa.ColumnElement[Any]] = {
        **{name: columns[name] for name in own},
        "payload": rows.as_json(columns["payload"]),
        "not_before": columns["not_before"],
        "enrolment_id": entered.scalar_subquery(),
        "run_id": sa.bindparam("run_id", type_=sa.Integer),
        "attempts": sa.literal(0),
        "in_doubt": sa.false(),
        "created_at": at,
        "updated_at": at,
    }
    # Effects are numbered in the order of their steps.
    found = rows.in_order(sa.select(*values.values()), columns["position"])
    return rows.insert_unless_there(effect, "key", values, found)


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


def _rows_by_key(connection: sa.Connection, keys: Sequence[str]) -> Sequence[_KeyRow]:
    """The effects of these keys that there are, locked."""
    return rows_where(connection, effect.c.key, keys, _BY_KEY)


_BY_KEY = (
    sa.select(
        effect.c.id,
        effect.c.key,
        effect.c.state,
        effect.c.attempts,
        effect.c.in_doubt,
        effect.c.error,
    )
    .order_by(effect.c.id)
    .with_for_update()
)


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
    rows = [
        {
            "id": row.id,
            "payload": dump(new.action),
            "connection": new.connection,
        }
        for new, row in again
    ]
    execute_rows(connection, _composing_anew, rows, run_id=run_id)


def _composing_anew(rows: Rows) -> sa.Update:
    columns = rows.columns(id=sa.Integer, payload=sa.Text, connection=sa.Text)
    return (
        sa.update(effect)
        .where(effect.c.id == columns["id"])
        .values(
            payload=rows.as_json(columns["payload"]),
            connection=columns["connection"],
            run_id=sa.bindparam("run_id", type_=sa.Integer),
        )
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


def drop_waiting(
    connection: sa.Connection, reasons: Mapping[int, str], *, at: datetime, actor: str
) -> int:
    """Drop what these enrolments (number: reason) have waiting; the count of what was dropped."""
    rows = rows_where(connection, effect.c.enrolment_id, sorted(reasons), _WAITING)
    moves = [_drop(row, reasons[row.enrolment_id]) for row in rows]
    move_effects(connection, moves, at=at, actor=actor)
    return len(moves)


def drop_skipped(
    connection: sa.Connection, skipped: Sequence[StepOutcome], *, at: datetime, actor: str
) -> None:
    """Drop what waits for steps that are skipped now."""
    moves: list[Move] = []
    for one in skipped:
        ref = one.enrolment
        rows = connection.execute(
            _WAITING.join(enrolment, enrolment.c.id == effect.c.enrolment_id).where(
                enrolment.c.rule == ref.rule,
                enrolment.c.key == ref.key,
                effect.c.step == one.step,
            )
        )
        moves += [_drop(row, f"its step is skipped: {one.reason}") for row in rows]
    move_effects(connection, moves, at=at, actor=actor)


_WAITING: sa.Select[Any] = (
    sa.select(
        effect.c.id, effect.c.enrolment_id, effect.c.state, effect.c.attempts, effect.c.in_doubt
    )
    .where(effect.c.state.in_(sorted(WAITING)), IS_STEP)
    .order_by(effect.c.id)
    .with_for_update(of=effect)
)


def _drop(row: sa.Row[*tuple[Any, ...]], reason: str) -> Move:
    if row.in_doubt:
        reason += "; an earlier attempt may have landed"
    return Move(
        effect_id=row.id,
        before=State(row.state),
        after=State.DROPPED,
        reason=reason,
        attempts=row.attempts,
        in_doubt=row.in_doubt,
        error=reason,
    )
