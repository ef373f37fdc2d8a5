from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.evaluation.world import World
from crmsync.rules.explaining.explain import explain_all
from crmsync.rules.unit_tests.memory import MemoryRecords
from rules.rules_world import CATALOG, FACTS, NOW, a_day, rule_of

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.rules.explaining.evidence import Evidence
    from crmsync.rules.explaining.explain import ClauseReport

RECORDS: dict[str, list[dict[str, Any]]] = {
    "user": [{"id": "ann", "name": "Ann Smith"}],
    "account": [
        {
            "id": "acme",
            "name": "Acme",
            "tier": "silver",
            "owner": "ann",
            "url": "https://crm.example/a/acme",
            "history": {
                "tier": [
                    {"was": "basic", "until": "2025-06-01"},
                    {"was": "gold", "until": "2026-02-20T09:00"},
                ]
            },
        },
        {"id": "other", "name": "Other", "history": {"known_since": "2026-02-10"}},
    ],
    "contact": [
        {"id": "cleo", "account": "acme", "first_name": "Cleo", "last_name": "Ray"},
        {"id": "dan", "account": "acme", "name": "Dan", "unsubscribed": True},
    ],
    "activity": [
        {
            "id": "mail",
            "contact": "cleo",
            "owner": "ann",
            "kind": "email",
            "direction": "inbound",
            "subject": "Re: renewal",
            "at": "2026-02-25T14:05",
            "url": "https://crm.example/mail/1",
        },
        {"id": "call", "account": "acme", "owner": "ann", "kind": "call", "at": "2026-02-20T10:00"},
        {"id": "new", "account": "other", "kind": "call", "at": "2026-02-28T10:00"},
        {"id": "next", "account": "acme", "kind": "meeting", "at": "2026-03-05T10:00"},
    ],
    "ticket": [
        {"id": f"t{i}", "account": "acme", "subject": f"No {i}", "opened_at": f"2026-02-0{i}T08:00"}
        for i in range(1, 6)
    ],
    "order": [
        {"id": "o1", "account": "acme", "at": "2026-01-01T00:00", "amount": 120, "currency": "EUR"},
        {"id": "o2", "account": "acme", "at": "2026-01-02T00:00", "amount": 7.5},
    ],
    "feedback": [
        {"id": "f1", "account": "acme", "contact": "dan", "instrument": "nps", "score": 3}
        | {"at": "2026-02-01T00:00"},
        {"id": "f2", "account": "acme", "instrument": "nps", "score": 9, "at": "2026-01-01T00:00"},
    ],
    "usage": [{"id": "u", "account": "acme", "feature": "chart", "day": "2026-02-27", "count": 2}],
    "deal": [{"id": "d", "account": "acme", "amount": 10, "open": True, "name": "Renewal 2026"}],
}


def report_of(folder: Path, clause: str, subject: str, table: str = "account") -> ClauseReport:
    rule = rule_of(folder, f"  - {clause}", table)
    source = MemoryRecords(CATALOG.tables, RECORDS, now=NOW)
    try:
        world = World(
            source, FACTS, now=NOW, company_zone=ZoneInfo("UTC"), country=None, bound=a_day
        )
        evaluation = Evaluation([rule], world)
        reports = explain_all(evaluation, {rule.name: [subject]}, evidence=True)
    finally:
        source.close()
    return reports[rule.name][subject].parts[0]


