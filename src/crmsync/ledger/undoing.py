"""What a run has left in the ledger, and how that is taken back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.batches import rows_where
from crmsync.ledger.effects import IS_STEP, SELECT_EFFECTS, effect_of
from crmsync.ledger.enrolments import stop_enrolments
from crmsync.ledger.moves import Move, move_effects
from crmsync.ledger.outbox import drop_waiting
from crmsync.ledger.schema import effect, enrolment, history, transition
from crmsync.ledger.states import WAITING, State
from crmsync.ledger.unasked import Unasked, make_ready, record_unasked
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.model.actions import CreateTask, WithdrawTask

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.ledger.values.effects import Effect

_NOT_LET_OUT = WAITING - {State.READY}


def withdrawal_key(key: str) -> str:
    """The key of that which takes a task back: one for each task, so it is recorded once."""
    return f"undo-{key}"


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a run has left.

    Attributes:
        effects: what it let out, whatever became of it, in the order of its recording.
        waiting: what waits for the enrolments in hand, whichever run recorded it.
        inside: the numbers of the enrolments that it began or went on with, and that go on.
        by_others: how many effects of these enrolments other runs have let out, by run.
        withdrawals: by the key of the task, what takes it back.
    """

    effects: tuple[Effect, ...]
    waiting: tuple[Effect, ...]
    inside: frozenset[int]
    by_others: Mapping[int, int] = field(default_factory=dict)
    withdrawals: Mapping[str, Effect] = field(default_factory=dict)

    @property
    def rejected(self) -> tuple[Effect, ...]:
        """What the remote refused."""
        return tuple(one for one in self.effects if one.state is State.REJECTED)

    @property
    def tasks(self) -> tuple[Effect, ...]:
        """The tasks that are at a remote."""
        return tuple(
            one
            for one in self.effects
            if one.state is State.DONE and isinstance(one.action, CreateTask)
        )


def read_left(connection: sa.Connection, run_id: int) -> Left:
    """What a run has left, as it stands."""
    let_out = sa.and_(effect.c.run_id == run_id, effect.c.state.not_in(sorted(_NOT_LET_OUT)))
    let_out &= effect.c.state != State.DROPPED
    born = sa.exists().where(
        history.c.effect_id == effect.c.id,
        transition.c.id == history.c.transition_id,
        transition.c.before.is_(None),
        transition.c.actor == f"run {run_id}",
    )
    waits = sa.and_(effect.c.state.in_(sorted(WAITING)), born)
    own = sa.and_(sa.or_(let_out, waits), IS_STEP)
    effects = _read(connection, own)
    of_effects = sa.select(effect.c.enrolment_id).where(own)
    inside = frozenset(
        connection.scalars(
            sa.select(enrolment.c.id).where(
                enrolment.c.status == EnrolmentStatus.ACTIVE,
                sa.or_(enrolment.c.run_id == run_id, enrolment.c.id.in_(of_effects)),
            )
        )
    )
    return Left(
        effects=tuple(one for one in effects if one.state not in WAITING),
        waiting=_waiting(connection, inside),
        inside=inside,
        by_others=_by_others(connection, run_id, inside),
        withdrawals=read_withdrawals(connection, effects),
    )


def read_withdrawals(connection: sa.Connection, effects: Sequence[Effect]) -> Mapping[str, Effect]:
    """By the key of the task, what takes it back, of those of these effects that have it."""
    keys = [withdrawal_key(one.key) for one in effects]
    found = [effect_of(row) for row in rows_where(connection, effect.c.key, keys, SELECT_EFFECTS)]
    return {one.action.task.key: one for one in found if isinstance(one.action, WithdrawTask)}


def _read(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> list[Effect]:
    query = SELECT_EFFECTS.where(*which).order_by(effect.c.id)
    return [effect_of(row) for row in connection.execute(query).all()]


def _waiting(connection: sa.Connection, inside: Collection[int]) -> tuple[Effect, ...]:
    rows = rows_where(connection, effect.c.enrolment_id, sorted(inside), _WAITING)
    return tuple(effect_of(row) for row in rows)


_WAITING = SELECT_EFFECTS.where(effect.c.state.in_(sorted(WAITING)), IS_STEP).order_by(effect.c.id)


def _by_others(connection: sa.Connection, run_id: int, inside: Collection[int]) -> dict[int, int]:
    rows = rows_where(
        connection, effect.c.enrolment_id, sorted(inside), _DONE_BY_OTHERS, undone=run_id
    )
    return dict(rows)


_DONE_BY_OTHERS = (
    sa.select(effect.c.run_id, sa.func.count())
    .where(effect.c.run_id != sa.bindparam("undone"), effect.c.state == State.DONE, IS_STEP)
    .group_by(effect.c.run_id)
    .order_by(effect.c.run_id)
)


def take_back(
    connection: sa.Connection,
    left: Left,
    tasks: Sequence[Effect],
    *,
    run_id: int,
    by: str,
    at: datetime,
    reason: str,
) -> None:
    """Stop a run's enrolments, drop what is not done, and record that tasks are taken back.

    Args:
        left: as it was read in this very transaction.
        tasks: those that are to be taken back; what has been taken back before stays so, and what
            was refused is tried again.
        run_id: of the undo.
    """
    stop_enrolments(connection, sorted(left.inside), at=at, reason=reason)
    drop_waiting(connection, dict.fromkeys(left.inside, reason), at=at, actor=by)
    _drop_rejected(connection, left.rejected, at=at, by=by, reason=reason)
    fresh = [task for task in tasks if task.key not in left.withdrawals]
    wanted = [_withdrawal(task, run_id) for task in fresh]
    record_unasked(connection, wanted, at=at, by=by, reason=reason)
    refused = [
        found
        for task in tasks
        if (found := left.withdrawals.get(task.key)) and found.state is State.REJECTED
    ]
    make_ready(connection, refused, State.REJECTED, at=at, by=by, reason=reason)


def _drop_rejected(
    connection: sa.Connection, effects: Sequence[Effect], *, at: datetime, by: str, reason: str
) -> None:
    rows = rows_where(connection, effect.c.id, [one.id for one in effects], _LOCKED)
    moves = [
        Move(
            effect_id=row.id,
            before=State.REJECTED,
            after=State.DROPPED,
            reason=reason,
            attempts=row.attempts,
            error=reason,
        )
        for row in rows
        if row.state == State.REJECTED
    ]
    move_effects(connection, moves, at=at, actor=by)


_LOCKED = (
    sa.select(effect.c.id, effect.c.state, effect.c.attempts)
    .order_by(effect.c.id)
    .with_for_update()
)


def _withdrawal(task: Effect, run_id: int) -> Unasked:
    assert isinstance(task.action, CreateTask)  # noqa: S101  only tasks are taken back
    action = WithdrawTask(
        key=withdrawal_key(task.key), task=task.action, remote_id=task.remote_id or ""
    )
    return Unasked(origin=task, action=action, connection=task.connection, run_id=run_id)
