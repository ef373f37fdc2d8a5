"""Mails that go on with the last conversation, by the whole path."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

import pytest

from support.commands import call, call_json
from support.company import CONFIG, RULE, make_company

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

_AT = "2026-03-02T09:00+00:00"
_FIELDS = "fields: {account: account, kind: kind, at: at}"
_MAIL_FIELDS = (
    "fields: {account: account, contact: contact, kind: kind, at: at, direction: direction,"
    " automated: automated, message_id: message_id, answers: answers, subject: subject}"
)
_HEAD = "id,account,contact,kind,at,direction,automated,message_id,answers,subject\n"
_BEFORE = (
    "T1,A1,C1,email,2026-01-10 10:00,outbound,no,m1@vendor.example,,Our offer\n"
    "T2,A1,C1,email,2026-01-11 10:00,inbound,no,m2@acme.example,m1@vendor.example,AW: Our offer\n"
)


def sent(folder: Path, activities: str, thread: str = "last") -> EmailMessage:
    """The mail that the rule sends, with these activities before it."""
    config = make_company(
        folder,
        config=CONFIG.replace(_FIELDS, _MAIL_FIELDS),
        activities=_HEAD + activities,
        renewal_at_risk=RULE.replace(
            "      template: renewal/check-in\n",
            f"      template: renewal/check-in\n      thread: {thread}\n",
        ),
    )
    report = call_json("run", "--config", config, "--at", _AT)
    assert report["delivery"]["problems"] == []
    (path,) = (folder / "crm" / "outbox").glob("new/*")
    return message_from_bytes(path.read_bytes(), policy=default)


def test_it_answers_the_latest_mail(tmp_path: Path) -> None:
    mail = sent(tmp_path, _BEFORE)
    assert mail["Subject"] == "Re: Our offer"
    assert mail["In-Reply-To"] == "<m2@acme.example>"
    assert mail["References"] == "<m1@vendor.example> <m2@acme.example>"


@pytest.mark.parametrize(
    "later",
    [
        "T3,A1,C1,email,2026-01-12 10:00,outbound,yes,m3@robot.example,,Newsletter\n",
        "T3,A1,C1,call,2026-01-12 10:00,outbound,no,m3@robot.example,,A call\n",
        "T3,A2,C2,email,2026-01-12 10:00,inbound,no,m3@blue.example,,Something else\n",
        "T3,A1,,email,2026-01-12 10:00,inbound,no,m3@acme.example,,Of nobody known\n",
        "T3,A1,C1,email,2026-01-12 10:00,inbound,no,,,Without an id\n",
        "T3,A1,C1,email,2026-03-05 10:00,inbound,no,m3@acme.example,,Still to come\n",
    ],
    ids=["by a machine", "a call", "another customer", "no contact", "no id", "later than now"],
)
def test_what_is_no_conversation_with_them_is_passed_over(tmp_path: Path, later: str) -> None:
    assert sent(tmp_path, _BEFORE + later)["In-Reply-To"] == "<m2@acme.example>"


def test_where_there_was_none_it_begins_one(tmp_path: Path) -> None:
    mail = sent(tmp_path, "T1,A1,C1,call,2026-01-10 10:00,outbound,no,,,\n")
    assert mail["Subject"] == "Acme: your renewal"
    assert mail["In-Reply-To"] is None
    assert mail["References"] is None


def test_another_word_is_a_mistake(tmp_path: Path) -> None:
    rule = RULE.replace("      template:", "      thread: first\n      template:")
    config = make_company(tmp_path, renewal_at_risk=rule)
    result = call("check", "--config", config)
    told = " ".join((result.stdout + result.stderr).split())
    assert "“thread” cannot be “first”; write last, or leave it out" in told


def test_a_rule_s_own_test_sees_the_thread(tmp_path: Path) -> None:
    rule = RULE.replace("      template:", "      thread: last\n      template:")
    config = make_company(tmp_path, renewal_at_risk=rule)
    tests = tmp_path / "rules" / "tests" / "renewal.yaml"
    tests.parent.mkdir()
    tests.write_text(_RULE_TEST, encoding="utf-8")
    result = call("test", "--config", config)
    assert result.exit_code == 0, result.stdout


_RULE_TEST = """\
rule: renewal-at-risk
at: 2026-03-02T09:00
records:
  user: [{id: jo, name: Jo Meyer, email: jo@vendor.example, active: true}]
  contact: [{id: ann, account: acme, first_name: Ann, email: ann@acme.example}]
  account:
    - {id: acme, name: Acme, owner: jo, primary_contact: ann, renewal_date: 2026-03-20}
  activity:
    - id: mail
      account: acme
      contact: ann
      kind: email
      at: 2026-01-10T10:00
      message_id: m1@acme.example
      subject: Our offer
expect:
  actions:
    acme: [{task: {assign_to: jo}}, {email: {to: ann, subject: "Re: Our offer"}}]
"""
