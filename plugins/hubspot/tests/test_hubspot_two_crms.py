"""A part of the sample company in two CRMs at once: sales in Salesforce, service in HubSpot.

Both are simulated. Each activity stands in one of them only, now in this one and now in that; one
customer is in HubSpot alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from portal_under_test import KEY, TestedPortal

from crmsync.app.sample.company import ZONE, build
from crmsync.clock import FixedClock
from crmsync.plugins.contract import SimulatorRequest
from crmsync.plugins.manager import Plugins
from crmsync_hubspot.simulator.sample import CUSTOM, MAPPING, load_sample
from crmsync_hubspot.simulator.settings import Settings
from crmsync_salesforce.simulator.running import RunningOrg
from support.commands import AT, call, call_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Sample = dict[str, list[dict[str, Any]]]
RULE = """\
rule: quiet
description: Nobody has spoken with the customer for a while.
subject: account
when:
  - status: active
  - last_contact: {older_than: 30 days}
then:
  - task: {assign_to: [owner, team.success], subject: "Call {{ account.name }}"}
"""
ACCOUNTS = 40


@pytest.fixture(scope="module")
def sample() -> Sample:
    """The first accounts whose domains are their own, and what belongs to them."""
    whole = build(AT.astimezone(ZoneInfo(ZONE)))
    sites = [row["website"] for row in whole["accounts"]]
    sole = [row for row in whole["accounts"] if sites.count(row["website"]) == 1]
    kept = {row["id"] for row in sole[:ACCOUNTS]}
    parts = {
        name: [row for row in rows if row.get("account_id") in kept] for name, rows in whole.items()
    }
    return {**parts, "users": whole["users"], "accounts": sole[:ACCOUNTS]}


def last_contact(sample: Sample) -> dict[str, datetime]:
    """By account, counted without crmsync."""
    found: dict[str, datetime] = {}
    for row in sample["activities"]:
        at = row["start"].astimezone(UTC)
        counts = row["type"] in {"Call", "Email", "Meeting"} and row["automated"] == "no"
        if counts and row["status"] == "completed" and at <= AT:
            found[row["account_id"]] = max(found.get(row["account_id"], at), at)
    return found


def quiet(sample: Sample) -> set[str]:
    last, bound = last_contact(sample), AT - timedelta(days=30)
    customers = [row for row in sample["accounts"] if row["status"] == "Customer"]
    return {row["name"] for row in customers if last.get(row["id"], bound) < bound}


def half(sample: Sample, which: int) -> Sample:
    activities = sample["activities"][which::2]
    return {**sample, "activities": activities}


def without(sample: Sample, account: str) -> Sample:
    return {
        name: [row for row in rows if account not in {row["id"], row.get("account_id")}]
        for name, rows in sample.items()
    }


@pytest.fixture
def alone(sample: Sample) -> dict[str, Any]:
    """The customer whom HubSpot alone has: one of those who are quiet by what HubSpot knows."""
    names = quiet(half(sample, 1)) & quiet(sample)
    last = last_contact(half(sample, 1))
    return next(r for r in sample["accounts"] if r["name"] in names and r["id"] in last)


@pytest.fixture
def org(tmp_path: Path, sample: Sample, alone: dict[str, Any]) -> Iterator[RunningOrg]:
    folder = tmp_path / "org"
    folder.mkdir()
    request = SimulatorRequest(
        folder=folder,
        port=0,
        sample=without(half(sample, 0), alone["id"]),
        clock=FixedClock(instant=AT),
    )
    running = Plugins().simulators()["salesforce"].start(request)
    assert isinstance(running, RunningOrg)
    yield running
    running.close()
    assert running.service.mistakes == []


@pytest.fixture
def portal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: Sample
) -> Iterator[TestedPortal]:
    folder = tmp_path / "portal"
    folder.mkdir()
    running = TestedPortal(folder, start=AT, custom=CUSTOM, others=(), settings=Settings())
    running.clock.put_in_place(monkeypatch)
    load_sample(running.portal, half(sample, 1))
    yield running
    running.close()
    assert running.service.mistakes == []


@pytest.fixture
def config(tmp_path: Path, org: RunningOrg, portal: TestedPortal) -> Path:
    salesforce = "".join(f"  {line}\n" for line in org.config.splitlines())
    mapping = "".join(f"  {line}\n" for line in MAPPING.splitlines())
    path = tmp_path / "config.yaml"
    text = f"""\
company: {{name: Brightwater, email: hello@brightwater.example, time_zone: {ZONE}, country: CH}}
existing: enrol
policy: {{most_share_of_accounts: 1.0}}
teams: {{success: [marta.lindqvist@brightwater.example]}}
connections:
{salesforce}\
  hubspot:
    connector: hubspot
    url: {portal.server.address}
    access_token: file:{portal.folder / "token"}
{mapping}"""
    path.write_text(text, encoding="utf-8")
    for folder in ("rules", "segments", "templates"):
        (tmp_path / folder).mkdir()
    (tmp_path / "rules" / "quiet.yaml").write_text(RULE, encoding="utf-8")
    return path


def test_one_account_each_and_contact_in_either_counts(
    config: Path, org: RunningOrg, portal: TestedPortal, sample: Sample, alone: dict[str, Any]
) -> None:
    made = call("connections", "setup", "hubspot", "--config", config)
    assert made.exit_code == 0, made.stdout
    first = call_json("run", "--config", config, "--at", AT.isoformat())
    assert first["delivery"]["problems"] == []
    assert first["plan"]["sync"]["problems"] == []
    assert [stream["error"] for stream in first["plan"]["sync"]["streams"] if stream["error"]] == []

    # By what one of them knows, others would be quiet.
    both = quiet(sample) & {
        row["name"] for row in sample["accounts"] if row["id"] in last_contact(sample)
    }
    assert quiet(half(sample, 0)) - both
    assert quiet(half(sample, 1)) - both
    told = {action["subject_name"]: action["connection"] for action in first["plan"]["actions"]}
    assert told == dict.fromkeys(both, "salesforce") | {alone["name"]: "hubspot"}

    # Each task stands where its subject came from, with the ids of that place.
    names = {row["Id"]: row["Name"] for row in org.org.rows("Account")}
    tasks = [row for row in org.org.rows("Task") if row["Crmsync_Key__c"]]
    assert sorted(names[row["WhatId"]] for row in tasks) == sorted(both - {alone["name"]})
    (task,) = [row for row in portal.rows("tasks") if KEY in row]
    companies = {row["id"]: row["name"] for row in portal.rows("companies")}
    (company,) = portal.portal.links.of("tasks", int(task["id"]), "companies")
    assert companies[str(company)] == alone["name"]
    assert int(task["hubspot_owner_id"]) > 0

    later = AT + timedelta(hours=1)
    portal.clock.instant = max(portal.clock.instant, later)
    second = call_json("run", "--config", config, "--at", later.isoformat())
    assert second["plan"]["actions"] == []
    assert second["delivery"]["done"] == 0
