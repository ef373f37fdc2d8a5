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

if TYPE_CHECKING:
    from collections.abc import Sequence
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
) -> None:
    """Move effects as a person says; their attempts begin anew.

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


_LOCKED = sa.select(effect).order_by(effect.c.id).with_for_update()
