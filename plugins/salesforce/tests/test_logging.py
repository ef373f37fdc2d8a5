"""Mail that was sent elsewhere is on record in the org: once, whatever the org makes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from org_under_test import KEY, KEY_FIELD, START, TestedOrg, chosen_id

from crmsync.errors import AuthError, RejectedError
from crmsync.model.actions import LogEmail, Receipt, RecordRef
from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.messages import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACME, DEAL, ANN, BEN = (
    chosen_id(prefix, name)
    for prefix, name in (("001", "acme"), ("006", "deal"), ("003", "ann"), ("003", "ben"))
)
LOG = LogEmail(
    key="log-renewal-1",
    message_id="crmsync.1@vendor.example",
    sender='"Jo Meyer" <jo@vendor.example>',
    recipient='"Ann Smith" <ann@acme.example>',
    subject="Your renewal",
    text="Hello Ann",
    html="<p>Hello Ann</p>",
    about=(
        RecordRef(table="deal", id=DEAL),
        RecordRef(table="account", id=ACME),
        RecordRef(table="contact", id=ANN),
    ),
    at=datetime(2026, 3, 2, 8, 30, tzinfo=UTC),
)


def peopled(tested: TestedOrg) -> TestedOrg:
    org = tested.org
    org.create("Account", {"Name": "Acme"}, record_id=ACME)
    for name, record_id in (("Smith", ANN), ("Okafor", BEN)):
        org.create("Contact", {"LastName": name, "AccountId": ACME}, record_id=record_id)
    deal = {"Name": "Renewal", "StageName": "Offer", "CloseDate": "2026-03-20"}
    org.create("Opportunity", deal | {"AccountId": ACME}, record_id=DEAL)
    return tested


@pytest.fixture
def acme(org: TestedOrg) -> TestedOrg:
    return peopled(org)


def rows(tested: TestedOrg, name: str) -> list[dict[str, Any]]:
    return tested.org.rows(name)


def test_a_mail_stands_there_as_it_was_sent(acme: TestedOrg) -> None:
    (receipt,) = acme.connect().apply([LOG])
    (mail,) = rows(acme, "EmailMessage")
    assert receipt == Receipt(key=LOG.key, remote_id=mail["Id"])
    wanted = {
        "Subject": "Your renewal",
        "TextBody": "Hello Ann",
        "HtmlBody": "<p>Hello Ann</p>",
        "FromAddress": "jo@vendor.example",
        "FromName": "Jo Meyer",
        "ToAddress": None,
        "Status": "3",
        "Incoming": False,
        "MessageDate": "2026-03-02T08:30:00.000Z",
        "MessageIdentifier": "<crmsync.1@vendor.example>",
        "RelatedToId": DEAL,
        KEY: LOG.key,
    }
    assert {name: mail[name] for name in wanted} == wanted
    assert [
        (row["EmailMessageId"], row["RelationId"], row["RelationType"])
        for row in rows(acme, "EmailMessageRelation")
    ] == [(mail["Id"], ANN, "ToAddress")]


def test_the_org_makes_the_task_and_we_make_none(acme: TestedOrg) -> None:
    acme.connect().apply([LOG])
    (task,) = rows(acme, "Task")
    assert (task["TaskSubtype"], task["Status"], task["WhatId"], task["WhoId"]) == (
        "Email",
        "Completed",
        DEAL,
        ANN,
    )
    assert rows(acme, "EmailMessage")[0]["ActivityId"] == task["Id"]


def test_of_a_contact_the_account_is_what_it_is_about(acme: TestedOrg) -> None:
    contact, account = (RecordRef(table="contact", id=ANN), RecordRef(table="account", id=ACME))
    acme.connect().apply([replace(LOG, about=(contact, account, contact))])
    (mail,) = rows(acme, "EmailMessage")
    assert (mail["RelatedToId"], mail["ToIds"]) == (ACME, ANN)


def related(tested: TestedOrg) -> list[tuple[str, str]]:
    return [
        (row["RelationType"], row["RelationId"]) for row in rows(tested, "EmailMessageRelation")
    ]


def colleague(tested: TestedOrg, name: str = "jo") -> str:
    user = {"Username": f"{name}@vendor.example", "LastName": name, "Email": "Jo@vendor.example"}
    return tested.org.create("User", user)


def test_the_colleague_who_sent_it_is_related_to_it(acme: TestedOrg) -> None:
    jo = colleague(acme)
    connector = acme.connect()
    connector.apply([LOG, replace(LOG, key="log-2")])
    wanted = [("ToAddress", ANN), ("FromAddress", jo)]
    assert sorted(related(acme)) == sorted(wanted * 2)
    assert sum("User" in call.query.get("q", "") for call in acme.service.requests) == 1
    acme.connect().apply([LOG])
    assert len(related(acme)) == 4


def test_what_was_logged_by_one_who_came_to_an_end_is_related_later(acme: TestedOrg) -> None:
    acme.connect().apply([LOG])
    jo = colleague(acme)
    acme.connect().apply([LOG])
    assert related(acme) == [("ToAddress", ANN), ("FromAddress", jo)]


def test_who_of_two_has_sent_it_is_not_guessed(acme: TestedOrg) -> None:
    colleague(acme, "jo")
    colleague(acme, "jon")
    acme.connect().apply([LOG])
    assert related(acme) == [("ToAddress", ANN)]


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.CUT_BEFORE, Fault.ROW_LOCK])
def test_a_mail_is_logged_though_nobody_could_be_related(acme: TestedOrg, fault: Fault) -> None:
    colleague(acme)
    connector = acme.connect()
    connector.find([LOG.key])
    acme.service.spared = 1
    acme.service.faults.append(fault)
    (answer,) = connector.apply([LOG])
    assert isinstance(answer, Receipt)
    assert len(rows(acme, "EmailMessage")) == 1


def test_a_sender_without_a_name_is_named_by_the_address(acme: TestedOrg) -> None:
    acme.connect().apply([replace(LOG, sender="jo@vendor.example")])
    (mail,) = rows(acme, "EmailMessage")
    assert (mail["FromName"], mail["FromAddress"]) == ("jo@vendor.example",) * 2


def test_a_mail_that_is_too_long_stands_there_without_its_html(acme: TestedOrg) -> None:
    long = replace(LOG, subject="s" * 4000, text="é\n" * 60_000, html="<p>" + "x" * 140_000)
    (answer,) = acme.connect().apply([long])
    assert isinstance(answer, Receipt)
    (mail,) = rows(acme, "EmailMessage")
    assert mail["HtmlBody"] is None
    assert mail["Subject"] == "s" * 2999 + "…"
    assert mail["TextBody"].endswith("Salesforce takes no more.]")
    assert 131_000 < len(mail["TextBody"]) <= 131_072


def test_mail_to_nobody_whom_the_org_knows_keeps_the_address(acme: TestedOrg) -> None:
    acme.connect().apply([replace(LOG, about=(RecordRef(table="account", id=ACME),))])
    (mail,) = rows(acme, "EmailMessage")
    assert (mail["ToAddress"], mail["ToIds"]) == ("ann@acme.example", None)


def test_twice_is_once_and_is_found(acme: TestedOrg) -> None:
    connector = acme.connect()
    (first,) = connector.apply([LOG])
    assert isinstance(first, Receipt)
    (again,) = acme.connect().apply([LOG])
    assert again == replace(first, already=True)
    assert connector.find([LOG.key, "log-other"]) == {LOG.key: again}
    assert len(rows(acme, "EmailMessage")) == 1


def test_an_org_without_a_field_on_mails_finds_them_by_a_mark(tmp_path: Path) -> None:
    tested = peopled(TestedOrg(tmp_path, start=START, custom=(KEY_FIELD,)))
    try:
        (first,) = tested.connect().apply([LOG])
        (again,) = tested.connect().apply([LOG])
        assert isinstance(first, Receipt)
        assert again == replace(first, already=True)
        assert tested.connect().find([LOG.key]) == {LOG.key: again}
        (mail,) = rows(tested, "EmailMessage")
        assert mail["TextBody"].startswith("Hello Ann\r\n\r\n[crmsync ")
        (made,) = tested.connect().setup(dry_run=False)
        assert made.startswith(f"the field {KEY} of logged mails: Text(255)")
        with pytest.raises(AuthError, match=f"the field {KEY} of logged mails is there"):
            tested.connect().setup(dry_run=False)  # nobody has let the API's user see it yet
    finally:
        tested.close()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[TestedOrg]:
    """An org without Enhanced Email."""
    (tmp_path / "plain").mkdir()
    tested = TestedOrg(tmp_path / "plain", start=START, custom=(KEY_FIELD,), enhanced_email=False)
    yield peopled(tested)
    tested.close()


def test_without_enhanced_email_a_completed_task_stands_for_the_mail(plain: TestedOrg) -> None:
    (receipt,) = plain.connect().apply([LOG])
    (task,) = rows(plain, "Task")
    assert receipt == Receipt(key=LOG.key, remote_id=task["Id"])
    wanted = {
        "TaskSubtype": "Email",
        "Status": "Completed",
        "Subject": "Your renewal",
        "Description": "Hello Ann",
        "ActivityDate": "2026-03-02",
        "WhatId": DEAL,
        "WhoId": ANN,
        KEY: LOG.key,
    }
    assert {name: task[name] for name in wanted} == wanted
    assert rows(plain, "EmailMessage") == []
    (again,) = plain.connect().apply([LOG])
    assert again == replace(receipt, already=True)
    assert plain.connect().find([LOG.key]) == {LOG.key: again}
    assert plain.connect().setup(dry_run=True) == []


def test_a_long_mail_as_a_task_is_cut(plain: TestedOrg) -> None:
    long = replace(LOG, subject="s" * 300, text="x" * 40_000)
    assert isinstance(plain.connect().apply([long])[0], Receipt)
    (task,) = rows(plain, "Task")
    assert len(task["Subject"]) == 255
    assert 31_000 < len(task["Description"]) <= 32_000


def test_how_mail_would_be_logged_is_told(plain: TestedOrg) -> None:
    (finding,) = plain.connect().check()
    assert not finding.fatal
    assert "keeps mail of cases only" in finding.sentence


def test_a_mail_about_somebody_who_is_gone_is_refused_alone(acme: TestedOrg) -> None:
    acme.org.delete("Contact", BEN)
    gone = replace(LOG, key="log-2", about=(LOG.about[0], RecordRef(table="contact", id=BEN)))
    answers = acme.connect().apply([gone, LOG])
    assert isinstance(answers[0], RejectedError)
    assert isinstance(answers[1], Receipt)
    assert len(rows(acme, "EmailMessage")) == 1


def test_the_simulated_org_lets_nobody_change_sent_mail(acme: TestedOrg, plain: TestedOrg) -> None:
    acme.connect().apply([LOG])
    (mail,) = rows(acme, "EmailMessage")
    with pytest.raises(OrgError, match="cannot be changed: Subject"):
        acme.org.update("EmailMessage", mail["Id"], {"Subject": "Another"})
    acme.org.update("EmailMessage", mail["Id"], {KEY: "custom fields can"})
    with pytest.raises(OrgError, match="of cases only"):
        acme.org.create("EmailMessage", {"ActivityId": mail["ActivityId"], "Status": "3"})
    with pytest.raises(OrgError, match=r"missing: \[ParentId\]"):
        plain.org.create("EmailMessage", {"Subject": "x", "Status": "3"})
    with pytest.raises(OrgError, match="No such column 'ToIds'"):
        plain.org.create("EmailMessage", {"ToIds": [ANN]})
