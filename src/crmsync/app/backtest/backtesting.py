"""Wires a backtest together: the window, the outcome, the sweep, the replay and the verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.app.backtest.alarms import Judged, judge
from crmsync.app.backtest.asked import OutcomeWanted, outcome_wanted, sweep_wanted
from crmsync.app.backtest.replay import Awaited, Replay, Replayed, steps_of
from crmsync.app.backtest.results import (
    BacktestResult,
    CameAbout,
    Fired,
    OutcomeAsked,
    Sweep,
    SweptValue,
)
from crmsync.app.deciding import chosen_rules, world_of
from crmsync.clock import readable
from crmsync.errors import UsageError
from crmsync.journeys.people import record_name
from crmsync.model.durations import Duration
from crmsync.rules.conditions import clauses
from crmsync.rules.explaining.assumptions import Assumptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from crmsync.app.backtest.asked import SweepWanted
    from crmsync.app.workspace import Workspace
    from crmsync.rules.conditions import Condition
    from crmsync.rules.explaining.assumptions import AssumedClause
    from crmsync.rules.language import Rule
    from crmsync.warehouse.reader import Records

_DAY = Duration(length=timedelta(days=1))
_QUARTER = Duration(length=timedelta(days=90))
_YEAR = timedelta(days=365)
_MOST_STEPS = 5000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person wants to know of a rule's past.

    Attributes:
        start, end: aware; None for the last year, or as far as there are records.
        outcome: conditions in the rule language; None for none.
        sweep: a threshold and its values, ``last_contact.older_than=7 days,14 days``.
    """

    rule: str
    start: datetime | None = None
    end: datetime | None = None
    every: Duration = _DAY
    outcome: str | None = None
    within: Duration = _QUARTER
    sweep: str | None = None


def backtest(
    workspace: Workspace, asked: Asked, *, advance: Callable[[str, int], None]
) -> BacktestResult:
    """When a rule would have fired over the past, and what then happened.

    Raises:
        UsageError: there is no such rule, window, outcome or threshold; or nothing was read yet.
        InvalidInputError: the outcome holds mistakes.
    """
    for name, length in (("--every", asked.every), ("--within", asked.within)):
        if length.business_days or not length.length:
            raise UsageError(f"{name} is a length of time such as 1 day or 12h, and no {length}")
    (rule,) = chosen_rules(workspace.rules.rules, [asked.rule])
    catalog, segments = workspace.catalog, workspace.rules.segments
    wanted = None
    if asked.outcome is not None:
        wanted = outcome_wanted(asked.outcome, rule.subject, catalog, segments)
    sweep = None if asked.sweep is None else sweep_wanted(rule, asked.sweep, catalog)
    with workspace.warehouse.reading() as records:
        return _Backtest(workspace, records, asked, rule, wanted, sweep).run(advance)


