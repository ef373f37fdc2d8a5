"""What a person decides about effects: found by their keys, and moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.errors import StoreBusyError
from crmsync.ledger.batches import rows_where
from crmsync.ledger.effects import SELECT_EFFECTS, effect_of
from crmsync.ledger.moves import Move, move_effects
from crmsync.ledger.schema import effect
from crmsync.ledger.states import State
from crmsync.ledger.unasked import WHY_LOGGED, logs_of, make_ready, record_unasked
from crmsync.model.actions import LogEmail, WithdrawTask

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from crmsync.ledger.claims import IsFree
    from crmsync.ledger.values.effects import Effect


def effects_beginning(connection: sa.Connection, text: str, limit: int) -> tuple[Effect, ...]:
    """Effects whose key begins so, oldest first; the one of that very key alone, if there is it."""
    begins = effect.c.key.startswith(text, autoescape=True)
    query = SELECT_EFFECTS.where(begins).order_by(effect.c.key != text, effect.c.id).limit(limit)
    found = tuple(effect_of(row) for row in connection.execute(query).all())
    return found[:1] if found and found[0].key == text else found


def decide_effects(
    connection: sa.Connection,
    effects: Sequence[Effect],
    after: State,
    *,
    by: str,
    at: datetime,
    reason: str,
    is_free: IsFree,
    loggers: Collection[str] = (),
) -> None:
    """Move effects as a person says; their attempts begin anew.

    What no gate is asked about is ready at once where it is to be tried again.

    Args:
        loggers: the connections that can log mail.

    Raises:
        StoreBusyError: one is no longer in the state in which the person saw it, or a process may
            still be sending it.
    """
    seen = {one.id: one for one in effects}
    rows = rows_where(connection, effect.c.id, sorted(seen), _LOCKED)
    for row in rows:
        if not is_free(row.worker, row.lease_until):
            raise StoreBusyError(
                f"another process is still busy with {row.key}; nothing was changed; "
                "try again when it has ended"
            )
        if row.state != seen[row.id].state:
            raise StoreBusyError(
                f"{row.key} has moved on meanwhile, it is {row.state}; nothing was changed; "
                "look again with “crmsync status”"
            )
    in_doubt = after is State.DROPPED
    moves = [
        Move(
            effect_id=row.id,
            before=State(row.state),
            after=after,
            reason=reason,
            attempts=row.attempts if after is State.DONE else 0,
            in_doubt=in_doubt and row.in_doubt,
            remote_id=row.remote_id,
            url=row.url,
            error=reason if after is State.DROPPED else None,
        )
        for row in rows
    ]
    move_effects(connection, moves, at=at, actor=by)
    if after is State.PLANNED:
        unasked = [one for one in effects if isinstance(one.action, LogEmail | WithdrawTask)]
        make_ready(connection, unasked, State.PLANNED, at=at, by=by, reason=reason)
    if after is State.DONE:
        logs = logs_of(effects, loggers)
        record_unasked(connection, logs, at=at, by=by, reason=WHY_LOGGED)


_LOCKED = sa.select(effect).order_by(effect.c.id).with_for_update()
