from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from crmsync.model.catalog import Catalog
from crmsync.model.durations import parse_duration
from crmsync.model.records import NOTHING
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Operator, Test
from crmsync.rules.evaluation.calendar import Calendar
from crmsync.rules.evaluation.evaluate import evaluate
from crmsync.rules.evaluation.world import World
from crmsync.rules.unit_tests.memory import MemoryRecords
from rules.rules_world import CATALOG, FACTS, NOW, THEN, a_day, rule_of, rules_from, verdicts_of
from rules.test_load import SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import ibis.expr.types as ir
    import pyarrow as pa

    from crmsync.model.records import Compiled, Given

Records = dict[str, list[dict[str, Any]]]
SETTINGS: dict[str, Any] = {"company_zone": ZoneInfo("UTC"), "country": "DE", "bound": a_day}
ACME = {"id": "acme", "renewal_date": "2026-03-20"}


def call(account: str, at: str, **more: object) -> dict[str, object]:
    return {"id": f"call-{account}-{at}", "account": account, "kind": "call", "at": at, **more}


def test_the_smallest_rule(tmp_path: Path) -> None:
    (rule,) = rules_from(tmp_path, {"smallest": SMALLEST}).rules
    said = verdicts_of(
        rule,
        {
            "account": [
                {"id": "silent", "renewal_date": "2026-03-31"},
                {"id": "never", "renewal_date": "2026-03-01"},
                {"id": "recent", "renewal_date": "2026-03-31"},
                {"id": "later", "renewal_date": "2026-04-01"},
                {"id": "past", "renewal_date": "2026-02-28"},
                {"id": "undated"},
            ],
            "activity": [
                call("silent", "2026-02-15T12:00"),
                call("recent", "2026-02-15T12:00:01"),
            ],
        },
    )
    assert dict(said.matches) == {"silent": (), "never": ()}
    assert not said.unknown
    assert said.subjects == 6


def test_absence_is_unknown_while_the_stream_was_never_read(tmp_path: Path) -> None:
    (rule,) = rules_from(tmp_path, {"smallest": SMALLEST}).rules
    said = verdicts_of(rule, {"account": [ACME, {"id": "undated"}]}, unread=["activity"])
    assert not said.matches
    assert said.unknown == {"acme": ("last_contact: the activity stream of test was never read",)}


