"""Person accounts, record types and currencies, which some orgs have and others do not."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from org_under_test import KEY_FIELD, MAIL_KEY_FIELD, START, TestedOrg

from support.commands import call_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CUSTOM = (
    KEY_FIELD,
    MAIL_KEY_FIELD,
    "Account IsPersonAccount boolean readonly",
    "Account PersonContactId reference(Contact) readonly",
    "Account PersonEmail email(80)",
    "Contact IsPersonAccount boolean readonly",
    "Opportunity RecordTypeId reference(RecordType)",
    "Opportunity CurrencyIsoCode picklist(255)",
)
STREAMS = """\
    streams:
      accounts:
        table: account
        object: Account
        key: Id
        fields:
          name: Name
          primary_contact: PersonContactId
          tier: Rating
          owner: OwnerId
          updated_at: SystemModstamp
      contacts:
        table: contact
        object: Contact
        key: Id
        fields: {name: Name, email: Email, account: AccountId, updated_at: SystemModstamp}
      users: {table: user, object: User, key: Id, fields: {name: Name, email: Email}}
      deals:
        table: deal
        object: Opportunity
        key: Id
        fields:
          account: AccountId
          name: Name
          kind: {column: RecordType.DeveloperName, values: {Renewal: renewal, "*": new}}
          amount: Amount
          currency: CurrencyIsoCode
          updated_at: SystemModstamp
"""
RULE = """\
rule: call
subject: account
when:
  - tier: Hot
then:
  - task: {assign_to: owner, subject: "Call {{ account.name }}", due: 1 day}
"""


@pytest.fixture
def varied(tmp_path: Path) -> Iterator[TestedOrg]:
    tested = TestedOrg(tmp_path, start=START, custom=CUSTOM)
    yield tested
    tested.close()


def person(tested: TestedOrg, first: str, last: str, email: str) -> tuple[str, str]:
    """A person account, and the contact that the org keeps beside it."""
    org, name = tested.org, f"{first} {last}"
    account = org.create("Account", {"Name": name, "PersonEmail": email, "Rating": "Hot"})
    contact = org.create(
        "Contact", {"FirstName": first, "LastName": last, "Email": email, "AccountId": account}
    )
    kept: Mapping[str, Mapping[str, Any]] = {
        "Account": {"Id": account, "PersonContactId": contact, "IsPersonAccount": True},
        "Contact": {"Id": contact, "IsPersonAccount": True},
    }
    with org.connected() as connection:
        for kind, values in kept.items():
            table = org.tables[kind]
            connection.execute(table.update().where(table.c.Id == values["Id"]).values(**values))
    return account, contact


def write_config(folder: Path, tested: TestedOrg) -> Path:
    for name in ("rules", "segments", "templates"):
        (folder / name).mkdir()
    (folder / "rules" / "call.yaml").write_text(RULE)
    path = folder / "config.yaml"
    path.write_text(f"""\
company: {{name: Vendor, email: hello@vendor.example, time_zone: UTC, currency: EUR}}
existing: enrol
policy: {{most_share_of_accounts: 1.0}}
connections:
  sf:
    connector: salesforce
    url: {tested.server.address}
    client_id: {tested.settings.client_id}
    client_secret: file:{folder / "secret"}
    ca_file: {tested.server.certificate}
{STREAMS}""")
    return path


def kept(folder: Path, columns: str, table: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "state" / "warehouse.duckdb"), read_only=True) as database:
        relation = database.table(f"records.{table}").project(columns)
        return sorted(relation.fetchall(), key=str)


def test_a_person_account_is_one_customer_and_one_person(varied: TestedOrg, tmp_path: Path) -> None:
    account, contact = person(varied, "Ann", "Smith", "ann@smith.example")
    config = write_config(tmp_path, varied)
    for _ in range(2):
        call_json("run", "--config", config, "--at", varied.clock.now().isoformat())
    assert kept(tmp_path, "id, name, primary_contact", "account") == [
        (f"sf:{account}", "Ann Smith", f"sf:{contact}")
    ]
    assert kept(tmp_path, "id, email, account", "contact") == [
        (f"sf:{contact}", "ann@smith.example", f"sf:{account}")
    ]
    (task,) = varied.org.rows("Task")
    assert (task["Subject"], task["WhatId"]) == ("Call Ann Smith", account)


def test_record_types_are_read_by_name_and_amounts_have_their_currency(
    varied: TestedOrg, tmp_path: Path
) -> None:
    org = varied.org
    account = org.create("Account", {"Name": "Acme"})
    types = {
        name: org.create(
            "RecordType", {"Name": name, "DeveloperName": name, "SobjectType": "Opportunity"}
        )
        for name in ("Renewal", "First_Sale")
    }
    deal = {"AccountId": account, "StageName": "Offer", "CloseDate": "2026-03-29"}
    values = (("Renewal", 100.1, "USD"), ("First_Sale", 7, "JPY"))
    for name, amount, currency in values:
        kind = {"RecordTypeId": types[name], "Amount": amount, "CurrencyIsoCode": currency}
        org.create("Opportunity", deal | kind | {"Name": name})
    config = write_config(tmp_path, varied)
    call_json("sync", "--config", config, "--at", varied.clock.now().isoformat())
    assert kept(tmp_path, "name, kind, amount, currency", "deal") == [
        ("First_Sale", "new", Decimal(7), "JPY"),
        ("Renewal", "renewal", Decimal("100.1"), "USD"),
    ]
    (described,) = [
        field
        for field in varied.connect("Opportunity", ("RecordType.DeveloperName",)).describe(
            "records"
        )
        if field.name == "RecordType.DeveloperName"
    ]
    assert not described.writable


def test_an_org_with_one_currency_has_no_field_for_it(org: TestedOrg) -> None:
    deal = {"Name": "Renewal", "StageName": "Offer", "CloseDate": "2026-03-29", "Amount": 5}
    org.org.create("Opportunity", deal)
    columns = ("Amount", "CurrencyIsoCode")
    connector = org.connect("Opportunity", columns, optional=columns[1:])
    (page,) = connector.read("records", None)
    (row,) = page.records.to_pylist()
    assert (row["Amount"], row["CurrencyIsoCode"]) == ("5.0", None)
    (finding,) = connector.check()
    assert "no field “CurrencyIsoCode”" in finding.sentence
