"""A stranger's CRM export, against its published totals and against plain Python."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from crmsync.app.cycle import plan_cycle
from crmsync.app.syncing import sync_all
from crmsync.clock import FixedClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crmsync.app.workspace import Workspace
    from crmsync.clock import Clock

    Open = Callable[[str, str, Clock], Workspace]

_DATA = "crm_sales_opportunities"


def _nowhere(_label: str, _done: int) -> None:
    """Progress that nobody watches."""


def _noon(day: date) -> FixedClock:
    return FixedClock(instant=datetime(day.year, day.month, day.day, 17, tzinfo=UTC))


def test_the_published_totals(real_workspace: Open) -> None:
    workspace = real_workspace("crm_sales", _DATA, _noon(date(2018, 1, 1)))
    result = sync_all(workspace, advance=_nowhere)
    assert not result.findings
    assert {stream.stream: stream.read for stream in result.streams} == {
        "agents": 35,
        "accounts": 85,
        "deals": 8800,
    }
    with workspace.warehouse.reading() as records:
        deals = records.query(records.table("deal")).to_pylist()
        accounts = records.query(records.table("account")).to_pylist()
    stages = Counter(deal["stage"] for deal in deals)
    assert stages == {"Won": 4238, "Lost": 2473, "Engaging": 1589, "Prospecting": 500}
    assert sum(deal["open"] for deal in deals) == 2089
    won = sum((deal["amount"] for deal in deals if deal["won"]), Decimal())
    assert won == Decimal(10_005_534)
    closed = [deal for deal in deals if deal["won"] is not None]
    assert round(100 * sum(deal["won"] for deal in closed) / len(closed), 2) == 63.15
    assert "GTXPro" not in {deal["product"] for deal in deals}
    assert {deal["account"] for deal in deals} - {None} <= {account["id"] for account in accounts}
    assert sum(deal["account"] is None for deal in deals) == 1425
    assert "technolgy" not in {account["industry"] for account in accounts}


def _open_too_long(rows: list[dict[str, str]], today: date) -> set[str]:
    """In plain Python: engaged 90 days ago or earlier, and not closed by today."""
    return {
        f"crm:{row['opportunity_id']}"
        for row in rows
        if row["engage_date"]
        and date.fromisoformat(row["engage_date"]) <= today - timedelta(days=90)
        and (not row["close_date"] or date.fromisoformat(row["close_date"]) > today)
    }


@pytest.mark.parametrize(
    "today", [date(2017, 3, 1), date(2017, 6, 30), date(2017, 10, 15), date(2017, 12, 31)]
)
def test_a_deal_that_is_open_too_long_at_any_date(
    real_workspace: Open, shared_data: Path, today: date
) -> None:
    file = shared_data / _DATA / "sales_pipeline.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        expected = _open_too_long(list(csv.DictReader(lines)), today)
    plan = plan_cycle(real_workspace("crm_sales", _DATA, _noon(today)), advance=_nowhere)
    (rule,) = plan.rules
    assert rule.looked_at == 8800
    assert rule.matches == len(expected) > 0
    tasks = [action for action in plan.actions if action.kind == "task"]
    assert {task.subject for task in tasks} == expected
    assert {task.state for task in tasks} == {"ready"}
    # So many at once are more than the circuit breaker lets out unasked.
    assert "policy.most_" in (plan.stopped or "")
