from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from crmsync.errors import InvalidInputError, UsageError
from crmsync.model.durations import parse_duration
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Operator, Test
from crmsync.rules.evaluation.calendar import Calendar
from crmsync.rules.evaluation.world import World
from crmsync.rules.explaining.distance import distance
from crmsync.rules.explaining.explain import ClauseReport, explain
from crmsync.rules.unit_tests.memory import MemoryRecords
from rules.rules_world import CATALOG, FACTS, NOW, a_day, rule_of, rules_from
from support.rule_tests import run_tests_in, told

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.app.rule_tests.results import RuleTested
    from crmsync.rules.language import Rule

SETTINGS: dict[str, Any] = {"company_zone": ZoneInfo("UTC"), "country": None, "bound": a_day}


def explained(
    rule: Rule, subject: str, records: dict[str, list[dict[str, Any]]], unread: list[str]
) -> ClauseReport:
    source = MemoryRecords(CATALOG.tables, records, now=NOW, unread=unread)
    try:
        return explain(rule, subject, World(source, FACTS, now=NOW, **SETTINGS))
    finally:
        source.close()


def lines(report: ClauseReport, depth: int = 0) -> list[str]:
    told = [report.verdict.value, report.text, report.value, report.distance, report.reason]
    line = "  " * depth + " | ".join(part for part in told if part is not None)
    return [line, *(line for part in report.parts for line in lines(part, depth + 1))]


def test_each_clause_with_what_it_saw(tmp_path: Path) -> None:
    when = """\
  - renewal_date: {in_next: 30 days}
  - last_contact: {older_than: 14 days}
  - any:
      - tier: gold
      - not: [{open_tickets: {at_least: 3}}]
  - none_of: [{owner.active: true}]
  - count: {of: contacts, where: [{role: champion}], is: {at_least: 2}}
  - none: {of: orders}
  - next_meeting: {present: false}"""
    records: dict[str, list[dict[str, Any]]] = {
        "account": [{"id": "acme", "renewal_date": "2026-03-20"}],
        "contact": [
            {"id": "c1", "account": "acme", "role": "champion"},
            {"id": "c2", "account": "acme"},
        ],
        "activity": [
            {"id": "x", "account": "acme", "kind": "call", "at": "2026-02-26T11:00"},
        ],
    }
    report = explained(rule_of(tmp_path, when), "acme", records, ["order"])
    assert lines(report) == [
        "no | all",
        "  yes | renewal_date: {in_next: 30 days} | 2026-03-20 | 19 of at most 30 days",
        "  no | last_contact: {older_than: 14 days} | 2026-02-26 11:00 UTC | 3 of 14 days",
        "  yes | any",
        "    no | tier: gold | tier: it is empty; counts as no here",
        "    yes | not",
        "      no | open_tickets: {at_least: 3} | 0 | 0 of 3",
        "  no | none_of",
        "    yes | any",
        "      yes | owner.active: true | owner.active: there is no owner; counts as yes here",
        (
            "  no | count: {of: contacts, where: [{role: champion}], is: {at_least: 2}} "
            "| 1 found | 1 of 2"
        ),
        (
            "  unknown | none: {of: orders} | 0 found "
            "| none of orders: the order stream of test was never read"
        ),
        "  yes | next_meeting: {present: false} | never",
    ]
    assert str(report.parts[1].place) == "rules/tested.yaml:5:5"


def test_what_made_the_verdict_in_sentences(tmp_path: Path) -> None:
    when = """\
  - tier: gold
  - any:
      - last_contact: {older_than: 14 days}
      - status: active
  - not: [{open_tickets: {at_least: 3}}]
  - none_of: [{owner.active: true}, {recurring_revenue: {over: 10}}]"""
    account = {"id": "acme", "tier": "gold", "recurring_revenue": 5, "status": "left"}
    rule = rule_of(tmp_path, when)
    company = {"account": [{**account, "owner": "u"}], "user": [{"id": "u", "active": False}]}
    assert explained(rule, "acme", company, []).because == (
        "tier: gold",
        "last_contact: {older_than: 14 days} is never",
        "not open_tickets: {at_least: 3}, but 0 (0 of 3)",
        "not owner.active: true, but false",
        "not recurring_revenue: {over: 10}, but 5 (5 of more than 10)",
    )
    silver = {**account, "tier": "silver"}
    assert explained(rule, "acme", {"account": [silver]}, []).because == (
        "tier: gold is silver",
        "not owner.active: true (owner.active: there is no owner; counts as yes here)",
    )


