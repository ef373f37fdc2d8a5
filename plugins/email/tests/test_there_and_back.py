"""The sample company's mail leaves by postfix for dovecot, and what comes back is understood.

Mail goes through real servers, by the real clock. Customers answer with another mail program, one
of their servers refuses, and one of them is away. The same goes through what stands in for these
servers where they are not, so that it is known to do so.
"""

from __future__ import annotations

import csv
import smtplib
import time
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import format_datetime, make_msgid, parseaddr
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiosmtpd.controller import Controller
from mail_servers import PASSWORD, free_port

from support.commands import call, call_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aiosmtpd.smtp import SMTP, Envelope, Session
    from mail_servers import Carrier, Mailboxes

_HELLO = "hello@brightwater.example"
_FIELDS = (
    *("at", "kind", "direction", "automated", "subject", "text", "message_id", "answers"),
    *("addresses", "sender", "notice", "notice_address", "notice_reason", "notice_until"),
)
_SECOND = """\
rule: second-mail
description: Whoever was not reached gets another mail.
subject: account
when:
  - status: active
  - renewal_date: {in_next: 30 days}
  - last_contact: {older_than: 14 days}
then:
  - email:
      to: primary_contact
      template: renewal/check-in
"""
_PATIENCE = 30.0  # seconds