@pytest.mark.parametrize(
    ("clause", "verdict"),
    [
        # Made true through missing records: hold.
        ("last_contact: {older_than: 14 days}", "unknown"),
        ("last_contact: {present: false}", "unknown"),
        ("none: {of: activities}", "unknown"),
        ("every: {of: activities, is: [{automated: true}]}", "unknown"),
        ("count: {of: activities, is: {at_most: 2}}", "unknown"),
        ("count: {of: activities, is: 0}", "unknown"),
        ("open_tickets: 0", "unknown"),
        ("open_tickets: {under: 3}", "unknown"),
        ("usage_30d: {under: usage_previous_30d}", "unknown"),
        ("max: {of: activities, field: at, is: {older_than: 3 days}}", "unknown"),
        ("not: [{last_contact: {older_than: 14 days}}]", "unknown"),
        # All others work against the match, whatever stands around them.
        ("last_contact: {in_last: 14 days}", "no"),
        ("last_contact: {present: true}", "no"),
        ("not: [{last_contact: {in_last: 14 days}}]", "no"),
        ("none_of: [{some: {of: activities}}, {tier: gold}]", "no"),
        ("not: [{not: [{some: {of: activities}}]}]", "no"),
        ("count: {of: activities, is: {at_least: 1}}", "no"),
        ("open_tickets: {over: 0}", "no"),
        ("tier: gold", "no"),
        ("tier: {is_not: gold}", "no"),
        ("not: [{tier: gold}]", "no"),
        ("latest: {of: activities, is: [{kind: call}]}", "no"),
        ("none: {of: contacts, where: [{role: champion}]}", "no"),
        # Written out, it is taken literally.
        ("tier: {is: gold, if_unknown: yes}", "match"),
        ("not: [{tier: {is: gold, if_unknown: yes}}]", "no"),
        ("not: [{tier: {is: gold, if_unknown: no}}]", "match"),
        ("tier: {is: gold, if_unknown: hold}", "unknown"),
        ("none: {of: activities, if_unknown: yes}", "match"),
        # So it is where the role of a related record is what is unknown.
        ("none: {of: contacts, where: [{role: champion}], if_unknown: yes}", "match"),
        ("none: {of: contacts, where: [{role: champion}], if_unknown: hold}", "unknown"),
        ("some: {of: contacts, where: [{role: champion}], if_unknown: hold}", "unknown"),
        (
            "count: {of: contacts, where: [{role: champion}], is: {under: 1}, if_unknown: yes}",
            "match",
        ),
        ("every: {of: contacts, is: [{role: champion}], if_unknown: yes}", "match"),
        ("every: {of: contacts, is: [{role: champion}]}", "no"),
        (
            "none: {of: contacts, where: [{role: {is: ceo, if_unknown: yes}}], if_unknown: hold}",
            "no",
        ),
        ("last_contact: {older_than: 14 days, if_unknown: no}", "no"),
        # Presence of a plain field is never unknown.
        ("tier: {present: false}", "match"),
        ("owner.active: {present: false}", "match"),
    ],
)
def test_what_an_unknown_clause_counts_as(tmp_path: Path, clause: str, verdict: str) -> None:
    rule = rule_of(tmp_path, f"  - {clause}")
    records = {"account": [{"id": "a"}], "contact": [{"id": "c", "account": "a"}]}
    said = verdicts_of(rule, records, unread=["activity", "ticket", "usage"])
    actual = "match" if said.matches else "unknown" if said.unknown else "no"
    assert actual == verdict
    assert all(reasons for reasons in said.unknown.values())


@pytest.mark.parametrize(
    ("test", "verdict"),
    [
        # One champion is known, and of two more contacts it cannot be said: one, two or three.
        ("{between: [1, 3]}", "match"),
        ("{between: [1, 2]}", "unknown"),
        ("{between: [3, 3]}", "unknown"),
        ("{between: [2, 9]}", "unknown"),
        ("{between: [4, 9]}", "no"),
        ("0", "no"),
        ("1", "unknown"),
        ("4", "no"),
        ("{is_not: 0}", "match"),
        ("{is_not: 3}", "unknown"),
        ("[1, 2, 3, 3, 7]", "match"),
        ("[1, 3]", "unknown"),
        ("[0, 4]", "no"),
        ("{not_in: [0, 4]}", "match"),
        ("{not_in: [3, 2, 1]}", "no"),
        ("{not_in: [1, 2]}", "unknown"),
        ("{at_least: 1}", "match"),
        ("{at_least: 2}", "unknown"),
        ("{at_most: 3}", "match"),
    ],
)
def test_a_count_is_unknown_only_where_it_makes_a_difference(
    tmp_path: Path, test: str, verdict: str
) -> None:
    clause = f"count: {{of: contacts, where: [{{role: champion}}], is: {test}, if_unknown: hold}}"
    rule = rule_of(tmp_path, f"  - {clause}")
    contacts = [{"id": "a", "account": "a", "role": "champion"}]
    contacts += [{"id": one, "account": "a"} for one in "bc"]
    said = verdicts_of(rule, {"account": [{"id": "a"}], "contact": contacts})
    assert ("match" if said.matches else "unknown" if said.unknown else "no") == verdict


