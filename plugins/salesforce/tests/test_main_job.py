"""The sample company in a simulated org: read, planned, written back, and then nothing is left."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from crmsync.app.sample.company import ZONE, build
from crmsync.app.simulating import start
from crmsync.clock import FixedClock
from crmsync_salesforce.simulator.running import RunningOrg
from support.commands import AT, call, call_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

RULE = """\
rule: renewal-at-risk
description: A renewal is near and nobody has spoken with the customer.
subject: account
when:
  - status: active
  - renewal_date: {in_next: 60 days}
  - last_contact: {older_than: 14 days}
then:
  - task:
      assign_to: [owner, team.success]
      subject: "Call {{ account.name }}: renews {{ account.renewal_date | date }}"
      body: "Last contact {{ account.last_contact | date }}."
      due: 1 business day
  - note:
      text: "Renewal watch began."
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningOrg]:
    org = start("salesforce", tmp_path / "sim", port=0, sample=True, clock=FixedClock(instant=AT))
    assert isinstance(org, RunningOrg)
    yield org
    org.close()
    assert org.service.mistakes == []


@pytest.fixture
def config(tmp_path: Path, running: RunningOrg) -> Path:
    connection = "".join(f"  {line}\n" for line in running.config.splitlines())
    text = f"""\
company: {{name: Brightwater, email: hello@brightwater.example, time_zone: {ZONE}, country: CH}}
existing: enrol
policy: {{most_share_of_accounts: 1.0}}
teams: {{success: [marta.lindqvist@brightwater.example]}}
connections:
{connection}"""
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    for folder in ("rules", "segments", "templates"):
        (tmp_path / folder).mkdir()
    (tmp_path / "rules" / "renewal-at-risk.yaml").write_text(RULE)
    return path


def expected(sample: Mapping[str, list[dict[str, Any]]]) -> set[str]:
    """Whom the rule names, counted without crmsync."""
    now, today = AT, AT.date()
    # What happened with an account that was merged since, happened with its survivor.
    survivor = {row["id"]: row["merged_into"] or row["id"] for row in sample["accounts"]}
    last: dict[str, datetime] = {}
    for row in sample["activities"]:
        at = row["start"].astimezone(UTC)
        contact = row["type"] in {"Call", "Email", "Meeting"} and row["automated"] == "no"
        if contact and row["status"] == "completed" and at <= now:
            account = survivor[row["account_id"]]
            last[account] = max(last.get(account, at), at)
    return {
        row["name"]
        for row in sample["accounts"]
        if not row["merged_into"]
        and row["status"] == "Customer"
        and _within(row["renewal_date"], today)
        and row["id"] in last
        and last[row["id"]] < now - timedelta(days=14)
    }


def _within(day: date, today: date) -> bool:
    return today <= day <= today + timedelta(days=60)


def test_the_main_job(config: Path, running: RunningOrg) -> None:
    checked = call("check", "--config", config)
    assert (checked.exit_code, checked.stderr) == (0, ""), checked.stdout
    proved = call("connections", "check", "salesforce", "--config", config)
    assert proved.exit_code == 0, proved.stdout
    today = running.service.used  # without --at, so at another time than all that follows
    sample = build(AT.astimezone(ZoneInfo(ZONE)))
    before = len(running.org.rows("Task"))
    planned = call("plan", "--config", config, "--at", AT.isoformat()).stdout
    assert "To write what is ready, salesforce is called at least 1 time." in planned
    first = call_json("run", "--config", config, "--at", AT.isoformat())
    made = [row for row in running.org.rows("Task") if row["Crmsync_Key__c"]]
    tasks = [row for row in made if not row["IsClosed"]]
    assert first["delivery"]["problems"] == [], first["delivery"]
    assert [one["error"] for one in first["plan"]["sync"]["streams"]] == [None] * 7
    names = {row["Id"]: row["Name"] for row in running.org.rows("Account")}
    assert {names[row["WhatId"]] for row in tasks} == expected(sample)
    assert {row["WhatId"] for row in made if row["IsClosed"]} == {row["WhatId"] for row in tasks}
    assert len(tasks) == len(expected(sample)) > 10
    assert len(made) == 2 * len(tasks)
    assert len(running.org.rows("Task")) == before + len(made)
    users = {row["Id"]: row for row in running.org.rows("User")}
    assert all(users[row["OwnerId"]]["IsActive"] for row in tasks)
    assert first["plan"]["sync"]["calls"]["salesforce"]["made"] < 30
    second = call_json("run", "--config", config, "--at", (AT + timedelta(hours=1)).isoformat())
    assert second["delivery"]["done"] == 0
    # One call for each stream: the tasks that were made, and otherwise nothing new.
    assert second["plan"]["sync"]["calls"]["salesforce"]["made"] == 7
    told = call("sync", "--config", config, "--at", (AT + timedelta(hours=2)).isoformat())
    assert re.search(r"salesforce was called 7 times; \d+ of 100,000 are used", told.stdout)
    assert len(running.org.rows("Task")) == before + len(made)
    # One call for the tasks and notes, besides those that read.
    status = call_json("status", "--config", config, "--at", (AT + timedelta(hours=3)).isoformat())
    (spent,) = status["calls"]
    assert spent["made"] == running.service.used
    assert (spent["used"], spent["allowed"]) == (running.service.used, 100_000)
    shown = call("status", "--config", config, "--at", (AT + timedelta(hours=23)).isoformat())
    line = re.search(r"salesforce was called (\d+) times within a day; \d+ of", shown.stdout)
    assert line is not None
    assert int(line.group(1)) == spent["made"]
    later = call_json("status", "--config", config, "--at", (AT + timedelta(days=2)).isoformat())
    assert later["calls"][0]["made"] == today > 0
