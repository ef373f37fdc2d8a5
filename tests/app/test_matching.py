"""Mail that no CRM has attached to anybody finds whom it concerns, and never by a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.app.syncing import sync_all
from crmsync.app.workspace import Workspace, open_workspace
from crmsync.clock import FixedClock
from support.commands import AT, call_json
from support.company import FILES, make_company

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = (
    FILES["config.yaml"].replace(
        "{name: name, owner: owner, tier: tier, renewal_date: renewal}",
        "{name: name, owner: owner, tier: tier, renewal_date: renewal, domain: domain}",
    )
    + """\
  mailbox:
    connector: files
    path: mailbox
    streams:
      mails:
        file: mails.csv
        complete: true
        table: activity
        key: id
        fields:
          at: at
          kind: {value: email}
          direction: direction
          addresses: addresses
          message_id: message_id
          answers: answers
"""
)
_ACCOUNTS = """\
id,name,owner,tier,renewal,domain
A1,Acme,U1,gold,2026-03-20,https://www.Acme.example/en
A2,Twin One,U1,gold,2026-03-20,twin.example
A3,Twin Two,U1,gold,2026-03-20,twin.example
A4,A Person,U1,gold,2026-03-20,gmail.com
"""
_CONTACTS = """\
id,account,first,last,email,unsubscribed
C1,A1,Ann,Ames,Ann@Acme.example,no
C2,A2,Bob,Bond,bob@twin.example,no
C3,A3,Bob,Bond,bob@twin.example,no
"""
_MAILS = {
    "known": "M1,2026-02-25 10:00,inbound,ann@acme.example,m1@x,",
    "both Bobs": "M2,2026-02-25 10:00,inbound,bob@twin.example,m2@x,",
    "by domain": "M3,2026-02-25 10:00,inbound,new@acme.example,m3@x,",
    "shared domain": "M4,2026-02-25 10:00,inbound,new@twin.example,m4@x,",
    "public domain": "M5,2026-02-25 10:00,inbound,new@gmail.com,m5@x,",
    "an answer": "M6,2026-02-26 10:00,inbound,ann@private.example,m6@x,m0@x m1@x",
    "a stranger": "M7,2026-02-26 10:00,inbound,x@nowhere.example,m7@x,zz@x",
    "several": "M8,2026-02-26 10:00,outbound,ann@acme.example bob@twin.example,m8@x,",
    "no address": "M9,2026-02-26 10:00,outbound,,m9@x,",
}
_HEAD = "id,at,direction,addresses,message_id,answers\n"


def _write(company: Path, *mails: str) -> None:
    lines = "\n".join(_MAILS[name] for name in mails)
    (company / "mailbox" / "mails.csv").write_text(f"{_HEAD}{lines}\n", encoding="utf-8")


@pytest.fixture
def company(tmp_path: Path) -> Path:
    make_company(tmp_path)
    (tmp_path / "config.yaml").write_text(_CONFIG, encoding="utf-8")
    (tmp_path / "crm" / "accounts.csv").write_text(_ACCOUNTS, encoding="utf-8")
    (tmp_path / "crm" / "contacts.csv").write_text(_CONTACTS, encoding="utf-8")
    (tmp_path / "mailbox").mkdir()
    _write(tmp_path, *_MAILS)
    return tmp_path


def _links(company: Path) -> tuple[set[tuple[str, str]], tuple[str, ...]]:
    workspace = open_workspace(company / "config.yaml", FixedClock(instant=AT))
    result = sync_all(workspace, advance=lambda _name, _rows: None)
    assert not result.problems
    return _stored(workspace), result.doubts


def _stored(workspace: Workspace) -> set[tuple[str, str]]:
    with workspace.warehouse.reading() as records:
        rows = records.query(records.table("activity_link")).to_pylist()
    return {
        (row["activity"].partition(":")[2], found.partition(":")[2])
        for row in rows
        for found in (row["contact"] or row["account"] or row["deal"],)
    }


def test_mail_finds_whom_it_concerns(company: Path) -> None:
    links, doubts = _links(company)
    assert links == {
        ("M1", "C1"),
        ("M2", "C2"),
        ("M2", "C3"),  # one person, whom the CRM has twice
        ("M3", "A1"),
        ("M6", "C1"),
        ("M8", "C1"),
        ("M8", "C2"),
        ("M8", "C3"),
    }
    assert len(doubts) == 1
    assert "“twin.example”" in doubts[0]


def test_links_follow_what_changes(company: Path) -> None:
    _links(company)
    contacts = company / "crm" / "contacts.csv"
    contacts.write_text(
        _CONTACTS.replace("Ann@Acme", "moved@Acme") + "C4,A4,New,One,new@gmail.com,no\n",
        encoding="utf-8",
    )
    links, _ = _links(company)
    assert ("M5", "C4") in links
    assert ("M1", "C1") not in links
    assert ("M1", "A1") in links  # by her domain still
    _write(company, *(name for name in _MAILS if name not in {"both Bobs", "shared domain"}))
    links, doubts = _links(company)
    assert {mail for mail, _ in links} == {"M1", "M3", "M5", "M6", "M8"}
    assert doubts == ()


def test_nothing_is_written_where_nothing_has_changed(company: Path) -> None:
    _links(company)
    workspace = open_workspace(company / "config.yaml", FixedClock(instant=AT))
    with workspace.warehouse.reading() as records:
        before = records.mark()
    _write(company, *reversed(_MAILS))
    _links(company)
    with workspace.warehouse.reading() as records:
        changed = records.changed_since(before.number if before else 0)
    assert "activity_link" not in changed.records


def test_mail_in_a_mailbox_is_contact_with_the_account(company: Path) -> None:
    (company / "crm" / "activities.csv").write_text("id,account,kind,at\n", encoding="utf-8")
    _write(company, "a stranger")
    assert "Acme" in _planned(company)
    _write(company, "a stranger", "known")
    assert "Acme" not in _planned(company)


def test_while_the_mailbox_cannot_be_read_nobody_is_called_quiet(company: Path) -> None:
    _write(company, "a stranger")
    assert "Acme" in _planned(company)
    (company / "mailbox" / "mails.csv").unlink()
    assert _planned(company) == set()


def _planned(company: Path) -> set[str]:
    plan = call_json("plan", "--config", company / "config.yaml", "--at", AT.isoformat())
    return {action["subject_name"] for action in plan["actions"]}