def told(evidence: Evidence) -> str:
    at = f"{evidence.at:%Y-%m-%d %H:%M} " if evidence.at else ""
    by = f" by {evidence.by}" if evidence.by else ""
    return f"{at}{evidence.words}{by}{f' {evidence.url}' if evidence.url else ''}"


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        (
            "last_contact: {in_last: 14 days}",
            ["2026-02-25 14:05 email “Re: renewal” by Cleo Ray https://crm.example/mail/1"],
        ),
        # A clause that does not hold has seen something too.
        (
            "last_contact: {older_than: 14 days}",
            ["2026-02-25 14:05 email “Re: renewal” by Cleo Ray https://crm.example/mail/1"],
        ),
        ("next_meeting: {in_next: 30 days}", ["2026-03-05 10:00 meeting"]),
        (
            "open_tickets: {at_least: 2}",
            [f"2026-02-0{i} 08:00 ticket “No {i}”" for i in (5, 4, 3)],  # the latest three
        ),
        ("latest_nps: 3", ["2026-02-01 00:00 nps of 3 by Dan"]),
        ("last_order: {older_than: 1 day}", ["2026-01-02 00:00 order of 7.5"]),
        ("last_usage: {in_last: 7 days}", ["2026-02-27 00:00 usage “chart”"]),
        ("open_pipeline: {over: 1}", ["deal “Renewal 2026”"]),
        ("tier: silver", []),
        ("days_to_renewal: {over: 1}", []),
        (
            "some: {of: activities, where: [{kind: call}]}",
            ["2026-02-20 10:00 call by Ann Smith"],
        ),
        ("none: {of: tickets, where: [{subject: No 2}]}", ["2026-02-02 08:00 ticket “No 2”"]),
        ("none: {of: tickets, where: [{subject: No 9}]}", []),
        (
            "sum: {of: orders, field: amount, where: [{amount: {over: 100}}], is: {over: 1}}",
            ["2026-01-01 00:00 order of 120 EUR"],
        ),
        (
            "max: {of: orders, field: amount, is: {over: 1}}",
            [],  # in two currencies it is not known
        ),
        (
            "min: {of: tickets, field: opened_at, is: {older_than: 1 day}}",
            ["2026-02-01 08:00 ticket “No 1”"],
        ),
        (
            "latest: {of: feedback, is: [{score: {at_least: 9}}]}",
            ["2026-02-01 00:00 nps of 3 by Dan"],
        ),
        (
            "every: {of: contacts, is: [{unsubscribed: {is_not: true, if_unknown: yes}}]}",
            ["contact “Dan”"],
        ),
        (
            "tier: {changed: {in_last: 30 days}}",
            ["2026-02-20 09:00 tier from gold to silver https://crm.example/a/acme"],
        ),
        (
            "tier: {changed: {from: basic}}",
            ["2025-06-01 00:00 tier from basic to gold https://crm.example/a/acme"],
        ),
        ("tier: {changed: {from: bronze}}", []),
        (
            "tier: {was: {value: gold, at: 2025-12-24}}",
            ["2025-06-01 00:00 tier from basic to gold https://crm.example/a/acme"],
        ),
        (
            "tier: {was: {value: gold, at: 2025-01-24}}",
            ["2025-06-01 00:00 tier from basic to gold https://crm.example/a/acme"],
        ),
    ],
)
def test_what_counted(tmp_path: Path, clause: str, expected: list[str]) -> None:
    report = report_of(tmp_path, clause, "acme")
    assert [told(evidence) for evidence in report.evidence] == expected


def test_evidence_is_of_the_record_at_the_end_of_the_path(tmp_path: Path) -> None:
    report = report_of(tmp_path, "account.last_contact: {in_last: 9 days}", "t1", "ticket")
    assert [evidence.record for evidence in report.evidence] == ["mail"]
    report = report_of(tmp_path, "some: {of: account.orders}", "t1", "ticket")
    assert [evidence.record for evidence in report.evidence] == ["o2", "o1"]


@pytest.mark.parametrize(
    ("clause", "value", "distance"),
    [
        (
            "tier: {changed: {in_last: 30 days}}",
            "changed from gold to silver at 2026-02-20 09:00 UTC",
            "9 of at most 30 days",
        ),
        ("tier: {changed: {from: silver}}", "not changed so", None),
        ("tier: {was: {value: gold, at: 30 days}}", "gold", None),
    ],
)
def test_the_past_in_words(tmp_path: Path, clause: str, value: str, distance: str | None) -> None:
    report = report_of(tmp_path, clause, "acme")
    assert (report.value, report.distance) == (value, distance)


def test_since_when_a_past_is_known(tmp_path: Path) -> None:
    report = report_of(tmp_path, "tier: {changed: {in_last: 30 days}}", "other")
    assert report.reason == (
        "tier: its history does not reach back that far (known since 2026-02-10 00:00 UTC)"
        "; counts as no here"
    )