@pytest.mark.parametrize(
    ("clause", "matches"),
    [
        ("last_contact: {older_than: 14 days}", True),
        ("last_contact: {in_last: 14 days}", False),
        ("not: [{last_contact: {in_last: 14 days}}]", True),
        ("last_contact: {before: 2020-01-01}", False),
        ("last_contact: {present: false}", True),
        ("next_meeting: {further_than: 30 days}", True),
        ("latest_nps: {present: false}", True),
        ("max: {of: orders, field: at, is: {older_than: 90 days}}", True),
        ("next_anniversary: {present: false}", True),
        ("latest: {of: activities, is: [{kind: call}]}", False),
    ],
)
def test_nothing_found_is_never(tmp_path: Path, clause: str, *, matches: bool) -> None:
    said = verdicts_of(rule_of(tmp_path, f"  - {clause}"), {"account": [{"id": "a"}]})
    assert bool(said.matches) is matches
    assert not said.unknown


def test_today_is_told_in_the_accounts_zone(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, "  - renewal_date: today")
    accounts = [
        {"id": "auckland", "time_zone": "Pacific/Auckland", "renewal_date": "2026-03-02"},
        {"id": "honolulu", "time_zone": "Pacific/Honolulu", "renewal_date": "2026-02-28"},
        {"id": "company", "renewal_date": "2026-03-01"},
        {"id": "nowhere", "time_zone": "Mars/Base", "renewal_date": "2026-03-01"},
        {"id": "other", "time_zone": "Pacific/Auckland", "renewal_date": "2026-03-01"},
    ]
    now = datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
    early = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    matched = set(verdicts_of(rule, {"account": accounts}, now=now).matches)
    assert matched == {"auckland", "company", "nowhere"}
    assert "honolulu" in verdicts_of(rule, {"account": accounts}, now=early).matches


def test_business_days_skip_weekends_and_the_countrys_holidays(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, "  - renewal_date: {in_next: 2 business days}")
    days = [f"2026-04-{day:02}" for day in range(2, 12)]
    accounts = [{"id": day, "renewal_date": day} for day in days]
    maundy_thursday = datetime(2026, 4, 2, 12, tzinfo=UTC)
    german = verdicts_of(rule, {"account": accounts}, now=maundy_thursday, country="DE").matches
    plain = verdicts_of(rule, {"account": accounts}, now=maundy_thursday).matches
    assert max(german) == "2026-04-08"  # Good Friday and Easter Monday are off
    assert max(plain) == "2026-04-06"


def test_on_days_without_work_nothing_becomes_older(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, "  - created_at: {older_than: 5 business days}")
    made = {"monday": "2026-02-16T18:00", "sunday": "2026-02-15T18:00"}
    accounts = [{"id": day, "created_at": at} for day, at in made.items()]

    def old(day: int, hour: int) -> set[str]:
        now = datetime(2026, 2, day, hour, tzinfo=UTC)
        return set(verdicts_of(rule, {"account": accounts}, now=now).matches)

    assert old(20, 23) == set()
    assert [old(day, hour) for day in (21, 22) for hour in (0, 10, 19)] == [{"sunday"}] * 6
    assert old(23, 17) == {"sunday"}
    assert old(23, 18) == {"sunday", "monday"}


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles"])
@pytest.mark.parametrize("operator", [Operator.OLDER_THAN, Operator.IN_NEXT])
def test_the_end_of_business_days_never_goes_back(operator: Operator, zone: str) -> None:
    test = Test(operator=operator, operand=parse_duration("3 business days"))
    ends = [
        Calendar(
            now=datetime(2026, 3, 26, tzinfo=UTC) + timedelta(hours=hour),
            zone=ZoneInfo(zone),
            country="DE",
        )
        .bounds(test, FieldType.INSTANT)
        .most
        for hour in range(24 * 24)  # over Easter
    ]
    assert ends == sorted(ends)  # type: ignore[type-var]  # they are instants
    assert len(set(ends)) > 12 * 24


