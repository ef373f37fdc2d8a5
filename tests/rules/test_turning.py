from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from crmsync.rules.conditions import Column, clauses
from crmsync.rules.evaluation.evaluate import evaluate
from crmsync.rules.evaluation.world import World
from crmsync.rules.turning.touched import touched
from crmsync.rules.turning.turning import Turning
from crmsync.rules.unit_tests.memory import MemoryRecords
from rules.rules_world import CATALOG, FACTS, a_day, rule_of
from rules.test_oracle import CONDITIONS, companies, compiled

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.model.catalog import FactSpec
    from crmsync.rules.language import Rule

STEPS = [timedelta(seconds=1), timedelta(hours=1), timedelta(hours=11), timedelta(days=1, hours=1)]


def world_at(source: MemoryRecords, now: datetime, zone: str) -> World:
    return World(source, FACTS, now=now, company_zone=ZoneInfo(zone), country=None, bound=a_day)


def turning_of(rule: Rule, world: World, until: datetime) -> Turning:
    asked = list(clauses(rule.when))
    return Turning(world, rule.subject, asked, rule.once_per_columns, until=until)


def verdicts(rules: tuple[Rule, ...], world: World) -> dict[str, dict[str, str]]:
    return {
        name: dict.fromkeys(said.matches, "yes") | dict.fromkeys(said.unknown, "unknown")
        for name, said in evaluate(rules, world).items()
    }


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    company=companies(),
    conditions=st.lists(CONDITIONS, min_size=4, max_size=4),
    step=st.sampled_from(STEPS),
)
def test_whoever_turns_was_touched(
    company: dict[str, Any], conditions: list[list[dict[str, Any]]], step: timedelta
) -> None:
    rules = compiled(conditions)
    now, zone = company["now"], company["zone"]
    source = MemoryRecords(CATALOG.tables, company["records"], now=now, unread=company["unread"])
    world = world_at(source, now, zone)
    before, after = verdicts(rules, world), verdicts(rules, world_at(source, now + step, zone))
    for number, rule in enumerate(rules):
        turning = turning_of(rule, world, now + step)
        concerned = touched(turning)
        moments = turning.moments()
        assert {moment.subject for moment in moments} <= concerned
        assert all(now < moment.at <= now + step for moment in moments)
        for account in company["records"]["account"]:
            subject = account["id"]
            if before[rule.name].get(subject) != after[rule.name].get(subject):
                event("turned")
                told = (subject, json.dumps(conditions[number]), company)
                assert subject in concerned, told
                assert subject in {moment.subject for moment in moments}, told
            elif subject not in concerned:
                event("left alone")
    source.close()


NOW = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)


