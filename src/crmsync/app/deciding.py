"""From what is known to what would be done: evaluate, enrol, compose, ask the gates."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.app.gather import gather
from crmsync.app.results import HeldBack, PlannedAction, PlanResult, RuleCount, SyncResult
from crmsync.app.suppression import Suppression
from crmsync.errors import UsageError
from crmsync.journeys.compose import Composed, Composer
from crmsync.journeys.due import OpenStep, open_steps
from crmsync.journeys.enrolments import decide_enrolments
from crmsync.journeys.merges import follow_merges
from crmsync.journeys.people import HeldError, display_name, record_name
from crmsync.ledger.states import State
from crmsync.ledger.values import Answer, Decision, EnrolmentStatus, NewEffect, Withheld
from crmsync.model.actions import AddNote, CreateTask, SendEmail, UpdateFields
from crmsync.model.tables import split_global_id
from crmsync.model.verdicts import Truth
from crmsync.policy.breaker import circuit_breaker
from crmsync.policy.gates import Draft, Ruling, as_decision, ask_gates
from crmsync.rules.evaluate import Evaluation
from crmsync.rules.explain import explain_all
from crmsync.rules.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import date, timedelta

    from crmsync.app.workspace import Workspace
    from crmsync.journeys.book import RecordBook
    from crmsync.ledger.values import (
        EnrolmentRef,
        EnrolmentSnapshot,
        StepState,
        Transitions,
    )
    from crmsync.model.actions import Action, ActionKind
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.language import Rule
    from crmsync.warehouse.reader import Records

    Outbox = Mapping[EnrolmentRef, Mapping[str, StepState]]

_STATES = {Answer.PASS: State.READY, Answer.DEFER: State.DEFERRED, Answer.DROP: State.DROPPED}


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What a cycle has decided: to be shown, or to be recorded as it stands."""

    plan: PlanResult
    transitions: Transitions
    effects: tuple[NewEffect, ...]
    decisions: tuple[Decision, ...]
    withheld: tuple[Withheld, ...]


def _nobody(_label: str, _done: int) -> None:
    """Nobody is told."""


def decide(
    workspace: Workspace,
    sync: SyncResult,
    *,
    only: Sequence[str] | None = None,
    advance: Callable[[str, int], None] = _nobody,
) -> Decided:
    """Decide for the workspace's now, from what was last read.

    Args:
        only: the names of some rules; all where it is None.
        advance: told what goes on, and how much of it was done since.

    Raises:
        UsageError: there is no rule of a name in ``only``.
    """
    rules = chosen_rules(workspace, only)
    with workspace.warehouse.reading() as records:
        now = workspace.clock.now()
        world = world_of(workspace, records)
        evaluation = Evaluation(rules, world)
        advance("evaluating rules", 0)
        verdicts = evaluation.verdicts
        advance("evaluating rules", len(rules))
        known = workspace.ledger.enrolment_snapshot()
        snapshot = follow_merges(known, workspace.rules.rules, records.aliases())
        settings = workspace.installation.settings
        transitions = decide_enrolments(
            workspace.rules.rules,
            verdicts,
            snapshot,
            now=now,
            existing=settings.existing,
            company=settings.company,
            missing=_missing(records, rules, verdicts, snapshot, settings.connections),
        )
        outbox = workspace.ledger.step_states()
        due = open_steps(rules, verdicts, snapshot, transitions, outbox)
        wanted: dict[str, set[str]] = {}
        for step in due:
            wanted.setdefault(step.rule.subject, set()).add(step.enrolment.subject)
        subjects = {rule.name: rule.subject for rule in rules}
        for held in transitions.held:
            wanted.setdefault(subjects[held.rule], set()).add(held.subject)
        book = gather(records, world, workspace.catalog, wanted, rules)
        return _Steps(
            workspace=workspace,
            records=records,
            evaluation=evaluation,
            world=world,
            book=book,
            advance=advance,
        ).decided(
            rules=rules,
            verdicts=verdicts,
            snapshot=snapshot,
            transitions=transitions,
            due=due,
            outbox=outbox,
            sync=sync,
        )


