"""Which steps are due: those of active enrolments that the outbox has not taken over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.journeys.keys import effect_key
from crmsync.ledger.states import WAITING, State
from crmsync.ledger.values import EnrolmentStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from crmsync.ledger.values import (
        EnrolmentRef,
        EnrolmentSnapshot,
        StepState,
        Transitions,
    )
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.language import Rule, Step


@dataclass(frozen=True, kw_only=True)
class OpenStep:
    """A step that is due.

    Attributes:
        key: the key of its effect.
        since: the instant (UTC) from which it has been due.
    """

    enrolment: EnrolmentRef
    rule: Rule
    step: Step
    key: str
    since: datetime


def open_steps(
    rules: Sequence[Rule],
    verdicts: Mapping[str, RuleVerdicts],
    snapshot: EnrolmentSnapshot,
    transitions: Transitions,
    states: Mapping[EnrolmentRef, Mapping[str, StepState]],
) -> tuple[OpenStep, ...]:
    """The due steps once the transitions hold, by rule, subject and order in the rule.

    A step that could not be composed, or that a gate held, has no effect: it is due again.
    So is one whose effect still waits in the outbox: what has happened since may speak against it.
    Where records that are all in the rule were merged, each step is due for one of them, and only
    if it was handed over for none.
    A step whose subject's conditions are unknown just now waits.
    A step that the rule did not have when the subject entered is not due.

    ``states`` is how far the steps in the outbox have come, from `Ledger.step_states`.
    """
    by_name = {rule.name: rule for rule in rules}
    # The ledger may have an enrolment under a subject that was merged since.
    outbox = {(ref.rule, ref.key): steps for ref, steps in states.items()}
    active = sorted(active_enrolments(snapshot, transitions))
    settled = {
        (ref.rule, ref.subject, step)
        for ref, _, _ in active
        for step, state in outbox.get((ref.rule, ref.key), {}).items()
        if state.state not in WAITING or state.in_doubt
    }
    due: list[OpenStep] = []
    for ref, entered_with, entered_at in active:
        verdict, rule = verdicts.get(ref.rule), by_name.get(ref.rule)
        if rule is None or verdict is None or ref.subject not in verdict.matches:
            continue
        taken = outbox.get((ref.rule, ref.key), {})
        for step in rule.then:
            this = (ref.rule, ref.subject, step.id)
            if step.id not in entered_with or this in settled:
                continue
            settled.add(this)
            if _has_come(taken.get(step.id), transitions.at):
                key = taken[step.id].key if step.id in taken else effect_key(ref, step.id)
                due.append(OpenStep(enrolment=ref, rule=rule, step=step, key=key, since=entered_at))
    return tuple(due)


def active_enrolments(
    snapshot: EnrolmentSnapshot, transitions: Transitions
) -> Iterator[tuple[EnrolmentRef, tuple[str, ...], datetime]]:
    """Who is inside, with the steps that the rule had, and the instant (UTC) of entering."""
    moved = {end.enrolment.id for end in transitions.end}
    for enrolment in snapshot.open:
        if enrolment.status is EnrolmentStatus.ACTIVE and enrolment.id not in moved:
            yield enrolment.ref, enrolment.steps, enrolment.entered_at
    for activation in transitions.activate:
        if activation.status is EnrolmentStatus.ACTIVE:
            yield activation.enrolment.ref, activation.steps, transitions.at
    for enrol in transitions.enrol:
        if enrol.status is EnrolmentStatus.ACTIVE:
            yield enrol.ref, enrol.steps, transitions.at


def _has_come(waiting: StepState | None, now: datetime) -> bool:
    """A deferred step is due all the time: what it waits for may have changed since."""
    if waiting is None or waiting.not_before is None or waiting.state is State.DEFERRED:
        return True
    return waiting.not_before <= now
