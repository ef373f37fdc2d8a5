"""What people say before something is done for the first time: yes, no, or in other words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crmsync.ledger.batches import speakable
from crmsync.ledger.effects import SELECT_EFFECTS, effect_of
from crmsync.ledger.payload import dump, from_payload
from crmsync.ledger.schema import effect, review
from crmsync.ledger.states import WAITING, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crmsync.ledger.values.effects import Effect
    from crmsync.model.actions import Action


class Verdict(StrEnum):
    """What a person said."""

    APPROVED = "approved"
    REJECTED = "rejected"
    EDITED = "edited"
    ENROLLED = "enrolled"
    IGNORED = "ignored"


@dataclass(frozen=True, kw_only=True)
class Said:
    """One word of a person about an effect.

    Attributes:
        action: as they saw it; for EDITED, as they worded it.
        said_at: when (UTC).
    """

    verdict: Verdict
    said_by: str
    said_at: datetime
    reason: str
    action: Action | None = None


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """An effect that waits, and that a person was or is asked about.

    Attributes:
        said: what was said about it, the first word first.
    """

    effect: Effect
    said: tuple[Said, ...] = field(default=())

    @property
    def approval(self) -> Said | None:
        """The word by which it was approved, unless a later one says otherwise."""
        last = self.said[-1] if self.said else None
        return last if last is not None and last.verdict is Verdict.APPROVED else None

    @property
    def edit(self) -> Said | None:
        """Its last wording by a person, which need not stand any more."""
        edits = [said for said in self.said if said.verdict is Verdict.EDITED]
        return edits[-1] if edits else None


def read_reviewed(connection: sa.Connection) -> tuple[Reviewed, ...]:
    """What awaits approval, and what else waits after a person has spoken of it; oldest first."""
    spoken_of = sa.select(review.c.effect_id).where(review.c.effect_id.is_not(None))
    return _reviewed(
        connection,
        effect.c.state.in_(sorted(WAITING)),
        sa.or_(effect.c.state == State.AWAITING, effect.c.id.in_(spoken_of)),
    )


def read_reviewed_one(connection: sa.Connection, effect_id: int) -> Reviewed:
    """An effect, whatever became of it, with what people said."""
    (found,) = _reviewed(connection, effect.c.id == effect_id)
    return found


def _reviewed(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> tuple[Reviewed, ...]:
    query = SELECT_EFFECTS.where(*which).order_by(effect.c.id)
    effects = [effect_of(row) for row in connection.execute(query).all()]
    if not effects:
        return ()
    said: dict[int, list[Said]] = {}
    spoken = sa.select(review).join(effect, effect.c.id == review.c.effect_id)
    for row in connection.execute(spoken.where(*which).order_by(review.c.id)):
        said.setdefault(row.effect_id, []).append(
            Said(
                verdict=Verdict(row.verdict),
                said_by=row.said_by,
                said_at=row.said_at,
                reason=row.reason,
                action=None if row.payload is None else from_payload(row.payload),
            )
        )
    return tuple(Reviewed(effect=one, said=tuple(said.get(one.id, ()))) for one in effects)


def say_of_effects(
    connection: sa.Connection,
    effects: Sequence[Effect],
    verdict: Verdict,
    *,
    by: str,
    at: datetime,
    reason: str,
) -> None:
    """Record a word about effects, each with its action."""
    connection.execute(
        sa.insert(review),
        [
            {
                "verdict": verdict,
                "effect_id": one.id,
                "said_by": speakable(by),
                "said_at": at,
                "reason": speakable(reason),
                "payload": json.loads(dump(one.action)),
            }
            for one in effects
        ],
    )


def word_effect(connection: sa.Connection, effect_id: int, action: Action) -> None:
    """Give an effect the words of a person."""
    connection.execute(
        sa.update(effect).where(effect.c.id == effect_id).values(payload=json.loads(dump(action)))
    )


def say_of_enrolments(
    connection: sa.Connection,
    enrolments: Sequence[int],
    verdict: Verdict,
    *,
    by: str,
    at: datetime,
    reason: str,
) -> None:
    """Record a word about enrolments, by their numbers."""
    words = {"verdict": verdict, "said_by": speakable(by), "said_at": at}
    words["reason"] = speakable(reason)
    rows = [{**words, "enrolment_id": number} for number in enrolments]
    connection.execute(sa.insert(review), rows)
