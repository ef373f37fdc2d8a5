"""The sample company in a simulated portal: read, planned, written back, and nothing is left."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from portal_under_test import KEY, TestedPortal, day_of

from crmsync.app.sample.company import ZONE, build
from crmsync_hubspot.simulator.sample import CUSTOM, MAPPING, load_sample
from crmsync_hubspot.simulator.settings import Settings
from support.commands import AT, call, call_json
from support.main_job import expected, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STREAMS = 10


@pytest.fixture
def sample() -> dict[str, list[dict[str, Any]]]:
    return build(AT.astimezone(ZoneInfo(ZONE)))


@pytest.fixture
def running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: dict[str, list[dict[str, Any]]]
) -> Iterator[TestedPortal]:
    """The portal as its makers have left it: nobody has made the properties for keys yet."""
    folder = tmp_path / "sim"
    folder.mkdir()
    portal = TestedPortal(folder, start=AT, custom=CUSTOM, others=(), settings=Settings())
    portal.clock.put_in_place(monkeypatch)
    load_sample(portal.portal, sample)
    yield portal
    portal.close()
    assert portal.service.mistakes == []


@pytest.fixture
def config(tmp_path: Path, running: TestedPortal) -> Path:
    mapping = "".join(f"  {line}\n" for line in MAPPING.splitlines())
    connections = f"""\
  hubspot:
    connector: hubspot
    url: {running.server.address}
    access_token: file:{running.folder / "token"}
{mapping}"""
    return write_config(tmp_path, connections)


def _run(config: Path, portal: TestedPortal, *, later: timedelta) -> dict[str, Any]:
    portal.clock.instant = max(portal.clock.instant, AT + later)
    told: dict[str, Any] = call_json("run", "--config", config, "--at", (AT + later).isoformat())
    return told


def test_the_main_job(
    config: Path, running: TestedPortal, sample: dict[str, list[dict[str, Any]]]
) -> None:
    unfit = call("connections", "check", "hubspot", "--config", config)
    assert unfit.exit_code != 0
    assert "tasks, notes and emails have no property crmsync_key" in " ".join(unfit.stdout.split())
    made = call("connections", "setup", "hubspot", "--config", config)
    assert made.exit_code == 0, made.stdout
    proved = call("connections", "check", "hubspot", "--config", config)
    assert proved.exit_code == 0, proved.stdout
    checked = call("check", "--config", config)
    assert (checked.exit_code, checked.stderr) == (0, ""), checked.stdout

    first = _run(config, running, later=timedelta(0))
    assert first["delivery"]["problems"] == [], first["delivery"]
    assert [one["error"] for one in first["plan"]["sync"]["streams"]] == [None] * STREAMS
    tasks = [row for row in running.rows("tasks") if KEY in row]
    names = {row["id"]: row["name"] for row in running.rows("companies")}

    def about(kind: str, row: dict[str, str]) -> str:
        ends = running.portal.links.of(kind, int(row["id"]), "companies")
        return names[str(ends[0])]

    assert sorted(about("tasks", row) for row in tasks) == sorted(expected(sample))
    assert len(tasks) > 10
    notes = [row for row in running.rows("notes") if KEY in row]
    assert sorted(about("notes", row) for row in notes) == sorted(expected(sample))
    owners = running.portal.owners
    assert not any(owners[int(row["hubspot_owner_id"])].archived for row in tasks)
    due = {day_of(datetime.fromisoformat(row["hs_timestamp"])) for row in tasks}
    assert due == {(AT + timedelta(days=1)).date()}

    before = len(running.service.calls)
    second = _run(config, running, later=timedelta(hours=1))
    assert second["delivery"]["done"] == 0
    assert [one["error"] for one in second["plan"]["sync"]["streams"]] == [None] * STREAMS
    # What was made comes back, with what it is attached to, and with properties that are empty in
    # all of it, of which is asked whether they are there. Nothing else costs more than a call.
    calls = running.service.calls[before:]
    more = [one for one in calls if one.startswith(("POST associations/", "GET properties/"))]
    assert len(calls) == STREAMS + len(more)
    assert {one.split("/")[1] for one in more} == {"tasks", "notes", "meetings"}
    before = len(running.service.calls)
    third = _run(config, running, later=timedelta(hours=2))
    assert third["delivery"]["done"] == 0
    assert third["plan"]["sync"]["calls"]["hubspot"]["made"] == STREAMS
    assert len(running.service.calls) - before == STREAMS
    running.clock.instant = AT + timedelta(hours=3)
    told = call("sync", "--config", config, "--at", (AT + timedelta(hours=3)).isoformat())
    assert re.search(rf"hubspot was called {STREAMS} times; \d+ of 650,000 are used", told.stdout)
    assert len([row for row in running.rows("tasks") if KEY in row]) == len(tasks)


def test_the_example_names_nothing_that_a_portal_may_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever begins with it has a config that works, before any property of theirs is named."""
    folder = tmp_path / "sim"
    folder.mkdir()
    bare = TestedPortal(folder, start=AT, custom=(), others=(), settings=Settings())
    bare.clock.put_in_place(monkeypatch)
    made = call("init", tmp_path / "new", "--connector", "hubspot")
    assert made.exit_code == 0, made.stderr
    config = tmp_path / "new" / "config.yaml"
    login = f"url: {bare.server.address}\n    access_token: file:{folder / 'token'}"
    text = config.read_text(encoding="utf-8")
    assert "access_token: env:HUBSPOT_ACCESS_TOKEN" in text
    config.write_text(text.replace("access_token: env:HUBSPOT_ACCESS_TOKEN", login))
    setup = call("connections", "setup", "hubspot", "--config", config)
    assert setup.exit_code == 0, setup.stdout
    proved = call("connections", "check", "hubspot", "--config", config)
    assert proved.exit_code == 0, proved.stdout
    read = call_json("sync", "--config", config, "--at", AT.isoformat())
    assert [(one["stream"], one["error"]) for one in read["streams"] if one["error"]] == []
    bare.close()
    assert bare.service.mistakes == []