def _missing(
    records: Records,
    rules: Sequence[Rule],
    verdicts: Mapping[str, RuleVerdicts],
    snapshot: EnrolmentSnapshot,
    connections: Collection[str],
) -> dict[str, frozenset[str]]:
    """By rule, those inside of whom there is no record, or whose connection is gone."""
    found: dict[str, frozenset[str]] = {}
    for rule in rules:
        said = verdicts[rule.name]
        inside = {one.ref.subject for one in snapshot.open if one.ref.rule == rule.name}
        silent = inside - said.matches.keys() - said.unknown.keys()
        there = records.rows(rule.subject, silent) if silent else {}
        found[rule.name] = frozenset(
            subject
            for subject in silent
            if subject not in there or split_global_id(subject)[0] not in connections
        )
    return found


def world_of(workspace: Workspace, records: Records) -> World:
    """What rules and facts look at, at the workspace's now."""
    settings = workspace.installation.settings

    def bound(table: str) -> timedelta:
        return settings.freshness.bound(table).length

    return World(
        records,
        workspace.plugins.facts,
        now=workspace.clock.now(),
        company_zone=ZoneInfo(settings.company.time_zone),
        country=settings.company.country,
        bound=bound,
    )


def chosen_rules(workspace: Workspace, only: Sequence[str] | None) -> tuple[Rule, ...]:
    """The rules of these names, or all.

    Raises:
        UsageError: there is no rule of one of the names.
    """
    rules = workspace.rules.rules
    if only is None:
        return rules
    unknown = set(only) - {rule.name for rule in rules}
    if unknown:
        known = ", ".join(rule.name for rule in rules)
        raise UsageError(f"there is no rule “{min(unknown)}”; there are: {known}")
    return tuple(rule for rule in rules if rule.name in only)


