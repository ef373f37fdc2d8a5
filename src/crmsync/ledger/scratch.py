"""A copy of a ledger to try things on: what a forecast enrols and hands out is written there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.schema import (
    effect,
    enrolment,
    review,
    rule_state,
    rule_text,
    run,
    step_outcome,
    stop,
)
from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_ROWS = 10_000


def copied(ledger: Ledger, at: Path) -> Ledger:
    """A new ledger in a file, with all that deciding needs to remember.

    Raises:
        StoreError: the one cannot be read or the other not written.
    """
    copy = Ledger(at)
    with ledger.reading() as source, copy.writing() as target:
        for table in (run, rule_state, rule_text, enrolment, step_outcome, effect, stop, review):
            for rows in source.execute(sa.select(table)).mappings().partitions(_ROWS):
                target.execute(sa.insert(table), [dict(row) for row in rows])
    return copy


def take_for_done(ledger: Ledger, *, at: datetime) -> None:
    """Whatever is ready by then shall count as delivered."""
    come = sa.or_(effect.c.not_before.is_(None), effect.c.not_before <= at)
    with ledger.writing() as connection:
        connection.execute(
            sa.update(effect)
            .where(effect.c.state == State.READY, come)
            .values(state=State.DONE, updated_at=at)
        )
