from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from crmsync.rules.evaluation.evaluate import evaluate
from crmsync.rules.incremental.standing import Standing, evaluated
from crmsync.rules.unit_tests.memory import MemoryRecords
from rules.rules_world import CATALOG
from rules.test_oracle import CONDITIONS, companies, compiled
from rules.test_turning import STEPS, world_at

if TYPE_CHECKING:
    import pytest


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(
    company=companies(),
    conditions=st.lists(CONDITIONS, min_size=3, max_size=3),
    steps=st.lists(st.sampled_from(STEPS), min_size=2, max_size=2),
)
def test_keeping_verdicts_answers_what_evaluating_everybody_answers(
    monkeypatch: pytest.MonkeyPatch,
    company: dict[str, Any],
    conditions: list[list[dict[str, Any]]],
    steps: list[timedelta],
) -> None:
    monkeypatch.setattr(
        "crmsync.rules.incremental.standing._MOST_TOUCHED", 1
    )  # there are but four accounts
    monkeypatch.setattr("crmsync.rules.incremental.standing._FEWEST", 0)
    rules = compiled(conditions)
    basis = {rule.name: rule.version for rule in rules}
    now, zone = company["now"], company["zone"]
    source = MemoryRecords(CATALOG.tables, company["records"], now=now, unread=company["unread"])
    standing: Standing | None = None
    for at in (now, now + steps[0], now + steps[0] + steps[1]):
        world = world_at(source, at, zone)
        answer = evaluated(rules, world, basis, standing)
        standing = answer.standing
        assert standing.verdicts == evaluate(rules, world_at(source, at, zone))
        event(f"looked at {answer.again['account']} of 4")
    source.close()


def test_who_changed_is_looked_at_again_where_records_live_in_zones_that_no_rule_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crmsync.rules.incremental.standing._MOST_TOUCHED", 1)
    monkeypatch.setattr("crmsync.rules.incremental.standing._FEWEST", 0)
    rules = compiled([[{"tier": "gold"}], [{"count": {"of": "activities", "is": {"over": 1}}}]])
    basis = {rule.name: rule.version for rule in rules}
    now = datetime(2026, 3, 1, tzinfo=UTC)
    accounts = [
        {"id": "a1", "tier": "gold", "time_zone": "America/Los_Angeles"},
        {"id": "a2", "tier": "silver"},
    ]
    activities = [{"id": f"c{i}", "account": "a2", "kind": "call"} for i in range(2)]
    records = {"account": accounts, "activity": activities}
    source = MemoryRecords(CATALOG.tables, records, now=now)
    for some, matches in ((rules, [{"a1": ()}, {"a2": ()}]), (rules[:1], [{"a1": ()}])):
        before = evaluated(some, world_at(source, now, "UTC"), basis).standing
        later = world_at(source, now + timedelta(hours=1), "UTC")
        again = evaluated(some, later, basis, before, lambda _table, _rules: {"a1", "a2"})
        assert again.again == {"account": 2}
        assert [said.matches for said in again.standing.verdicts.values()] == matches
    source.close()
