"""Composes each step that is due, and asks the gates about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from crmsync.app.correspondence import Correspondences
from crmsync.app.counting import Tally
from crmsync.app.earlier_tasks import EarlierTasks
from crmsync.app.results.cycle import HeldBack, PlannedAction
from crmsync.app.suppression import Stops, Suppression
from crmsync.config.tightening import tightened
from crmsync.journeys.compose import Approver, Composed, Composer
from crmsync.journeys.people import (
    HeldError,
    LackingError,
    NeedlessError,
    account_of,
    display_name,
    record_name,
)
from crmsync.journeys.words import with_words_of
from crmsync.ledger.states import State
from crmsync.ledger.values.effects import NewEffect, Withheld
from crmsync.ledger.values.enrolments import SKIPPED, StepOutcome
from crmsync.ledger.values.runs import Answer, Decision
from crmsync.model.actions import (
    ActionKind,
    AddNote,
    CreateTask,
    CustomAction,
    LogEmail,
    SendEmail,
    UpdateFields,
    WithdrawTask,
    name_of,
    text_of,
)
from crmsync.model.tables import split_global_id
from crmsync.model.verdicts import Truth
from crmsync.policy.drafts import Draft, Ruling
from crmsync.policy.gates import as_decision, ask_gates
from crmsync.policy.hours import open_until
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.explaining.explain import explain_all
from crmsync.rules.language import goes_on_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from crmsync.app.inhibition import Inhibition
    from crmsync.app.premises import Premises
    from crmsync.config.policy import Policy
    from crmsync.journeys.book import RecordBook
    from crmsync.journeys.due import OpenStep
    from crmsync.ledger.reviews import Reviewed
    from crmsync.ledger.values.effects import StepState
    from crmsync.ledger.values.enrolments import EnrolmentRef
    from crmsync.model.actions import Action
    from crmsync.model.records import LiveRecords
    from crmsync.rules.evaluation.world import World

    Outbox = Mapping[EnrolmentRef, Mapping[str, StepState]]

_STATES = {
    Answer.PASS: State.READY,
    Answer.DEFER: State.DEFERRED,
    Answer.DROP: State.DROPPED,
    Answer.ASK: State.AWAITING,
}


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """Who is asked to approve an action, since when, and whether they have done so."""

    approver: Approver
    approved: bool = False
    since: datetime | None = None


@dataclass(kw_only=True)
class Steps:
    """What became of the due steps: each has an effect, or the reason why it is held.

    Attributes:
        outbox: how far the steps of earlier runs have come.
        let_out: what this run lets out, and no run before it did.
        composed: the actions by key, before any gate was asked.
        ends: when the hours end of that which may go out.
        outcomes: steps that are skipped because a value that they require is empty.
    """

    premises: Premises
    records: LiveRecords
    evaluation: Evaluation
    world: World
    book: RecordBook
    outbox: Outbox
    inhibition: Inhibition
    stops: Stops
    advance: Callable[[str, int], None]
    let_out: list[Draft] = field(default_factory=list)
    composed: dict[str, Composed] = field(default_factory=dict)
    effects: list[NewEffect] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    actions: list[PlannedAction] = field(default_factory=list)
    held: list[HeldBack] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    outcomes: list[StepOutcome] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)

    def take(self, due: Sequence[OpenStep]) -> None:
        """Compose and ask about each step."""
        tally = self._tally(due)
        composer = Composer(
            config=self.premises.config,
            book=self.book,
            templates=self.premises.templates,
            now=self.world.now,
            remote_field=self.premises.remote_field,
            remote_words=self.premises.remote_words,
            unsubscribe_url=self.premises.unsubscribe_url,
        )
        earlier = EarlierTasks(self.premises, self.records, self.world, due)
        # Where a cap leaves room for some, those of the more important rules are asked first.
        for step in sorted(due, key=lambda step: -step.rule.priority):
            self.advance("composing actions", 1)
            try:
                composed = composer.compose(step)
                approver = composer.approver(step, composed)
                composed = earlier.instead_of(step, composed)
            except HeldError as error:
                self._not_composed(step, error)
                continue
            self.composed[step.key] = composed
            composed, asked = self._as_reviewed(composed, approver)
            draft = self._draft(step, composed, tally, asked)
            ruling = ask_gates(draft, self._policies[step.rule.name], self.world.now)
            if ruling.answer is Answer.HOLD:
                self._hold(step, ruling)
                continue
            if ruling.answer is Answer.PASS:
                tally.add(draft)
                self._note_end(draft)
            self._take(step, composed, draft, ruling)
        order = {step.key: number for number, step in enumerate(due)}
        self.actions.sort(key=lambda action: order[action.key])
        shown = {action.key for action in self.actions}
        why = self._why([step for step in due if step.key in shown])
        self.actions = [
            replace(action, why=why.get((action.rule, action.subject), ()))
            for action in self.actions
        ]

    def _note_end(self, draft: Draft) -> None:
        end = open_until(draft, self._policies[draft.rule], self.world.now)
        if end is not None:
            self.ends.append(end)

    def withheld(self) -> Iterator[Withheld]:
        """What is ready, and what no gate has let pass this time."""
        asked = {effect.action.key for effect in self.effects}
        for step in self._before.values():
            come = step.not_before is None or step.not_before <= self.world.now
            if step.state is State.READY and come and step.key not in asked:
                reason = self.reasons.get(step.key, "the step is not due just now")
                yield Withheld(key=step.key, reason=reason)

    def _why(self, due: Sequence[OpenStep]) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """For each rule and subject with something due, a sentence for each clause that held."""
        wanted: dict[str, set[str]] = {}
        earlier: dict[tuple[str, str], set[str]] = {}
        rules = {(step.rule.name, step.rule.version): step.rule for step in due}
        present = {rule.name: rule.version for rule in self.evaluation.rules}
        for step in due:
            name, version, subject = step.rule.name, step.rule.version, step.enrolment.subject
            if present.get(name) == version:
                wanted.setdefault(name, set()).add(subject)
            else:
                earlier.setdefault((name, version), set()).add(subject)
        told = [explain_all(self.evaluation, wanted)]
        for key, ids in earlier.items():
            asked = Evaluation([rules[key]], self.world, ids=ids)
            told.append(explain_all(asked, {key[0]: ids}))
        return {
            (rule, subject): report.because if report.verdict is Truth.YES else ()
            for reports_of in told
            for rule, reports in reports_of.items()
            for subject, report in reports.items()
        }

    @cached_property
    def _policies(self) -> Mapping[str, Policy]:
        """By rule, the config's policy as the rule tightens it."""
        general = self.premises.config.policy
        return {rule.name: tightened(general, rule.policy) for rule in self.premises.rules}

    @cached_property
    def _before(self) -> Mapping[str, StepState]:
        return {step.key: step for steps in self.outbox.values() for step in steps.values()}

    @cached_property
    def _suppression(self) -> Suppression:
        connections = self.premises.config.connections.items()
        mailboxes = [
            name
            for name, connection in connections
            if any("notice" in stream.fields for stream in connection.streams.values())
        ]
        return Suppression(self.records, self.world, self.book, mailboxes=mailboxes)

    @cached_property
    def _correspondences(self) -> Correspondences:
        return Correspondences(self.records, self.world, self.book, self.stops)

    def _tally(self, due: Sequence[OpenStep]) -> Tally:
        caps = (cap for policy in self._policies.values() for cap in policy.caps)
        return Tally(
            tuple(dict.fromkeys(caps)),
            self.records,
            self.world,
            self.book,
            self.premises.ledger,
            due={step.key for step in due},
        )

    def _as_reviewed(
        self, composed: Composed, approver: Approver | None
    ) -> tuple[Composed, _Asked | None]:
        """The action in the words that a person has seen, and whether they have approved it."""
        if approver is None:
            return composed, None
        reviewed = self._reviewed.get(composed.action.key)
        if reviewed is None:
            return composed, _Asked(approver=approver)
        approval, effect = reviewed.approval, reviewed.effect
        if approval is not None and approval.action is not None:
            action = with_words_of(approval.action, composed.action)
            if action is not None:
                return replace(composed, action=action), _Asked(approver=approver, approved=True)
        if effect.state is not State.AWAITING:
            return composed, _Asked(approver=approver)
        action = with_words_of(effect.action, composed.action)
        if action is None:
            return composed, _Asked(approver=approver)
        asked = _Asked(approver=approver, since=effect.updated_at)
        return replace(composed, action=action), asked

    @cached_property
    def _reviewed(self) -> Mapping[str, Reviewed]:
        return {one.effect.key: one for one in self.premises.ledger.reviewed()}

    def _draft(
        self, step: OpenStep, composed: Composed, tally: Tally, asked: _Asked | None
    ) -> Draft:
        contact, account = composed.contact, composed.account
        owner = None if account is None else self.book.follow("account", account, "owner")
        draft = Draft(
            rule=step.rule.name,
            subject=step.enrolment.subject,
            step=step.id,
            connection=composed.connection,
            action=composed.action,
            abilities=self.premises.abilities(composed.connection),
            company=self.premises.config.company,
            due_since=step.since,
            account=account,
            owner=None if owner is None else owner[1],
            contact=contact,
            colleague=composed.colleague,
            stops=self.stops.of(account, composed.action),
            inhibited_by=self.inhibition.of(
                step.rule.name, None if account is None else account["id"]
            ),
            same_address=() if contact is None else self._suppression.same_address(contact),
            doubts=() if contact is None else self._suppression.doubts(contact, account),
            approver=None if asked is None else asked.approver.name,
            approved=asked is not None and asked.approved,
            asked_since=None if asked is None else asked.since,
            approval_expires=None if asked is None else asked.approver.expires,
        )
        mail = draft.mail_to_customer
        if mail is not None:
            told = self._correspondences.of(mail.recipient)
            draft = replace(draft, correspondence=told)
        return replace(draft, counts=tally.counts(draft))

    def _take(
        self,
        step: OpenStep,
        composed: Composed,
        draft: Draft,
        ruling: Ruling,
    ) -> None:
        state = _STATES[ruling.answer]
        before = self._before.get(step.key)
        if state is State.READY and (before is None or before.state is not State.READY):
            self.let_out.append(draft)
        if not _waits_on(before, ruling, draft):
            self.decisions.append(as_decision(draft, ruling))
            self.effects.append(
                NewEffect(
                    enrolment=step.enrolment,
                    step=step.id,
                    connection=composed.connection,
                    action=composed.action,
                    state=state,
                    reason=ruling.reason,
                    not_before=ruling.until,
                )
            )
        self.actions.append(self._shown(step, composed, ruling, state))

    def _not_composed(self, step: OpenStep, error: HeldError) -> None:
        """It is tried again, but where others wait for it, an empty value does not stop them."""
        repeats = step.rule.repeat_every is not None
        lacking = isinstance(error, LackingError) and (
            repeats or goes_on_behind(step.rule.way, step.step)
        )
        if not lacking and not isinstance(error, NeedlessError):
            self._hold(step, Ruling(answer=Answer.HOLD, gate="composition", reason=str(error)))
            return
        reason = f"skipped: {error}"
        self._hold(step, Ruling(answer=Answer.DROP, gate="composition", reason=reason))
        self.outcomes.append(
            StepOutcome(
                enrolment=step.enrolment,
                step=step.id,
                result=SKIPPED,
                at=self.world.now,
                reason=str(error),
            )
        )

    def _hold(self, step: OpenStep, ruling: Ruling) -> None:
        rule, subject = step.rule, step.enrolment.subject
        self.reasons[step.key] = ruling.reason
        self.decisions.append(
            Decision(
                rule=rule.name,
                subject=subject,
                step=step.id,
                answer=ruling.answer,
                gate=ruling.gate,
                reason=ruling.reason,
            )
        )
        self.held.append(
            HeldBack(
                rule=rule.name,
                subject=subject,
                subject_name=self.name(rule.subject, subject),
                account=self.account(rule.subject, subject),
                step=step.id,
                reason=ruling.reason,
                gate=ruling.gate,
            )
        )

    def name(self, table: str, record_id: str) -> str:
        """What a person would call a record."""
        return record_name(self.book.row(table, record_id) or {"id": record_id})

    def account(self, table: str, record_id: str) -> str:
        """What a person would call a record's account; empty where it has none."""
        row = self.book.row(table, record_id)
        account = None if row is None else account_of(self.book, table, row)
        return display_name(account or {})

    def _shown(
        self,
        step: OpenStep,
        composed: Composed,
        ruling: Ruling,
        state: State,
    ) -> PlannedAction:
        title, text, due, changes = _texts(composed.action)
        return PlannedAction(
            key=composed.action.key,
            rule=step.rule.name,
            subject=step.enrolment.subject,
            subject_name=self.name(step.rule.subject, step.enrolment.subject),
            account=display_name(composed.account or {}),
            step=step.id,
            kind=name_of(composed.action),
            connection=composed.connection,
            to=composed.to,
            title=title,
            text=text,
            due=due,
            changes=changes,
            state=state,
            reason="" if state is State.READY else ruling.reason,
            not_before=ruling.until,
            logged_in=self._logged_in(step, composed),
        )

    def _logged_in(self, step: OpenStep, composed: Composed) -> str | None:
        source = split_global_id(step.enrolment.subject)[0]
        if not isinstance(composed.action, SendEmail) or composed.connection == source:
            return None
        return source if ActionKind.LOG in self.premises.abilities(source) else None


def _waits_on(before: StepState | None, ruling: Ruling, draft: Draft) -> bool:
    """Whether it waits for the same already: there is nothing new to record."""
    if ruling.answer is Answer.ASK:
        return draft.asked_since is not None
    return (
        before is not None
        and before.state is State.DEFERRED
        and ruling.answer is Answer.DEFER
        and before.not_before == ruling.until
    )


def _texts(action: Action) -> tuple[str, str, date | None, dict[str, object]]:
    """An action's title, text, due day and changes."""
    match action:
        case CreateTask():
            return action.subject, action.body, action.due, {}
        case SendEmail() | LogEmail():
            return action.subject, action.text, None, {}
        case AddNote():
            return "", action.text, None, {}
        case CustomAction():
            return "", text_of(action), None, {}
        case UpdateFields():
            changes = ", ".join(f"{name} = {value}" for name, value in action.changes.items())
            return changes, "", None, dict(action.changes)
        case WithdrawTask():
            return action.task.subject, "", None, {}
