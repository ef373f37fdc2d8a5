"""Effects are taken under a lease, and given back with what came of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.effects import SELECT_EFFECTS, effect_of, read_effects_by_id
from crmsync.ledger.enrolments import chunks, moved_meanwhile
from crmsync.ledger.outbox import Move, move_effects, write_down
from crmsync.ledger.schema import effect
from crmsync.ledger.states import State, check_transition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from crmsync.ledger.values import Effect


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """What came of an effect that was claimed.

    Attributes:
        counted: the attempt counts; not where nothing was tried (quota, credentials).
        already: it had been at the remote before this attempt.
        in_doubt: this attempt, or an earlier one, may have landed.
    """

    effect: Effect
    after: State
    reason: str
    counted: bool = True
    already: bool = False
    in_doubt: bool = False
    not_before: datetime | None = None
    remote_id: str | None = None
    url: str | None = None
    error: str | None = None


def claim_ready(  # noqa: PLR0913  a claim has these parts
    connection: sa.Connection,
    name: str,
    *,
    worker: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    run_id: int | None = None,
) -> tuple[Effect, ...]:
    """Take up to ``limit`` effects of a connection into sending, oldest first.

    Args:
        run_id: takes only what the gates of this run have let pass, and what may have landed
            already; None takes all that is ready.
    """
    query = SELECT_EFFECTS.where(
        effect.c.connection == name,
        effect.c.state == State.READY,
        sa.or_(effect.c.not_before.is_(None), effect.c.not_before <= now),
    )
    if run_id is not None:
        query = query.where(sa.or_(effect.c.run_id == run_id, effect.c.in_doubt))
    rows = connection.execute(
        query.order_by(effect.c.id).limit(limit).with_for_update(skip_locked=True, of=effect)
    ).all()
    check_transition(State.READY, State.SENDING)
    ids = [row.id for row in rows]
    for portion in chunks(ids):
        result = connection.execute(
            sa.update(effect)
            .where(effect.c.id.in_(portion), effect.c.state == State.READY)
            .values(
                state=State.SENDING,
                attempts=effect.c.attempts + 1,
                not_before=None,
                worker=worker,
                lease_until=lease_until,
                updated_at=now,
            )
        )
        if result.rowcount != len(portion):
            raise moved_meanwhile()
    taken = [(number, State.READY, State.SENDING, "claimed") for number in ids]
    write_down(connection, taken, at=now, actor=worker)
    return tuple(
        replace(
            effect_of(row),
            state=State.SENDING,
            attempts=row.attempts + 1,
            not_before=None,
            worker=worker,
            lease_until=lease_until,
            updated_at=now,
        )
        for row in rows
    )


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
