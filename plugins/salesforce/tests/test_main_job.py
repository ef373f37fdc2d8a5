"""The sample company in a simulated org: read, planned, written back, and then nothing is left."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from crmsync.app.sample.company import ZONE, build
from crmsync.app.simulating import start
from crmsync.clock import FixedClock
from crmsync_salesforce.simulator.running import RunningOrg
from crmsync_salesforce.simulator.sample import CUSTOM
from support.commands import AT, call, call_json
from support.main_job import expected, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
    return write_config(tmp_path, connection)


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


def test_the_example_names_nothing_that_an_org_may_lack(
    tmp_path: Path, running: RunningOrg
) -> None:
    """Whoever begins with it has a config that works, before any field of their own is named."""
    made = call("init", tmp_path / "new", "--connector", "salesforce")
    assert made.exit_code == 0, made.stderr
    for definition in CUSTOM:  # an org as it was bought
        name, field = definition.split()[:2]
        del running.org.objects[name].fields[field]
    login = "".join(
        f"  {line}\n" for line in running.config.partition("  streams:")[0].splitlines()
    )
    config = tmp_path / "new" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    head, _, streams = text.partition("  salesforce:\n")[2].partition("    streams:\n")
    assert "url: https://acme.my.salesforce.com" in head
    config.write_text(text.partition("  salesforce:\n")[0] + login + "    streams:\n" + streams)
    proved = call("connections", "check", "salesforce", "--config", config)
    assert proved.exit_code == 0, proved.stdout
    read = call_json("sync", "--config", config, "--at", AT.isoformat())
    assert [(one["stream"], one["error"]) for one in read["streams"] if one["error"]] == []
