"""The main job in an org whose mail goes out by a mail server: the org knows of each mail, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from org_under_test import KEY, KEY_FIELD, MAIL_KEY_FIELD, TestedOrg, chosen_id
from smtp_server import PASSWORD, MailServer

from support.commands import call, call_json
from support.company import TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
_CUSTOM = [KEY_FIELD, MAIL_KEY_FIELD, "Account Renewal__c date"]
_CONFIG = """\
company: {{name: Vendor, email: hello@vendor.example, time_zone: Europe/Zurich, country: CH}}
existing: enrol
policy: {{most_share_of_accounts: 1.0, caps: [{{per: contact, at_most: 2, within: 7 days}}]}}
mail: post
connections:
  post:
    connector: smtp
    host: localhost
    port: {smtp.port}
    ca_file: {smtp.certificate}
    user: robot@example.com
    password: file:password
    address: Vendor <hello@vendor.example>
  sf:
    connector: salesforce
    url: {org.server.address}
    client_id: {org.settings.client_id}
    client_secret: file:secret
    ca_file: {org.server.certificate}
    streams:
      accounts:
        table: account
        object: Account
        key: Id
        fields: {{name: Name, owner: OwnerId, renewal_date: Renewal__c}}
      contacts:
        table: contact
        object: Contact
        key: Id
        fields: {{account: AccountId, first_name: FirstName, last_name: LastName, email: Email}}
      users:
        table: user
        object: User
        key: Id
        fields: {{name: Name, email: Email}}
      tasks:
        table: activity
        object: Task
        key: Id
        fields:
          account: AccountId
          contact: WhoId:Contact
          kind: {{column: TaskSubtype, values: {tasks}}}
          at: {{column: [CompletedDateTime, ActivityDate]}}
          status: {{column: IsClosed, values: {{"true": completed, "false": planned}}}}
          message_id: {task_message_id}
      mails:
        table: activity
        object: EmailMessage
        key: Id
        fields:
          account: RelatedToId:Account
          kind: {{value: email}}
          direction: {{column: Incoming, values: {{"true": inbound, "false": outbound}}}}
          at: MessageDate
          message_id: MessageIdentifier
"""
_RULE = """\
rule: {name}
subject: account
when:
  - renewal_date: {{in_next: 60 days}}
  - last_contact: {{older_than: 14 days}}
then:
  - email: {{to: primary_contact, from: company, template: renewal/check-in}}
"""


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[MailServer]:
    (tmp_path / "smtp").mkdir()
    server = MailServer(tmp_path / "smtp")
    yield server
    server.close()


def company(folder: Path, org: TestedOrg, smtp: MailServer) -> Path:
    acme, ann = chosen_id("001", "acme"), chosen_id("003", "ann")
    org.org.create("Account", {"Name": "Acme", "Renewal__c": "2026-03-20"}, record_id=acme)
    person = {"FirstName": "Ann", "LastName": "Smith", "Email": "ann@acme.example"}
    org.org.create("Contact", person | {"AccountId": acme}, record_id=ann)
    config = _CONFIG
    if not org.org.enhanced_email:
        head, _, _ = _CONFIG.partition("      mails:\n")
        config = head
    text = config.format(
        org=org,
        smtp=smtp,
        tasks='{Email: email, "*": task}' if not org.org.enhanced_email else '{"*": task}',
        task_message_id=KEY,
    )
    for name, content in {
        "config.yaml": text,
        "password": PASSWORD,
        "rules/renewal.yaml": _RULE.format(name="renewal"),
        "templates/renewal/check-in.txt": TEMPLATE,
        "segments/.keep": "",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder / "config.yaml"


def run(config: Path, org: TestedOrg, hours: int = 0) -> Any:
    at = AT + timedelta(hours=hours)
    org.clock.instant = at
    report = call_json("run", "--config", config, "--at", at.isoformat())
    assert report["delivery"]["problems"] == []
    assert [one["error"] for one in report["plan"]["sync"]["streams"] if one["error"]] == []
    return report


@pytest.mark.parametrize("enhanced", [True, False])
def test_the_org_has_what_the_mail_server_took(
    tmp_path: Path, smtp: MailServer, *, enhanced: bool
) -> None:
    org = TestedOrg(tmp_path, start=AT, custom=_CUSTOM, enhanced_email=enhanced)
    try:
        config = company(tmp_path, org, smtp)
        shown = " ".join(call("plan", "--config", config, "--at", AT.isoformat()).stdout.split())
        assert "Acme: your renewal, logged in sf" in shown
        report = run(config, org)
        assert (report["delivery"]["done"], report["delivery"]["logged"]) == (1, 1)
        (taken,) = smtp.taken
        message_id = str(taken.message["Message-ID"])
        mails, tasks = org.org.rows("EmailMessage"), org.org.rows("Task")
        assert len(tasks) == 1, "made by the org where it keeps the mail, else by us"
        assert [mail["MessageIdentifier"] for mail in mails] == [message_id] * enhanced
        assert (tasks[0]["TaskSubtype"], tasks[0]["Status"]) == ("Email", "Completed")
        # Both come back by the next pull; nobody has spoken with Acme, and one mail was sent.
        for name in ("second", "third"):
            text = _RULE.format(name=name)
            (tmp_path / "rules" / f"{name}.yaml").write_text(text, encoding="utf-8")
        again = run(config, org, 1)["plan"]
        assert {rule["rule"]: rule["matches"] for rule in again["rules"]} == {
            "renewal": 1,
            "second": 1,
            "third": 1,
        }
        states = {action["rule"]: action["state"] for action in again["actions"]}
        assert states == {"second": "ready", "third": "deferred"}, "two are allowed, one was sent"
        assert len(smtp.taken) == len(org.org.rows("Task")) == 2
        assert run(config, org, 2)["delivery"]["logged"] == 0
        assert org.service.mistakes == []
    finally:
        org.close()
