"""Effects in the database: recorded, claimed under a lease, settled; each move along the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync.errors import StoreError
from crmsync.ledger.enrolments import chunks, moved_meanwhile
from crmsync.ledger.payload import from_payload, to_payload
from crmsync.ledger.schema import effect, enrolment, transition
from crmsync.ledger.states import WAITING, State, check_transition
from crmsync.ledger.values import Effect, EnrolmentRef, StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.ledger.values import NewEffect

    _KeyRow = sa.Row[int, str, str]


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


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What came of an effect that was claimed.

    Attributes:
        counted: the attempt counts; not where nothing was tried (quota, credentials).
        in_doubt: this attempt, or an earlier one, may have landed.
    """

    effect: Effect
    after: State
    reason: str
    counted: bool = True
    in_doubt: bool = False
    not_before: datetime | None = None
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
    _write_down(
        connection,
        [(move.effect_id, move.before, move.after, move.reason) for move in moves],
        at=at,
        actor=actor,
    )


def _write_down(
    connection: sa.Connection,
    moves: Sequence[tuple[int, State | None, State, str]],
    *,
    at: datetime,
    actor: str,
) -> None:
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
    """Record effects as planned, then as the gates left them; deferred ones are asked anew.

    Raises:
        StoreBusyError: another run has recorded one of them, or has ended its enrolment.
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
    ids = {row.key: row.id for row in _rows_by_key(connection, keys)}
    if fresh:
        _write_down(
            connection,
            [(ids[row["key"]], None, State.PLANNED, "its step is due") for row in fresh],
            at=at,
            actor=actor,
        )
    move_effects(
        connection,
        [
            Move(
                effect_id=ids[new.action.key],
                before=State.PLANNED,
                after=new.state,
                reason=new.reason,
                attempts=0,
                not_before=new.not_before,
                error=new.reason if new.state is State.DROPPED else None,
            )
            for new in effects
        ],
        at=at,
        actor=actor,
    )


def _rows_by_key(connection: sa.Connection, keys: Sequence[str]) -> list[_KeyRow]:
    rows: list[_KeyRow] = []
    for portion in chunks(keys):
        query = sa.select(effect.c.id, effect.c.key, effect.c.state).where(
            effect.c.key.in_(portion)
        )
        rows += connection.execute(query).all()
    return rows


def _plan_again(
    connection: sa.Connection,
    again: Sequence[tuple[NewEffect, _KeyRow]],
    *,
    run_id: int,
    at: datetime,
    actor: str,
) -> None:
    """A deferred step was composed anew: its action replaces the one that waited."""
    if not again:
        return
    if any(row.state != State.DEFERRED for _, row in again):
        raise moved_meanwhile()
    move_effects(
        connection,
        [
            Move(
                effect_id=row.id,
                before=State.DEFERRED,
                after=State.PLANNED,
                reason="its time has come; the step was composed anew",
                attempts=0,
            )
            for _, row in again
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


def claim_ready(  # noqa: PLR0913  a claim has these parts
    connection: sa.Connection,
    name: str,
    *,
    worker: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
) -> tuple[Effect, ...]:
    """Take up to ``limit`` effects of a connection into sending, oldest first."""
    rows = connection.execute(
        _SELECT.where(
            effect.c.connection == name,
            effect.c.state == State.READY,
            sa.or_(effect.c.not_before.is_(None), effect.c.not_before <= now),
        )
        .order_by(effect.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=effect)
    ).all()
    moves = [
        Move(
            effect_id=row.id,
            before=State.READY,
            after=State.SENDING,
            reason="claimed",
            attempts=row.attempts + 1,
            in_doubt=row.in_doubt,
            worker=worker,
            lease_until=lease_until,
            error=row.error,
        )
        for row in rows
    ]
    move_effects(connection, moves, at=now, actor=worker)
    return read_effects_by_id(connection, [move.effect_id for move in moves])


def expire_leases(
    connection: sa.Connection,
    *,
    wall_clock: datetime,
    is_gone: Callable[[str], bool],
    at: datetime,
    actor: str,
) -> int:
    """Mark as uncertain what a process was sending that is gone or has overstayed its lease."""
    rows = connection.execute(
        sa.select(effect).where(effect.c.state == State.SENDING).order_by(effect.c.id)
    )
    reason = "the process that was sending it ended, or hung, before it knew the outcome"
    moves = [
        Move(
            effect_id=row.id,
            before=State.SENDING,
            after=State.UNCERTAIN,
            reason=reason,
            attempts=row.attempts,
            in_doubt=True,
            error=reason,
        )
        for row in rows
        if row.lease_until <= wall_clock or is_gone(row.worker)
    ]
    move_effects(connection, moves, at=at, actor=actor)
    return len(moves)


def claim_uncertain(  # noqa: PLR0913  a claim has these parts
    connection: sa.Connection,
    name: str,
    *,
    worker: str,
    wall_clock: datetime,
    lease_until: datetime,
    is_gone: Callable[[str], bool],
) -> tuple[Effect, ...]:
    """Take a connection's uncertain effects, so that one process alone finds out about each.

    Without this, one process could send again what another has found missing and sent already.
    """
    rows = connection.execute(
        sa.select(effect.c.id, effect.c.worker, effect.c.lease_until)
        .where(effect.c.connection == name, effect.c.state == State.UNCERTAIN)
        .order_by(effect.c.id)
        .with_for_update(skip_locked=True)
    ).all()
    free = [
        row.id
        for row in rows
        if row.worker is None or row.lease_until <= wall_clock or is_gone(row.worker)
    ]
    for portion in chunks(free):
        connection.execute(
            sa.update(effect)
            .where(effect.c.id.in_(portion))
            .values(worker=worker, lease_until=lease_until)
        )
    return read_effects_by_id(connection, free)


def release_uncertain(connection: sa.Connection, worker: str) -> None:
    """Give back what this worker took by `claim_uncertain` and could not find out."""
    connection.execute(
        sa.update(effect)
        .where(effect.c.state == State.UNCERTAIN, effect.c.worker == worker)
        .values(worker=None, lease_until=None)
    )


def settle_effects(
    connection: sa.Connection, settlements: Sequence[Settlement], *, worker: str, at: datetime
) -> tuple[Effect, ...]:
    """Record outcomes; answers with the effects that were no longer this worker's to settle.

    A receipt that comes late, after the lease, still settles an effect that became uncertain:
    it is the truth that is being looked for.
    """
    current = {
        row.id: row
        for portion in chunks([settlement.effect.id for settlement in settlements])
        for row in connection.execute(
            sa.select(effect.c.id, effect.c.state, effect.c.worker, effect.c.attempts)
            .where(effect.c.id.in_(portion))
            .with_for_update()
        )
    }
    moves: list[Move] = []
    late: list[Effect] = []
    for settlement in settlements:
        row = current[settlement.effect.id]
        ours = row.state == settlement.effect.state and row.worker == worker
        if not (ours or (row.state == State.UNCERTAIN and settlement.after is State.DONE)):
            late.append(settlement.effect)
            continue
        moves.append(
            Move(
                effect_id=row.id,
                before=State(row.state),
                after=settlement.after,
                reason=settlement.reason,
                attempts=row.attempts if settlement.counted else row.attempts - 1,
                in_doubt=settlement.in_doubt,
                not_before=settlement.not_before,
                remote_id=settlement.remote_id,
                url=settlement.url,
                error=settlement.error,
            )
        )
    move_effects(connection, moves, at=at, actor=worker)
    return tuple(late)


_SELECT = sa.select(
    effect, enrolment.c.rule, enrolment.c.subject, enrolment.c.key.label("enrolment_key")
).join(enrolment, enrolment.c.id == effect.c.enrolment_id)


def read_effects(
    connection: sa.Connection,
    *,
    run_id: int | None = None,
    states: Collection[State] = (),
    subject: str | None = None,
    limit: int | None = None,
) -> tuple[Effect, ...]:
    """Effects in the order in which they were first recorded."""
    query = _SELECT.order_by(effect.c.id)
    if run_id is not None:
        query = query.where(effect.c.run_id == run_id)
    if states:
        query = query.where(effect.c.state.in_(sorted(states)))
    if subject is not None:
        query = query.where(enrolment.c.subject == subject)
    if limit is not None:
        query = query.limit(limit)
    return tuple(_effect(row) for row in connection.execute(query))


def read_effects_by_id(connection: sa.Connection, ids: Sequence[int]) -> tuple[Effect, ...]:
    """Effects by their numbers, in the order of these."""
    return tuple(
        _effect(row)
        for portion in chunks(ids)
        for row in connection.execute(_SELECT.where(effect.c.id.in_(portion)).order_by(effect.c.id))
    )


def read_step_states(
    connection: sa.Connection, statuses: Collection[str]
) -> dict[EnrolmentRef, dict[str, StepState]]:
    """How far the steps of the enrolments with these statuses have come."""
    found: dict[EnrolmentRef, dict[str, StepState]] = {}
    rows = connection.execute(
        sa.select(
            enrolment.c.rule,
            enrolment.c.subject,
            enrolment.c.key,
            effect.c.step,
            effect.c.state,
            effect.c.not_before,
        )
        .join(enrolment, enrolment.c.id == effect.c.enrolment_id)
        .where(enrolment.c.status.in_(sorted(statuses)))
    )
    for rule, subject, key, step, state, not_before in rows:
        ref = EnrolmentRef(rule=rule, subject=subject, key=key)
        found.setdefault(ref, {})[step] = StepState(state=State(state), not_before=not_before)
    return found


def _effect(row: sa.Row[Any]) -> Effect:
    action = from_payload(row.payload)
    if action.key != row.key:
        raise StoreError(f"the ledger is damaged: effect {row.key} holds an action of another key")
    return Effect(
        id=row.id,
        key=row.key,
        run_id=row.run_id,
        enrolment=EnrolmentRef(rule=row.rule, subject=row.subject, key=row.enrolment_key),
        step=row.step,
        connection=row.connection,
        action=action,
        state=State(row.state),
        attempts=row.attempts,
        in_doubt=row.in_doubt,
        created_at=row.created_at,
        updated_at=row.updated_at,
        not_before=row.not_before,
        worker=row.worker,
        lease_until=row.lease_until,
        remote_id=row.remote_id,
        url=row.url,
        error=row.error,
    )
