"""The way of an enrolment through the steps of its rule: what is over, what is due, what is next.

Steps that say neither ``after`` nor anything of the steps before them are due together. A step
that does, a wait and a choice come when all before them are over: delivered, dropped or skipped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.journeys.due import OpenStep, active_enrolments
from crmsync.journeys.keys import effect_key
from crmsync.ledger.states import WAITING, State
from crmsync.ledger.values.enrolments import SKIPPED, NextDue, StepOutcome
from crmsync.model.verdicts import Truth
from crmsync.rules.language import ChooseStep, EmailStep, Result, WaitStep, asks_for_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from crmsync.ledger.values.effects import StepState
    from crmsync.ledger.values.enrolments import EnrolmentRef, EnrolmentSnapshot, Transitions
    from crmsync.model.durations import Duration
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.language import AnyStep, ClockOf, Guard, Rule, Step

    Later = Callable[[Rule, EnrolmentRef, datetime, Duration, ClockOf], datetime]
    Outcomes = Mapping[EnrolmentRef, Mapping[str, StepOutcome]]
    States = Mapping[EnrolmentRef, Mapping[str, StepState]]

NOTHING = "nothing"  # the result of a choice without a branch that holds
_OVER = frozenset({State.DONE, State.DROPPED})


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whether a guard holds for an enrolment.

    Attributes:
        part: what of the step is asked: ``if``, ``until 1``, ``branch 0``.
    """

    rule: Rule
    enrolment: EnrolmentRef
    entered_at: datetime
    step: str
    part: str
    guard: Guard

    @property
    def key(self) -> tuple[EnrolmentRef, str, str]:
        """What answers are found by."""
        return self.enrolment, self.step, self.part


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


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Active enrolments once the transitions hold, with what became of their steps.

    Attributes:
        verdicts: by rule; who is in a rule without one is left alone.
        states: how far the steps in the outbox have come, from `Ledger.step_states`.
        outcomes: the other steps that are over, from `Ledger.step_outcomes`.
        resting: those of whom nothing is done now, with the reason; empty where told already.
        missing: by rule, subjects of which there is no record now.
    """

    rules: Sequence[Rule]
    verdicts: Mapping[str, RuleVerdicts]
    snapshot: EnrolmentSnapshot
    transitions: Transitions
    states: States
    outcomes: Outcomes = field(default_factory=dict)
    resting: Mapping[EnrolmentRef, str] = field(default_factory=dict)
    missing: Mapping[str, Collection[str]] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[Rule, EnrolmentRef, tuple[str, ...], datetime]]:
        """Whose steps can be due now: rule, enrolment, ids of steps, instant of entering.

        A step whose subject's conditions are unknown just now waits.
        """
        by_name = {rule.name: rule for rule in self.rules}
        for ref, steps, entered_at in sorted(active_enrolments(self.snapshot, self.transitions)):
            rule, verdict = by_name.get(ref.rule), self.verdicts.get(ref.rule)
            if rule is None or verdict is None or ref in self.resting:
                continue
            subject = ref.subject
            stays = rule.until and subject not in self.missing.get(rule.name, ())
            if subject in verdict.matches or (stays and subject not in verdict.unknown):
                yield rule, ref, steps, entered_at


def walk(inside: Inside, *, later: Later, answers: Answers) -> Walked:
    """Take each enrolment as far as it goes now.

    A step that could not be composed, or that a gate held, has no effect: it is due again.
    So is one whose effect still waits in the outbox: what has happened since may speak against it.
    Where records that are all in the rule were merged, each step is due for one of them, and only
    if it was handed over for none.
    A step that the rule did not have when the subject entered is not due.

    Args:
        later: the instant that lies a duration after another, on one of the clocks.
        answers: to the questions of an earlier walk at the same instant.
    """
    # The ledger may have an enrolment under a subject that was merged since.
    states = {(ref.rule, ref.key): steps for ref, steps in inside.states.items()}
    outcomes = {(ref.rule, ref.key): steps for ref, steps in inside.outcomes.items()}
    rows = list(inside.rows())
    handed: dict[tuple[str, str], dict[str, StepState]] = {}
    for _, ref, _, _ in rows:
        for step, state in states.get((ref.rule, ref.key), {}).items():
            if state.state not in WAITING or state.in_doubt:
                handed.setdefault((ref.rule, ref.subject), {})[step] = state
    walked = Walked()
    told: set[tuple[str, str, str]] = set()
    for rule, ref, steps, entered_at in rows:
        walker = _Walker(
            rule=rule,
            ref=ref,
            entered_at=entered_at,
            now=inside.transitions.at,
            later=later,
            answers=answers,
            states=states.get((ref.rule, ref.key), {}),
            handed=handed.get((ref.rule, ref.subject), {}),
            outcomes=dict(outcomes.get((ref.rule, ref.key), {})),
            walked=walked,
            told=told,
            over_at=entered_at,
            since=entered_at,
        )
        walker.go([step for step in rule.way if step.id in steps])
        walked.progress[ref] = walker.outcomes
    return walked


@dataclass(kw_only=True)
class _Walker:
    """Walks one enrolment.

    Attributes:
        handed: the steps that were handed over, for this record or one merged with it.
        over_at: when the last of the steps so far was over.
        since: from when the steps at this point are due.
        blocked: a step so far is not over; the id of the last such, empty for none.
    """

    rule: Rule
    ref: EnrolmentRef
    entered_at: datetime
    now: datetime
    later: Later
    answers: Answers
    states: Mapping[str, StepState]
    handed: Mapping[str, StepState]
    outcomes: dict[str, StepOutcome]
    walked: Walked
    told: set[tuple[str, str, str]]
    over_at: datetime
    since: datetime
    blocked: str = ""

    def go(self, steps: Sequence[AnyStep]) -> None:
        """As far as it goes."""
        for step in steps:
            if not self._is_on_the_way(step):
                continue
            if asks_for_steps(step) and not self._reach(step):
                return
            over = self._over(step)
            if over is not None:
                self.over_at = max(self.over_at, over)
            elif step.id in self.handed or not self._take(step):
                self.blocked = step.id
                if isinstance(step, WaitStep | ChooseStep):
                    return
            if isinstance(step, WaitStep | ChooseStep):
                self.since = self.over_at

    def _is_on_the_way(self, step: AnyStep) -> bool:
        """Whether the branches around it were chosen."""
        return all(
            branch.choice in self.outcomes
            and self.outcomes[branch.choice].result == str(branch.number)
            for branch in step.within
        )

    def _reach(self, step: AnyStep) -> bool:
        """Whether the steps before it are over, and its time has come."""
        if self.blocked:
            handed = self.handed.get(self.blocked)
            if handed is not None and handed.state is State.REJECTED:
                reason = f"“{self.blocked}” before it was refused by the remote: {handed.error}"
                self._wait(step, reason)
            return False
        self.since = self.over_at
        if step.after is not None:
            self.since = self.later(self.rule, self.ref, self.over_at, step.after, step.clock)
            if self.since > self.now and self._over(step) is None and step.id not in self.handed:
                self._wait(step, f"it comes {step.after} after what was before it", self.since)
                return False
        return True

    def _over(self, step: AnyStep) -> datetime | None:
        """When it was over; None while it is not."""
        if step.id in self.outcomes:
            return self.outcomes[step.id].at
        state = self.handed.get(step.id) or self.states.get(step.id)
        return state.at if state is not None and state.state in _OVER else None

    def _take(self, step: AnyStep) -> bool:
        """Do what is to be done now; answers whether it is over with that."""
        if step.guard is not None:
            stopped = self._stopped(step, "if", step.guard, by=Truth.NO)
            if stopped is not None:
                return stopped
        match step:
            case WaitStep():
                return self._wait_for(step)
            case ChooseStep():
                return self._choose(step)
            case EmailStep() if step.contacted is not None:
                stopped = self._stopped(step, "contacted", step.contacted, by=Truth.YES)
                if stopped is None:
                    self._make(step)
                return bool(stopped)
            case _:
                self._make(step)
                return False

    def _stopped(self, step: AnyStep, part: str, guard: Guard, *, by: Truth) -> bool | None:
        """Whether it is skipped, for an answer; false where it must wait; None for neither."""
        answer = self._ask(step, part, guard)
        if answer is None:
            return False
        if answer.truth is Truth.UNKNOWN:
            return self._wait(step, answer.why)
        if answer.truth is not by:
            return None
        reason = answer.why
        if by is Truth.YES:
            reason = f"people have spoken with the customer since the enrolment ({answer.why})"
        return self._end(step, SKIPPED, reason)

    def _make(self, step: Step) -> None:
        """It is due, unless it is for another enrolment of this record, or waits for its time."""
        this = (self.ref.rule, self.ref.subject, step.id)
        state = self.states.get(step.id)
        if this not in self.told and _has_come(state, self.now):
            key = effect_key(self.ref, step.id) if state is None else state.key
            self.walked.due.append(
                OpenStep(enrolment=self.ref, rule=self.rule, step=step, key=key, since=self.since)
            )
        self.told.add(this)

    def _wait_for(self, step: WaitStep) -> bool:
        until = self.later(self.rule, self.ref, self.over_at, step.at_most, step.clock)
        doubts: list[str] = []
        asked = True
        for number, guard in enumerate(step.until):
            answer = self._ask(step, f"until {number}", guard)
            if answer is None:
                asked = False
            elif answer.truth is Truth.YES:
                return self._end(step, Result.DONE, answer.why)
            elif answer.truth is Truth.UNKNOWN:
                doubts.append(answer.why)
        if not asked:
            return False
        if until > self.now:
            longest = " at the longest" if step.until else ""
            return self._wait(step, f"it waits {step.at_most}{longest}", until)
        if doubts:  # what it waits for may have come
            return self._wait(step, "; ".join(doubts))
        if step.until:
            reason = f"what it waited for did not come within {step.at_most}"
            return self._end(step, Result.NOT_DONE, reason, until)
        return self._end(step, Result.DONE, f"{step.at_most} are over", until)

    def _choose(self, step: ChooseStep) -> bool:
        for number, guard in enumerate(step.branches):
            if guard is None:
                return self._end(step, str(number), "no other branch holds")
            answer = self._ask(step, f"branch {number}", guard)
            if answer is None or answer.truth is Truth.UNKNOWN:
                return False if answer is None else self._wait(step, answer.why)
            if answer.truth is Truth.YES:
                return self._end(step, str(number), answer.why)
        return self._end(step, NOTHING, "no branch holds")

    def _ask(self, step: AnyStep, part: str, guard: Guard) -> Answered | None:
        question = Question(
            rule=self.rule,
            enrolment=self.ref,
            entered_at=self.entered_at,
            step=step.id,
            part=part,
            guard=guard,
        )
        answer = self.answers.get(question.key)
        if answer is None:
            self.walked.questions.append(question)
        return answer

    def _end(self, step: AnyStep, result: str, reason: str, at: datetime | None = None) -> bool:
        outcome = StepOutcome(
            enrolment=self.ref, step=step.id, result=result, at=at or self.now, reason=reason
        )
        self.outcomes[step.id] = outcome
        self.walked.outcomes.append(outcome)
        self.over_at = max(self.over_at, outcome.at)
        return True

    def _wait(self, step: AnyStep, reason: str, until: datetime | None = None) -> bool:
        self.walked.waits.append(
            Waits(rule=self.rule, enrolment=self.ref, step=step.id, reason=reason, until=until)
        )
        return False


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


def _has_come(waiting: StepState | None, now: datetime) -> bool:
    """A deferred step is due all the time: what it waits for may have changed since."""
    if waiting is None or waiting.not_before is None or waiting.state is State.DEFERRED:
        return True
    return waiting.not_before <= now
