from __future__ import annotations

from crmsync.model.catalog import Catalog, FactSpec
from crmsync.model.tables import CANONICAL_TABLES, Field, FieldType, global_id, split_global_id


def test_relations_run_both_ways() -> None:
    catalog = Catalog(tables=CANONICAL_TABLES)
    owner = catalog.relation("account", "owner")
    assert owner is not None
    assert (owner.target, owner.column, owner.many) == ("user", "owner", False)
    tickets = catalog.relation("account", "tickets")
    assert tickets is not None
    assert (tickets.target, tickets.column, tickets.many) == ("ticket", "account", True)


def test_a_way_back_takes_the_reference_called_like_its_table() -> None:
    catalog = Catalog(tables=CANONICAL_TABLES)
    contacts = catalog.relation("account", "contacts")
    assert contacts is not None
    assert contacts.column == "account"
    assert catalog.relation("contact", "tickets") is not None


def test_facts_and_custom_fields_can_be_named() -> None:
    account = CANONICAL_TABLES["account"].with_fields(
        (Field(name="seats", type=FieldType.INTEGER),)
    )
    fact = FactSpec(
        name="last_contact", table="account", type=FieldType.INSTANT, description="The latest."
    )
    catalog = Catalog(tables={**CANONICAL_TABLES, "account": account}, facts=(fact,))
    assert catalog.column("account", "seats") == account.field("seats")
    assert catalog.column("account", "last_contact") is fact
    assert catalog.column("contact", "last_contact") is None
    assert {"seats", "last_contact", "tickets"} <= set(catalog.names("account"))


def test_a_global_id_comes_apart_at_its_first_colon() -> None:
    assert split_global_id(global_id("crm", "a:b")) == ("crm", "a:b")


def test_every_reference_leads_to_a_table() -> None:
    for table in CANONICAL_TABLES.values():
        for field in table.fields:
            assert field.references is None or field.references in CANONICAL_TABLES
