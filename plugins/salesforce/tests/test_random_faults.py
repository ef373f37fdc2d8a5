"""Pulled and pushed while anything goes wrong: the warehouse ends like the org.

Each task and each logged mail exists once, and what a person has set is never set back.
"""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import datetime, timedelta
from email import message_from_bytes
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from org_under_test import KEY, START, TestedOrg

import crmsync_salesforce
from crmsync_salesforce import transport
from crmsync_salesforce.marks import mark_in
from crmsync_salesforce.simulator.messages import Fault
from support.commands import call, call_json

if TYPE_CHECKING:
    from pathlib import Path

# As many cycles as CRMSYNC_FAULTS says; the issue asks for 200.
CYCLES = int(os.environ.get("CRMSYNC_FAULTS", "8"))
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
      due: 1 day
  - note: {text: "Was called, being hot."}
"""
GREET = """\
rule: greet
description: Whoever is new is greeted.
subject: contact
when:
  - email: {present: true}
once_per: [contact]
then:
  - email: {to: contact, from: company, template: hello}
"""
MARK = """\
rule: mark
description: What nobody has looked at is marked.
subject: account
when:
  - status: {present: false}
then:
  - update: {fields: {status: New}}
"""
HELLO = """\
---
subject: "Hello"
class: service
---
Hello {{ contact.last_name }}.
"""
HELD = "Held"  # what people set in the field that the rule marks


def _config(folder: Path, org: TestedOrg, key_field: str | None) -> Path:
    text = f"""\
company: {{name: Vendor, email: hello@vendor.example, time_zone: UTC}}
existing: enrol
policy: {{most_share_of_accounts: 1.0, most_actions_per_run: 10000}}
mail: post
connections:
  post: {{connector: files, path: post}}
  sf:
    connector: salesforce
    url: {org.server.address}
    client_id: {org.settings.client_id}
    client_secret: file:{folder / "secret"}
    ca_file: {org.server.certificate}
    daily_share: 1.0
    key_field: {key_field or "null"}
    streams:
      accounts:
        table: account
        object: Account
        key: Id
        bulk_from: 15
        merged_into: MasterRecordId
        fields:
          name: Name
          owner: OwnerId
          tier: Rating
          status: Industry
          updated_at: SystemModstamp
      users:
        table: user
        object: User
        key: Id
        fields: {{name: Name, email: Email, active: IsActive}}
      contacts:
        table: contact
        object: Contact
        key: Id
        fields:
          last_name: LastName
          email: Email
          account: AccountId
          updated_at: SystemModstamp
