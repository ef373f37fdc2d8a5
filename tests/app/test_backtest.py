"""A backtest of a company small enough to be counted by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import call, call_json

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
company: {name: Vendor, email: hello@vendor.example, time_zone: UTC}
connections:
  crm:
    connector: files
    path: crm
    streams:
      accounts:
        file: accounts.csv
        complete: true
        table: account
        key: id
        updated_at: updated
        fields: {name: name, status: status, industry: industry, created_at: created, updated_at: updated}
      activities:
        file: activities.csv
        table: activity
        key: id
        fields: {account: account, kind: kind, at: at}
      tickets:
        file: tickets.csv
        table: ticket
        key: id
        fields: {account: account, opened_at: opened, closed_at: closed}
"""
QUIET = """\
rule: quiet
description: Nobody has spoken with them.
subject: account
existing: enrol
when:
  - status: active
  - last_contact: {older_than: 20 days}
then: [{note: {text: hello}}]
"""
TICKETS = """\
rule: open-long
subject: ticket
when:
  - open_since: {older_than: 5 days}
then: [{note: {text: hello}}]
"""
HEAD = "id,name,status,industry,created,updated\n"
ACTIVITIES = """\
id,account,kind,at
1,A,call,2026-01-05 12:00
2,B,call,2026-01-10 12:00
3,B,call,2026-02-20 12:00
4,C,call,2026-01-20 12:00
5,D,call,2025-12-01 12:00
6,E,call,2026-04-20 12:00
7,F,call,2026-04-28 12:00
8,F,call,2026-03-28 12:00
"""
TICKET_ROWS = """\
id,account,opened,closed
T1,A,2026-02-01 12:00,2026-02-09 12:00
T2,B,2026-03-01 12:00,2026-03-02 12:00
T3,,2026-03-01 12:00,
"""
# Each account as the CRM showed it on the day on which it changed.
VERSIONS = [
    ("2026-01-01", ["A", "B", "C", "D", "E", "F"], "active"),
    ("2026-02-10", ["A"], "churned"),
    ("2026-02-25", ["C"], "churned"),
    ("2026-03-15", ["E"], "churned"),
    ("2026-04-29", ["F"], "churned"),
]


@pytest.fixture
def company(tmp_path: Path) -> Path:
    """Synced at each change, as a company would that had crmsync all along."""
    for folder in ("crm", "rules", "segments", "templates"):
        (tmp_path / folder).mkdir()
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    (tmp_path / "rules" / "quiet.yaml").write_text(QUIET)
    (tmp_path / "rules" / "tickets.yaml").write_text(TICKETS)
    (tmp_path / "crm" / "activities.csv").write_text(ACTIVITIES)
    (tmp_path / "crm" / "tickets.csv").write_text(TICKET_ROWS)
    rows: dict[str, str] = {}
    for day, accounts, status in VERSIONS:
        for account in accounts:
            created = "2026-03-10" if account == "E" else "2025-06-01"
            changed = max(day, created)
            rows[account] = f"{account},Name {account},{status},Food,{created},{changed}T06:00\n"
        (tmp_path / "crm" / "accounts.csv").write_text(HEAD + "".join(rows.values()))
        assert call("sync", "--config", config, "--at", f"{day}T18:00").exit_code == 0
    assert call("sync", "--config", config, "--at", "2026-05-01T00:00").exit_code == 0
    return config


def _backtest(config: Path, *arguments: str) -> dict[str, Any]:
    window = ("--from", "2026-01-02", "--to", "2026-05-01")
    return call_json("backtest", *arguments, *window, "--config", config)


def _fired(report: dict[str, Any]) -> list[tuple[str, str, str | None, float | None]]:
    return [(f["name"], f["at"][:10], f["verdict"], f["lead_days"]) for f in report["fired"]]


def test_every_number_of_a_backtest(company: Path) -> None:
    """By hand, with 30 days for an outcome to come.

    A, B and C were never contacted before January, so they matched already, like D and F.
    A was called on 5 January: from 26 January on it is 20 days ago, at midnight. It churned on
    10 February at 6, after 15 days and 6 hours: a true alarm.
    B was called on 10 January and on 20 February: 31 January, until it was spoken with again, and
    13 March. It never churned: two false alarms.
    C was called on 20 January: 10 February. It churned on the 25th, after 15 days and 6 hours.
    D was called on 1 December, and never since.
    E came on 10 March, never contacted before 20 April: 10 March, at midnight. It churned on the
    15th at 6, after 5 days and 6 hours.
    F was called on 28 March, and on 28 April: 18 April, which is less than 30 days before the end; it churned on 29 April at 6.
    """
    report = _backtest(company, "quiet", "--outcome", "status: churned", "--within", "30 days")
    assert _fired(report) == [
        ("Name A", "2026-01-26", "true", 15.25),
        ("Name B", "2026-01-31", "false", None),
        ("Name C", "2026-02-10", "true", 15.25),
        ("Name E", "2026-03-10", "true", 5.25),
        ("Name B", "2026-03-13", "false", None),
        ("Name F", "2026-04-18", "too recent to tell", 11.25),
    ]
    assert report["already"] == 5
    assert report["looked_at"] == 6
    assert report["steps"] == 120
    score = report["score"]
    assert score["precision"] == pytest.approx(3 / 5)
    # A, C, E and F churned, and the rule had fired for each.
    assert (score["outcomes"], score["warned"], score["missed"], score["early"]) == (4, 4, 0, 0)
    assert score["recall"] == 1
    assert score["lead"]["median"] == 15.25
    assert [(o["name"], o["at"], o["exact"]) for o in report["outcomes"]] == [
        ("Name A", "2026-02-10T06:00:00+00:00", True),
        ("Name C", "2026-02-25T06:00:00+00:00", True),
        ("Name E", "2026-03-15T06:00:00+00:00", True),
        ("Name F", "2026-04-29T06:00:00+00:00", True),
    ]
    assert {m["month"]: m["firings"] for m in report["months"]} == {
        "2026-01": 2,
        "2026-02": 1,
        "2026-03": 2,
        "2026-04": 1,
        "2026-05": 0,
    }
    # Everything is known since the first sync, which was before the window.
    assert report["assumptions"] == report["outcome_assumptions"] == []
