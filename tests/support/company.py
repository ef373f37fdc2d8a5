"""A small company of one's own, as CSV exports: what the tests of bad input begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
company: {name: Vendor, email: hello@vendor.example, time_zone: Europe/Zurich, country: CH}
existing: enrol
connections:
  crm:
    connector: files
    path: crm
    streams:
      accounts:
        file: accounts.csv
        complete: true
        table: account
        key: id
        fields: {name: name, owner: owner, tier: tier, renewal_date: renewal}
      contacts:
        file: contacts.csv
        complete: true
        table: contact
        key: id
        fields:
          account: account
          first_name: first
          last_name: last
          email: email
          unsubscribed: unsubscribed
      users:
        file: users.csv
        complete: true
        table: user
        key: id
        fields: {name: name, email: email}
      activities:
        file: activities.csv
        table: activity
        key: id
        fields: {account: account, kind: kind, at: at}
"""

RULE = """\
rule: renewal-at-risk
description: A renewal is near and nobody has spoken with the customer.
subject: account
when:
  - renewal_date: {in_next: 30 days}
  - last_contact: {older_than: 14 days}
then:
  - task:
      assign_to: owner
      subject: "Call {{ account.name }}: renews {{ account.renewal_date | date }}"
      due: 1 business day
  - email:
      to: primary_contact
      template: renewal/check-in
"""

TEMPLATE = """\
---
subject: "{{ account.name }}: your renewal"
class: commercial
requires: [contact.first_name]
---
Hello {{ contact.first_name }},

your contract renews {{ account.renewal_date | date }}.
"""

FILES = {
    "crm/accounts.csv": """\
id,name,owner,tier,renewal
A1,Acme,U1,gold,2026-03-20
A2,Blue,U1,silver,2026-03-25
A3,Café,U1,gold,2026-11-30
""",
    "crm/contacts.csv": """\
id,account,first,last,email,unsubscribed
C1,A1,Ann,Smith,ann@acme.example,no
C2,A2,Ben,Okafor,ben@blue.example,yes
""",
    "crm/users.csv": "id,name,email\nU1,Jo Meyer,jo@vendor.example\n",
    "crm/activities.csv": """\
id,account,kind,at
T1,A1,call,2026-01-10 10:00
T2,A2,meeting,2026-01-20 15:30
T3,A3,call,2026-01-20 15:30
""",
    "config.yaml": CONFIG,
    "rules/renewal-at-risk.yaml": RULE,
    "templates/renewal/check-in.txt": TEMPLATE,
}


def make_company(folder: Path, **changes: str) -> Path:
    """Lay it out; ``changes`` replace files, by the stem of their name. Answers with the config."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changes.pop(path.stem.replace("-", "_"), text), encoding="utf-8")
    assert not changes, f"the company has no such files: {changes}"
    (folder / "segments").mkdir(exist_ok=True)
    return folder / "config.yaml"
