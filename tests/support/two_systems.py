"""A company with two CRMs: sales work in one, service in the other; most customers are in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_STREAMS = """
    connector: files
    path: {name}
    streams:
      accounts:
        file: accounts.csv
        complete: true
        table: account
        key: id
        fields:
          name: name
          domain: domain
          owner: owner
          renewal_date: renewal
          external_id: external
          do_not_contact: stop
      contacts:
        file: contacts.csv
        complete: true
        table: contact
        key: id
        fields:
          account: account
          first_name: first
          email: email
          unsubscribed: unsubscribed
      users:
        file: users.csv
        complete: true
        table: user
        key: id
        fields: {{name: name, email: email}}
      activities:
        file: activities.csv
        table: activity
        key: id
        fields: {{account: account, contact: contact, kind: kind, at: at}}
      deals:
        file: deals.csv
        complete: true
        table: deal
        key: id
        fields: {{name: name, account: account, owner: owner}}
"""
CONFIG = (
    """\
company: {name: Vendor, email: hello@vendor.example, time_zone: Europe/Zurich, country: CH}
existing: enrol
connections:
  sales:"""
    + _STREAMS.format(name="sales")
    + "  service:"
    + _STREAMS.format(name="service")
)

RULE = """\
rule: renewal-at-risk
description: A renewal is near and nobody has spoken with the customer.
subject: account
when:
  - renewal_date: {in_next: 30 days}
  - last_contact: {older_than: 14 days}
then:
  - task: {assign_to: owner, subject: "Call {{ account.name }}"}
"""
DEALS = """\
rule: deals
description: Each deal gets a task.
subject: deal
when:
  - name: {present: true}
then:
  - task: {assign_to: [owner, account.owner], subject: "{{ deal.name }} of {{ account.name }}"}
"""
FILES = {
    "sales/accounts.csv": """\
id,name,domain,owner,renewal,external,stop
A1,Acme,acme.example,U1,2026-03-20,,
A2,Blue,https://www.Blue.example/en,U1,2026-03-25,,
A3,Cafe,cafe.example,U2,2026-03-22,,
""",
    "sales/contacts.csv": """\
id,account,first,email,unsubscribed
C1,A1,Ann,ann@acme.example,
C2,A2,Ben,ben@blue.example,
""",
    "sales/users.csv": "id,name,email\nU1,Jo,jo@vendor.example\nU2,Kim,kim@vendor.example\n",
    "sales/activities.csv": "id,account,contact,kind,at\nT1,A1,,call,2026-01-10 10:00\n",
    "sales/deals.csv": "id,name,account,owner\nD1,Seats,A1,U1\n",
    "service/accounts.csv": """\
id,name,domain,owner,renewal,external,stop
900,ACME Inc,acme.example,7,2026-03-20,,
901,Blue AG,blue.example,7,,,
902,Delta,delta.example,7,2026-03-20,,
""",
    "service/contacts.csv": """\
id,account,first,email,unsubscribed
50,900,Annie, ANN@acme.example,
51,901,Bert,bert@blue.example,
""",
    "service/users.csv": "id,name,email\n7,Jo Meyer,JO@vendor.example\n",
    "service/activities.csv": "id,account,contact,kind,at\n1,902,,call,2026-01-10 10:00\n",
    "service/deals.csv": "id,name,account,owner\n77,Support,900,7\n",
    "config.yaml": CONFIG,
    "rules/renewal-at-risk.yaml": RULE,
}


def two_systems(folder: Path, **changes: str) -> Path:
    """Lay it out; ``changes`` replace files, by their path with ``_`` for ``/``."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(changes.pop(name.split(".")[0].replace("/", "_"), text), encoding="utf-8")
    assert not changes, f"the company has no such files: {changes}"
    for name in ("segments", "templates"):
        (folder / name).mkdir(exist_ok=True)
    return folder / "config.yaml"
