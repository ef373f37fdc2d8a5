"""A backtest as one page that needs nothing else: charts with the tables they are made from."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from crmsync.app.backtest.alarms import Verdict
from crmsync.cli.reports.assumed import told
from crmsync.cli.reports.charts import Chart, place_of, shares, stacked
from crmsync.cli.reports.words import records
from crmsync.errors import UsageError
from crmsync.observe import redact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from crmsync.app.backtest.results import BacktestResult

_BINS = 9
_MOST_MARKS = 80  # more of them than that would be one black line


def write_page(result: BacktestResult, file: Path) -> None:
    """Write the page.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page_of(result), encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"--html: {file} cannot be written: {error.strerror}") from error


def page_of(result: BacktestResult) -> str:
    """The page as HTML; whatever names and texts hold stays text."""
    environment = Environment(
        loader=PackageLoader("crmsync.cli.reports", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": _share, "day": _day, "redacted": redact, "counted": records}
    bins = _lead_bins(result)
    return environment.get_template("backtest.html.j2").render(
        result=result,
        verdict=Verdict,
        over_time=_over_time(result),
        outcomes=_outcomes(result) if len(result.outcomes) > _MOST_MARKS else None,
        bins=bins,
        leads=stacked([name for name, _ in bins], [[("true", number)] for _, number in bins]),
        swept=_swept(result),
        assumed=[told(clause, "rule") for clause in result.assumptions]
        + [told(clause, "outcome") for clause in result.outcome_assumptions],
    )


def _over_time(result: BacktestResult) -> Chart:
    """Firings by month, and each outcome where it came about, if they are not too many."""
    stacks: list[Sequence[tuple[str, int]]] = []
    for month in result.months:
        if result.score is None:
            stacks.append([("firings", month.firings)])
            continue
        rest = month.firings - month.true - month.false
        stacks.append([("true", month.true), ("false", month.false), ("open", rest)])
    # The bars stand in whole months, so the marks do as well.
    first, last = result.months[0].month, result.months[-1].month
    begin = result.start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    year, index = divmod(int(last[:4]) * 12 + int(last[5:]), 12)
    finish = begin.replace(year=year, month=index + 1)
    assert first == f"{begin:%Y-%m}"  # noqa: S101  months begin with the window's
    marks = [
        (
            place_of(one.at, begin, finish),
            "missed" if one.verdict is Verdict.MISSED else "outcome",
            f"{one.name}, {one.at:%Y-%m-%d}: {one.verdict}",
        )
        for one in (result.outcomes if len(result.outcomes) <= _MOST_MARKS else ())
    ]
    return stacked([month.month for month in result.months], stacks, marks)


def _outcomes(result: BacktestResult) -> Chart:
    """Outcomes by month, where they are too many to be marked one by one."""
    return stacked(
        [month.month for month in result.months],
        [[("lost", m.missed), ("other", m.outcomes - m.missed)] for m in result.months],
    )


def _lead_bins(result: BacktestResult) -> list[tuple[str, int]]:
    """How many true alarms came how many days before."""
    days = [
        fired.lead_days
        for fired in result.fired
        if fired.verdict is Verdict.TRUE and fired.lead_days is not None
    ]
    if not days:
        return []
    width = max(math.ceil(max(days) / _BINS), 1)
    ends = range(0, width * (math.ceil(max(days) / width)) + 1, width)
    counted = Counter(min(math.ceil(day / width), len(ends) - 1) for day in days)
    return [
        (f"{low}–{high}", counted[number]) for number, (low, high) in enumerate(pairwise(ends), 1)
    ]


def _swept(result: BacktestResult) -> Chart | None:
    if result.sweep is None:
        return None
    values = result.sweep.values
    names = [one.value for one in values]
    if result.score is None:
        return stacked(names, [[("firings", one.firings)] for one in values])
    scores = [one.score for one in values if one.score is not None]
    return shares(
        names,
        [
            ("precision", [score.precision for score in scores]),
            ("recall", [score.recall for score in scores]),
        ],
    )


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _day(at: date) -> str:
    return f"{at:%Y-%m-%d}"
