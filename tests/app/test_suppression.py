"""A mail is held back wherever the customer has said so, or may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import call, call_json
from support.company import CONFIG, FILES, make_company

if TYPE_CHECKING:
    from pathlib import Path

_AT, _NEXT_DAY = "2026-03-02T09:00", "2026-03-03T09:00"
_CONTACTS = FILES["crm/contacts.csv"]


def _synced(folder: Path, contacts: str = _CONTACTS) -> Path:
    config = make_company(folder, contacts=contacts)
    assert call("sync", "--config", config, "--at", _AT).exit_code == 0
    return config


def _write(config: Path, contacts: str) -> None:
    (config.parent / "crm" / "contacts.csv").write_text(contacts, encoding="utf-8")


def _fate(config: Path, at: str = _AT, *, read: bool = True) -> tuple[str, str]:
    """What becomes of the mail to Acme in a run: its state, or that it is held; and why."""
    report = call_json("run", "--config", config, "--at", at, *([] if read else ["--no-sync"]))
    sent = {a["subject_name"]: a for a in report["plan"]["actions"] if a["kind"] == "email"}
    if "Acme" in sent:
        return sent["Acme"]["state"], sent["Acme"]["reason"]
    held = {one["subject_name"]: one for one in report["plan"]["held"] if one["step"]}
    outbox = config.parent / "crm" / "outbox" / "new"
    assert not outbox.exists() or not list(outbox.iterdir())
    return "held", held["Acme"]["reason"]


def test_the_mail_is_sent_where_nothing_speaks_against_it(tmp_path: Path) -> None:
    assert _fate(_synced(tmp_path)) == ("ready", "")


@pytest.mark.parametrize(
    "other", ["C3,A3,Ann,Smith,ANN@Acme.example,yes\n", "C3,,,, ann@acme.example ,yes\n"]
)
def test_who_has_unsubscribed_as_another_contact_gets_no_mail(tmp_path: Path, other: str) -> None:
    state, reason = _fate(_synced(tmp_path, _CONTACTS + other))
    assert state == "dropped"
    assert "crm:C3, who has the same address, has unsubscribed" in reason


def test_a_contact_whose_newest_row_cannot_be_read_gets_no_mail(tmp_path: Path) -> None:
    config = _synced(tmp_path)
    _write(config, _CONTACTS.replace("acme.example,no", "acme.example,perhaps"))
    state, reason = _fate(config)
    assert state == "held"
    assert "contacts.csv, row 1: “perhaps” in unsubscribed" in reason
    _write(config, _CONTACTS)
    assert _fate(config) == ("ready", "")


def test_a_bad_row_of_somebody_else_holds_nobody_back(tmp_path: Path) -> None:
    config = _synced(tmp_path)
    _write(config, _CONTACTS.replace("blue.example,yes", "blue.example,perhaps"))
    assert _fate(config)[0] == "ready"


def test_contacts_that_were_not_read_to_their_end_get_no_mail(tmp_path: Path) -> None:
    config = _synced(tmp_path)
    (config.parent / "crm" / "contacts.csv").unlink()
    state, reason = _fate(config)
    assert state == "held"
    assert "the contact stream “contacts” of crm could not be read to its end" in reason


def test_contacts_that_were_read_too_long_ago_get_no_mail(tmp_path: Path) -> None:
    config = _synced(tmp_path)
    bounds = "freshness: {default: 10 days, tables: {contact: 12 hours}}\n"
    config.write_text(CONFIG + bounds, encoding="utf-8")
    state, reason = _fate(config, _NEXT_DAY, read=False)
    assert state == "held"
    assert "was last read 24 hours ago, longer than 12 hours" in reason
    assert _fate(config, _NEXT_DAY) == ("ready", "")