def test_a_closed_ticket_has_not_been_open_for_any_time(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, "  - open_since: {older_than: 5 days}", subject="ticket")
    tickets = [
        {"id": "open", "status": "open", "opened_at": "2026-01-01T10:00"},
        {"id": "young", "status": "open", "opened_at": "2026-02-28T10:00"},
        {"id": "closed", "status": "closed", "opened_at": "2026-01-01T10:00"},
    ]
    said = verdicts_of(rule, {"ticket": tickets})
    assert set(said.matches) == {"open"}
    assert not said.unknown
    absent = rule_of(tmp_path, "  - open_since: {present: false}", subject="ticket")
    assert set(verdicts_of(absent, {"ticket": tickets}).matches) == {"closed"}


@pytest.mark.parametrize(
    ("condition", "passes"),
    [
        ("max: {of: tickets, field: opened_at, is: {older_than: 9 days}}", True),
        ("min: {of: tickets, field: opened_at, is: {older_than: 9 days}}", False),
        ("max: {of: deals, field: close_date, is: {further_than: 9 days}}", False),
        ("min: {of: deals, field: close_date, is: {further_than: 9 days}}", True),
    ],
)
def test_all_of_none_are_old_and_none_of_them_is(
    tmp_path: Path, condition: str, passes: bool
) -> None:
    rule = rule_of(tmp_path, f"  - {condition}")
    records: Records = {"account": [{"id": "a"}], "ticket": [], "deal": []}
    assert set(verdicts_of(rule, records).matches) == ({"a"} if passes else set())


def test_activities_reach_an_account_by_contact_deal_and_link_each_once(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, "  - count: {of: activities, where: [{kind: call}], is: 1}")
    records: Records = {
        "account": [{"id": name} for name in ("direct", "person", "deal", "link", "all", "none")],
        "contact": [{"id": "c", "account": "person"}, {"id": "c2", "account": "all"}],
        "deal": [{"id": "d", "account": "deal"}, {"id": "d2", "account": "all"}],
        "activity": [
            {"id": "1", "kind": "call", "account": "direct", "at": "2026-02-01T10:00"},
            {"id": "2", "kind": "call", "contact": "c", "at": "2026-02-01T10:00"},
            {"id": "3", "kind": "call", "deal": "d", "at": "2026-02-01T10:00"},
            {"id": "4", "kind": "call", "at": "2026-02-01T10:00"},
            {
                "id": "5",
                "kind": "call",
                "account": "all",
                "contact": "c2",
                "deal": "d2",
                "at": "2026-02-01T10:00",
            },
        ],
        "activity_link": [
            {"id": "l1", "activity": "4", "account": "link"},
            {"id": "l2", "activity": "5", "contact": "c2"},
        ],
    }
    said = verdicts_of(rule, records)
    assert set(said.matches) == {"direct", "person", "deal", "link", "all"}


def test_a_sum_over_several_currencies_is_unknown(tmp_path: Path) -> None:
    rule = rule_of(
        tmp_path,
        "  - sum: {of: deals.amount, where: [{open: true}], is: {over: 10}, if_unknown: hold}",
    )
    deals = [
        ("one", 20, "EUR"),
        ("mixed", 20, "EUR"),
        ("mixed", 20, "USD"),
        ("empty", None, "USD"),
        ("empty", 11, "EUR"),
    ]
    records: Records = {
        "account": [{"id": name} for name in ("one", "mixed", "empty", "none")],
        "deal": [
            {"id": str(i), "account": account, "amount": amount, "currency": unit, "open": True}
            for i, (account, amount, unit) in enumerate(deals)
        ],
    }
    said = verdicts_of(rule, records)
    assert set(said.matches) == {"one", "empty"}
    assert said.unknown == {"mixed": ("sum of deals: the amounts are in several currencies",)}