class _Backtest:
    def __init__(  # noqa: PLR0917  one private call
        self,
        workspace: Workspace,
        records: Records,
        asked: Asked,
        rule: Rule,
        wanted: OutcomeWanted | None,
        sweep: SweepWanted | None,
    ) -> None:
        self._workspace = workspace
        self._records = records
        self._asked = asked
        self._rule = rule
        self._wanted = wanted
        self._sweep = sweep
        self._notes: list[str] = []
        self._past = records.as_of(workspace.clock.now())

    def run(self, advance: Callable[[str, int], None]) -> BacktestResult:
        start, end = self._window()
        zone = self._workspace.zone
        steps = steps_of(start, end, self._asked.every, zone)
        if len(steps) > _MOST_STEPS:
            raise UsageError(
                f"from {readable(start, zone)} to {readable(end, zone)} there are {len(steps):,} "
                f"steps of {self._asked.every}, and no more than {_MOST_STEPS:,} are taken; "
                "give a later --from or a longer --every"
            )
        advance("replaying the past", 0)
        world = world_of(self._workspace.premises, self._past)
        variants = () if self._sweep is None else self._sweep.variants
        replay = Replay(
            self._past,
            world,
            [self._rule, *variants],
            self._awaited(),
            self._workspace.installation.settings.company,
        )
        replay.run(steps, advance)
        replayed = replay.replayed[self._rule.name]
        judged = self._judged(replay, replayed, start, steps[-1])
        self._limits(replay, replayed, start, end)
        names = self._names(replayed, judged)
        assumed = Assumptions(self._past, world.at(steps[-1]), self._workspace.catalog.tables)
        firings = [(firing.subject, firing.at) for firing in replayed.firings]
        return BacktestResult(
            rule=self._rule.name,
            description=self._rule.description,
            subject=self._rule.subject,
            conditions=tuple(clause.text for clause in clauses(self._rule.when)),
            start=start.astimezone(zone),
            end=end.astimezone(zone),
            every=str(self._asked.every),
            steps=len(steps),
            looked_at=replayed.looked_at,
            already=len(replayed.already),
            unknown=len(replayed.unknown),
            outcome=self._outcome_asked(replay),
            score=None if self._wanted is None else judged.score,
            months=judged.months(start, end, zone),
            fired=tuple(self._fired(judged, names)),
            outcomes=tuple(self._came_about(judged, names)),
            sweep=self._swept(replay, start, steps[-1]),
            assumptions=assumed.of(self._rule.when, start=start, end=end, firings=firings),
            outcome_assumptions=self._assumed_of_outcome(assumed, start, end),
            notes=tuple(self._notes),
        )

    def _window(self) -> tuple[datetime, datetime]:
        """The instants that were asked for; else the last year before the last reading."""
        latest, zone = self._past.latest_read, self._workspace.zone
        if latest is None:
            raise UsageError("nothing was read yet, so there is no past; run crmsync sync first")
        end = self._asked.end or latest
        if end > latest:
            self._notes.append(
                f"what came after {readable(latest, zone)} was not read yet, "
                "so the window ends there"
            )
            end = latest
        start = self._asked.start
        if start is None:
            first = self._past.first(self._rule.subject)
            start = end - _YEAR if first is None else max(first, end - _YEAR)
        if start >= end:
            raise UsageError(
                f"the window begins at {readable(start, zone)} and ends at {readable(end, zone)}; "
                "give an earlier --from or a later --to"
            )
        return start.astimezone(UTC), end.astimezone(UTC)

    def _awaited(self) -> Awaited | None:
        if self._wanted is None:
            return None
        changes: dict[str, list[datetime]] | None = None
        if self._wanted.tracked:
            changes = {}
            for field in self._wanted.tracked:
                found = self._records.changes(self._wanted.about, field).select("id", "at")
                for row in self._records.query(found).to_pylist():
                    changes.setdefault(row["id"], []).append(row["at"])
            changes = {record: sorted(times) for record, times in changes.items()}
        about: Callable[[str], str | None] = str
        if self._wanted.about != self._rule.subject:
            owners = self._past.every(self._rule.subject).select("id", "account")
            known = self._records.query(owners).to_pydict()
            about = dict(zip(known["id"], known["account"], strict=True)).get
        every = self._past.query(self._past.every(self._wanted.about).select("id", "began"))
        began = dict(zip(every["id"].to_pylist(), every["began"].to_pylist(), strict=True))
        return Awaited(rule=self._wanted.rule, about=about, changes=changes, began=began)

    def _judged(
        self, replay: Replay, replayed: Replayed, start: datetime, last: datetime
    ) -> Judged:
        # Until the last step: nobody has looked between it and the window's end.
        within = self._asked.within.length
        return judge(replayed.firings, replay.outcomes, within=within, start=start, end=last)

    def _limits(self, replay: Replay, replayed: Replayed, start: datetime, end: datetime) -> None:
        """Sentences for whoever might take the figures for more than they are."""
        zone, within = self._workspace.zone, self._asked.within
        if self._wanted is not None:
            if end - start < 2 * within.length:
                self._notes.append(
                    f"the window is shorter than twice {within}, so of most firings nobody can "
                    "tell yet whether they warned; give an earlier --from or a shorter --within"
                )
            if not replay.outcomes:
                already = replay.outcomes_already
                known = f"; it was so of {already} when they were first looked at"
                self._notes.append(
                    f"“{self._wanted.text}” never came about in the window"
                    f"{known if already else ''}"
                )
        if not replayed.firings:
            self._notes.append("the rule would not have fired in the window")
        if replayed.already:
            self._notes.append(
                f"at {readable(start, zone)} the conditions of {len(replayed.already):,} held "
                "already, which is no firing; begin earlier to see when that began"
            )

    def _names(self, replayed: Replayed, judged: Judged) -> Mapping[str, str]:
        wanted: dict[str, set[str]] = {
            self._rule.subject: {firing.subject for firing in replayed.firings}
        }
        if self._wanted is not None:
            about = {happened.outcome.about for happened in judged.outcomes}
            wanted.setdefault(self._wanted.about, set()).update(about)
        names: dict[str, str] = {}
        for table, ids in wanted.items():
            found = self._records.rows(table, ids)
            names |= {i: record_name(found.get(i, {"id": i})) for i in ids}
        return names

    def _fired(self, judged: Judged, names: Mapping[str, str]) -> Iterable[Fired]:
        zone = self._workspace.zone
        for alarm in judged.alarms:
            firing, outcome, lead = alarm.firing, alarm.outcome, alarm.lead
            yield Fired(
                subject=firing.subject,
                name=names[firing.subject],
                at=firing.at.astimezone(zone),
                verdict=None if self._wanted is None else alarm.verdict,
                outcome_at=None if outcome is None else outcome.at.astimezone(zone),
                exact=outcome is not None and outcome.exact,
                lead_days=None if lead is None else round(lead.total_seconds() / 86400, 3),
            )

    def _came_about(self, judged: Judged, names: Mapping[str, str]) -> Iterable[CameAbout]:
        zone = self._workspace.zone
        for happened in judged.outcomes:
            firing = happened.firing
            yield CameAbout(
                about=happened.outcome.about,
                name=names[happened.outcome.about],
                at=happened.outcome.at.astimezone(zone),
                exact=happened.outcome.exact,
                verdict=happened.verdict,
                fired_at=None if firing is None else firing.at.astimezone(zone),
            )

    def _outcome_asked(self, replay: Replay) -> OutcomeAsked | None:
        if self._wanted is None:
            return None
        return OutcomeAsked(
            text=self._wanted.text,
            about=self._wanted.about,
            within=str(self._asked.within),
            already=replay.outcomes_already,
        )

    def _swept(self, replay: Replay, start: datetime, last: datetime) -> Sweep | None:
        if self._sweep is None:
            return None
        values = []
        for value, rule in zip(self._sweep.values, self._sweep.variants, strict=True):
            replayed = replay.replayed[rule.name]
            judged = self._judged(replay, replayed, start, last)
            values.append(
                SweptValue(
                    value=value,
                    current=rule.when == self._rule.when,
                    firings=len(replayed.firings),
                    score=None if self._wanted is None else judged.score,
                )
            )
        return Sweep(threshold=self._sweep.address, values=tuple(values))

    def _assumed_of_outcome(
        self, assumed: Assumptions, start: datetime, end: datetime
    ) -> tuple[AssumedClause, ...]:
        if self._wanted is None:
            return ()
        when: Condition = self._wanted.rule.when
        return assumed.of(when, start=start, end=end)
