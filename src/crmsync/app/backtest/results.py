"""What a backtest found, as values: shown as a table, as JSON and as a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.app.backtest.alarms import Month, Score, Verdict
    from crmsync.rules.explaining.assumptions import AssumedClause


@dataclass(frozen=True, kw_only=True)
class Fired:
    """A firing, and what became of it.

    Attributes:
        verdict: None where no outcome was named.
        outcome_at: when what it was to warn of came about; None where it did not in time.
        exact: whether the history tells that instant; else it is that of the step.
        lead_days: how many days lay between.
    """

    subject: str
    name: str
    at: datetime
    verdict: Verdict | None = None
    outcome_at: datetime | None = None
    exact: bool = False
    lead_days: float | None = None


@dataclass(frozen=True, kw_only=True)
class CameAbout:
    """An outcome, and whether the rule had warned of it.

    Attributes:
        about: the global id of whom it is about.
        fired_at: the first firing in the time before it; None where there was none.
    """

    about: str
    name: str
    at: datetime
    exact: bool
    verdict: Verdict
    fired_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OutcomeAsked:
    """The outcome that firings were held against.

    Attributes:
        text: its condition, as it was given.
        about: the table of those whom it is about.
        within: how long after a firing it counts, in words.
        already: of how many it was so when they were first looked at.
    """

    text: str
    about: str
    within: str
    already: int


@dataclass(frozen=True, kw_only=True)
class SweptValue:
    """The rule with another threshold.

    Attributes:
        current: whether that is the threshold that the rule has.
        score: None where no outcome was named.
    """

    value: str
    current: bool
    firings: int
    score: Score | None


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What several thresholds would have made of a rule."""

    threshold: str
    values: tuple[SweptValue, ...]


@dataclass(frozen=True, kw_only=True)
class BacktestResult:
    """What a rule would have done over the past, and what then happened.

    Attributes:
        start, end: the window, in the company's zone; steps lie ``every`` apart.
        looked_at: how many subjects there were at the last step.
        already: how many matched at the first step, so that nobody can say since when.
        unknown: how many subjects were held at some step because a clause was unknown.
        score: None where no outcome was named; so are ``outcomes`` empty then.
        assumptions: the clauses of the rule, then those of the outcome, that rest on values
            that nobody knows to have been so.
        notes: sentences about what limits the answer.
    """

    rule: str
    description: str
    subject: str
    conditions: tuple[str, ...]
    start: datetime
    end: datetime
    every: str
    steps: int
    looked_at: int
    already: int
    unknown: int
    outcome: OutcomeAsked | None
    score: Score | None
    months: tuple[Month, ...]
    fired: tuple[Fired, ...]
    outcomes: tuple[CameAbout, ...]
    sweep: Sweep | None
    assumptions: tuple[AssumedClause, ...]
    outcome_assumptions: tuple[AssumedClause, ...]
    notes: tuple[str, ...]