def test_segments_paths_and_once_per(tmp_path: Path) -> None:
    text = (
        "rule: r\nsubject: ticket\nonce_per: [account.renewal_date, account.recurring_revenue]\n"
        "when:\n  - account.owner.active: false\n  - segment: open\n"
        "then: [{note: {text: x}}]\n"
    )
    segment = "segment: open\nsubject: ticket\nwhen: [{status: [open, new]}]\n"
    (rule,) = rules_from(tmp_path, {"r": text}, {"open": segment}).rules
    records: Records = {
        "user": [{"id": "u", "active": False}],
        "account": [{**ACME, "owner": "u", "recurring_revenue": 12.5}, {"id": "b"}],
        "ticket": [
            {"id": "1", "account": "acme", "status": "new"},
            {"id": "2", "account": "acme", "status": "closed"},
            {"id": "3", "account": "b", "status": "new"},
            {"id": "4", "status": "new"},
        ],
    }
    assert dict(verdicts_of(rule, records).matches) == {"1": ("2026-03-20", "12.5")}


def test_the_latest_is_not_in_the_future(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, "  - latest: {of: activities, is: [{direction: inbound}]}")
    records: Records = {
        "account": [{"id": "a"}],
        "activity": [
            call("a", "2026-03-05T10:00", direction="outbound"),
            call("a", "2026-02-05T10:00", direction="inbound"),
            call("a", "2026-01-05T10:00", direction="outbound"),
        ],
    }
    assert set(verdicts_of(rule, records).matches) == {"a"}


def test_no_rules_need_no_records() -> None:
    source = MemoryRecords(Catalog(tables={}).tables, {}, now=NOW)
    world = World(source, FACTS, now=NOW, company_zone=ZoneInfo("UTC"), country=None, bound=a_day)
    assert evaluate([], world) == {}
    source.close()


class CountedRecords(MemoryRecords):
    """Counts the queries that are asked of it, and those that were built for it."""

    asked = 0
    built = 0

    def compiled(self, key: str, build: Callable[[], ir.Table]) -> Compiled:
        def counted() -> ir.Table:
            self.built += 1
            return build()

        return super().compiled(key, counted)

    def query(self, query: ir.Table | Compiled, given: Given = NOTHING) -> pa.Table:
        self.asked += 1
        return super().query(query, given)


def test_many_rules_take_as_many_queries_as_one(tmp_path: Path) -> None:
    records: Records = {
        "account": [
            {"id": "acme", "tier": "gold", "renewal_date": "2026-03-20"},
            {"id": "blue", "tier": "silver", "renewal_date": "2026-03-20"},
        ]
    }
    # Names that differ in capitals only are different names, though not to a database.
    texts = {
        name: f"rule: {name}\nsubject: account\nonce_per: [{once}]\nwhen:\n  - {when}\n{THEN}"
        for name, once, when in (
            ("tier", "renewal_date", "tier: gold"),
            ("Tier", "tier", "tier: [gold, silver]"),
            ("quiet", "account", "last_contact: {older_than: 14 days}"),
            ("none", "account", "tier: bronze"),
            ("calm", "account", "none: {of: tickets}"),
        )
    }
    rules = rules_from(tmp_path, texts).rules
    counts = []
    for chosen in ([rule for rule in rules if rule.name == "quiet"], rules):
        source = CountedRecords(CATALOG.tables, records, now=NOW, unread=["activity", "ticket"])
        world = World(
            source, FACTS, now=NOW, company_zone=ZoneInfo("UTC"), country=None, bound=a_day
        )
        said = evaluate(chosen, world)
        counts.append(source.asked)
        source.close()
    assert counts[0] == counts[1]
    assert {name: dict(verdict.matches) for name, verdict in said.items()} == {
        "tier": {"acme": ("2026-03-20",)},
        "Tier": {"acme": ("gold",), "blue": ("silver",)},
        "quiet": {},
        "none": {},
        "calm": {},
    }
    assert {name: set(verdict.unknown) for name, verdict in said.items() if verdict.unknown} == {
        "quiet": {"acme", "blue"},
        "calm": {"acme", "blue"},
    }
    assert said["quiet"].unknown["acme"] == (
        "last_contact: the activity stream of test was never read",
    )
    assert said["calm"].unknown["acme"] == (
        "none of tickets: the ticket stream of test was never read",
    )


