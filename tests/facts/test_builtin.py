from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from crmsync.facts.builtin import crmsync_facts
from crmsync.model.tables import CANONICAL_TABLES
from crmsync.rules.evaluation.asked import Asked
from crmsync.rules.evaluation.world import World
from crmsync.rules.unit_tests.memory import MemoryRecords

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Records = dict[str, list[dict[str, Any]]]


def values(name: str, records: Records, *, table: str = "account", now: datetime = NOW) -> Any:
    """The fact's own table: id to value."""
    facts = crmsync_facts()
    (fact,) = [f for f in facts if (f.spec.table, f.spec.name) == (table, name)]
    source = MemoryRecords(CANONICAL_TABLES, records, now=now)
    world = World(
        source,
        facts,
        now=now,
        company_zone=ZoneInfo("UTC"),
        country=None,
        bound=lambda _: timedelta(days=1),
    )
    # Its query depends on neither the records nor the instant.
    query = world.compiled(f"value of {table} {name}", lambda: world.fact(fact.spec))
    rows = source.query(query, world.given(Asked())).to_pylist()
    source.close()
    assert len({row["id"] for row in rows}) == len(rows), "one row for each subject"
    return {row["id"]: row["value"] for row in rows}


def activity(at: str, kind: str = "call", **more: object) -> dict[str, object]:
    return {"id": f"{at}-{kind}-{len(more)}", "account": "a", "kind": kind, "at": at, **more}


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ({}, True),
        ({"kind": "meeting", "direction": None, "status": "completed"}, True),
        ({"kind": "email", "direction": "outbound"}, True),
        ({"kind": "email", "automated": True}, False),
        ({"kind": "note"}, False),
        ({"kind": "task"}, False),
        ({"kind": "meeting", "status": "cancelled"}, False),
        ({"kind": "meeting", "status": "planned"}, False),
        ({"at": "2026-03-01T12:00"}, True),
        ({"at": "2026-03-01T12:00:01"}, False),
        ({"kind": "meeting", "ended_at": "2026-03-01T12:30"}, False),
        ({"account": None, "contact": "c"}, True),
        ({"account": None, "deal": "d"}, True),
        ({"account": None}, False),
    ],
)
def test_contact_is_what_took_place_between_people(
    more: dict[str, object], *, counts: bool
) -> None:
    records: Records = {
        "activity": [{**activity("2026-03-01T11:00"), **more}],
        "contact": [{"id": "c", "account": "a"}],
        "deal": [{"id": "d", "account": "a"}],
    }
    assert set(values("last_contact", records)) == ({"a"} if counts else set())


def test_last_contact_last_reply_and_next_meeting() -> None:
    records: Records = {
        "activity": [
            activity("2026-01-01T10:00", "email", direction="inbound", contact="c"),
            activity("2026-02-01T10:00", "email", direction="outbound", contact="c"),
            activity("2026-03-05T10:00", "meeting", status="cancelled"),
            activity("2026-03-09T10:00", "meeting", status="planned"),
            activity("2026-03-07T10:00", "meeting", contact="c"),
            activity("2026-03-06T10:00", "call"),
        ]
    }
    assert values("last_contact", records) == {"a": datetime(2026, 2, 1, 10, tzinfo=UTC)}
    assert values("last_reply", records) == {"a": datetime(2026, 1, 1, 10, tzinfo=UTC)}
    assert values("last_reply", records, table="contact") == {
        "c": datetime(2026, 1, 1, 10, tzinfo=UTC)
    }
    assert values("next_meeting", records) == {"a": datetime(2026, 3, 7, 10, tzinfo=UTC)}


def test_a_present_in_the_past_sees_nothing_later() -> None:
    records: Records = {
        "activity": [activity("2026-01-01T10:00"), activity("2026-02-01T10:00")],
        "order": [
            {"id": "1", "account": "a", "at": "2026-01-01T10:00", "amount": 5},
            {"id": "2", "account": "a", "at": "2026-02-01T10:00", "amount": 5},
        ],
        "usage": [{"id": "u", "account": "a", "day": "2026-02-01", "count": 3}],
        "ticket": [{"id": "t", "account": "a", "opened_at": "2026-02-01T10:00"}],
        "feedback": [
            {"id": "f", "account": "a", "instrument": "nps", "score": 9, "at": "2026-02-01T10:00"}
        ],
    }
    then = datetime(2026, 1, 15, tzinfo=UTC)
    assert values("last_contact", records, now=then) == {"a": datetime(2026, 1, 1, 10, tzinfo=UTC)}
    assert values("orders_total", records, now=then) == {"a": Decimal(5)}
    for name in ("last_usage", "usage_30d", "open_tickets", "latest_nps"):
        assert values(name, records, now=then) == {}
        assert set(values(name, records)) == {"a"}


