from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crmsync.model.verdicts import Truth
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.explaining.explain import explain_all
from crmsync.rules.explaining.turns import with_turns
from crmsync.rules.unit_tests.memory import MemoryRecords
from rules.rules_world import CATALOG, rule_of
from rules.test_turning import world_at

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.rules.explaining.explain import ClauseReport

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
YEAR = NOW + timedelta(days=366)


def ahead(
    tmp_path: Path, when: str, account: dict[str, Any], **records: list[dict[str, Any]]
) -> tuple[ClauseReport, datetime]:
    rule = rule_of(tmp_path, when)
    company = {"account": [{"id": "acme", **account}], **records}
    source = MemoryRecords(CATALOG.tables, company, now=YEAR)
    world = world_at(source, NOW, "UTC")
    evaluation = Evaluation([rule], world, ids=["acme"])
    reports = explain_all(evaluation, {rule.name: ["acme"]})[rule.name]
    looked = with_turns([rule], "acme", {rule.name: reports["acme"]}, world, YEAR)
    source.close()
    return looked.reports[rule.name], looked.until[rule.name]


def turns(report: ClauseReport) -> tuple[str, Truth] | None:
    found = report.turns
    return None if found is None else (found.at.isoformat(timespec="minutes"), found.verdict)


def test_each_clause_and_the_rule_with_its_next_turn(tmp_path: Path) -> None:
    when = """\
  - renewal_date: {in_next: 30 days}
  - last_contact: {older_than: 14 days}
  - tier: gold"""
    call = {"id": "x", "kind": "call", "account": "acme", "at": "2026-03-01T10:00"}
    account = {"renewal_date": "2026-04-10", "tier": "gold"}
    report, until = ahead(tmp_path, when, account, activity=[call])
    renewal, contact, tier = report.parts
    assert turns(renewal) == ("2026-03-11T00:00+00:00", Truth.YES)
    assert turns(contact) == ("2026-03-15T10:00+00:00", Truth.YES)
    assert turns(tier) is None
    # The rule needs both.
    assert turns(report) == ("2026-03-15T10:00+00:00", Truth.YES)
    assert until == YEAR
    assert report.verdict is Truth.NO


def test_a_number_of_days_turns_on_a_day_that_is_known(tmp_path: Path) -> None:
    late, until = ahead(tmp_path, "  - days_since_start: 200", {"customer_since": "2026-02-20"})
    assert turns(late) == ("2026-09-08T00:00+00:00", Truth.YES)
    assert until == YEAR
    renewal = {"renewal_date": "2026-12-31"}
    near, _ = ahead(tmp_path, "  - days_to_renewal: {under: 60}", renewal)
    assert turns(near) == ("2026-11-02T00:00+00:00", Truth.YES)
    past, _ = ahead(tmp_path, "  - days_to_renewal: {between: [-10, -5]}", renewal)
    assert turns(past) == ("2027-01-05T00:00+00:00", Truth.YES)


def test_what_changes_daily_is_looked_at_for_some_days_and_not_claimed_for_longer(
    tmp_path: Path,
) -> None:
    account = {"customer_since": "2026-02-20", "renewal_date": "2026-09-30"}
    when = "  - days_since_start: {over: days_to_renewal}"
    late, until = ahead(tmp_path, when, account)
    assert turns(late) is None
    assert NOW + timedelta(days=30) < until < datetime(2026, 9, 8, tzinfo=UTC)
    soon, _ = ahead(tmp_path, when, account | {"renewal_date": "2026-03-25"})
    assert turns(soon) == ("2026-03-09T00:00+00:00", Truth.YES)


def test_what_never_turns_by_itself(tmp_path: Path) -> None:
    report, until = ahead(tmp_path, "  - tier: gold\n  - renewal_date: {in_next: 3 days}", {})
    assert turns(report) is None
    assert until == YEAR


def test_a_group_that_turns_later_than_its_clauses_and_the_rule(tmp_path: Path) -> None:
    when = """\
  - renewal_date: {in_next: 5 days}
  - any:
      - renewal_date: {in_next: 5 days}
      - created_at: {in_last: 10 days}"""
    account = {"renewal_date": "2026-03-15", "created_at": "2026-03-01T12:00"}
    report, _ = ahead(tmp_path, when, account)
    near, either = report.parts
    assert turns(report) == turns(near) == ("2026-03-10T00:00+00:00", Truth.YES)
    assert either.verdict is Truth.YES
    assert [turns(part) for part in either.parts] == [
        ("2026-03-10T00:00+00:00", Truth.YES),
        ("2026-03-11T12:00+00:00", Truth.NO),
    ]
    assert turns(either) == ("2026-03-16T00:00+00:00", Truth.NO)
