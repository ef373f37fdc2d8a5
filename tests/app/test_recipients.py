"""To whom a mail goes, where the CRM names somebody who cannot be meant, or nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = CONFIG.replace("owner: owner,", "owner: owner, primary_contact: main,", 1)
_HEAD = "id,account,first,last,email,unsubscribed\n"
_ANN, _BEN = "C1,A1,Ann,Smith,ann@acme.example,no\n", "C2,{},Ben,Okafor,ben@blue.example,no\n"


@pytest.mark.parametrize(
    ("main", "contacts", "told"),
    [
        ("C1", _ANN, "ann@acme.example"),
        ("", _ANN, "ann@acme.example"),
        ("C2", _ANN + _BEN.format("A1"), "ben@blue.example"),
        ("C2", _ANN + _BEN.format(""), "ben@blue.example"),
        (
            "C2",
            _ANN + _BEN.format("A3"),
            "its primary contact Ben Okafor belongs to another account, Café (crm:A3)",
        ),
        ("C9", _ANN, "its primary contact crm:C9 is not among the contacts that were read"),
        (
            "",
            _ANN + _BEN.format("A1"),
            "the account has 2 contacts and none of them is marked as primary",
        ),
        ("", _BEN.format("A3"), "the account has no contact"),
    ],
    ids=["named", "the only one", "of two", "of nobody", "moved", "gone", "none named", "none"],
)
def test_the_primary_contact(tmp_path: Path, main: str, contacts: str, told: str) -> None:
    accounts = (
        "id,name,owner,tier,renewal,main\n"
        f"A1,Acme,U1,gold,2026-03-20,{main}\n"
        "A3,Café,U1,gold,2026-11-30,\n"
    )
    config = make_company(tmp_path, config=_CONFIG, accounts=accounts, contacts=_HEAD + contacts)
    plan = call_json("plan", "--config", config, "--at", "2026-03-02T09:00")
    mails = [one["to"] for one in plan["actions"] if one["kind"] == "email"]
    held = [one["reason"] for one in plan["held"]]
    assert len(mails + held) == 1
    assert told in (mails + held)[0]
