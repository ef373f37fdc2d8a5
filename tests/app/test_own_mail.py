"""What comes back names a mail of ours, of which no copy was ever read: the ledger knows it."""

from __future__ import annotations

import shutil
from datetime import datetime
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.own_mail import tell_of_own_mail
from crmsync.app.workspace import open_workspace
from crmsync.clock import FixedClock
from crmsync.errors import CrmsyncError, NobodyThereError, UncertainError
from crmsync.model.actions import SendEmail
from crmsync.model.own_mail import OF_THE_LEDGER
from crmsync_files.connector import FilesConnector
from support.commands import call, call_json
from support.company import CONFIG, RULE, make_company

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.app.workspace import Workspace
    from crmsync.model.actions import Action

_AT, _LATER, _LAST = (f"2026-03-0{day}T09:00+00:00" for day in (2, 3, 4))
_MAILBOX = """\
  mailbox:
    connector: files
    path: mailbox
    streams:
      mails:
        file: mails.csv
        table: activity
        key: id
        fields:
          kind: {value: email}
          at: at
          direction: direction
          automated: automated
          sender: sender
          message_id: message_id
          addresses: sender
          answers: answers
          notice: notice
          notice_address: address
          notice_reason: reason
"""
_HEAD = "id,at,direction,automated,sender,answers,notice,address,reason,message_id\n"
_SECOND = RULE.replace("rule: renewal-at-risk", "rule: second")
_BOUNCED = """\
rule: bounced
description: Mail to somebody comes back.
subject: contact
when:
  - bounced_at: {present: true, if_unknown: no}
then:
  - task:
      assign_to: account.owner
      subject: "{{ contact.email }} is dead: {{ contact.bounce_reason }}"
"""


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a company whose first mail to Ann has gone out."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "mailbox").mkdir()
    (folder / "mailbox" / "mails.csv").write_text(_HEAD, encoding="utf-8")
    call_json("run", "--config", make_company(folder, config=CONFIG + _MAILBOX), "--at", _AT)
    return folder


@pytest.fixture
def company(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "company")) / "config.yaml"


def _message_id(config: Path) -> str:
    """Of the one mail that went out."""
    (mail,) = (config.parent / "crm" / "outbox" / "new").iterdir()
    return str(message_from_bytes(mail.read_bytes())["Message-ID"]).strip("<>")


def _arrive(config: Path, line: str) -> None:
    path = config.parent / "mailbox" / "mails.csv"
    path.write_text(_HEAD + line, encoding="utf-8")


def _activities(workspace: Workspace) -> list[dict[str, Any]]:
    with workspace.warehouse.reading() as records:
        activity = records.table("activity")
        rows: list[dict[str, Any]] = records.query(
            activity.filter(activity.connection == OF_THE_LEDGER)
        ).to_pylist()
    return rows


def _second(config: Path, at: str = _LATER) -> tuple[str, str]:
    """Of another rule's mail to Ann: its state and reason, or why it is held."""
    (config.parent / "rules" / "second.yaml").write_text(_SECOND, encoding="utf-8")
    plan = call_json("plan", "--config", config, "--at", at)
    for one in plan["actions"]:
        if (one["rule"], one["subject_name"], one["kind"]) == ("second", "Acme", "email"):
            return one["state"], one["reason"]
    for one in plan["held"]:
        if (one["rule"], one["subject_name"], one["step"]) == ("second", "Acme", "email"):
            return "held", one["reason"]
    return "none", ""


def _tasks(config: Path, at: str) -> list[str]:
    (config.parent / "rules" / "bounced.yaml").write_text(_BOUNCED, encoding="utf-8")
    plan = call_json("plan", "--config", config, "--at", at)
    return [one["title"] for one in plan["actions"] if one["rule"] == "bounced"]


def test_nothing_is_held_where_nothing_came_back(company: Path) -> None:
    assert _second(company)[0] == "ready"


@pytest.mark.parametrize(("kind", "state"), [("hard_bounce", "held"), ("complaint", "dropped")])
def test_a_notice_names_a_mail_of_ours(company: Path, kind: str, state: str) -> None:
    ours = _message_id(company)
    _arrive(company, f"B,2026-03-02 11:00,inbound,yes,,{ours},{kind},,no such address,\n")
    assert _second(company)[0] == state
    expected = ["ann@acme.example is dead: no such address"] if kind == "hard_bounce" else []
    assert _tasks(company, _LATER) == expected
    explained = " ".join(
        call("explain", "Acme", "--config", company, "--at", _LATER).stdout.split()
    )
    fate = "came back" if kind == "hard_bounce" else "called spam"
    (stop,) = call_json("status", "--config", company, "--at", _LATER)["stops"]
    assert stop["target"] == "ann@acme.example"
    told = " ".join(call("status", "--config", company, "--at", _LATER).stdout.split())
    kept = "takes no mail" if kind == "hard_bounce" else "called a mail of ours spam"
    assert f"ann@acme.example {kept}" in told
    assert f"email done at 2026-03-02 10:00 CET, and {fate} at 2026-03-02 11:00 CET" in explained


