"""Rules, what they say of subjects, and a ledger that keeps what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.config.settings import Company, Existing
from crmsync.config.yaml import Place
from crmsync.delivery.commit import commit_plan
from crmsync.journeys.enrolments import decide_enrolments
from crmsync.journeys.inside import Inside
from crmsync.journeys.way import walk
from crmsync.ledger.claims import Settlement, claim_ready, settle_effects
from crmsync.ledger.states import State
from crmsync.ledger.values.effects import NewEffect
from crmsync.model.actions import AddNote
from crmsync.model.durations import parse_duration
from crmsync.model.verdicts import RuleVerdicts
from crmsync.rules.conditions import All
from crmsync.rules.evaluation.calendar import Calendar
from crmsync.rules.language import NoteStep, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from crmsync.journeys.due import OpenStep
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.enrolments import EnrolmentRef, EnrolmentStatus, Transitions
    from crmsync.model.durations import Duration
    from crmsync.rules.language import ClockOf

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
PLACE = Place(file="rules/test.yaml", line=1, column=1)
COMPANY = Company(name="Acme", email="hello@acme.example", time_zone="Europe/Zurich", country="DE")


def a_rule(
    name: str = "renewal-at-risk",
    *,
    steps: Sequence[str] = ("brief", "mail"),
    version: str = "1",
    asks: str = "this",
    once_per: tuple[str, ...] = (),
    cooldown: str | None = None,
    must_last: str | None = None,
    expires: date | None = None,
    existing: Existing | None = None,
) -> Rule:
    return Rule(
        name=name,
        description="A rule for tests.",
        subject="account",
        when=All(conditions=(), place=PLACE),  # the verdicts are given
        way=tuple(NoteStep(id=step, text="Seen", place=PLACE) for step in steps),
        version=version,
        asks=asks,
        place=PLACE,
        once_per=once_per,
        cooldown=None if cooldown is None else parse_duration(cooldown),
        must_last=None if must_last is None else parse_duration(must_last),
        expires=expires,
        existing=existing,
    )


def verdict(
    rule: Rule,
    matches: Sequence[str] | Mapping[str, tuple[str, ...]] = (),
    unknown: Sequence[str] = (),
    *,
    subjects: int = 10,
) -> RuleVerdicts:
    named = matches if isinstance(matches, dict) else dict.fromkeys(matches, ())
    return RuleVerdicts(
        rule=rule.name,
        matches=named,
        unknown=dict.fromkeys(unknown, ("the activities were last read 3 days ago",)),
        subjects=subjects,
    )


@dataclass
class Cycle:
    """One cycle after the other over a ledger, days apart."""

    ledger: Ledger
    existing: Existing = Existing.ENROL
    now: datetime = MONDAY
    due: tuple[OpenStep, ...] = field(default=())

    def plan(
        self, rules: Sequence[Rule], *verdicts: RuleVerdicts, missing: Sequence[str] = ()
    ) -> Transitions:
        """What would happen now; of the missing subjects, no rule has a record."""
        said = {verdict.rule: verdict for verdict in verdicts}
        snapshot = self.ledger.enrolment_snapshot()
        transitions = decide_enrolments(
            rules,
            said,
            snapshot,
            now=self.now,
            existing=self.existing,
            company=COMPANY,
            missing=dict.fromkeys(said, missing),
        )
        inside = Inside(
            rules=rules,
            verdicts=said,
            snapshot=snapshot,
            transitions=transitions,
            states=self.ledger.step_states(),
            outcomes=self.ledger.step_outcomes(),
        )
        self.due = tuple(walk(inside, later=_later, answers={}).due)
        return transitions

    def run(
        self,
        rule: Rule,
        matches: Sequence[str] | Mapping[str, tuple[str, ...]] = (),
        unknown: Sequence[str] = (),
        *,
        days: float = 1,
        steps: Sequence[str] | None = (),
        delivered: bool = True,
    ) -> Transitions:
        """What happens now; then days pass. Takes the due steps named by ``steps``, or all."""
        transitions = self.plan([rule], verdict(rule, matches, unknown))
        self.commit(transitions, steps=steps, delivered=delivered)
        self.now += timedelta(days=days)
        return transitions

    def commit(
        self,
        transitions: Transitions,
        *,
        steps: Sequence[str] | None = (),
        delivered: bool = True,
    ) -> None:
        """Record the moves and the effects of the steps, and what the remote then has."""
        run_id = self.ledger.start_run("run", at=self.now, started_at=self.now)
        effects = [
            NewEffect(
                enrolment=due.enrolment,
                step=due.step.id,
                connection="crm",
                action=AddNote(key=due.key, text="Seen"),
                state=State.READY,
                reason="every gate let it pass",
            )
            for due in self.due
            if steps is None or due.step.id in steps
        ]
        commit_plan(self.ledger, run_id, transitions, effects)
        if delivered:
            self.deliver()

    def deliver(self) -> None:
        """All that is ready lands."""
        with self.ledger.writing() as connection:
            claimed = claim_ready(
                connection, "crm", worker="w", now=self.now, lease_until=self.now, limit=1000
            )
            landed = [
                Settlement(effect=effect, after=State.DONE, reason="the remote has it")
                for effect in claimed
            ]
            settle_effects(connection, landed, worker="w", at=self.now)

    def statuses(self) -> dict[str, list[EnrolmentStatus]]:
        """By subject, the statuses of all its enrolments, the oldest first."""
        found: dict[str, list[EnrolmentStatus]] = {}
        for enrolment in self.ledger.enrolments():
            found.setdefault(enrolment.ref.subject, []).append(enrolment.status)
        return found

    def due_steps(self) -> list[tuple[str, str]]:
        """Subject and step of what was due in the last cycle."""
        return [(due.enrolment.subject, due.step.id) for due in self.due]


def _later(
    _rule: Rule, _ref: EnrolmentRef, start: datetime, by: Duration, _clock: ClockOf
) -> datetime:
    zone = ZoneInfo(COMPANY.time_zone)
    return Calendar(now=start, zone=zone, country=COMPANY.country).instant_after(by)


def entered(transitions: Transitions) -> dict[str, EnrolmentStatus]:
    """Who enters, and as what."""
    return {enrol.ref.subject: enrol.status for enrol in transitions.enrol}


def ended(transitions: Transitions) -> dict[str, str]:
    """Who leaves, and why."""
    return {end.enrolment.ref.subject: end.reason for end in transitions.end}


def held(transitions: Transitions) -> dict[str, str]:
    """Who is held back, and by what."""
    return {held.subject: held.because.value for held in transitions.held}