def test_a_ticket_is_open_by_its_times_else_by_its_status() -> None:
    tickets = [
        ("open", {"opened_at": "2026-02-01T10:00", "status": "open"}),
        ("closed", {"opened_at": "2026-02-01T10:00", "closed_at": "2026-02-02T10:00"}),
        ("closed-later", {"opened_at": "2026-02-01T10:00", "closed_at": "2026-03-02T10:00"}),
        ("by-status", {"opened_at": "2026-02-01T10:00", "status": "Solved"}),
        ("not-yet", {"opened_at": "2026-03-02T10:00"}),
        ("undated", {}),
    ]
    records: Records = {
        "ticket": [{"id": name, "account": name, **fields} for name, fields in tickets]
    }
    assert values("open_tickets", records) == {"open": 1, "closed-later": 1, "undated": 1}
    assert set(values("open_since", records, table="ticket")) == {"open", "closed-later"}
    opened = values("is_open", records, table="ticket")
    assert {name for name, value in opened.items() if value} == {"open", "closed-later", "undated"}


def test_open_pipeline_has_no_value_in_several_currencies() -> None:
    def deal(number: int, account: str, amount: float | None, currency: str) -> dict[str, object]:
        return {
            "id": str(number),
            "account": account,
            "amount": amount,
            "currency": currency,
            "open": number != 0,
        }

    records: Records = {
        "deal": [
            deal(0, "one", 100, "USD"),  # not open
            deal(1, "one", 10, "EUR"),
            deal(2, "one", 5.5, "EUR"),
            deal(3, "mixed", 10, "EUR"),
            deal(4, "mixed", 10, "USD"),
            deal(5, "empty", None, "EUR"),
        ]
    }
    assert values("open_pipeline", records) == {
        "one": Decimal("15.5"),
        "mixed": None,
        "empty": Decimal(0),
    }
    assert values("open_deals", records) == {"one": 2, "mixed": 2, "empty": 1}


@pytest.mark.parametrize(
    ("since", "today", "anniversary"),
    [
        ("2024-02-29", "2025-02-27", date(2025, 2, 28)),
        ("2024-02-29", "2025-02-28", date(2025, 2, 28)),
        ("2024-02-29", "2025-03-01", date(2026, 2, 28)),
        ("2024-02-29", "2027-12-31", date(2028, 2, 29)),
        ("2025-03-01", "2025-03-01", date(2026, 3, 1)),
        ("2025-12-31", "2026-12-31", date(2026, 12, 31)),
        ("2027-05-01", "2026-03-01", date(2028, 5, 1)),
    ],
)
def test_next_anniversary(since: str, today: str, anniversary: date) -> None:
    records: Records = {"account": [{"id": "a", "customer_since": since}, {"id": "b"}]}
    now = datetime.fromisoformat(today).replace(tzinfo=UTC)
    assert values("next_anniversary", records, now=now) == {"a": anniversary}


def test_days_are_counted_in_the_accounts_zone() -> None:
    records: Records = {
        "account": [
            {"id": "here", "renewal_date": "2026-03-10", "customer_since": "2026-02-01"},
            {
                "id": "ahead",
                "time_zone": "Pacific/Auckland",
                "renewal_date": "2026-03-10",
                "customer_since": "2026-02-01",
            },
        ]
    }
    assert values("days_to_renewal", records) == {"here": 9, "ahead": 8}
    assert values("days_since_start", records) == {"here": 28, "ahead": 29}


def test_use_is_counted_in_windows_of_30_days_that_end_today() -> None:
    days = ["2026-03-02", "2026-03-01", "2026-01-31", "2026-01-30", "2026-01-01", "2025-12-31"]
    records: Records = {
        "usage": [
            {"id": day, "account": "a", "contact": day, "feature": "f", "day": day, "count": 10**i}
            for i, day in enumerate(days)
        ]
        + [{"id": "zero", "account": "a", "contact": "z", "day": "2026-03-01", "count": 0}]
    }
    assert values("usage_30d", records) == {"a": 110}
    assert values("usage_previous_30d", records) == {"a": 11000}
    assert values("active_users_30d", records) == {"a": 2}
    assert values("features_30d", records) == {"a": 1}
    assert values("last_usage", records) == {"a": date(2026, 3, 1)}
    assert values("last_usage", records, table="contact")["2026-01-01"] == date(2026, 1, 1)


def test_the_latest_score_of_several() -> None:
    def answer(number: int, score: int | None, at: str) -> dict[str, object]:
        return {
            "id": str(number),
            "account": "a",
            "instrument": "nps",
            "score": score,
            "at": f"{at}T10:00",
        }

    records: Records = {
        "feedback": [
            answer(1, 9, "2026-01-01"),
            answer(2, 3, "2026-02-01"),
            answer(3, None, "2026-02-02"),
        ]
    }
    assert values("latest_nps", records) == {"a": Decimal(3)}


def test_every_fact_is_declared_once_and_says_what_it_is() -> None:
    specs = [fact.spec for fact in crmsync_facts()]
    assert len({(spec.table, spec.name) for spec in specs}) == len(specs)
    assert all(spec.description for spec in specs)
    for spec in specs:
        assert CANONICAL_TABLES[spec.table].field(spec.name) is None
        assert set(spec.rests_on) <= set(CANONICAL_TABLES)
