"""What will fall due in the next days if nothing changes: the same cycle, at later instants.

Each later cycle is decided on a copy of the ledger, which remembers what the cycles before it did.
A cycle is tried at every full hour by which the clock may have turned something, also of what is
asked of those inside, or by which something that waits has come; what is due meanwhile would be
handed out by a run in that hour.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from crmsync.app.basis import basis_of
from crmsync.app.deciding import chosen_rules, decide, still_fresh, world_of
from crmsync.app.results.forecast import Coming, ForecastResult, Leaving
from crmsync.app.syncing import skipped
from crmsync.clock import FixedClock
from crmsync.delivery.commit import commit_plan
from crmsync.errors import UsageError
from crmsync.journeys.people import record_name
from crmsync.ledger.scratch import copied, take_for_done
from crmsync.ledger.states import State
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.model.verdicts import Truth
from crmsync.rules.conditions import clauses
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.explaining.explain import explain_all
from crmsync.rules.incremental.standing import evaluated
from crmsync.rules.reading.way import clauses_on_the_way, goes_on
from crmsync.rules.turning.blocked import telling
from crmsync.rules.turning.turning import Turning, full_hours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from crmsync.app.deciding import Decided
    from crmsync.app.premises import Premises
    from crmsync.app.results.cycle import HeldBack, PlannedAction
    from crmsync.app.workspace import Workspace
    from crmsync.ledger.values.enrolments import End
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.incremental.standing import Evaluated, Standing
    from crmsync.rules.language import Rule
    from crmsync.warehouse.reader import Records

    # By table, the subjects; None for everybody.
    _Touched = dict[str, set[str] | None]

MOST_DAYS = 92
_HOUR = timedelta(hours=1)
_MOMENT = timedelta(seconds=1)
# What is ready is taken for delivered.
_OVER = frozenset({State.READY, State.DROPPED})


def forecast(
    workspace: Workspace,
    *,
    days: int,
    advance: Callable[[str, int], None],
    only: Sequence[str] | None = None,
) -> ForecastResult:
    """What will be due, and who will leave a rule, until so many days from now.

    Raises:
        UsageError: the number of days is none that can be looked ahead; there is no such rule.
    """
    if not 1 <= days <= MOST_DAYS:
        raise UsageError(f"--days: name a number from 1 to {MOST_DAYS}, not {days}")
    rules = chosen_rules(workspace.premises.rules, only)
    until = workspace.clock.now() + timedelta(days=days)
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="crmsync-"))
        ledger = stack.enter_context(copied(workspace.ledger, Path(folder) / "ledger.sqlite"))
        records = stack.enter_context(workspace.warehouse.reading())
        lasting = still_fresh(world_of(workspace.premises, records), records, until)
        return _Forecast(
            workspace=workspace,
            premises=replace(workspace.premises, ledger=ledger),
            records=lasting,
            present=world_of(workspace.premises, lasting),
            rules=rules,
            until=until,
            advance=advance,
        ).run()


@dataclass(kw_only=True)
class _Forecast:
    workspace: Workspace
    premises: Premises
    records: Records
    present: World
    rules: Sequence[Rule]
    until: datetime
    advance: Callable[[str, int], None]
    told: set[tuple[str, str, str | None, str]] = field(default_factory=set)
    waiting: set[datetime] = field(default_factory=set)
    asked_of: dict[datetime, set[str] | None] = field(default_factory=dict)
    coming: list[Coming] = field(default_factory=list)

    def run(self) -> ForecastResult:
        now = self.workspace.clock.now()
        first = self._cycle(now, None)
        standing = first.standing
        touched = self._touched(first.evaluation)
        self.asked_of = self._asked_on_the_way(first.earlier)
        while touched or self.waiting or self.asked_of:
            at = min((*touched, *self.waiting, *self.asked_of))
            waited = at in self.waiting or self._is_inside(self.asked_of.get(at, set()))
            self.waiting.discard(at)
            self.asked_of.pop(at, None)
            standing = self._step(at, standing, touched.pop(at, {}), waited=waited)
        return ForecastResult(
            at=self.workspace.now,
            until=self.until.astimezone(self.workspace.zone),
            due_now=len(first.plan.actions),
            rules=tuple(rule.name for rule in self.rules),
            coming=tuple(self.coming),
        )

    def _touched(self, evaluation: Evaluation) -> dict[datetime, _Touched]:
        """By full hour, those whom the clock may have turned in the hour before.

        Args:
            evaluation: of everybody at present.
        """
        world = evaluation.world
        found: dict[datetime, _Touched] = {}
        for table in dict.fromkeys(rule.subject for rule in self.rules):
            about = [rule for rule in self.rules if rule.subject == table]
            asked = [clause for rule in about for clause in clauses(rule.when)]
            columns = [column for rule in about for column in rule.once_per_columns]
            turning = Turning(world, table, asked, columns, until=self.until)
            hours = full_hours(world.now, self.until) if turning.at_any_time else ()
            for at in hours:
                found.setdefault(at, {})[table] = None
            for moment in telling(turning.moments(), about, evaluation, turning):
                at = _full_hour(moment.at)
                if at > self.until:
                    continue
                by_clock = found.setdefault(at, {}).setdefault(table, set())
                if by_clock is not None:
                    by_clock.add(moment.subject)
        return found

    def _asked_on_the_way(self, earlier: Sequence[Rule]) -> dict[datetime, set[str] | None]:
        """By full hour, of whom the clock may turn what is asked of those inside; None for all.

        By an earlier text, its conditions are asked of them, too.
        """
        now = world_of(self.premises, self.records)
        world = now.at(now.now, enrolled=now.now)
        found: dict[datetime, set[str] | None] = {}
        for rule in (*self.rules, *earlier):
            asked = clauses_on_the_way(rule)
            asked += clauses(rule.when) if rule in earlier else []
            turning = Turning(world, rule.subject, asked, until=self.until)
            if turning.at_any_time:
                found |= dict.fromkeys(full_hours(world.now, self.until))
            for moment in turning.moments() if asked else ():
                at = _full_hour(moment.at)
                of_hour = found.setdefault(at, set()) if at <= self.until else None
                if of_hour is not None:
                    of_hour.add(moment.subject)
        return found

    def _is_inside(self, subjects: set[str] | None) -> bool:
        """Whether one of them, or anybody, is in a rule by then."""
        if subjects is not None and not subjects:
            return False
        inside = self.premises.ledger.enrolments(statuses=[EnrolmentStatus.ACTIVE])
        return any(subjects is None or one.ref.subject in subjects for one in inside)

    def _step(
        self, at: datetime, standing: Standing, touched: _Touched, *, waited: bool
    ) -> Standing:
        """Try a cycle at a later instant; answers with how the rules stand then."""
        self.advance("looking ahead", 1)
        premises = replace(self.premises, clock=FixedClock(instant=at))
        world = self.present.at(at)
        basis = basis_of(premises, self.rules)
        answer = evaluated(self.rules, world, basis, standing, by_clock=touched)
        if waited or answer.standing.verdicts != standing.verdicts:
            self._tell(at, self._cycle(at, answer))
        return answer.standing

    def _cycle(self, at: datetime, answer: Evaluated | None) -> Decided:
        """Decide at an instant, and let the copy of the ledger remember it."""
        premises = replace(self.premises, clock=FixedClock(instant=at))
        nothing_read = skipped(self.workspace, "nothing is read to look ahead")
        names = [rule.name for rule in self.rules]
        decided = decide(premises, self.records, nothing_read, only=names, answer=answer)
        ledger = premises.ledger
        number = ledger.start_run("forecast", at=at, started_at=at)
        commit_plan(
            ledger,
            number,
            decided.transitions,
            decided.effects,
            decided.decisions,
            withheld=decided.withheld,
        )
        take_for_done(ledger, at=at)
        self._wait_for(held.until for held in decided.plan.held)
        self._wait_for(effect.not_before for effect in decided.effects)
        if _goes_on(decided, self.rules):
            self._wait_for([at + _MOMENT])
        if answer is None:
            self.told |= {_held_key(held) for held in decided.plan.held}
            self.told |= {_action_key(a) for a in decided.plan.actions if a.state != "ready"}
        return decided

    def _wait_for(self, instants: Iterable[datetime | None]) -> None:
        full = {_full_hour(instant) for instant in instants if instant is not None}
        now = self.workspace.clock.now()
        self.waiting |= {instant for instant in full if now < instant <= self.until}

    def _tell(self, at: datetime, decided: Decided) -> None:
        """Note what is new about this cycle."""
        actions = [
            a for a in decided.plan.actions if a.state == "ready" or self._is_new(_action_key(a))
        ]
        held = [
            one
            for one in decided.plan.held
            if not _comes_later(one) and self._is_new(_held_key(one))
        ]
        leaving = self._leaving(decided)
        if actions or held or leaving:
            self.coming.append(
                Coming(
                    at=at.astimezone(self.workspace.zone),
                    actions=tuple(actions),
                    held=tuple(held),
                    leaving=tuple(leaving),
                )
            )

    def _is_new(self, key: tuple[str, str, str | None, str]) -> bool:
        if key in self.told:
            return False
        self.told.add(key)
        return True

    def _leaving(self, decided: Decided) -> list[Leaving]:
        subjects = {rule.name: rule.subject for rule in self.rules}
        ends = [
            end for end in decided.transitions.end if end.enrolment.status is EnrolmentStatus.ACTIVE
        ]
        because = self._because(decided, ends)
        names: dict[str, str] = {}
        for table in dict.fromkeys(subjects.values()):
            ids = [e.enrolment.ref.subject for e in ends if subjects[e.enrolment.ref.rule] == table]
            rows = self.records.rows(table, ids) if ids else {}
            names |= {record_id: record_name(row) for record_id, row in rows.items()}
        return [
            Leaving(
                rule=end.enrolment.ref.rule,
                subject=end.enrolment.ref.subject,
                subject_name=names.get(end.enrolment.ref.subject, end.enrolment.ref.subject),
                reason=end.reason,
                because=because.get((end.enrolment.ref.rule, end.enrolment.ref.subject), ()),
            )
            for end in ends
        ]

    def _because(
        self, decided: Decided, ends: Sequence[End]
    ) -> dict[tuple[str, str], tuple[str, ...]]:
        """By rule and subject, a sentence for each clause that holds no longer."""
        wanted: dict[str, set[str]] = {}
        for end in ends:
            wanted.setdefault(end.enrolment.ref.rule, set()).add(end.enrolment.ref.subject)
        evaluation = decided.evaluation
        if not evaluation.is_of_everybody:
            ids = {i for ids in wanted.values() for i in ids}
            evaluation = Evaluation(self.rules, evaluation.world, ids=ids)
        return {
            (rule, subject): report.because
            for rule, reports in explain_all(evaluation, wanted).items()
            for subject, report in reports.items()
            if report.verdict is Truth.NO
        }


def _goes_on(decided: Decided, rules: Iterable[Rule]) -> bool:
    """Whether a step is over, so that another may come after it; the next cycle tells."""
    going_on = {rule.name for rule in (*rules, *decided.earlier) if goes_on(rule)}
    over = {outcome.enrolment.rule for outcome in decided.transitions.outcomes}
    over |= {effect.enrolment.rule for effect in decided.effects if effect.state in _OVER}
    return not going_on.isdisjoint(over)


def _comes_later(held: HeldBack) -> bool:
    """Whether it is a step that waits for its time, and is told when that comes."""
    return held.step is not None and held.until is not None


def _full_hour(instant: datetime) -> datetime:
    """The first full hour that is not before it."""
    floor = instant.replace(minute=0, second=0, microsecond=0)
    return floor if floor == instant else floor + _HOUR


def _held_key(held: HeldBack) -> tuple[str, str, str | None, str]:
    return held.rule, held.subject, held.step, "held"


def _action_key(action: PlannedAction) -> tuple[str, str, str | None, str]:
    return action.rule, action.subject, action.step, action.state
