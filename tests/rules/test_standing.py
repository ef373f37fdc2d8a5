from __future__ import annotations

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
    from datetime import timedelta

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
