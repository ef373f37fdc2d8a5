"""Who is inside a rule, and what is due for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.journeys.keys import in_round
from crmsync.ledger.values.enrolments import EnrolmentStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crmsync.ledger.values.enrolments import EnrolmentRef, EnrolmentSnapshot, Transitions
    from crmsync.rules.language import Rule, Step


@dataclass(frozen=True, kw_only=True)
class OpenStep:
    """A step that is due.

    Attributes:
        key: the key of its effect.
        round: how often its enrolment has begun, this time included.
        since: the instant (UTC) from which it has been due.
    """

    enrolment: EnrolmentRef
    rule: Rule
    step: Step
    key: str
    since: datetime
    round: int = 1

    @property
    def id(self) -> str:
        """What the ledger calls it."""
        return in_round(self.step.id, self.round)


def active_enrolments(
    snapshot: EnrolmentSnapshot, transitions: Transitions
) -> Iterator[tuple[EnrolmentRef, tuple[str, ...], datetime]]:
    """Who is inside, with the steps that the rule had, and the instant (UTC) of entering."""
    moved = {end.enrolment.id for end in transitions.end}
    moved |= {activation.enrolment.id for activation in transitions.activate}
    for enrolment in snapshot.open:
        if enrolment.status is EnrolmentStatus.ACTIVE and enrolment.id not in moved:
            yield enrolment.ref, enrolment.steps, enrolment.entered_at
    for activation in transitions.activate:
        if activation.status is EnrolmentStatus.ACTIVE:
            yield activation.enrolment.ref, activation.steps, transitions.at
    for enrol in transitions.enrol:
        if enrol.status is EnrolmentStatus.ACTIVE:
            yield enrol.ref, enrol.steps, transitions.at
