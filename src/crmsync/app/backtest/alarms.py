"""Holds firings against outcomes: which warned, which were false, what was missed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from statistics import quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo


@dataclass(frozen=True, kw_only=True)
class Firing:
    """An enrolment that would have begun.

    Attributes:
        about: the global id of whom the outcome is about: the subject, or its account; None
            where the subject has no account.
    """

    subject: str
    about: str | None
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a firing is to warn of, when it came about.

    Attributes:
        exact: whether the history tells the instant; else it is that of the step in which it was
            first seen.
    """

    about: str
    at: datetime
    exact: bool


class Verdict(StrEnum):
    """What became of a firing, or of an outcome."""

    TRUE = "true"  # the outcome came within the time after it
    FALSE = "false"  # it did not
    TOO_RECENT_TO_TELL = "too recent to tell"  # nobody has looked until that time was over
    WARNED = "warned"  # a firing came within the time before it
    MISSED = "missed"  # none did
    TOO_EARLY_TO_TELL = "too early to tell"  # the window begins within that time


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A firing, and the first outcome that followed in time; None where none did."""

    firing: Firing
    verdict: Verdict
    outcome: Outcome | None

    @property
    def lead(self) -> timedelta | None:
        """How long before the outcome it came."""
        return None if self.outcome is None else self.outcome.at - self.firing.at


@dataclass(frozen=True, kw_only=True)
class Happened:
    """An outcome, and the first firing in the time before it; None where there was none."""

    outcome: Outcome
    verdict: Verdict
    firing: Firing | None


@dataclass(frozen=True, kw_only=True)
class LeadTime:
    """How many days lay between true alarms and what they warned of; quartiles included."""

    shortest: float
    lower: float
    median: float
    upper: float
    longest: float


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well firings warned.

    Attributes:
        true, false: firings that could be followed for the whole time, with and without outcome.
        open: firings too recent to tell; they count in neither.
        warned, missed: outcomes that a whole time of the window lies before.
        early: outcomes too early to tell; they count in neither.
        precision: the share of true ones among true and false; None where there are none.
        recall: the share of warned ones among warned and missed; None where there are none.
    """

    firings: int
    true: int
    false: int
    open: int
    outcomes: int
    warned: int
    missed: int
    early: int
    precision: float | None
    recall: float | None
    lead: LeadTime | None


@dataclass(frozen=True, kw_only=True)
class Month:
    """What happened in a month of the company's calendar, such as ``2026-03``."""

    month: str
    firings: int
    true: int
    false: int
    outcomes: int
    missed: int


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Firings and outcomes, each with what became of it, in the order of time."""

    alarms: tuple[Alarm, ...]
    outcomes: tuple[Happened, ...]

    @property
    def score(self) -> Score:
        """The counts, and what follows from them."""
        alarms = Counter(alarm.verdict for alarm in self.alarms)
        outcomes = Counter(outcome.verdict for outcome in self.outcomes)
        true, false = alarms[Verdict.TRUE], alarms[Verdict.FALSE]
        warned, missed = outcomes[Verdict.WARNED], outcomes[Verdict.MISSED]
        return Score(
            firings=len(self.alarms),
            true=true,
            false=false,
            open=alarms[Verdict.TOO_RECENT_TO_TELL],
            outcomes=len(self.outcomes),
            warned=warned,
            missed=missed,
            early=outcomes[Verdict.TOO_EARLY_TO_TELL],
            precision=_share(true, false),
            recall=_share(warned, missed),
            lead=lead_time(alarm for alarm in self.alarms if alarm.verdict is Verdict.TRUE),
        )

    def months(self, start: datetime, end: datetime, zone: ZoneInfo) -> tuple[Month, ...]:
        """Every month of the window, also those in which nothing happened."""
        fired = Counter((_month(a.firing.at, zone), a.verdict) for a in self.alarms)
        came = Counter((_month(o.outcome.at, zone), o.verdict) for o in self.outcomes)
        return tuple(
            Month(
                month=month,
                firings=sum(fired[month, verdict] for verdict in Verdict),
                true=fired[month, Verdict.TRUE],
                false=fired[month, Verdict.FALSE],
                outcomes=sum(came[month, verdict] for verdict in Verdict),
                missed=came[month, Verdict.MISSED],
            )
            for month in _months(start.astimezone(zone), end.astimezone(zone))
        )


def judge(
    firings: Iterable[Firing],
    outcomes: Iterable[Outcome],
    *,
    within: timedelta,
    start: datetime,
    end: datetime,
) -> Judged:
    """Hold firings against outcomes, of which all up to the end are known.

    An outcome belongs to a firing about the same one that came before it, and no longer before
    than ``within``. What happens at the same instant was no warning.

    A firing that the window does not follow for that long is told apart, whether or not its
    outcome has come: to count those whose has would flatter the rule. So is an outcome that lies
    less than that after the window's start, since what fired before is not known.
    """
    firings = sorted(firings, key=lambda firing: (firing.at, firing.subject))
    outcomes = sorted(outcomes, key=lambda outcome: (outcome.at, outcome.about))
    outcomes_of: dict[str | None, list[Outcome]] = {}
    for outcome in outcomes:
        outcomes_of.setdefault(outcome.about, []).append(outcome)
    firings_of: dict[str | None, list[Firing]] = {}
    for firing in firings:
        firings_of.setdefault(firing.about, []).append(firing)
    alarms, happened = [], []
    for firing in firings:
        follows = next(
            (
                outcome
                for outcome in outcomes_of.get(firing.about, ())
                if firing.at < outcome.at <= firing.at + within
            ),
            None,
        )
        verdict = Verdict.FALSE if follows is None else Verdict.TRUE
        if firing.at + within > end:
            verdict = Verdict.TOO_RECENT_TO_TELL
        alarms.append(Alarm(firing=firing, verdict=verdict, outcome=follows))
    for outcome in outcomes:
        warning = next(
            (
                firing
                for firing in firings_of.get(outcome.about, ())
                if outcome.at - within <= firing.at < outcome.at
            ),
            None,
        )
        verdict = Verdict.MISSED if warning is None else Verdict.WARNED
        if outcome.at - within < start:
            verdict = Verdict.TOO_EARLY_TO_TELL
        happened.append(Happened(outcome=outcome, verdict=verdict, firing=warning))
    return Judged(alarms=tuple(alarms), outcomes=tuple(happened))


def lead_time(alarms: Iterable[Alarm]) -> LeadTime | None:
    """The lead times of alarms with an outcome; None where there is none."""
    days = sorted(alarm.lead.total_seconds() / 86400 for alarm in alarms if alarm.lead is not None)
    if not days:
        return None
    lower, median, upper = (
        quantiles(days, n=4, method="inclusive") if len(days) > 1 else (days[0],) * 3
    )
    return LeadTime(shortest=days[0], lower=lower, median=median, upper=upper, longest=days[-1])


def _share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None


def _month(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m}"


def _months(first: datetime, last: datetime) -> Sequence[str]:
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    months = [divmod(first.month - 1 + i, 12) for i in range(count)]
    return [f"{first.year + years:04}-{month + 1:02}" for years, month in months]
