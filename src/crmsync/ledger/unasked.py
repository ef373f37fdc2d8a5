"""Effects that no step of a rule asks for: what takes a task back, and what logs a mail.

They belong to an effect that is done, and to its enrolment; no gate is asked about them, and they
are ready as soon as they are recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.batches import rows_where
from crmsync.ledger.effects import SELECT_EFFECTS, effect_of
from crmsync.ledger.moves import Move, move_effects, write_down
from crmsync.ledger.payload import dump
from crmsync.ledger.schema import effect
from crmsync.ledger.states import State
from crmsync.model.actions import LogEmail, SendEmail
from crmsync.model.own_mail import log_key

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from crmsync.ledger.values.effects import Effect
    from crmsync.model.actions import Action

WHY_LOGGED = "the mail was sent by another connection"


@dataclass(frozen=True, kw_only=True)
class Unasked:
    """An effect to be recorded.

    Attributes:
        origin: the effect that is done, and that it belongs to.
        connection: to which the action goes.
    """

    origin: Effect
    action: Action
    connection: str
    run_id: int


def logs_of(mails: Sequence[Effect], loggers: Collection[str]) -> list[Unasked]:
    """What logs mails that were sent, in the CRM that their customers came from.

    Args:
        loggers: the connections that can log mail. What one of them has sent itself it knows.
    """
    return [
        Unasked(
            origin=one,
            action=LogEmail(
                key=log_key(one.key),
                message_id=one.action.message_id,
                sender=one.action.sender,
                recipient=one.action.recipient,
                subject=one.action.subject,
                text=one.action.text,
                html=one.action.html,
                about=one.action.about,
                at=one.action.at.astimezone(UTC),
            ),
            connection=one.source,
            run_id=one.run_id,
        )
        for one in mails
        if isinstance(one.action, SendEmail)
        and one.source != one.connection
        and one.source in loggers
    ]


def record_unasked(
    connection: sa.Connection, wanted: Sequence[Unasked], *, at: datetime, by: str, reason: str
) -> None:
    """Record effects, and make them ready; none of their keys is there yet."""
    if not wanted:
        return
    origins = rows_where(connection, effect.c.id, [one.origin.id for one in wanted], _ENROLMENTS)
    enrolments = {row.id: row.enrolment_id for row in origins}
    rows = [
        {
            "key": one.action.key,
            "run_id": one.run_id,
            "enrolment_id": enrolments[one.origin.id],
            "step": one.origin.step,
            "connection": one.connection,
            "kind": one.action.kind.value,
            "payload": json.loads(dump(one.action)),
            "state": State.PLANNED,
            "attempts": 0,
            "in_doubt": False,
            "created_at": at,
            "updated_at": at,
        }
        for one in wanted
    ]
    connection.execute(sa.insert(effect), rows)
    recorded = rows_where(connection, effect.c.key, [row["key"] for row in rows], SELECT_EFFECTS)
    effects = [effect_of(row) for row in recorded]
    ids = [one.id for one in effects]
    write_down(connection, ids, None, State.PLANNED, reason=reason, at=at, actor=by)
    make_ready(connection, effects, State.PLANNED, at=at, by=by, reason="no gate is asked about it")


_ENROLMENTS = sa.select(effect.c.id, effect.c.enrolment_id)


def make_ready(
    connection: sa.Connection,
    effects: Sequence[Effect],
    before: State,
    *,
    at: datetime,
    by: str,
    reason: str,
) -> None:
    """Let what was recorded, or refused, be handed over by the next delivery."""
    steps = [State.PLANNED, State.READY] if before is State.REJECTED else [State.READY]
    for after in steps:
        moves = [
            Move(effect_id=one.id, before=before, after=after, reason=reason, attempts=0)
            for one in effects
        ]
        move_effects(connection, moves, at=at, actor=by)
        before = after
