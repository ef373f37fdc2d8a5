"""What a customer has declined by themselves, on its way into the CRM's own field.

No rule asks for it, and no gate: it is what the customer wants, and harmless twice.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.batches import rows_where
from crmsync.ledger.effects import OWN_STEP, number_of
from crmsync.ledger.moves import Move, move_effects, write_down
from crmsync.ledger.payload import dump
from crmsync.ledger.schema import effect, enrolment
from crmsync.ledger.states import State
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.model.actions import UpdateFields

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crmsync.model.actions import RecordRef, Scalar

# Takes the place of a rule and of a step: no rule of a config can be called so.
OPT_OUT = f"{OWN_STEP}unsubscribe"


@dataclass(frozen=True, kw_only=True)
class OptOut:
    """A contact whose address has declined commercial mail, and whose record does not say so.

    Attributes:
        stop: the ledger's number of the word.
        contact: its global id.
        changes: the remote's own field, and its own word for yes.
    """

    stop: int
    contact: str
    connection: str
    stream: str
    record: RecordRef
    changes: tuple[tuple[str, Scalar], ...]

    @property
    def key(self) -> str:
        """One for each word and contact, so it is written once."""
        digest = hashlib.sha1(f"{self.stop}\n{self.contact}".encode(), usedforsecurity=False)
        return f"unsubscribe-{digest.hexdigest()}"


def record_opt_outs(
    connection: sa.Connection, found: Sequence[OptOut], *, run_id: int, at: datetime
) -> int:
    """Record what is not recorded yet, and let out what is planned; answers with how many."""
    by_key = {one.key: one for one in found}
    known = {row.key for row in rows_where(connection, effect.c.key, list(by_key), _KEYS)}
    fresh = [one for key, one in by_key.items() if key not in known]
    if fresh:
        _record(connection, fresh, run_id=run_id, at=at)
    planned = connection.execute(_PLANNED).all()
    reason = "the customer wants it; no gate is asked"
    moves = [
        Move(
            effect_id=row.id,
            before=State.PLANNED,
            after=State.READY,
            reason=reason,
            attempts=row.attempts,
        )
        for row in planned
    ]
    move_effects(connection, moves, at=at, actor=f"run {run_id}")
    return len(moves)


_KEYS = sa.select(effect.c.key)
_PLANNED = (
    sa.select(effect.c.id, effect.c.attempts)
    .where(effect.c.state == State.PLANNED, effect.c.step == OPT_OUT)
    .order_by(effect.c.id)
    .with_for_update()
)


def _record(
    connection: sa.Connection, fresh: Sequence[OptOut], *, run_id: int, at: datetime
) -> None:
    contacts = list(dict.fromkeys(one.contact for one in fresh))
    enrolments = _enrolments(connection, contacts)
    missing = [contact for contact in contacts if contact not in enrolments]
    if missing:
        # An effect belongs to an enrolment; this one is of no rule, and over from its beginning.
        values = [{"subject": contact, "key": contact} for contact in missing]
        constants = {
            "rule": OPT_OUT,
            "rule_version": "",
            "steps": [OPT_OUT],
            "status": EnrolmentStatus.ENDED,
            "entered_at": at,
            "ended_at": at,
            "end_reason": "the customer has unsubscribed",
            "run_id": run_id,
        }
        connection.execute(sa.insert(enrolment), [value | constants for value in values])
        enrolments = _enrolments(connection, contacts)
    rows = [
        {
            "key": one.key,
            "run_id": run_id,
            "enrolment_id": enrolments[one.contact],
            "step": OPT_OUT,
            "connection": one.connection,
            "kind": UpdateFields.kind.value,
            "payload": json.loads(dump(_action(one))),
            "state": State.PLANNED,
            "attempts": 0,
            "in_doubt": False,
            "created_at": at,
            "updated_at": at,
        }
        for one in fresh
    ]
    connection.execute(sa.insert(effect), rows)
    recorded = number_of(connection, [one.key for one in fresh])
    write_down(
        connection,
        sorted(recorded.values()),
        None,
        State.PLANNED,
        reason="the customer has unsubscribed",
        at=at,
        actor=f"run {run_id}",
    )


def _action(one: OptOut) -> UpdateFields:
    # Nothing is compared: whatever stands there, the customer wants no more.
    return UpdateFields(
        key=one.key, record=one.record, stream=one.stream, changes=dict(one.changes)
    )


def _enrolments(connection: sa.Connection, contacts: Sequence[str]) -> dict[str, int]:
    rows = rows_where(connection, enrolment.c.key, contacts, _ENROLMENTS)
    return {row.key: row.id for row in rows}


_ENROLMENTS = sa.select(enrolment.c.key, enrolment.c.id).where(enrolment.c.rule == OPT_OUT)
