"""A backtest on real purchases, held against a recount in plain Python."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.app.backtest.backtesting import Asked, backtest
from crmsync.app.syncing import sync_all
from crmsync.clock import FixedClock
from crmsync.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crmsync.app.workspace import Workspace
    from crmsync.clock import Clock

    Open = Callable[[str, str, Clock], Workspace]

_READ = datetime(1998, 7, 1, tzinfo=UTC)
_START = datetime(1997, 3, 1, tzinfo=UTC)
_EVERY, _WITHIN, _SILENT = timedelta(days=28), timedelta(days=150), timedelta(days=180)


def _nowhere(_label: str, _done: int) -> None:
    """Progress that nobody watches."""


def _export(log: Path, folder: Path) -> dict[str, list[datetime]]:
    """The log as CSV; answers with the purchases of each customer."""
    bought: dict[str, list[datetime]] = defaultdict(list)
    rows = [line.split() for line in log.read_text(encoding="ascii").splitlines()]
    folder.mkdir()
    with (folder / "orders.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "customer", "at", "items", "amount"])
        for number, (_, customer, day, items, amount) in enumerate(rows):
            at = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
            bought[customer].append(at)
            writer.writerow([number, customer, at.date(), items, amount])
    with (folder / "customers.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "since"])
        writer.writerows([customer, min(days).date()] for customer, days in bought.items())
    return bought


def _recount(bought: dict[str, list[datetime]], quiet: timedelta) -> tuple[int, int, int, int, int]:
    """Firings, true, false, warned and missed, customer by customer."""
    steps = [_START + i * _EVERY for i in range((_READ - _START) // _EVERY + 1)]
    firings = true = false = warned = missed = 0
    for days in bought.values():
        fired, came = [], []
        before: tuple[bool, bool] | None = None
        for at in steps:
            known = [day for day in days if day <= at]
            if not known:
                continue
            matches = sum(day < at for day in days) > 1 and max(known) <= at - quiet
            silent = max(known) <= at - _SILENT
            if matches and at > _START and not (before and before[0]):
                fired.append(at)
            if silent and before and not before[1]:
                came.append(at)
            before = matches, silent
        firings += len(fired)
        for at in fired:
            if at + _WITHIN <= steps[-1]:
                follows = any(at < then <= at + _WITHIN for then in came)
                true, false = true + follows, false + (not follows)
        for then in came:
            if then - _WITHIN >= _START:
                told = any(then - _WITHIN <= at < then for at in fired)
                warned, missed = warned + told, missed + (not told)
    return firings, true, false, warned, missed


def test_quiet_customers_and_those_who_stay_away(
    real_workspace: Open, shared_data: Path, tmp_path: Path
) -> None:
    bought = _export(shared_data / "cdnow" / "CDNOW_sample.txt", tmp_path / "export")
    assert (len(bought), sum(map(len, bought.values()))) == (2357, 6919)
    workspace = real_workspace("cdnow", "cdnow", FixedClock(instant=_READ))
    assert not sync_all(workspace, advance=_nowhere).findings
    result = backtest(
        workspace,
        Asked(
            rule="quiet-customer",
            start=_START,
            every=parse_duration("28 days"),
            outcome="last_order: {older_than: 180 days}",
            within=parse_duration("150 days"),
            sweep="last_order.older_than=60 days,90 days,120 days",
        ),
        advance=_nowhere,
    )
    assert result.looked_at == 2357
    assert result.sweep is not None
    for swept, days in zip(result.sweep.values, (60, 90, 120), strict=True):
        score = swept.score
        assert score is not None
        numbers = (score.firings, score.true, score.false, score.warned, score.missed)
        assert numbers == _recount(bought, timedelta(days=days))
    # Who has been quiet for longer stays away more often.
    shares = [swept.score.precision for swept in result.sweep.values if swept.score]
    assert shares == sorted(shares, key=lambda share: share or 0)
    assert len(set(shares)) == 3
    # Purchases tell their own time: nothing is assumed.
    assert (result.assumptions, result.outcome_assumptions) == ((), ())
