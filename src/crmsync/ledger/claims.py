"""Effects are taken under a lease, and given back with what came of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync.ledger.batches import rows_where, update_where
from crmsync.ledger.effects import IS_STEP, action_of, read_effects_by_id
from crmsync.ledger.moves import Move, move_effects, write_down
from crmsync.ledger.schema import Instant, effect, enrolment
from crmsync.ledger.states import State, check_transition
from crmsync.ledger.stops import MAIL_SYSTEM, StopKind, say_stop
from crmsync.ledger.unasked import WHY_LOGGED, logs_of, record_unasked
from crmsync.ledger.values.effects import Effect
from crmsync.ledger.values.enrolments import EnrolmentRef

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    # Whether nobody can still be sending what this worker had claimed until then.
    IsFree = Callable[[str | None, datetime | None], bool]


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What came of an effect that was claimed.

    Attributes:
        counted: the attempt counts; not where nothing was tried (quota, credentials).
        already: it had been at the remote before this attempt.
        in_doubt: it may have landed.
        under_way: the call goes on; so the worker keeps what has become uncertain.
        nobody_at: the address at which nobody takes mail, so that other mail there is held.
    """

    effect: Effect
    after: State
    reason: str
    counted: bool = True
    already: bool = False
    in_doubt: bool = False
    under_way: bool = False
    not_before: datetime | None = None
    remote_id: str | None = None
    url: str | None = None
    error: str | None = None
    nobody_at: str | None = None


def claim_ready(
    connection: sa.Connection,
    name: str,
    *,
    worker: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    run_id: int | None = None,
    chosen: Callable[[Sequence[Effect]], Sequence[Effect]] = tuple,
) -> tuple[Effect, ...]:
    """Take up to ``limit`` effects of a connection into sending.

    First come those whose time has come, then those without one, the oldest first.

    Args:
        chosen: which of those found are taken.
        run_id: takes only what the gates of this run have let pass, and what an undo takes back;
            None takes all that is ready.
    """
    asked = {"connection": name, "now": now, "of_run": run_id, "limit": limit}
    rows = [*connection.execute(_ready(is_due=True, of_run=run_id is not None), asked)]
    if len(rows) < limit:
        asked["limit"] = limit - len(rows)
        rows += connection.execute(_ready(is_due=False, of_run=run_id is not None), asked)
    check_transition(State.READY, State.SENDING)
    taken = chosen([_claimed(row, name, worker, now, lease_until) for row in rows])
    ids = [one.id for one in taken]
    update_where(
        connection, effect.c.id, ids, _CLAIM, holder=worker, until=lease_until, updated_at=now
    )
    moved = (State.READY, State.SENDING)
    write_down(connection, ids, *moved, reason="claimed", at=now, actor=worker)
    return tuple(taken)


@cache
def _ready(*, is_due: bool, of_run: bool) -> sa.Select[Any]:
    """What is ready, in the order of the index; without what others are claiming.

    Args:
        is_due: what has waited for its time, which has come; otherwise what waits for none.
    """
    columns = effect.c
    now = sa.bindparam("now", type_=Instant)
    query = (
        sa.select(
            columns.id,
            columns.key,
            columns.run_id,
            columns.step,
            columns.payload,
            columns.attempts,
            columns.in_doubt,
            columns.error,
            enrolment.c.rule,
            enrolment.c.subject,
            enrolment.c.key.label("enrolment_key"),
        )
        .join(enrolment, enrolment.c.id == columns.enrolment_id)
        .where(
            columns.state == State.READY,
            columns.connection == sa.bindparam("connection"),
            columns.not_before <= now if is_due else columns.not_before.is_(None),
        )
    )
    if of_run:
        # No gate is asked about what an undo takes back, so any run may go on with it.
        query = query.where(sa.or_(columns.run_id == sa.bindparam("of_run"), sa.not_(IS_STEP)))
    query = query.order_by(columns.not_before, columns.id).limit(sa.bindparam("limit"))
    return query.with_for_update(skip_locked=True, of=effect)


def _claimed(
    row: tuple[Any, ...], connection: str, worker: str, at: datetime, until: datetime
) -> Effect:
    number, key, run_id, step, payload, attempts, in_doubt, error, rule, subject, entered = row
    return Effect(
        id=number,
        key=key,
        run_id=run_id,
        enrolment=EnrolmentRef(rule=rule, subject=subject, key=entered),
        step=step,
        connection=connection,
        action=action_of(key, payload),
        state=State.SENDING,
        attempts=attempts + 1,
        in_doubt=in_doubt,
        updated_at=at,
        worker=worker,
        lease_until=until,
        error=error,
    )


def expire_leases(
    connection: sa.Connection,
    *,
    is_free: IsFree,
    wall_clock: datetime,
    at: datetime,
    actor: str,
) -> Mapping[str, tuple[int, datetime]]:
    """Mark as uncertain what nobody can be sending any more.

    Returns:
        By worker, how many effects it is sending, and until when its lease lasts.
    """
    rows = connection.execute(
        sa.select(effect.c.id, effect.c.attempts, effect.c.worker, effect.c.lease_until)
        .where(effect.c.state == State.SENDING)
        .order_by(effect.c.id)
        # Two workers that begin together do not both mark the same.
        .with_for_update(skip_locked=True)
    ).all()
    free = [row for row in rows if is_free(row.worker, row.lease_until)]
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
        for row in free
    ]
    move_effects(connection, moves, at=at, actor=actor)
    # A process that ended before anybody looked was sending until the end of its lease at most.
    ended = {row.id: min(wall_clock, row.lease_until or wall_clock) for row in free}
    for since in set(ended.values()):
        ids = [number for number, at_last in ended.items() if at_last == since]
        update_where(connection, effect.c.id, ids, _KEEP, holder=None, until=since)
    kept = set(rows) - set(free)
    counts = Counter(row.worker for row in kept)
    return {row.worker: (counts[row.worker], row.lease_until) for row in kept}


