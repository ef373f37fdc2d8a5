"""Runs rules over a window of the past, step by step, as if each step had been a run."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.app.backtest.alarms import Firing, Outcome
from crmsync.config.settings import Existing
from crmsync.journeys.enrolments import decide_enrolments
from crmsync.ledger.values.enrolments import EnrolmentStatus, HeldBecause
from crmsync.ledger.virtual import VirtualEnrolments
from crmsync.rules.evaluation.evaluate import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from crmsync.config.settings import Company
    from crmsync.ledger.values.enrolments import EnrolmentSnapshot, Transitions
    from crmsync.model.durations import Duration
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule
    from crmsync.warehouse.past import PastRecords

_DAY, _NO_TIME = timedelta(days=1), timedelta()


def steps_of(start: datetime, end: datetime, every: Duration, zone: ZoneInfo) -> list[datetime]:
    """The instants of a window, the first at its start; none after its end.

    Whole days keep the time of day on the clocks of a zone.
    """
    local = start.astimezone(zone)
    first, time = local.date().toordinal(), local.timetz().replace(fold=0)
    found: list[datetime] = []
    while True:
        number = len(found)
        at = start.astimezone(UTC) + number * every.length
        if every.length % _DAY == _NO_TIME:
            day = date.fromordinal(first + number * every.length.days)
            at = datetime.combine(day, time)
        if at > end:
            return found
        found.append(at.astimezone(UTC))


@dataclass(kw_only=True)
class Replayed:
    """What a rule would have done in the window.

    Attributes:
        firings: enrolments that would have begun.
        already: subjects that matched at the first step: nobody can say since when.
        unknown: for each subject that was held because a clause was unknown, at how many steps.
        looked_at: how many subjects were there at the last step.
    """

    firings: list[Firing] = field(default_factory=list)
    already: set[str] = field(default_factory=set)
    unknown: Counter[str] = field(default_factory=Counter)
    looked_at: int = 0


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """The outcome that firings are to warn of.

    Attributes:
        rule: its conditions as a rule about those whom it is about.
        about: answers for a subject with the global id of whom the outcome is about; None where
            there is nobody.
        changes: when something changed that the outcome rests on, by global id and in the order
            of time, where the history tells all that it rests on; None where it does not.
        began: since when those whom it is about are there, by global id.
    """

    rule: Rule
    about: Callable[[str], str | None]
    changes: Mapping[str, Sequence[datetime]] | None
    began: Mapping[str, datetime]


class Replay:
    """Rules about the same subject, and the outcome that they are to warn of.

    Args:
        world: at some instant; its records are ``past``.
        awaited: None where no outcome was named.
    """

    def __init__(
        self,
        past: PastRecords,
        world: World,
        rules: Sequence[Rule],
        awaited: Awaited | None,
        company: Company,
    ) -> None:
        self._past = past
        self._world = world
        # Who matches already at the first step is no firing, whatever the rule says of them.
        self._rules = [replace(rule, existing=Existing.IGNORE) for rule in rules]
        self._awaited = awaited
        self._company = company
        self._ledger = VirtualEnrolments()
        self._is_so: frozenset[str] = frozenset()
        self._before: datetime | None = None
        self.replayed = {rule.name: Replayed() for rule in rules}
        self.outcomes: list[Outcome] = []
        self.outcomes_already = 0  # it was so when they were first looked at

    def run(self, steps: Iterable[datetime], advance: Callable[[str, int], None]) -> None:
        """Take the steps, in the order of time."""
        for at in steps:
            self._step(at)
            advance("replaying the past", 1)

    def _step(self, at: datetime) -> None:
        self._past.move_to(at)
        asked = [*self._rules, *([] if self._awaited is None else [self._awaited.rule])]
        verdicts = evaluate(asked, self._world.at(at))
        snapshot = self._ledger.snapshot()
        transitions = decide_enrolments(
            self._rules,
            verdicts,
            snapshot,
            now=at,
            existing=Existing.IGNORE,
            company=self._company,
            missing=self._missing(verdicts, snapshot),
        )
        self._ledger.commit(transitions)
        self._note(transitions, verdicts)
        if self._awaited is not None:
            self._note_outcomes(self._awaited, verdicts, at)
        self._before = at

    def _missing(
        self, verdicts: Mapping[str, RuleVerdicts], snapshot: EnrolmentSnapshot
    ) -> dict[str, frozenset[str]]:
        """By rule, those inside of whom there is no record."""
        silent: dict[str, set[str]] = {}
        for one in snapshot.open:
            said, subject = verdicts[one.ref.rule], one.ref.subject
            if subject not in said.matches and subject not in said.unknown:
                silent.setdefault(one.ref.rule, set()).add(subject)
        if not silent:
            return {}
        there = self._past.ids(self._rules[0].subject)
        return {rule: frozenset(subjects - there) for rule, subjects in silent.items()}

    def _note(self, transitions: Transitions, verdicts: Mapping[str, RuleVerdicts]) -> None:
        entering = [(move.ref, move.status) for move in transitions.enrol]
        entering += [(move.enrolment.ref, move.status) for move in transitions.activate]
        for ref, status in entering:
            replayed, subject = self.replayed[ref.rule], ref.subject
            if status is EnrolmentStatus.ACTIVE:
                about = subject if self._awaited is None else self._awaited.about(subject)
                firing = Firing(subject=subject, about=about, at=transitions.at)
                replayed.firings.append(firing)
            elif subject in verdicts[ref.rule].matches and status is EnrolmentStatus.IGNORED:
                replayed.already.add(subject)
        for held in transitions.held:
            if held.because is HeldBecause.UNKNOWN:
                self.replayed[held.rule].unknown[held.subject] += 1
        for rule in self._rules:
            self.replayed[rule.name].looked_at = verdicts[rule.name].subjects

    def _note_outcomes(
        self, awaited: Awaited, verdicts: Mapping[str, RuleVerdicts], at: datetime
    ) -> None:
        """It has come about where it is so now and was not at the step before.

        Where it is so when somebody is first looked at, nobody can say when it came about.
        """
        is_so = frozenset(verdicts[awaited.rule.name].matches)
        for about in sorted(is_so - self._is_so):
            if self._before is None or awaited.began[about] > self._before:
                self.outcomes_already += 1
            else:
                self.outcomes.append(self._outcome(awaited, about, at))
        self._is_so = is_so

    def _outcome(self, awaited: Awaited, about: str, at: datetime) -> Outcome:
        changes = () if awaited.changes is None else awaited.changes.get(about, ())
        latest = changes[bisect_right(changes, at) - 1] if bisect_right(changes, at) else None
        if latest is None or self._before is None or latest <= self._before:
            return Outcome(about=about, at=at, exact=False)
        return Outcome(about=about, at=latest, exact=True)
