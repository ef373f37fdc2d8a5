"""What a walk through the steps of the rules finds out, and what it must ask first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.journeys.keys import in_round
from crmsync.ledger.states import State
from crmsync.ledger.values.enrolments import SKIPPED, NextDue, StepOutcome
from crmsync.rules.language import Result

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.journeys.due import OpenStep
    from crmsync.ledger.values.effects import StepState
    from crmsync.ledger.values.enrolments import EnrolmentRef, EnrolmentSnapshot
    from crmsync.model.verdicts import Truth
    from crmsync.rules.language import Guard, Rule


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whether a guard holds for an enrolment.

    Attributes:
        entered_at: what ``enrolled`` stands for.
        step: its id in the rule.
        part: what of the step is asked: ``if``, ``until 1``, ``branch 0``.
    """

    rule: Rule
    enrolment: EnrolmentRef
    entered_at: datetime
    step: str
    part: str
    guard: Guard
    round: int = 1

    @property
    def key(self) -> tuple[EnrolmentRef, str, str]:
        """What answers are found by."""
        return self.enrolment, in_round(self.step, self.round), self.part


@dataclass(frozen=True, kw_only=True)
class Answered:
    """Whether it holds, and a sentence about that."""

    truth: Truth
    why: str


Answers = dict[tuple["EnrolmentRef", str, str], Answered]


@dataclass(frozen=True, kw_only=True)
class Waits:
    """A step that is not due yet, or of which that cannot be said.

    Attributes:
        until: the instant (UTC) from which this no longer holds it; None where that is not known.
    """

    rule: Rule
    enrolment: EnrolmentRef
    step: str
    reason: str
    until: datetime | None = None


@dataclass(kw_only=True)
class Walked:
    """Where all enrolments stand.

    Attributes:
        due: by rule, subject and order in the rule.
        outcomes: what is over since the last run without having made anything.
        questions: what must be answered before more can be said.
        progress: of each enrolment, what is over without an effect, new outcomes included.
    """

    due: list[OpenStep] = field(default_factory=list)
    outcomes: list[StepOutcome] = field(default_factory=list)
    waits: list[Waits] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    progress: dict[EnrolmentRef, dict[str, StepOutcome]] = field(default_factory=dict)


def next_due(walked: Walked, snapshot: EnrolmentSnapshot) -> tuple[NextDue, ...]:
    """For whom the next step, or its time, is another than the ledger has."""
    coming: dict[EnrolmentRef, tuple[datetime, str]] = {}
    for waits in walked.waits:
        if waits.until is not None:
            first = waits.until, waits.step
            coming[waits.enrolment] = min(first, coming.get(waits.enrolment, first))
    before = {one.ref: (one.next_due_at, one.next_step) for one in snapshot.open}
    found = []
    for ref in walked.progress:
        at, step = coming.get(ref, (None, None))
        if before.get(ref, (None, None)) != (at, step):
            found.append(NextDue(enrolment=ref, step=step, at=at))
    return tuple(found)


def results(
    outcome: StepOutcome | None, state: StepState | None, *, completed: bool | None
) -> frozenset[Result] | None:
    """What can be said of a step that was; None where that is not known.

    Args:
        completed: of a delivered task, whether people have done it; None where nobody knows.
    """
    if outcome is not None:
        found = {Result.SKIPPED if outcome.result == SKIPPED else Result(outcome.result)}
    elif state is None:  # in a branch that was not chosen, or not in the rule then
        found = {Result.SKIPPED}
    elif state.state is State.DROPPED:
        found = {Result.DROPPED}
    elif state.state is not State.DONE:
        found = set()
    elif completed is None:
        return None
    else:
        found = {Result.DELIVERED, Result.DONE} if completed else {Result.DELIVERED}
    return frozenset(found if Result.DONE in found else {*found, Result.NOT_DONE})