def test_old_mail_systems_do_not_say_which_mail_it_was(company: Path) -> None:
    _arrive(company, "B,2026-03-02 11:00,inbound,yes,,,hard_bounce,ann@acme.example,gone,\n")
    assert _second(company)[0] == "held"


def test_an_answer_from_an_address_that_nobody_knows_is_the_customer_s(company: Path) -> None:
    ours = _message_id(company)
    _arrive(company, f"R,2026-03-02 11:00,inbound,no,ann@home.example,{ours},,,,\n")
    call("sync", "--config", company, "--at", _LATER)
    told = call("explain", "Acme", "--config", company, "--at", _LATER).stdout
    assert "last_contact" in told
    assert "2026-03-02 11:00" in told
    assert _second(company)[0] == "none", "the rule asks for 14 days without contact"


def test_mail_of_ours_is_told_once_and_is_no_contact(company: Path) -> None:
    assert _second(company)[0] == "ready", "what a machine sends is no contact"
    workspace = open_workspace(company, FixedClock(instant=datetime.fromisoformat(_LAST)))
    assert not tell_of_own_mail(workspace, sent=True)
    told = [one for one in _activities(workspace) if one["direction"] == "outbound"]
    assert [(one["message_id"], one["addresses"], one["contact"]) for one in told] == [
        (_message_id(company), "ann@acme.example", "crm:C1")
    ]
    status = call_json("status", "--config", company, "--at", _LAST)
    assert {one["connection"] for one in status["streams"]} == {"crm", "mailbox"}


_COPY = "C,2026-03-02 10:01,outbound,yes,jo@vendor.example,,,,,{}\n"
_REPLY = "R,2026-03-02 11:00,inbound,no,ann@acme.example,{},,,,\n"


@pytest.mark.parametrize("proof", [_COPY, _REPLY], ids=["a copy", "an answer"])
def test_what_may_have_gone_out_did_where_a_copy_or_an_answer_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: str
) -> None:
    (tmp_path / "mailbox").mkdir()
    (tmp_path / "mailbox" / "mails.csv").write_text(_HEAD, encoding="utf-8")
    config = make_company(tmp_path, config=CONFIG + _MAILBOX)
    sent = _answering(monkeypatch, UncertainError("the line broke"))
    assert call_json("run", "--config", config, "--at", _AT)["delivery"]["uncertain"] == 1
    _arrive(config, proof.format(sent[0].message_id))
    call_json("sync", "--config", config, "--at", "2026-03-02T09:05+00:00")
    if proof == _COPY:
        (one,) = call_json("status", "--config", config, "--at", _AT)["unsettled"]
        retry = ("retry", one["key"], "--did-not-land", "--config", config)
        refused = call(*retry, "--at", "2026-03-02T09:06+00:00")
        assert (refused.exit_code, "is done; only what" in refused.stderr) == (2, True)
        return
    _arrive(config, "")  # somebody deletes it; what is no complete listing keeps what was read
    report = call_json("run", "--config", config, "--at", "2026-03-02T10:00+00:00")["delivery"]
    assert (report["done"], report["already"], report["uncertain"]) == (0, 1, 0)
    assert len(sent) == 1, "it was not sent again"


def _answering(monkeypatch: pytest.MonkeyPatch, error: CrmsyncError) -> list[SendEmail]:
    """Let every mail be answered with an error; the mails, as they are handed over."""
    apply, taken = FilesConnector.apply, list[SendEmail]()

    def answering(self: FilesConnector, actions: Sequence[Action]) -> Sequence[Any]:
        taken.extend(one for one in actions if isinstance(one, SendEmail))
        return [error if isinstance(one, SendEmail) else apply(self, [one])[0] for one in actions]

    monkeypatch.setattr(FilesConnector, "apply", answering)
    return taken


@pytest.fixture
def refused(company: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the mail server says at once that nobody is there, and no mailbox is read."""
    _answering(monkeypatch, NobodyThereError("the mail server refuses it: 550 5.1.1 no such user"))
    config = company.parent / "config.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    (company.parent / "rules" / "second.yaml").write_text(_SECOND, encoding="utf-8")
    run = call_json("run", "--config", company, "--at", _LATER)
    assert run["delivery"]["rejected"] == 1
    return company


def test_a_refusal_while_sending_is_told_to_the_owner(refused: Path) -> None:
    told = "ann@acme.example is dead: the mail server refuses it: 550 5.1.1 no such user"
    assert _tasks(refused, _LAST) == [told]
    (stop,) = call_json("status", "--config", refused, "--at", _LAST)["stops"]
    assert stop["kind"] == "nobody there"


def test_a_refusal_that_was_taken_back_is_told_to_nobody(refused: Path) -> None:
    assert _tasks(refused, _LAST) != []
    lift = ("suppress", "ann@acme.example", "--lift", "--config", refused, "--as", "Jo")
    assert call(*lift, "--at", _LAST).exit_code == 0
    assert _tasks(refused, "2026-03-04T10:00+00:00") == []
