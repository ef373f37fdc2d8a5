"""Where what a clause said in the past rests on what nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from crmsync.rules.evaluation.world import World
from crmsync.rules.explaining.assumptions import AssumedClause, Assumptions
from crmsync.warehouse.store import Warehouse
from rules.rules_world import CATALOG, FACTS, a_day, rule_of
from warehouse.warehouse_world import Store, day

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

EARLY = {"created_at": day(1), "updated_at": day(1)}  # known from its creation on


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two accounts that are known from the first of the month on; the rest later."""
    store = Store(Warehouse(tmp_path / "warehouse.duckdb"))
    account = {"owner": "u1", "industry": "Food", "status": "active"}
    store.merge({"id": "1", **account, **EARLY}, {"id": "2", "status": "active", **EARLY})
    store.merge({"id": "1", **account, "name": "Acme", "created_at": day(1), "updated_at": day(6)})
    store.merge({"id": "u1", "active": True}, table="user", stream="users", now=day(9))
    deal = {"id": "d", "account": "1", "open": True, "opened_on": day(3).date()}
    store.merge({**deal, "updated_at": day(9)}, table="deal", stream="deals")
    ticket = {"id": "t", "account": "2", "priority": "high", "opened_at": day(4)}
    store.merge({**ticket, "updated_at": day(9)}, table="ticket", stream="tickets")
    store.merge({"id": "a", "account": "1", "at": day(2)}, table="activity", stream="a", now=day(9))
    return store


def _assumed(  # noqa: PLR0917  everything that it depends on
    store: Store,
    folder: Path,
    clause: str,
    start: datetime,
    end: datetime,
    firings: Sequence[tuple[str, datetime]] = (),
) -> tuple[AssumedClause, ...]:
    rule = rule_of(folder, f"  - {clause}")
    with store.warehouse.reading() as records:
        past = records.as_of(end)
        world = World(past, FACTS, now=end, company_zone=ZoneInfo("UTC"), country=None, bound=a_day)
        assumptions = Assumptions(past, world, CATALOG.tables)
        return assumptions.of(rule.when, start=start, end=end, firings=firings)


@pytest.mark.parametrize(
    ("clause", "field", "subject", "first", "last"),
    [
        # Not tracked: as it is now, until the record changed for the last time.
        ("industry: Food", "account.industry", "1", 1, 5),
        # By a reference; the user is known since the ninth, and tells no creation.
        ("owner.active: true", "user.active", "1", 1, 8),
        # Through a fact: the deal is there from the third on.
        ("open_deals: 1", "deal.open", "1", 3, 8),
        # Through related records.
        ("some: {of: tickets, where: [{priority: high}]}", "ticket.priority", "2", 4, 8),
        ("sum: {of: deals.amount, is: {over: 1}}", "deal.amount", "1", 3, 8),
    ],
)
def test_from_when_until_when(  # noqa: PLR0917  the columns of the table above
    store: Store, tmp_path: Path, clause: str, field: str, subject: str, first: int, last: int
) -> None:
    for number in sorted({max(first - 1, 1), first, last, last + 1}):
        at = day(number)
        firings = [(f"crm:{subject}", at), ("crm:3", at)]
        found = _assumed(store, tmp_path, clause, at, at, firings)
        if first <= number <= last:
            (said,) = found
            assert [f"{one.table}.{one.field}" for one in said.fields] == [field]
            assert [one.before for one in said.fields] == [day(last + 1)]
            assert (said.subjects, said.firings) == (1, 1)
        else:
            assert found == ()


@pytest.mark.parametrize(
    "clause",
    [
        "status: active",  # tracked, and known all along
        "last_contact: {older_than: 3 days}",  # activities tell their own time
        "none: {of: activities, where: [{kind: call}]}",
        "created_at: {older_than: 3 days}",
        "count: {of: tickets, where: [{opened_at: {in_last: 3 days}}], is: {at_least: 1}}",
    ],
)
def test_what_is_known_is_not_assumed(store: Store, tmp_path: Path, clause: str) -> None:
    assert _assumed(store, tmp_path, clause, day(2), day(20)) == ()


def test_a_window_counts_each_subject_once(store: Store, tmp_path: Path) -> None:
    firings = [("crm:1", day(4)), ("crm:1", day(5)), ("crm:1", day(10)), ("crm:2", day(5))]
    clause = "{industry: {is_not: Food}, name: {present: true}}"
    industry, name = _assumed(store, tmp_path, clause, day(2), day(20), firings)
    assert (industry.subjects, industry.firings) == (1, 2)
    assert name.fields[0].tracked is False
    assert name.text == "name: {present: true}"