@dataclass(kw_only=True)
class _Steps:
    """Composes each due step and asks the gates about it."""

    workspace: Workspace
    records: Records
    evaluation: Evaluation
    world: World
    book: RecordBook
    advance: Callable[[str, int], None]
    passed: list[Draft] = field(default_factory=list)
    effects: list[NewEffect] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    actions: list[PlannedAction] = field(default_factory=list)
    held: list[HeldBack] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)

    def decided(  # noqa: PLR0913  one private call
        self,
        *,
        rules: Sequence[Rule],
        verdicts: Mapping[str, RuleVerdicts],
        snapshot: EnrolmentSnapshot,
        transitions: Transitions,
        due: Sequence[OpenStep],
        outbox: Outbox,
        sync: SyncResult,
    ) -> Decided:
        why = self._why(due)
        composer = Composer(
            config=self.workspace.installation.settings,
            book=self.book,
            templates=self.workspace.templates,
            now=self.world.now,
            remote_field=self.workspace.remote_field,
        )
        for step in due:
            self.advance("composing actions", 1)
            try:
                composed = composer.compose(step)
            except HeldError as error:
                self._hold(step, Ruling(answer=Answer.HOLD, gate="composition", reason=str(error)))
                continue
            self._ask(step, composed, why.get((step.rule.name, step.enrolment.subject), ()))
        subjects = {rule.name: rule.subject for rule in rules}
        for item in transitions.held:
            name = self._name(subjects[item.rule], item.subject)
            self.held.append(
                HeldBack(
                    rule=item.rule,
                    subject=item.subject,
                    subject_name=name,
                    step=None,
                    reason=item.reason,
                )
            )
        plan = PlanResult(
            at=self.workspace.now,
            sync=sync,
            rules=_counts(rules, verdicts, snapshot, transitions),
            actions=tuple(self.actions),
            held=tuple(self.held),
            stopped=circuit_breaker(
                self.passed,
                accounts=self.records.count("account"),
                policy=self.workspace.installation.settings.policy,
            ),
        )
        return Decided(
            plan=plan,
            transitions=transitions,
            effects=tuple(self.effects),
            decisions=tuple(self.decisions),
            withheld=tuple(self._withheld(outbox)),
        )

    def _withheld(self, outbox: Outbox) -> Iterator[Withheld]:
        """What is ready, and what no gate has let pass this time."""
        asked = {effect.action.key for effect in self.effects}
        for steps in outbox.values():
            for step in steps.values():
                come = step.not_before is None or step.not_before <= self.world.now
                if step.state is State.READY and come and step.key not in asked:
                    reason = self.reasons.get(step.key, "the step is not due just now")
                    yield Withheld(key=step.key, reason=reason)

    def _why(self, due: Sequence[OpenStep]) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """For each rule and subject with something due, a sentence for each clause that held."""
        wanted: dict[str, set[str]] = {}
        for step in due:
            wanted.setdefault(step.rule.name, set()).add(step.enrolment.subject)
        return {
            (rule, subject): report.because if report.verdict is Truth.YES else ()
            for rule, reports in explain_all(self.evaluation, wanted).items()
            for subject, report in reports.items()
        }

    @cached_property
    def _suppression(self) -> Suppression:
        return Suppression(self.records, self.world, self.book)

    def _ask(self, step: OpenStep, composed: Composed, why: tuple[str, ...]) -> None:
        contact, account = composed.contact, composed.account
        draft = Draft(
            rule=step.rule.name,
            subject=step.enrolment.subject,
            step=step.step.id,
            connection=composed.connection,
            action=composed.action,
            abilities=self._abilities(composed.connection),
            account=account,
            contact=contact,
            colleague=composed.colleague,
            same_address=() if contact is None else self._suppression.same_address(contact),
            doubts=() if contact is None else self._suppression.doubts(contact, account),
        )
        ruling = ask_gates(draft, self.workspace.installation.settings.policy, self.world.now)
        if ruling.answer is Answer.HOLD:
            self._hold(step, ruling)
            return
        self.decisions.append(as_decision(draft, ruling))
        state = _STATES[ruling.answer]
        self.effects.append(
            NewEffect(
                enrolment=step.enrolment,
                step=step.step.id,
                connection=composed.connection,
                action=composed.action,
                state=state,
                reason=ruling.reason,
                not_before=ruling.until,
            )
        )
        if state is State.READY:
            self.passed.append(draft)
        self.actions.append(self._shown(step, composed, ruling, state, why))

    def _hold(self, step: OpenStep, ruling: Ruling) -> None:
        rule, subject = step.rule, step.enrolment.subject
        self.reasons[step.key] = ruling.reason
        self.decisions.append(
            Decision(
                rule=rule.name,
                subject=subject,
                step=step.step.id,
                answer=ruling.answer,
                gate=ruling.gate,
                reason=ruling.reason,
            )
        )
        self.held.append(
            HeldBack(
                rule=rule.name,
                subject=subject,
                subject_name=self._name(rule.subject, subject),
                step=step.step.id,
                reason=ruling.reason,
            )
        )

    def _abilities(self, connection: str) -> tuple[ActionKind, ...]:
        if connection not in self.workspace.installation.settings.connections:
            return ()
        return tuple(self.workspace.spec(connection).actions)

    def _name(self, table: str, record_id: str) -> str:
        return record_name(self.book.row(table, record_id) or {"id": record_id})

    def _shown(
        self,
        step: OpenStep,
        composed: Composed,
        ruling: Ruling,
        state: State,
        why: tuple[str, ...],
    ) -> PlannedAction:
        title, text, due, changes = _texts(composed.action)
        return PlannedAction(
            key=composed.action.key,
            rule=step.rule.name,
            subject=step.enrolment.subject,
            subject_name=self._name(step.rule.subject, step.enrolment.subject),
            account=display_name(composed.account or {}),
            step=step.step.id,
            kind=composed.action.kind,
            connection=composed.connection,
            to=composed.to,
            title=title,
            text=text,
            due=due,
            changes=changes,
            state=state,
            reason="" if state is State.READY else ruling.reason,
            not_before=ruling.until,
            why=why,
        )


def _texts(action: Action) -> tuple[str, str, date | None, dict[str, object]]:
    """An action's title, text, due day and changes."""
    match action:
        case CreateTask():
            return action.subject, action.body, action.due, {}
        case SendEmail():
            return action.subject, action.text, None, {}
        case AddNote():
            return "", action.text, None, {}
        case UpdateFields():
            changes = ", ".join(f"{name} = {value}" for name, value in action.changes.items())
            return changes, "", None, dict(action.changes)


def _counts(
    rules: Sequence[Rule],
    verdicts: Mapping[str, RuleVerdicts],
    snapshot: EnrolmentSnapshot,
    transitions: Transitions,
) -> tuple[RuleCount, ...]:
    return tuple(
        RuleCount(
            rule=rule.name,
            description=rule.description,
            subject=rule.subject,
            looked_at=verdicts[rule.name].subjects,
            matches=len(verdicts[rule.name].matches),
            unknown=len(verdicts[rule.name].unknown),
            entering=sum(
                move.ref.rule == rule.name and move.status is EnrolmentStatus.ACTIVE
                for move in transitions.enrol
            ),
            inside=sum(
                enrolment.ref.rule == rule.name and enrolment.status is EnrolmentStatus.ACTIVE
                for enrolment in snapshot.open
            ),
        )
        for rule in rules
    )