TIMED = """
  - any:
      - renewal_date: {in_next: 30 days}
      - created_at: {after: today}
      - created_at: {in_last: 2 business days}
  - last_contact: {older_than: 14 days}
  - none: {of: tickets, where: [{opened_at: {in_last: 3 days}}]}
  - latest: {of: activities, is: [{at: {in_last: 40 days}}]}
  - usage_30d: {under: 5}
  - days_to_renewal: {over: 10}
"""


@pytest.mark.parametrize("zone", [None, "Pacific/Auckland"])
def test_at_another_instant_nothing_is_compiled_again(tmp_path: Path, zone: str | None) -> None:
    rule = rule_of(tmp_path, TIMED)
    records: Records = {
        "account": [{**ACME, "time_zone": zone}, {"id": "b", "renewal_date": "2026-04-20"}],
        "activity": [call("acme", "2026-02-15T12:00"), call("b", "2026-02-25T12:00")],
        "ticket": [{"id": "t", "account": "acme", "opened_at": "2026-02-20T10:00"}],
    }
    source = CountedRecords(CATALOG.tables, records, now=NOW)
    forever = timedelta(days=400)
    world = World(
        source,
        FACTS,
        now=NOW,
        company_zone=ZoneInfo("UTC"),
        country="DE",
        bound=lambda _table: forever,
    )
    evaluate([rule], world)
    built, found = source.built, {}
    assert built
    for days in range(-10, 30):
        now = NOW + timedelta(days=days)
        verdicts = evaluate([rule], world.at(now))[rule.name]
        found[days] = set(verdicts.matches)
        assert not verdicts.unknown
        fresh = MemoryRecords(CATALOG.tables, records, now=now)
        anew = evaluate([rule], World(fresh, FACTS, now=now, **SETTINGS))[rule.name]
        assert anew == verdicts
        fresh.close()
    assert source.built == built
    assert {"acme"} in found.values()
    assert {"b"} in found.values()
    source.close()


def test_freshness_is_told_when_a_query_runs(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, "  - last_contact: {older_than: 14 days}")
    source = CountedRecords(CATALOG.tables, {"account": [ACME]}, now=NOW)
    world = World(source, FACTS, now=NOW, **SETTINGS)
    assert set(evaluate([rule], world)[rule.name].matches) == {"acme"}
    later = evaluate([rule], world.at(NOW + timedelta(days=2)))[rule.name]
    (reason,) = later.unknown["acme"]
    assert "the activity stream of test was last read 2 days ago, longer than 24 hours" in reason
    source.close()


def test_the_same_columns_are_read_in_the_same_order(tmp_path: Path) -> None:
    # Ibis takes two selections for one that differ only in the order of their columns.
    quiet = "segment: quiet\nsubject: account\nwhen: [{last_contact: {older_than: 2 days}}]\n"
    when = """\
  - count: {of: activities, where: [{automated: true}], is: {at_least: 0}}
  - none_of:
      - latest: {of: tickets, is: [{account.last_contact: {in_last: 1 day}}]}
      - segment: quiet"""
    text = f"rule: tested\nsubject: account\nwhen:\n{when}\n{THEN}"
    (rule,) = rules_from(tmp_path, {"tested": text}, {"quiet": quiet}).rules
    records = {
        "account": [{"id": "a"}, {"id": "b"}],
        "ticket": [{"id": "t", "account": "b", "opened_at": "2026-02-28T10:00"}],
        "activity": [
            {"id": "x", "account": "a", "kind": "call", "at": "2026-02-28T15:00"},
            {"id": "y", "account": "b", "kind": "call", "at": "2026-02-28T15:00"},
        ],
    }
    assert verdicts_of(rule, records).matches.keys() == {"a"}