"""
    for name in ("rules", "segments", "templates", "post"):
        (folder / name).mkdir()
    for name, rule in (("call", RULE), ("greet", GREET), ("mark", MARK)):
        (folder / "rules" / f"{name}.yaml").write_text(rule)
    (folder / "templates" / "hello.txt").write_text(HELLO)
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def _live(folder: Path, table: str) -> dict[str, str]:
    column = {"account": "name", "contact": "last_name"}[table]
    with duckdb.connect(str(folder / "state" / "warehouse.duckdb"), read_only=True) as database:
        schema = database.execute(
            "SELECT table_schema FROM information_schema.columns "
            "WHERE table_name = ? AND column_name = ?",
            [table, column],
        ).fetchall()
        assert schema, "the warehouse has no such table"
        relation = database.table(f"{schema[0][0]}.{table}")
        rows = relation.filter("deleted_at IS NULL").project(f"id, {column}").fetchall()
    return {record_id.partition(":")[2]: name for record_id, name in rows}


def _people_work(org: TestedOrg, day: random.Random, last_read: datetime) -> None:
    """What others do in the org within a cycle; some of it was begun before the last reading."""
    store = org.org
    rows = [row for row in store.rows("Account") if not row["IsDeleted"]]
    for _ in range(day.randrange(8)):
        rating = day.choice(("Hot", "Cold"))
        made = store.create("Account", {"Name": f"A{day.random():.6f}", "Rating": rating})
        word = f"C{day.random():.6f}"
        mailbox = {"Email": f"{word}@customer.example"} if day.random() < 0.5 else {}
        store.create("Contact", {"LastName": word, "AccountId": made} | mailbox)
        if day.random() < 0.3:
            store.stamp("Account", made, last_read - timedelta(minutes=day.randrange(9)))
    for row in day.sample(rows, min(len(rows), day.randrange(6))):
        store.update("Account", row["Id"], {"Name": f"B{day.random():.6f}"})
    for row in day.sample(rows, min(len(rows), day.randrange(4))):
        store.update("Account", row["Id"], {"Industry": HELD})
    for row in day.sample(rows, min(len(rows), day.randrange(2))):
        store.delete("Account", row["Id"])
    rows = [row for row in store.rows("Account") if not row["IsDeleted"]]
    if len(rows) > 5 and day.random() < 0.2:
        loser, survivor = day.sample(rows, 2)
        store.merge("Account", loser["Id"], survivor["Id"])


@pytest.mark.parametrize("key_field", [KEY, None])
def test_whatever_goes_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key_field: str | None
) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 1.5)
    day = random.Random(1)
    org = TestedOrg(tmp_path, start=START)
    org.settings.page_rows = org.settings.bulk_rows = 7
    config = _config(tmp_path, org, key_field)
    faults = list(Fault)
    last_read = org.clock.now()
    held: set[str] = set()
    for _ in range(CYCLES):
        _people_work(org, day, last_read)
        held |= {row["Id"] for row in org.org.rows("Account") if row["Industry"] == HELD}
        chosen = day.sample(faults, day.randrange(1, 3))
        org.service.faults.extend(chosen)
        org.service.spared = day.randrange(12)
        call("run", "--config", config, "--at", org.clock.now().isoformat())
        org.service.faults.clear()
        org.service.spared = 0
        last_read = org.clock.now()
        org.clock.pass_time(timedelta(minutes=day.randrange(20, 90)))
    # After what went wrong, some time in which nothing does. Whether something has landed is asked
    # ten minutes of real time after it broke off; by then nothing is under way any more.
    (spec,) = crmsync_salesforce.crmsync_connectors()
    asked_at_once = [replace(spec, lands_within=timedelta())]
    monkeypatch.setattr(crmsync_salesforce, "crmsync_connectors", lambda: asked_at_once)
    for _ in range(6):
        org.clock.pass_time(timedelta(hours=3))
        calm = call_json("run", "--config", config, "--at", org.clock.now().isoformat())
    assert "plan" in calm, calm
    assert "uncertain" not in call_json("status", "--config", config)["effects"]
    assert [one["error"] for one in calm["plan"]["sync"]["streams"]] == [None] * 3
    accounts = {row["Id"]: row for row in org.org.rows("Account") if not row["IsDeleted"]}
    contacts = {row["Id"]: row for row in org.org.rows("Contact") if not row["IsDeleted"]}
    assert _live(tmp_path, "account") == {i: row["Name"] for i, row in accounts.items()}
    assert _live(tmp_path, "contact") == {i: row["LastName"] for i, row in contacts.items()}
    _assert_tasks(org, accounts)
    _assert_mails(tmp_path, org, contacts)
    _assert_marks(accounts, held)
    assert org.service.mistakes == []
    org.close()


def _assert_tasks(org: TestedOrg, accounts: dict[str, Any]) -> None:
    # Of each mail the org makes a task of its own.
    tasks = [row for row in org.org.rows("Task") if row["TaskSubtype"] != "Email"]
    made = {row["Id"]: row[KEY] or mark_in(row["Description"]) for row in tasks}
    assert None not in made.values()
    assert len({*made.values()}) == len(made), "a key stands twice"
    # What was written for an account that was merged since, stands at its survivor.
    survivors = {row["MasterRecordId"] for row in org.org.rows("Account")}
    hot = {i for i, row in accounts.items() if row["Rating"] == "Hot"}
    for notes in (False, True):
        rows = [r for r in tasks if r["Subject"].startswith("Note: ") is notes]
        about = [row["WhatId"] for row in rows]
        twice = {one for one in about if about.count(one) > 1}
        assert twice <= survivors, "an account has two tasks"
        assert hot <= set(about), "somebody has no task"


def _assert_mails(folder: Path, org: TestedOrg, contacts: dict[str, Any]) -> None:
    sent = [message_from_bytes(one.read_bytes()) for one in (folder / "post/outbox/new").iterdir()]
    to = {str(one["Message-ID"]): parseaddr(one["To"])[1] for one in sent}
    assert len(set(to.values())) == len(sent), "somebody was greeted twice"
    logged = [row["MessageIdentifier"] for row in org.org.rows("EmailMessage")]
    assert len(set(logged)) == len(logged), "a mail is logged twice"
    assert set(logged) <= set(to)
    live = {row["Email"].lower() for row in contacts.values() if row["Email"]}
    greeted = {address.lower() for address in to.values()}
    assert live <= greeted, "somebody was not greeted"
    assert live <= {to[one].lower() for one in logged}, "a mail is not logged"


def _assert_marks(accounts: dict[str, Any], held: set[str]) -> None:
    assert all(row["Industry"] for row in accounts.values()), "an account is not marked"
    changed = {row["Id"] for row in accounts.values() if row["Industry"] != HELD}
    assert not held & changed, "what a person has set was set back"
    assert held & accounts.keys()
