"""A backtest of a company small enough to be counted by hand."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from crmsync.warehouse.database import Database
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
        fields:
          name: name
          status: status
          industry: industry
          created_at: created
          updated_at: updated
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
  - is_open: true
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


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synced at each change, as a company would that had crmsync all along. Not to be changed."""
    tmp_path = tmp_path_factory.mktemp("company")
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
            values = (account, f"Name {account}", status, "Food", created, f"{changed}T06:00")
            rows[account] = f"{','.join(values)}\n"
        (tmp_path / "crm" / "accounts.csv").write_text(HEAD + "".join(rows.values()))
        assert call("sync", "--config", config, "--at", f"{day}T18:00").exit_code == 0
    assert call("sync", "--config", config, "--at", "2026-05-01T00:00").exit_code == 0
    return config


@pytest.fixture
def own_company(company: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    shutil.copytree(company.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / company.name


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
    F was called on 28 March, and on 28 April: 18 April, which is less than 30 days before the end;
    it churned on 29 April at 6.
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
    # Of E the CRM tells a change six hours after its creation: for those, its status is assumed.
    (assumed,) = report["assumptions"]
    assert (assumed["text"], assumed["subjects"], assumed["firings"]) == ("status: active", 1, 1)
    assert [(f["field"], f["tracked"], f["before"]) for f in assumed["fields"]] == [
        ("status", True, "2026-03-10T06:00:00+00:00")
    ]
    assert [one["text"] for one in report["outcome_assumptions"]] == ["status: churned"]


def test_what_nobody_has_looked_at_until_its_end_is_too_recent(company: Path) -> None:
    """B and E fire on 13 March, and 45 days later is 27 April: after the last step, before the end.

    F fires in the last step.
    """
    report = call_json(
        *("backtest", "quiet", "--config", company, "--outcome", "status: churned"),
        *("--from", "2026-01-02", "--to", "2026-04-30", "--every", "7 days"),
        *("--within", "45 days", "--sweep", "last_contact.older_than=20 days,21 days"),
    )
    assert ("Name B", "2026-03-13", "too recent to tell", None) in _fired(report)
    assert report["score"]["open"] == report["sweep"]["values"][0]["score"]["open"] == 3


def test_a_sweep_compares_thresholds(company: Path) -> None:
    """With 10 days A, B, C and F fire 10 days earlier; E had 5 days whatever the threshold.

    With 40 days A, C and F churned, or the window ended, before it was over.
    D fires as well, on 11 January, since it did not match already; B on 20 February, half a day
    before it was called, and on 2 April, which is less than 30 days before the end.
    """
    report = _backtest(
        company,
        "quiet",
        *("--outcome", "status: churned", "--within", "30 days", "--every", "1 day"),
        *("--sweep", "last_contact.older_than=10 days,20 days,40 days"),
    )
    assert report["sweep"]["threshold"] == "last_contact.older_than"
    told = []
    for row in report["sweep"]["values"]:
        score = row["score"]
        numbers = (score["true"], score["false"], score["open"], score["warned"], score["missed"])
        told.append((row["value"], row["current"], row["firings"], *numbers))
    assert told == [
        # A on 16 January and C on the 31st, 25.25 days before; F on 8 April, 21.25 days before.
        ("10 days", False, 6, 3, 2, 1, 4, 0),
        ("20 days", True, 6, 3, 2, 1, 4, 0),
        ("40 days", False, 4, 1, 2, 1, 1, 3),
    ]


@pytest.mark.parametrize(
    ("sweep", "sentence"),
    [
        ("tier.is=gold", "quiet has no threshold “tier.is”"),
        ("last_contact.older_than=soon", "“soon” is not a duration"),
        ("last_contact", "--sweep names a threshold and its values"),
    ],
)
def test_a_sweep_that_cannot_be(company: Path, sweep: str, sentence: str) -> None:
    result = call("backtest", "quiet", "--sweep", sweep, "--config", company)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_mistakes_are_sentences(company: Path) -> None:
    for arguments, code, sentence in (
        (("nobody",), 2, "there is no rule “nobody”"),
        (("quiet", "--every", "3 business days"), 2, "--every is a length of time"),
        (("quiet", "--from", "yesterday"), 2, "--from: “yesterday” is not a time"),
        (("quiet", "--from", "2027-01-01"), 2, "give an earlier --from or a later --to"),
        (("quiet", "--from", "2020-01-01", "--every", "1h"), 2, "a later --from or a longer"),
        (("quiet", "--outcome", "stats: churned"), 1, "did you mean “status”?"),
        (("quiet", "--outcome", "status: ["), 1, "--outcome:2:1:"),
    ):
        result = call("backtest", *arguments, "--config", company)
        assert result.exit_code == code
        assert sentence in result.stderr
        assert "Traceback" not in result.stderr


def test_an_outcome_of_the_account_of_a_ticket(company: Path) -> None:
    """T1 was open for five days on 7 February, and A churned on the 10th at 6; T3 has no account.

    T2 was closed after a day.
    """
    # A ticket has a status of its own, so the account's has to be named; but no last contact.
    for outcome, about in (
        ("status: churned", "ticket"),
        ("account.status: churned", "account"),
        ("last_ticket_closed: {present: true}", "account"),
    ):
        report = _backtest(company, "open-long", "--outcome", outcome, "--within", "30 days")
        assert report["outcome"]["about"] == about
        if outcome != "account.status: churned":
            continue
        assert [(f["subject"], f["at"][:10], f["verdict"]) for f in report["fired"]] == [
            ("crm:T1", "2026-02-07", "true"),
            ("crm:T3", "2026-03-07", "false"),
        ]
        assert report["score"]["missed"] == 3


def test_an_outcome_without_history_is_seen_at_the_next_step(company: Path) -> None:
    report = _backtest(
        company, "open-long", "--outcome", "account.last_contact: {in_last: 12h}", "--every", "12h"
    )
    assert {one["exact"] for one in report["outcomes"]} == {False}
    assert ("Name B", "2026-02-20T12:00:00+00:00") in [
        (one["name"], one["at"]) for one in report["outcomes"]
    ]


def test_a_fresh_install_says_what_it_assumes(own_company: Path) -> None:
    """Read for the first time at the end: nobody knows what the status was before its change."""
    (own_company.parent / "state" / "warehouse.duckdb").unlink()
    call("sync", "--config", own_company, "--at", "2026-05-01")
    report = _backtest(own_company, "quiet", "--outcome", "status: churned", "--within", "30 days")
    # Those who churned are taken to have been churned all along: no firing, and no outcome.
    assert [f["name"] for f in report["fired"]] == ["Name B", "Name B"]
    assert report["outcomes"] == []
    assert report["outcome"]["already"] == 4
    told = "“status: churned” never came about in the window; it was so of 4 when they were first"
    assert any(note.startswith(told) for note in report["notes"])
    (status,) = report["assumptions"]
    assert (status["subjects"], status["firings"]) == (4, 0)
    assert status["fields"][0]["before"] == "2026-04-29T06:00:00+00:00"


@pytest.mark.usefixtures("compiled_alone")
def test_more_steps_compile_no_more_queries(company: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = 0
    select = Database.__dict__["_select"]

    def counted(database: Database, expression: object) -> object:
        nonlocal compiled
        compiled += 1
        return select(database, expression)

    monkeypatch.setattr(Database, "_select", counted)
    counts = []
    for end in ("2026-01-24", "2026-02-03"):
        compiled = 0
        shutil.rmtree(company.parent / "state" / "queries", ignore_errors=True)
        window = ("--from", "2026-01-14", "--to", end)
        report = call_json("backtest", "quiet", *window, "--config", company)
        counts.append((report["steps"], compiled))
    assert [steps for steps, _ in counts] == [11, 21]
    assert counts[0][1] == counts[1][1]


def test_the_page_shows_hostile_names_as_text(own_company: Path) -> None:
    hostile = "<script>alert(1)</script>&\"'"
    accounts = own_company.parent / "crm" / "accounts.csv"
    text = accounts.read_text().replace("Name B", f'"{hostile}"'.replace('\\"', '""'))
    accounts.write_text(text.replace("2026-01-01T06:00", "2026-04-30T06:00"))
    call("sync", "--config", own_company, "--at", "2026-05-01")
    page = own_company.parent / "out" / "page.html"
    result = call(
        *("backtest", "quiet", "--from", "2026-01-02", "--outcome", "status: churned"),
        *("--within", "30 days", "--sweep", "last_contact.older_than=10 days,20 days"),
        *("--html", page, "--config", own_company),
    )
    assert result.exit_code == 0, result.output
    written = page.read_text(encoding="utf-8")
    assert "<script" not in written
    assert "&lt;script&gt;alert(1)" in written
    assert not re.search(r"(?:src|href)\s*=|url\(|@import", written)
    root = ET.fromstring(
        re.sub(r"<!DOCTYPE html>|<meta[^>]*>|<style>.*?</style>", "", written, flags=re.DOTALL)
    )
    # Each chart has a title, and a table beside it.
    charts = [svg for svg in root.iter("svg") if svg.get("role") == "img"]
    assert len(charts) == 3
    for chart in charts:
        titles = {element.get("id") for element in chart}
        assert set(chart.get("aria-labelledby", "").split()) <= titles
    assert len(list(root.iter("table"))) >= 5
    drawn = sum(
        int(title.text.split(": ")[1].split()[0])
        for title in charts[0].iter("title")
        if title.text and re.match(r"\d{4}-\d\d: ", title.text)
    )
    assert drawn == page_firings(root)


def page_firings(root: ET.Element) -> int:
    """The first of the figures."""
    figure = next(iter(root.iter("dd"))).text
    return int(figure or "")