@st.composite
def busy_companies(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """Records whose times lie where facts may change within two days."""
    offsets = st.sampled_from([timedelta(hours=h) for h in (-50, -30, -2, 0, 1, 2, 20, 26, 40, 60)])
    instants = st.one_of(st.none(), offsets.map(lambda offset: NOW + offset))
    day = NOW.date()
    days = st.sampled_from(
        [None]
        + [day + timedelta(days=d) for d in (-61, -60, -59, -31, -30, -29, -1, 0, 1, 2, 3)]
        + [day.replace(year=2020), day.replace(year=2024, month=2, day=29)]
    )
    accounts, contacts = st.sampled_from(["a1", "a2", None]), st.sampled_from(["c1", "c2", None])

    def rows(prefix: str, **fields: st.SearchStrategy[Any]) -> list[dict[str, Any]]:
        count = draw(st.integers(1, 4))
        return [
            {"id": f"{prefix}{i}"} | {f: draw(s) for f, s in fields.items()} for i in range(count)
        ]

    zones = st.sampled_from([None, "Pacific/Auckland", "America/Los_Angeles"])
    return {
        "account": [
            {
                "id": i,
                "time_zone": draw(zones),
                "renewal_date": draw(days),
                "customer_since": draw(days),
            }
            for i in ("a1", "a2")
        ],
        "contact": [{"id": "c1", "account": "a1"}, {"id": "c2", "account": draw(accounts)}],
        "deal": rows("d", account=accounts, opened_on=days, open=st.booleans(), amount=st.just(5)),
        "activity": rows(
            "x",
            account=accounts,
            contact=contacts,
            kind=st.sampled_from(["call", "meeting"]),
            direction=st.sampled_from(["inbound", None]),
            at=instants,
            ended_at=instants,
            automated=st.sampled_from([None, True]),
        ),
        "activity_link": rows("l", activity=st.just("x0"), account=accounts, contact=contacts),
        "ticket": rows("t", account=accounts, opened_at=instants, closed_at=instants),
        "order": rows("o", account=accounts, at=instants, amount=st.integers(1, 3)),
        "feedback": rows(
            "f", account=accounts, instrument=st.just("nps"), score=st.integers(0, 3), at=instants
        ),
        "usage": rows(
            "u",
            account=accounts,
            contact=contacts,
            day=days,
            count=st.integers(0, 2),
            feature=st.sampled_from(["x", "y"]),
        ),
    }


def rows_of(world: World, of: str, spec: FactSpec) -> list[dict[str, Any]]:
    """What a method of the world says of a fact: compiled once for all examples."""
    query = world.compiled(f"{of} of {spec.table} {spec.name}", lambda: getattr(world, of)(spec))
    rows: list[dict[str, Any]] = world.query(query).to_pylist()
    return rows


@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(records=busy_companies(), step=st.sampled_from(STEPS))
def test_every_fact_says_of_whom_it_may_change(
    records: dict[str, list[dict[str, Any]]], step: timedelta
) -> None:
    source = MemoryRecords(CATALOG.tables, records, now=NOW)
    worlds = [world_at(source, at, "Europe/Zurich") for at in (NOW, NOW + step)]
    for fact in FACTS:
        spec = fact.spec
        before, after = (
            {row["id"]: row["value"] for row in rows_of(w, "fact", spec)} for w in worlds
        )
        changed = {i for i in before.keys() | after.keys() if before.get(i) != after.get(i)}
        column = Column(table=spec.table, hops=(), name=spec.name, type=spec.type, fact=spec)
        turning = Turning(worlds[0], spec.table, [], [column], until=NOW + step)
        assert changed <= touched(turning), (spec.table, spec.name, records)
        assert changed <= {moment.subject for moment in turning.moments()}
        held = rows_of(worlds[0], "fact_values", spec)
        assert {(i, v) for i, v in before.items() if v} <= {(r["id"], r["value"]) for r in held}
    source.close()


NUMBERS = st.sampled_from([-1000, -31, -2, -1, 0, 1, 2, 29, 30, 60, 2192, 10**9])
NUMBER_TESTS = st.one_of(
    st.builds(
        lambda key, number: {key: number},
        st.sampled_from(["is", "is_not", "over", "under", "at_least", "at_most"]),
        NUMBERS,
    ),
    st.builds(lambda *ends: {"between": sorted(ends)}, NUMBERS, NUMBERS),
    st.builds(lambda numbers: {"not_in": numbers}, st.lists(NUMBERS, min_size=1, max_size=3)),
    st.booleans().map(lambda answer: {"present": answer}),
)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    records=busy_companies(),
    asked=st.lists(
        st.tuples(st.sampled_from(["days_since_start", "days_to_renewal"]), NUMBER_TESTS),
        min_size=4,
        max_size=4,
    ),
    step=st.sampled_from([*STEPS, timedelta(days=4)]),
)
def test_numbers_of_days_turn_when_their_dates_do(
    records: dict[str, list[dict[str, Any]]], asked: list[tuple[str, Any]], step: timedelta
) -> None:
    rules = compiled([[{name: test}] for name, test in asked])
    source = MemoryRecords(CATALOG.tables, records, now=NOW)
    world = world_at(source, NOW, "Europe/Zurich")
    before = verdicts(rules, world)
    after = verdicts(rules, world_at(source, NOW + step, "Europe/Zurich"))
    for rule in rules:
        turning = turning_of(rule, world, NOW + step)
        was, now = before[rule.name], after[rule.name]
        turned = {i for i in was.keys() | now.keys() if was.get(i) != now.get(i)}
        event("turned" if turned else "stayed")
        assert turned <= touched(turning), (asked, records)
        moments = turning.moments()
        assert turned <= {moment.subject for moment in moments}, (asked, records)
        assert len(moments) <= 2 * 2 * 6, "at most two of each number for each account"
    source.close()