def claim_uncertain(
    connection: sa.Connection,
    name: str,
    *,
    worker: str,
    lease_until: datetime,
    is_free: IsFree,
) -> tuple[tuple[Effect, ...], int]:
    """Take a connection's uncertain effects, so that one process alone finds out about each.

    Without this, one process could send again what another has found missing and sent already.
    An effect that nobody holds has in ``lease_until`` since when nobody is sending it.

    Returns:
        The effects, and how many are not free yet.
    """
    rows = connection.execute(
        sa.select(effect.c.id, effect.c.worker, effect.c.lease_until)
        .where(effect.c.connection == name, effect.c.state == State.UNCERTAIN)
        .order_by(effect.c.id)
        .with_for_update(skip_locked=True)
    ).all()
    free = [row.id for row in rows if is_free(row.worker, row.lease_until)]
    update_where(connection, effect.c.id, free, _TAKE, holder=worker, until=lease_until)
    return read_effects_by_id(connection, free), len(rows) - len(free)


def release_uncertain(
    connection: sa.Connection, worker: str, *, since: datetime | None = None
) -> None:
    """Give back what this worker took by `claim_uncertain` and could not find out.

    Args:
        since: when it ended to send them; None where that was long ago.
    """
    connection.execute(
        sa.update(effect)
        .where(effect.c.state == State.UNCERTAIN, effect.c.worker == worker)
        .values(worker=None, lease_until=since)
    )


def settle_effects(
    connection: sa.Connection,
    settlements: Sequence[Settlement],
    *,
    worker: str,
    at: datetime,
    loggers: Collection[str] = (),
    wall_clock: datetime | None = None,
) -> tuple[Effect, ...]:
    """Record outcomes; answers with the effects that were no longer this worker's to settle.

    What logs a mail is recorded with the outcome of the mail.
    A receipt that comes late, after the lease, still settles an effect that became uncertain:
    it is the truth that is being looked for.

    Args:
        loggers: the connections that can log mail.
        wall_clock: since when nobody is sending what has become uncertain.
    """
    ids = [settlement.effect.id for settlement in settlements]
    current = {number: row for number, *row in rows_where(connection, effect.c.id, ids, _CURRENT)}
    moves: list[Move] = []
    late: list[Effect] = []
    done: list[Effect] = []
    for settlement in settlements:
        claimed = settlement.effect
        state, holder, attempts = current[claimed.id]
        ours = state == claimed.state and holder == worker
        if not (ours or (state == State.UNCERTAIN and settlement.after is State.DONE)):
            late.append(claimed)
            continue
        if settlement.after is State.DONE:
            done.append(claimed)
        moves.append(
            Move(
                effect_id=claimed.id,
                before=State(state),
                after=settlement.after,
                reason=settlement.reason,
                attempts=attempts if settlement.counted else attempts - 1,
                in_doubt=settlement.in_doubt,
                not_before=settlement.not_before,
                remote_id=settlement.remote_id,
                url=settlement.url,
                error=settlement.error,
            )
        )
    move_effects(connection, moves, at=at, actor=worker)
    settled = {move.effect_id for move in moves}
    for one in settlements:
        if one.nobody_at is not None and one.effect.id in settled:
            kind = StopKind.NOBODY_THERE
            say_stop(connection, kind, one.nobody_at, by=MAIL_SYSTEM, at=at, reason=one.reason)
    logs = logs_of(done, loggers)
    record_unasked(connection, logs, at=at, by=worker, reason=WHY_LOGGED)
    doubtful = [one for one in settlements if one.after is State.UNCERTAIN]
    ended = [one.effect.id for one in doubtful if not one.under_way]
    update_where(connection, effect.c.id, ended, _KEEP, holder=None, until=wall_clock)
    # What may land yet belongs to the worker whose call may land it.
    going_on = [one for one in doubtful if one.under_way]
    for until in {one.effect.lease_until for one in going_on}:
        ids = [one.effect.id for one in going_on if one.effect.lease_until == until]
        update_where(connection, effect.c.id, ids, _KEEP, holder=worker, until=until)
    return tuple(late)


_TAKE = sa.update(effect).values(
    worker=sa.bindparam("holder", type_=sa.Text), lease_until=sa.bindparam("until", type_=Instant)
)
_CLAIM = _TAKE.values(
    state=State.SENDING.value,
    attempts=effect.c.attempts + 1,
    not_before=None,
    updated_at=sa.bindparam("updated_at", type_=Instant),
)
_KEEP = _TAKE.where(effect.c.state == State.UNCERTAIN, effect.c.worker.is_(None))
_CURRENT = (
    sa.select(effect.c.id, effect.c.state, effect.c.worker, effect.c.attempts)
    .order_by(effect.c.id)
    .with_for_update()
)
