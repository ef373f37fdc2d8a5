"""The way of an enrolment through the steps of its rule: what is over, what is due, what is next.

Steps that say neither ``after`` nor anything of the steps before them are due together. A step
that does, a wait and a choice come when all before them are over: delivered, dropped or skipped.

A rule with ``repeat_every`` begins anew once all of its steps are over. That is another round of
the same enrolment; from the second one on, its steps bear its number: ``brief#2``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.journeys.due import OpenStep
from crmsync.journeys.keys import effect_key, in_round, round_of
from crmsync.journeys.walked import Answered, Answers, Question, Waits, Walked
from crmsync.ledger.states import WAITING, State
from crmsync.ledger.values.enrolments import BEGUN, SKIPPED, StepOutcome
from crmsync.model.durations import Duration
from crmsync.model.verdicts import Truth
from crmsync.rules.language import (
    ChooseStep,
    ClockOf,
    EmailStep,
    Result,
    WaitStep,
    asks_for_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.journeys.inside import Entered, Inside
    from crmsync.ledger.values.effects import StepState
    from crmsync.ledger.values.enrolments import EnrolmentRef
    from crmsync.rules.language import AnyStep, Guard, Rule, Step

    Later = Callable[[Rule, EnrolmentRef, datetime, Duration, ClockOf], datetime]

NOTHING = "nothing"  # the result of a choice without a branch that holds
CONTACTED = "contacted"
_OVER = frozenset({State.DONE, State.DROPPED})


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
    for ref in (row.ref for row in rows):
        for step, state in states.get((ref.rule, ref.key), {}).items():
            if state.state not in WAITING or state.in_doubt:
                handed.setdefault((ref.rule, ref.subject), {})[step] = state
    walked = Walked()
    told: set[tuple[str, str, str]] = set()
    seen: set[tuple[str, str]] = set()
    for row in rows:
        rule, ref = row.rule, row.ref
        walker = _Walker(
            row=row,
            now=inside.transitions.at,
            later=later,
            answers=answers,
            states=states.get((ref.rule, ref.key), {}),
            handed=handed.get((ref.rule, ref.subject), {}),
            outcomes=dict(outcomes.get((ref.rule, ref.key), {})),
            walked=walked,
            told=told,
            ended=_why_once(row, inside, seen),
        )
        seen.add((ref.rule, ref.subject))
        walker.go([step for step in rule.way if step.id in row.steps])
        walked.progress[ref] = walker.outcomes
    return walked


def _why_once(row: Entered, inside: Inside, seen: Collection[tuple[str, str]]) -> str | None:
    """Why it does not begin anew now; None where it may."""
    if row.rule.name in inside.expired:
        return f"the rule expired on {row.rule.expires} and does not begin anew"
    if (row.ref.rule, row.ref.subject) in seen:
        return "another record that was merged with it begins anew in its place"
    return None if row.holds else "it begins anew once its conditions hold"


@dataclass(kw_only=True)
class _Walker:
    """Walks one enrolment.

    Attributes:
        handed: the steps that were handed over, for this record or one merged with it.
        ended: why it does not begin anew now; None where it may.
        round: how often it has begun, this time included.
        begun: when it did so, and ``before`` the time before that; when it was entered, at first.
        over_at: when the last of the steps so far was over.
        since: from when the steps at this point are due.
        blocked: a step so far is not over; what the last such is called, empty for none.
    """

    row: Entered
    now: datetime
    later: Later
    answers: Answers
    states: Mapping[str, StepState]
    handed: Mapping[str, StepState]
    outcomes: dict[str, StepOutcome]
    walked: Walked
    told: set[tuple[str, str, str]]
    ended: str | None
    round: int = field(init=False)
    begun: datetime = field(init=False)
    before: datetime = field(init=False)
    over_at: datetime = field(init=False)
    since: datetime = field(init=False)
    blocked: str = field(init=False)

    def __post_init__(self) -> None:
        self._start(max((round_of(step)[1] for step in self.outcomes), default=1))

    @property
    def rule(self) -> Rule:
        return self.row.rule

    @property
    def ref(self) -> EnrolmentRef:
        return self.row.ref

    def go(self, steps: Sequence[AnyStep]) -> None:
        """As far as it goes; the round after one that begins now lies ahead."""
        while self._go_round(steps) and steps and self._begins_anew(steps[0]):
            pass

    def _start(self, number: int) -> None:
        """The round of that number begins, or goes on."""
        self.round = number
        self.begun = self._begun(number)
        self.before = max(self.row.at, self._begun(number - 1))
        self.over_at = self.since = self.begun
        self.blocked = ""

    def _begun(self, number: int) -> datetime:
        outcome = self.outcomes.get(in_round("", number)) if number > 1 else None
        return self.row.at if outcome is None else outcome.at

    def _begins_anew(self, first: AnyStep) -> bool:
        """Whether another round begins now; told why not."""
        every, number = self.rule.repeat_every, self.round + 1
        if every is None:
            return False
        step = in_round(first.id, number)
        due = self._after(self.begun, every)
        if self.rule.cooldown is not None:
            due = max(due, self._after(self.begun, self.rule.cooldown))
        if due > self.now:
            return self._wait(step, f"it comes again {every} after it came last", due)
        if self.ended is not None:
            return self._wait(step, self.ended)
        # What was missed is not made up for; the days on which it comes stay the same.
        at = max(due, self._last_before_now(every))
        self._note(in_round("", number), BEGUN, f"it comes again after {every}", at)
        self._start(number)
        return True

    def _after(self, start: datetime, by: Duration) -> datetime:
        return self.later(self.rule, self.ref, start, by, ClockOf.COMPANY)

    def _last_before_now(self, every: Duration) -> datetime:
        at = self.begun
        if not every.business_days:
            about = (self.now - at) // every.length
            # One more or less, since days on which clocks are changed are shorter or longer.
            counts = (about + 1, about, about - 1)
            ends = (self._after(at, Duration(length=n * every.length)) for n in counts)
            return next(end for end in ends if end <= self.now)
        while (coming := self._after(at, every)) <= self.now:
            at = coming
        return at

    def _id(self, step: AnyStep) -> str:
        return in_round(step.id, self.round)

    def _go_round(self, steps: Sequence[AnyStep]) -> bool:
        """As far as the round goes; whether all of it is over."""
        for step in steps:
            if not self._is_on_the_way(step):
                continue
            if asks_for_steps(step) and not self._reach(step):
                return False
            over = self._over(step)
            if over is not None:
                self.over_at = max(self.over_at, over)
            elif self._id(step) in self.handed or not self._take(step):
                self.blocked = self._id(step)
                if isinstance(step, WaitStep | ChooseStep):
                    return False
            if isinstance(step, WaitStep | ChooseStep):
                self.since = self.over_at
        if self.rule.repeat_every is not None:
            self._tell_refused(in_round(steps[0].id if steps else "", self.round + 1))
        return not self.blocked

    def _is_on_the_way(self, step: AnyStep) -> bool:
        """Whether the branches around it were chosen."""
        return all(
            choice in self.outcomes and self.outcomes[choice].result == str(branch.number)
            for branch in step.within
            for choice in (in_round(branch.choice, self.round),)
        )

    def _reach(self, step: AnyStep) -> bool:
        """Whether the steps before it are over, and its time has come."""
        if self.blocked:
            self._tell_refused(self._id(step))
            return False
        self.since = self.over_at
        if step.after is not None:
            self.since = self.later(self.rule, self.ref, self.over_at, step.after, step.clock)
            started = self._over(step) is not None or self._id(step) in self.handed
            if self.since > self.now and not started:
                reason = f"it comes {step.after} after what was before it"
                return self._wait(self._id(step), reason, self.since)
        return True

    def _tell_refused(self, step: str) -> None:
        """What the remote refuses is not over, and a person decides."""
        handed = self.handed.get(self.blocked)
        if handed is not None and handed.state is State.REJECTED:
            reason = f"“{self.blocked}” before it was refused by the remote: {handed.error}"
            self._wait(step, reason)

    def _over(self, step: AnyStep) -> datetime | None:
        """When it was over; None while it is not."""
        name = self._id(step)
        if name in self.outcomes:
            return self.outcomes[name].at
        state = self.handed.get(name) or self.states.get(name)
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
            case EmailStep() if step.contacted and (step.comes_later or self.round > 1):
                stopped = self._stopped(step, CONTACTED, step.contacted, by=Truth.YES)
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
            return self._wait(self._id(step), answer.why)
        if answer.truth is not by:
            return None
        reason = answer.why
        if by is Truth.YES:
            since = "the enrolment" if self.before == self.row.at else "the last time"
            reason = f"people have spoken with the customer since {since} ({answer.why})"
        return self._end(step, SKIPPED, reason)

    def _make(self, step: Step) -> None:
        """It is due, unless it is for another enrolment of this record, or waits for its time."""
        name = self._id(step)
        this = (self.ref.rule, self.ref.subject, name)
        state = self.states.get(name)
        if this not in self.told and _has_come(state, self.now):
            key = effect_key(self.ref, name) if state is None else state.key
            self.walked.due.append(
                OpenStep(
                    enrolment=self.ref,
                    rule=self.rule,
                    step=step,
                    key=key,
                    since=self.since,
                    round=self.round,
                )
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
            return self._wait(self._id(step), f"it waits {step.at_most}{longest}", until)
        if doubts:  # what it waits for may have come
            return self._wait(self._id(step), "; ".join(doubts))
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
                return False if answer is None else self._wait(self._id(step), answer.why)
            if answer.truth is Truth.YES:
                return self._end(step, str(number), answer.why)
        return self._end(step, NOTHING, "no branch holds")

    def _ask(self, step: AnyStep, part: str, guard: Guard) -> Answered | None:
        question = Question(
            rule=self.rule,
            enrolment=self.ref,
            entered_at=self.before if part == CONTACTED else self.row.at,
            step=step.id,
            part=part,
            guard=guard,
            round=self.round,
        )
        answer = self.answers.get(question.key)
        if answer is None:
            self.walked.questions.append(question)
        return answer

    def _end(self, step: AnyStep, result: str, reason: str, at: datetime | None = None) -> bool:
        outcome = self._note(self._id(step), result, reason, at or self.now)
        self.over_at = max(self.over_at, outcome.at)
        return True

    def _note(self, step: str, result: str, reason: str, at: datetime) -> StepOutcome:
        outcome = StepOutcome(enrolment=self.ref, step=step, result=result, at=at, reason=reason)
        self.outcomes[step] = outcome
        self.walked.outcomes.append(outcome)
        return outcome

    def _wait(self, step: str, reason: str, until: datetime | None = None) -> bool:
        self.walked.waits.append(
            Waits(rule=self.rule, enrolment=self.ref, step=step, reason=reason, until=until)
        )
        return False


def _has_come(waiting: StepState | None, now: datetime) -> bool:
    """A deferred step is due all the time: what it waits for may have changed since."""
    if waiting is None or waiting.not_before is None or waiting.state is State.DEFERRED:
        return True
    return waiting.not_before <= now