def moments_of(
    tmp_path: Path, when: str, records: dict[str, Any], days: int = 366, zone: str = "Europe/Zurich"
) -> list[tuple[str, str]]:
    rule = rule_of(tmp_path, when)
    source = MemoryRecords(CATALOG.tables, records, now=NOW + timedelta(days=days))
    found = turning_of(rule, world_at(source, NOW, zone), NOW + timedelta(days=days)).moments()
    source.close()
    return [(moment.subject, moment.at.isoformat(timespec="minutes")) for moment in found]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("  - tier: gold", []),
        ("  - last_contact: {present: true}", []),
        (
            "  - last_contact: {older_than: 14 days}",
            [("a1", "2026-03-15T10:00+00:00")],
        ),
        (
            "  - renewal_date: {in_next: 30 days}",
            # At midnight in Zurich, and in Auckland.
            [
                ("a1", "2026-03-31T22:00+00:00"),
                ("a2", "2026-04-30T12:00+00:00"),
                ("a1", "2026-05-01T22:00+00:00"),
                ("a2", "2026-05-31T12:00+00:00"),
            ],
        ),
        (
            "  - some: {of: activities, where: [{kind: call}, {at: {in_last: 3 business days}}]}",
            [("a1", "2026-03-04T23:00+00:00")],
        ),
        ("  - not: [{open_tickets: {at_least: 1}}]", [("a2", "2026-03-04T10:00+00:00")]),
    ],
)
def test_when_it_will_turn(tmp_path: Path, when: str, expected: list[tuple[str, str]]) -> None:
    records = {
        "account": [
            {"id": "a1", "renewal_date": "2026-05-01"},
            {"id": "a2", "renewal_date": "2026-05-31", "time_zone": "Pacific/Auckland"},
            {"id": "a3"},
        ],
        "activity": [{"id": "x", "kind": "call", "account": "a1", "at": "2026-03-01T10:00"}],
        "ticket": [{"id": "t", "account": "a2", "opened_at": "2026-03-04T10:00"}],
    }
    assert moments_of(tmp_path, when, records) == expected


@pytest.mark.parametrize("at", ['"2026-03-03T09:00"', '"2026-03-03T09:00-08:00"', "2026-03-03"])
def test_a_time_to_come_is_known_once_it_has(tmp_path: Path, at: str) -> None:
    when = f"  - tier: {{was: {{value: gold, at: {at}}}, if_unknown: hold}}"
    zone = "America/Los_Angeles"
    account = {"id": "a1", "tier": "gold", "time_zone": zone, "created_at": "2026-01-01T00:00"}
    found = moments_of(tmp_path, when, {"account": [account]}, days=3)
    expected = "2026-03-03T08:00+00:00" if at == "2026-03-03" else "2026-03-03T17:00+00:00"
    assert ("a1", expected) in found


@pytest.mark.parametrize("zone", ["Europe/Zurich", "Pacific/Auckland"])
def test_a_named_day_that_is_today_in_some_zones(tmp_path: Path, zone: str) -> None:
    # It is the 2nd in Zurich and the 3rd in Auckland; what counts moves on until the day is over.
    rule = rule_of(tmp_path, "  - tier: {was: {value: gold, at: 2026-03-02}, if_unknown: hold}")
    told = [{"was": "silver", "until": "2026-03-02T22:40"}]
    accounts = [
        {"id": name, "tier": "gold", "time_zone": own, "history": {"tier": told}}
        for name, own in (("a", "Europe/Zurich"), ("b", "Pacific/Auckland"))
    ]
    source = MemoryRecords(CATALOG.tables, {"account": accounts}, now=NOW)
    turning = turning_of(rule, world_at(source, NOW, zone), NOW + timedelta(hours=3))
    moments = [(moment.subject, moment.at) for moment in turning.moments()]
    assert ("a", datetime(2026, 3, 2, 22, 40, tzinfo=UTC)) in moments
    assert "a" in touched(turning)
    source.close()
