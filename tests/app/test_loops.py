"""What crmsync wrote comes back by the next pull, and is taken for what it is."""

from __future__ import annotations

import csv
import mailbox
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest

from support.commands import call_json
from support.company import CONFIG, FILES, make_company

if TYPE_CHECKING:
    from pathlib import Path

_FIRST, _NEXT_DAY = "2026-03-02T09:00", "2026-03-03T09:00"
_HEADER = "id,account,contact,kind,direction,at,message,status\n"
_LOGGED = CONFIG.replace(
    "fields: {account: account, kind: kind, at: at}",
    """fields:
          account: account
          contact: contact
          kind: kind
          direction: direction
          at: at
          message_id: message
          status: status""",
)
_CAPPED = _LOGGED + "policy: {caps: [{per: contact, at_most: 2, within: 7 days}]}\n"


def _logged_back(folder: Path) -> list[str]:
    """As a CRM with mail logging does: mails and tasks become activities of the account."""
    crm, rows = folder / "crm", []
    for number, found in enumerate(mailbox.Maildir(crm / "outbox", create=False)):
        mail: Any = message_from_bytes(found.as_bytes(), policy=policy.default)
        rows.append(f"M{number},A1,C1,email,outbound,2026-03-02 09:00,{mail['Message-ID']},")
    with (crm / "tasks.csv").open(encoding="utf-8", newline="") as tasks:
        rows += [
            f"{row['key']},{row['about_id']},,task,,{row['created_at']},,planned"
            for row in csv.DictReader(tasks)
        ]
    activities = crm / "activities.csv"
    text = activities.read_text(encoding="utf-8")
    activities.write_text(text + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return rows


@pytest.fixture
def company(tmp_path: Path) -> Path:
    old = FILES["crm/activities.csv"].splitlines()[1:]
    rows = [
        ",".join([parts[0], parts[1], "", parts[2], "outbound", parts[3], "", "completed"])
        for parts in (row.split(",") for row in old)
    ]
    activities = _HEADER + "".join(f"{row}\n" for row in rows)
    return make_company(tmp_path, config=_CAPPED, activities=activities)


def test_our_own_mails_and_tasks_are_no_contact_and_start_nothing(company: Path) -> None:
    first = call_json("run", "--config", company, "--at", _FIRST)
    assert first["delivery"]["done"] == 3
    assert len(_logged_back(company.parent)) == 3

    second = call_json("run", "--config", company, "--at", _NEXT_DAY)
    assert second["plan"]["actions"] == []
    (rule,) = second["plan"]["rules"]
    # They are still inside: nobody has spoken with them, only a machine has written.
    assert (rule["matches"], rule["inside"], rule["entering"]) == (2, 2, 0)
    (explained,) = call_json("explain", "A1", "--config", company, "--at", _NEXT_DAY)["rules"]
    assert explained["verdict"] == "yes"
    assert explained["clauses"][1]["seen"].startswith("2026-01-10")


def test_a_mail_that_comes_back_counts_once_for_the_caps(company: Path) -> None:
    call_json("run", "--config", company, "--at", _FIRST)
    _logged_back(company.parent)
    rule = company.parent / "rules" / "renewal-at-risk.yaml"
    text = rule.read_text(encoding="utf-8")
    another = text.replace("renewal-at-risk", "another").replace("owner_task", "another")
    (company.parent / "rules" / "another.yaml").write_text(another, encoding="utf-8")
    report = call_json("run", "--config", company, "--at", _NEXT_DAY)
    mails = {
        action["subject_name"]: action["state"]
        for action in report["plan"]["actions"]
        if action["kind"] == "email"
    }
    assert mails["Acme"] == "ready", "one mail and its own log entry are not two"
