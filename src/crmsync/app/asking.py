"""What is asked on the way of an enrolment: conditions about the subject, results of steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from crmsync.app.clocks import Clocks
from crmsync.journeys.enrolments import Ended
from crmsync.journeys.keys import in_round
from crmsync.journeys.walked import Answered, Question, Walked, results
from crmsync.journeys.way import walk
from crmsync.ledger.states import State
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.model.tables import global_id
from crmsync.model.verdicts import Truth
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.language import Rule, TaskStep

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from crmsync.app.premises import Premises
    from crmsync.journeys.inside import Inside
    from crmsync.journeys.texts import Texts
    from crmsync.journeys.walked import Answers
    from crmsync.ledger.values.effects import StepState
    from crmsync.ledger.values.enrolments import EnrolmentRef, EnrolmentSnapshot, StepOutcome
    from crmsync.model.records import LiveRecords
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.evaluation.world import World

_COMPLETED = "completed"
_ACTIVITY = "activity"


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What the ``until`` of rules says of those inside.

    Attributes:
        unsure: of whom it cannot be said, with the reason; nothing is done for them.
    """

    ended: Mapping[EnrolmentRef, Ended]
    unsure: Mapping[EnrolmentRef, str]


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Answers about enrolments, all at one instant.

    Attributes:
        states: how far the steps in the outbox have come.
    """

    premises: Premises
    records: LiveRecords
    world: World
    rules: Sequence[Rule]
    states: Mapping[EnrolmentRef, Mapping[str, StepState]]

    def ends(
        self,
        snapshot: EnrolmentSnapshot,
        verdicts: Mapping[str, RuleVerdicts],
        missing: Mapping[str, Collection[str]],
        texts: Texts,
    ) -> Ends:
        """Of whom the end has come, among those who were inside before this cycle."""
        by_name = {rule.name: rule for rule in self.rules if rule.name in verdicts}
        inside = [
            (texts.earlier[one.ref].rule if one.ref in texts.earlier else rule, one)
            for one in snapshot.open
            if one.status is EnrolmentStatus.ACTIVE
            and one.ref not in texts.unreadable
            and (rule := by_name.get(one.ref.rule)) is not None
            and one.ref.subject not in missing.get(rule.name, ())
        ]
        ends = self._ends((rule, one.ref, one.entered_at) for rule, one in inside)
        return replace(ends, unsure={**ends.unsure, **texts.unreadable})

    def _ends(self, inside: Iterable[tuple[Rule, EnrolmentRef, datetime]]) -> Ends:
        asked = [
            (
                Question(
                    rule=rule,
                    enrolment=ref,
                    entered_at=entered_at,
                    step="",
                    part=f"until {number}",
                    guard=ending.guard,
                ),
                ending.goal,
            )
            for rule, ref, entered_at in inside
            for number, ending in enumerate(rule.until)
        ]
        answers = self._answers([question for question, _ in asked], {})
        ended: dict[EnrolmentRef, Ended] = {}
        unsure: dict[EnrolmentRef, str] = {}
        for question, goal in asked:
            answer, ref = answers[question.key], question.enrolment
            if answer.truth is Truth.YES:
                if ref not in ended or (goal and not ended[ref].goal):
                    ended[ref] = Ended(reason=f"its end has come: {answer.why}", goal=goal)
            elif answer.truth is Truth.UNKNOWN:
                unsure[ref] = f"whether its end has come cannot be said: {answer.why}"
        unsure = {ref: why for ref, why in unsure.items() if ref not in ended}
        return Ends(ended=ended, unsure=unsure)

    def walked(self, inside: Inside) -> Walked:
        """Where everybody stands, all questions on the way answered."""
        entering = [
            (row.rule, row.ref, row.at)
            for row in inside.rows()
            if row.rule.until and row.at == inside.transitions.at
        ]
        ends = self._ends(entering)
        # They have only now entered: the end is recorded by the next run.
        at_once = {ref: ended.reason for ref, ended in ends.ended.items()}
        inside = replace(inside, resting={**inside.resting, **ends.unsure, **at_once})
        clocks = Clocks(
            records=self.records, world=self.world, catalog=self.premises.catalog, inside=inside
        )
        answers: Answers = {}
        while True:
            walked = walk(inside, later=clocks.later, answers=answers)
            if not walked.questions:
                return walked
            answers |= self._answers(walked.questions, walked.progress)

    # -- conditions and results

    def _answers(
        self,
        questions: Sequence[Question],
        progress: Mapping[EnrolmentRef, Mapping[str, StepOutcome]],
    ) -> Answers:
        completed = self._completed(questions)
        found: Answers = {}
        alike: dict[tuple[str, str, str, str, datetime | None], list[Question]] = {}
        for question in questions:
            answer = self._of_results(question, progress, completed)
            if answer is None:
                guard = question.guard
                entered = question.entered_at if guard.enrolled else None
                rule = question.rule
                group = rule.name, rule.version, question.step, question.part, entered
                alike.setdefault(group, []).append(question)
            else:
                found[question.key] = answer
        for together in alike.values():
            found |= self._of_conditions(together)
        return found

    def _of_conditions(self, alike: Sequence[Question]) -> Answers:
        """Of the same guard, for enrolments that began at the same instant if that matters."""
        first = alike[0]
        guard, rule = first.guard, first.rule
        if guard.condition is None:
            return {q.key: Answered(truth=Truth.YES, why=guard.text) for q in alike}
        asked = Rule(
            name=rule.name,
            description="",
            subject=rule.subject,
            when=guard.condition,
            way=(),
            version=f"{rule.version} {first.step} {first.part}",
            place=guard.place,
        )
        world = self.world
        if guard.enrolled:
            world = world.at(world.now, enrolled=first.entered_at)
        ids = {question.enrolment.subject for question in alike}
        verdicts = Evaluation([asked], world, ids=ids).verdicts[rule.name]

        def answer(subject: str) -> Answered:
            if subject in verdicts.matches:
                return Answered(truth=Truth.YES, why=guard.text)
            if subject in verdicts.unknown:
                reason = "; ".join(verdicts.unknown[subject])
                return Answered(truth=Truth.UNKNOWN, why=reason or f"{guard.text} is unknown")
            return Answered(truth=Truth.NO, why=f"{guard.text} does not hold")

        return {question.key: answer(question.enrolment.subject) for question in alike}

    def _of_results(
        self,
        question: Question,
        progress: Mapping[EnrolmentRef, Mapping[str, StepOutcome]],
        completed: Mapping[tuple[EnrolmentRef, str], bool | str],
    ) -> Answered | None:
        """Where earlier steps decide; None where the conditions are left to be asked."""
        unsure = None
        for asked in question.guard.results:
            ref = question.enrolment
            step = in_round(asked.step, question.round)
            done = completed.get((ref, step), True)
            found = results(
                progress.get(ref, {}).get(step),
                self._state(ref, step),
                completed=None if isinstance(done, str) else done,
            )
            if found is None:
                unsure = f"{asked.text} is unknown: {done}"
            elif not found & set(asked.results):
                return Answered(truth=Truth.NO, why=f"{asked.text} does not hold")
        return None if unsure is None else Answered(truth=Truth.UNKNOWN, why=unsure)

    def _state(self, ref: EnrolmentRef, step: str) -> StepState | None:
        return self._states.get((ref.rule, ref.key), {}).get(step)

    @cached_property
    def _states(self) -> Mapping[tuple[str, str], Mapping[str, StepState]]:
        # The ledger may have an enrolment under a subject that was merged since.
        return {(ref.rule, ref.key): steps for ref, steps in self.states.items()}

    def _completed(
        self, questions: Sequence[Question]
    ) -> Mapping[tuple[EnrolmentRef, str], bool | str]:
        """Of delivered tasks that are asked about, whether people have done them.

        A sentence where nobody knows: their table was not read lately, or not they themselves.
        """
        tasks: dict[tuple[EnrolmentRef, str], tuple[str, str]] = {}
        for question in questions:
            kinds = {step.id: step for step in question.rule.way}
            for asked in question.guard.results:
                step = in_round(asked.step, question.round)
                state = self._state(question.enrolment, step)
                is_task = isinstance(kinds.get(asked.step), TaskStep)
                if is_task and state is not None and state.state is State.DONE:
                    made = global_id(state.connection, state.remote_id or "")
                    tasks[question.enrolment, step] = state.connection, made
        if not tasks:
            return {}
        asked_about = {made for _, made in tasks.values()}
        rows = self.records.rows(_ACTIVITY, asked_about)
        gone = self.records.gone(_ACTIVITY, asked_about - rows.keys())
        fresh = self.world.freshness.fresh_connections((_ACTIVITY,))

        def done(connection: str, made: str) -> bool | str:
            if made in rows and rows[made].get("status") == _COMPLETED:
                return True
            if connection not in fresh:
                return "activities were not read lately"
            if made not in rows and made not in gone:
                return f"its task was never read from {connection}; does a stream read the tasks?"
            return False

        return {key: done(*task) for key, task in tasks.items()}
