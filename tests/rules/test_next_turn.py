from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from crmsync.rules.incremental.next_turn import next_turn
from crmsync.rules.unit_tests.memory import MemoryRecords
from rules.rules_world import CATALOG, NOW, rule_of
from rules.test_oracle import CONDITIONS, companies, compiled
from rules.test_turning import verdicts, world_at

if TYPE_CHECKING:
    from pathlib import Path

YEAR = NOW + timedelta(days=366)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("  - tier: gold", None),
        ("  - last_contact: {older_than: 14 days}", "2026-03-15T10:00"),
        ("  - renewal_date: {in_next: 30 days}", "2026-03-31T22:00"),
        ("  - not: [{open_tickets: {at_least: 1}}]", "2026-03-04T10:00"),
    ],
)
def test_nothing_turns_before_the_next_turn(
    tmp_path: Path, when: str, expected: str | None
) -> None:
    records = {
        "account": [
            {"id": "a1", "renewal_date": "2026-05-01"},
            {"id": "a2", "renewal_date": "2026-05-31", "time_zone": "Pacific/Auckland"},
        ],
        "activity": [{"id": "x", "kind": "call", "account": "a1", "at": "2026-03-01T10:00"}],
        "ticket": [{"id": "t", "account": "a2", "opened_at": "2026-03-04T10:00"}],
    }
    source = MemoryRecords(CATALOG.tables, records, now=YEAR)
    rules = [rule_of(tmp_path, when), rule_of(tmp_path, "  - name: {present: true}", "contact")]
    world = world_at(source, NOW, "Europe/Zurich")
    at = next_turn(rules, world, YEAR)
    assert (at and f"{at:%Y-%m-%dT%H:%M}") == expected
    # Whoever does not look as far is told of nothing.
    assert at is None or next_turn(rules, world, at - timedelta(minutes=1)) is None
    source.close()


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(company=companies(), conditions=st.lists(CONDITIONS, min_size=2, max_size=2))
def test_what_rules_say_stays_until_the_next_turn(
    company: dict[str, Any], conditions: list[list[dict[str, Any]]]
) -> None:
    rules = compiled(conditions)
    now, zone = company["now"], company["zone"]
    source = MemoryRecords(CATALOG.tables, company["records"], now=now, unread=company["unread"])
    until = now + timedelta(days=3)
    at = next_turn(rules, world_at(source, now, zone), until)
    event("nothing turns" if at is None else "something turns")
    end = until if at is None else at - timedelta(microseconds=1)
    stays = verdicts(rules, world_at(source, now, zone))
    for instant in (now + (end - now) / 2, end):
        assert verdicts(rules, world_at(source, instant, zone)) == stays
    source.close()