class _Refusing:
    """A customer's mail server where nobody is known any more."""

    async def handle_RCPT(  # noqa: N802  the name that aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        return f"550 5.1.1 <{address}>: Recipient address rejected: User unknown"


@pytest.fixture(params=["servers", "stand_ins"])
def running(request: pytest.FixtureRequest) -> tuple[Mailboxes, Carrier]:
    found: tuple[Mailboxes, Carrier] = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def mailboxes(running: tuple[Mailboxes, Carrier]) -> Mailboxes:
    return running[0]


@pytest.fixture
def carrier(running: tuple[Mailboxes, Carrier]) -> Carrier:
    return running[1]


@pytest.fixture
def company(tmp_path: Path, mailboxes: Mailboxes, carrier: Carrier) -> Path:
    """The sample company as it is now, with the mailboxes of all its people."""
    folder = tmp_path / "company"
    call("demo", "--dir", folder, "--prepare")
    for rule in (folder / "rules").rglob("*.yaml"):
        if rule.name not in {"renewal-at-risk.yaml", "contact-bounced.yaml"}:
            rule.unlink()
    (folder / "password").write_text(PASSWORD)
    imap = {"host": "127.0.0.1", "port": mailboxes.imap, "security": "none"}
    smtp = {"host": "127.0.0.1", "port": carrier.smtp, "security": "none"}
    config = folder / "config.yaml"
    told = yaml.safe_load(config.read_text(encoding="utf-8"))
    with (folder / "crm" / "users.csv").open(encoding="utf-8") as users:
        addresses = [row["email"] for row in csv.DictReader(users)]
    for address in (_HELLO, *addresses):
        mailbox: dict[str, Any] = {
            "connector": "mailbox",
            "address": address,
            "user": address,
            "password": "file:password",
            "imap": imap,
            "streams": {
                "mail": {"table": "activity", "key": "id", "fields": {f: f for f in _FIELDS}}
            },
        }
        told["connections"][address.partition("@")[0].replace(".", "-")] = mailbox
    told["connections"]["hello"]["smtp"] = smtp
    told["mail"] = "hello"
    config.write_text(yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")
    return config


@pytest.fixture
def refusing() -> Iterator[int]:
    """The port of a server that refuses everybody."""
    controller = Controller(_Refusing(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller.port
    controller.stop()


def _arrived(mailboxes: Mailboxes, user: str, count: int = 1) -> list[EmailMessage]:
    """The mails in somebody's inbox, as soon as there are so many."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with mailboxes.client(user) as client:
            client.select_folder("INBOX", readonly=True)
            found = client.fetch(client.search(), ["BODY.PEEK[]"])
        if len(found) >= count or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert len(found) >= count, f"{user} has {len(found)} mails"
    raws = [found[uid][b"BODY[]"] for uid in sorted(found)]
    return [message_from_bytes(raw, policy=default) for raw in raws]


def _answer(carrier: Carrier, mail: EmailMessage, text: str, **headers: str) -> None:
    """Answer a mail, as somebody's mail program does."""
    reply = EmailMessage()
    reply["From"], reply["To"] = mail["To"], mail["From"]
    reply["Subject"] = f"Re: {mail['Subject']}"
    reply["Date"] = format_datetime(datetime.now(UTC))
    reply["Message-ID"] = make_msgid(domain="customer.example")
    reply["In-Reply-To"] = reply["References"] = mail["Message-ID"]
    for name, value in headers.items():
        reply[name.replace("_", "-")] = value
    body = mail.get_body(("plain",))
    assert body is not None
    quoted = "".join(f"> {line}\n" for line in body.get_content().splitlines())
    reply.set_content(f"{text}\n\nOn Monday, {mail['From']} wrote:\n{quoted}")
    with smtplib.SMTP("127.0.0.1", carrier.smtp) as smtp:
        smtp.send_message(reply)


def _mails(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The mails of a plan by the address that they are for."""
    return {
        parseaddr(one["to"])[1]: one
        for one in report["actions"]
        if one["kind"] == "email" and one["state"] != "dropped"
    }


def _owner(folder: Path, account: str) -> str:
    """Who looks after an account, by the sample company's own tables."""
    tables = {}
    for name in ("accounts", "users"):
        with (folder / "crm" / f"{name}.csv").open(encoding="utf-8") as table:
            tables[name] = list(csv.DictReader(table))
    (owner,) = {row["owner_id"] for row in tables["accounts"] if row["name"] == account}
    (user,) = [row["name"] for row in tables["users"] if row["id"] == owner]
    return user


def test_mail_leaves_and_what_comes_back_moves_what_waits(
    company: Path, mailboxes: Mailboxes, carrier: Carrier, refusing: int
) -> None:
    checked = call("connections", "check", "hello", "--config", company)
    assert checked.exit_code == 0, checked.stdout + checked.stderr
    planned = _mails(call_json("plan", "--config", company))
    assert len(planned) >= 4
    replies, gone, away, silent = list(planned)[:4]
    carrier.carry(gone.rpartition("@")[2], refusing)

    report = call_json("run", "--config", company)
    assert report["delivery"]["problems"] == []
    sent = {one: _arrived(mailboxes, one)[0] for one in planned if one != gone}
    assert str(sent[replies]["Message-ID"]).startswith("<crmsync.")
    time.sleep(1.1)  # Date headers know seconds
    _answer(carrier, sent[replies], "Gladly. Does Tuesday suit you?")
    back = datetime.now(UTC).date() + timedelta(days=20)
    _answer(carrier, sent[away], f"I am away until {back:%d %B %Y}.", Auto_Submitted="auto-replied")
    for one in (replies, away):
        _arrived(mailboxes, parseaddr(str(sent[one]["From"]))[1])
    # A copy of each mail, and what the server wrote about the one that was refused.
    kinds = [one.get_content_type() for one in _arrived(mailboxes, _HELLO, len(planned) + 1)]
    assert kinds.count("multipart/report") == 1

    (company.parent / "rules" / "second-mail.yaml").write_text(_SECOND, encoding="utf-8")
    again = call_json("run", "--config", company)
    told = again["plan"]
    mails = {address: one for address, one in _mails(told).items() if one["rule"] == "second-mail"}
    # The reply is contact: the journey has reached its goal, and no other rule need ask.
    explained = call("explain", planned[replies]["subject"], "--config", company).stdout
    assert "its end has come: {last_contact: {after: enrolled}}; it reached its goal" in explained
    assert replies not in mails
    # Where the mail could not be delivered, nothing more goes out.
    (held,) = [
        one["reason"]
        for one in told["held"]
        if one["rule"] == "second-mail" and one["subject"] == planned[gone]["subject"]
    ]
    assert held.startswith(f"mail to {gone} came back on ")
    assert held.endswith(": no such address; correct the address in the CRM")
    (task,) = [
        one
        for one in told["actions"]
        if one["rule"] == "contact-bounced" and f"{gone} does not take mail" in one["text"]
    ]
    assert (task["kind"], task["state"]) == ("task", "ready")
    assert task["to"] == _owner(company.parent, planned[gone]["account"])
    # Whoever is away gets it when they are back, and whoever has not answered gets it now.
    assert mails[away]["state"] == "deferred"
    assert mails[away]["reason"].endswith(f"that they are away, until {back}")
    assert mails[silent]["state"] == "ready"
    assert len(_arrived(mailboxes, silent, 2)) == 2
    assert gone not in mails
