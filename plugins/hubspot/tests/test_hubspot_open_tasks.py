"""A task that is still open in the portal is updated there, and not doubled."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from portal_under_test import KEY, TestedPortal

from crmsync_hubspot.simulator.definitions import own_property
from support.commands import call_json

if TYPE_CHECKING:
    from pathlib import Path

RULE = """\
rule: call
description: Whoever is hot is called.
subject: account
when:
  - tier: Hot
then:
  - task:
      assign_to: owner
      subject: "Call {{ account.name }}"
      body: "{{ account.name }} is hot."
      due: 1 day
      if_exists: update
"""


def _config(tested: TestedPortal, zone: str = "UTC") -> Path:
    folder = tested.folder
    for name in ("rules", "segments", "templates"):
        (folder / name).mkdir()
    (folder / "rules" / "call.yaml").write_text(RULE)
    path = folder / "config.yaml"
    path.write_text(f"""\
company: {{name: Vendor, email: hello@vendor.example, time_zone: {zone}}}
existing: enrol
policy: {{most_share_of_accounts: 1.0}}
connections:
  hub:
    connector: hubspot
    url: {tested.server.address}
    access_token: file:{folder / "token"}
    daily_share: 1.0
    streams:
      companies:
        table: account
        object: companies
        key: id
        fields: {{name: name, owner: hubspot_owner_id, tier: tier, updated_at: updatedAt}}
      owners:
        table: user
        object: owners
        key: id
        fields: {{name: lastName, email: email}}
      tasks:
        table: activity
        object: tasks
        key: id
        fields:
          account: associations.companies
          owner: hubspot_owner_id
          kind: {{value: task}}
          at: hs_timestamp
          status: {{column: hs_task_status, values: {{COMPLETED: completed, "*": planned}}}}
          subject: hs_task_subject
          text: hs_task_body
          updated_at: updatedAt
""")
    return path


def _run(tested: TestedPortal, config: Path) -> dict[str, Any]:
    tested.clock.pass_time(timedelta(hours=25))
    told: dict[str, Any] = call_json(
        "run", "--config", config, "--at", tested.clock.now().isoformat()
    )
    assert told["delivery"]["problems"] == [], told["delivery"]
    return told


def test_a_task_that_is_open_is_updated_where_it_stands(tested: TestedPortal) -> None:
    tested.portal.types["companies"].add(own_property("tier enumeration : Hot Cold", "g"))
    owner = tested.portal.add_owner("ada@vendor.example", "Ada", "Owner")
    company = int(tested.make("companies", name="A", tier="Hot", hubspot_owner_id=str(owner)))
    config = _config(tested)
    assert _run(tested, config)["delivery"]["done"] == 1
    (task,) = tested.rows("tasks")
    assert task["hs_task_subject"] == "Call A"
    # The conditions end, and come again with other words.
    tested.portal.update("companies", company, {"tier": "Cold"})
    _run(tested, config)
    tested.portal.update("companies", company, {"tier": "Hot", "name": "B & C"})
    assert _run(tested, config)["delivery"]["done"] == 1
    (again,) = tested.rows("tasks")
    assert (again["id"], again[KEY]) == (task["id"], task[KEY])
    assert again["hs_task_subject"] == "Call B & C"
    assert again["hs_task_body"] == "B &amp; C is hot."
    assert again["hs_timestamp"] > task["hs_timestamp"]
    # One that is done is history: another is made.
    tested.portal.update("tasks", int(task["id"]), {"hs_task_status": "COMPLETED"})
    tested.portal.update("companies", company, {"tier": "Cold"})
    _run(tested, config)
    tested.portal.update("companies", company, {"tier": "Hot"})
    assert _run(tested, config)["delivery"]["done"] == 1
    assert len(tested.rows("tasks")) == 2


@pytest.mark.parametrize(
    ("portal", "company", "moved"),
    [
        # Noon in Los Angeles is the next morning in Sydney.
        ("America/Los_Angeles", "Australia/Sydney", None),
        # The evening in New York is the next day in Berlin.
        ("America/New_York", "Europe/Berlin", "2026-03-12T01:00:00Z"),
    ],
)
def test_a_task_is_updated_also_where_the_portal_is_in_another_day(
    tested: TestedPortal, portal: str, company: str, moved: str | None
) -> None:
    tested.settings.time_zone = portal
    tested.portal.types["companies"].add(own_property("tier enumeration : Hot Cold", "g"))
    owner = tested.portal.add_owner("ada@vendor.example", "Ada", "Owner")
    about = int(tested.make("companies", name="A", tier="Hot", hubspot_owner_id=str(owner)))
    config = _config(tested, company)
    _run(tested, config)
    (task,) = tested.rows("tasks")
    if moved is not None:
        tested.portal.update("tasks", int(task["id"]), {"hs_timestamp": moved})
    for tier in ("Cold", "Hot"):
        tested.portal.update("companies", about, {"tier": tier})
        told = _run(tested, config)
        assert told["delivery"]["rejected"] == 0
    (again,) = tested.rows("tasks")
    due = datetime.fromisoformat(again["hs_timestamp"]).astimezone(ZoneInfo(portal))
    tomorrow = tested.clock.now().astimezone(ZoneInfo(company)).date() + timedelta(days=1)
    assert (due.date(), due.hour) == (tomorrow, 12)