def test_there_is_no_such_subject(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no account “globex”"):
        explained(rule_of(tmp_path, "  - tier: gold"), "globex", {"account": []}, [])


@pytest.mark.parametrize(
    ("operator", "age", "away", "words"),
    [
        (Operator.OLDER_THAN, "14 days", timedelta(days=-3, hours=-5), "3 of 14 days"),
        (Operator.OLDER_THAN, "14 days", timedelta(days=3), "3 days ahead"),
        (Operator.IN_LAST, "14 days", timedelta(days=-20), "20 of at most 14 days"),
        (Operator.IN_NEXT, "14 days", timedelta(days=20), "20 of at most 14 days"),
        (Operator.IN_NEXT, "14 days", timedelta(days=-2), "2 days ago"),
        (Operator.FURTHER_THAN, "12h", timedelta(hours=5), "5 of 12 hours"),
        (Operator.OLDER_THAN, "3 business days", timedelta(days=-3), "1 of 3 business days"),
        (Operator.OLDER_THAN, "5 business days", timedelta(days=-7), "5 of 5 business days"),
        (
            Operator.OLDER_THAN,
            "5 business days",
            timedelta(days=-7, hours=1),
            "4 of 5 business days",
        ),
        (Operator.OLDER_THAN, "1 business day", timedelta(days=-2), "0 of 1 business day"),
        (Operator.IN_NEXT, "3 days", timedelta(), "0 of at most 3 days"),
        (Operator.IN_LAST, "3 days", timedelta(days=-3), "3 of at most 3 days"),
        (
            Operator.IN_LAST,
            "3 days",
            timedelta(days=-3, seconds=-1),
            "more than 3 of at most 3 days",
        ),
        (
            Operator.IN_NEXT,
            "5 business days",
            timedelta(days=7, hours=1),
            "more than 5 of at most 5 business days",
        ),
    ],
)
def test_distance_in_words(operator: Operator, age: str, away: timedelta, words: str) -> None:
    monday = datetime(2026, 3, 2, 12, tzinfo=UTC)
    calendar = Calendar(now=monday, zone=ZoneInfo("UTC"), country=None)
    test = Test(operator=operator, operand=parse_duration(age))
    assert distance(monday + away, test, calendar) == words


def test_what_lies_behind_the_last_business_day_is_more_than_it() -> None:
    sunday = Calendar(now=datetime(2026, 3, 1, 12, tzinfo=UTC), zone=ZoneInfo("UTC"), country=None)
    test = Test(operator=Operator.IN_NEXT, operand=parse_duration("5 business days"))
    for kind in (FieldType.INSTANT, FieldType.DATE):
        end = sunday.bounds(test, kind).most
        assert end is not None
        saturday = datetime(2026, 3, 7, 17, tzinfo=UTC)
        value = saturday if kind is FieldType.INSTANT else saturday.date()
        assert value > end
        assert distance(value, test, sunday) == "more than 5 of at most 5 business days"


def outcomes(tmp_path: Path, test: str) -> list[RuleTested]:
    rules = rules_from(
        tmp_path,
        {
            "r": "rule: r\nsubject: account\nwhen:\n  - tier: gold\n"
            "  - last_contact: {older_than: 14 days}\nthen: [{note: {text: x}}]\n",
            "tests/t": test,
        },
    )
    return run_tests_in(tmp_path / "rules" / "tests", rules)


def test_a_failure_names_subject_verdicts_and_the_clause_that_decided(tmp_path: Path) -> None:
    test = """\
- rule: r
  name: expects wrongly
  at: 2026-03-01
  records:
    account: [{id: a, tier: gold}, {id: b, tier: silver}, {id: c, tier: gold}]
    activity: [{id: x, kind: call, account: c, at: 2026-02-20}]
  expect: {match: [b, c], no_match: a}
- rule: r
  at: 2026-03-01
  records: {account: [{id: a, tier: gold}]}
  unread: activity
  expect: {unknown: a}
"""
    wrong, right = outcomes(tmp_path, test)
    assert (wrong.test, right.test, right.failures) == ("expects wrongly", "t 2", ())
    assert told(wrong) == (
        "- b: expected match\n"
        "+ b: no_match\n"
        "    no: tier: gold, saw silver [rules/r.yaml:4:5]\n"
        "- c: expected match\n"
        "+ c: no_match\n"
        "    no: last_contact: {older_than: 14 days}, saw 2026-02-20 00:00 UTC "
        "(9 of 14 days) [rules/r.yaml:5:5]\n"
        "- a: expected no_match\n"
        "+ a: match\n"
        "    yes: tier: gold, saw gold [rules/r.yaml:4:5]\n"
        "    yes: last_contact: {older_than: 14 days}, saw never [rules/r.yaml:5:5]"
    )


def test_every_mistake_in_tests_is_told(tmp_path: Path) -> None:
    test = """\
- rule: q
  at: soon
  records: {acount: [], account: [{id: a, teir: x}, {id: a}, {tier: 5}], ticket: {}}
  unread: [activities]
  expects: {}
- rule: r
  at: 2026-03-01
  records: {account: [{id: a}]}
  expect: {match: [b], maybe: [a], no_match: [a], unknown: [a]}
- hello
"""
    with pytest.raises(InvalidInputError) as raised:
        outcomes(tmp_path, test)
    assert [problem.removeprefix("rules/tests/t.yaml:") for problem in raised.value.problems] == [
        "5:3: unknown key “expects” in a test; did you mean “expect”?",
        "1:3: “expect:” is missing in this test",
        "1:9: there is no rule “q”; known here: r",
        "2:7: “soon” is not a time; write for example 2026-03-01 or 2026-03-01T09:30+01:00",
        "3:13: there is no table “acount”; did you mean “account”?",
        "3:43: account has no field “teir”; did you mean “tier”?",
        "3:69: account.tier is of type text, which “5” does not fit",
        "3:62: a record of account has no id, or one that is no text",
        "3:53: the id “a” stands twice among accounts",
        "3:82: the records of “ticket” are a list of {field: value}",
        "4:11: there is no table “activities”; did you mean “activity”?",
        (
            "9:24: unknown key “maybe”; known here: actions, enrolled, held, match, no_match, "
            "not_enrolled, unknown"
        ),
        "9:19: there is no account “b” here; known here: a",
        "9:60: “a” is expected twice",
        "10:3: a test begins with “rule: NAME”, and is not “hello”",
    ]
