"""All kinds of streams, and their cursors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from portal_reading import HOUR, asked, first_load, many, read, rows
from pydantic import ValidationError

from crmsync.errors import RejectedError, TransientError
from crmsync.model.actions import CreateTask, Receipt, RecordRef
from crmsync_hubspot.options import HubSpotStreamOptions
from crmsync_hubspot.simulator.custom_objects import CustomObjectsApi
from crmsync_hubspot.simulator.links import LinkType
from crmsync_hubspot.simulator.messages import Fault

if TYPE_CHECKING:
    from portal_under_test import TestedPortal

    from crmsync_hubspot.simulator.definitions import ObjectType


def test_owners_are_listed_as_a_whole_where_they_changed(tested: TestedPortal) -> None:
    ada = tested.portal.add_owner("ada@example.com", "Ada", "Lovelace")
    connector = tested.connect("owners", ("email", "lastName"))
    pages = read(connector)
    assert [(row["id"], row["lastName"]) for row in rows(pages)] == [(str(ada), "Lovelace")]
    asked(tested)
    assert read(connector, pages[-1].cursor) == []
    assert asked(tested) == ["GET owners"]
    tested.portal.owners[ada].archived = True
    (page,) = read(connector, pages[-1].cursor)
    assert rows([page]) == []
    assert page.snapshot is not None
    assert page.snapshot.last


def test_owners_of_a_large_portal_come_by_five_hundred(tested: TestedPortal) -> None:
    made = [str(tested.portal.add_owner(f"o{n}@example.com", "Ada", f"{n}")) for n in range(620)]
    connector = tested.connect("owners", ("email", "lastName"))
    assert [row["id"] for row in rows(read(connector))] == made
    assert asked(tested) == ["GET owners"] * 2
    tested.service.faults.append(Fault.ENDLESS)
    with pytest.raises(TransientError, match="has no end"):
        read(connector)


def test_pipelines_and_properties_are_streams(tested: TestedPortal) -> None:
    stages = rows(read(tested.connect("pipelines", ("label", "isClosed"), of="deals")))
    assert {row["id"] for row in stages if row["isClosed"] == "true"} == {"closedwon", "closedlost"}
    properties = rows(read(tested.connect("properties", ("label", "type"), of="companies")))
    assert {"name", "domain"} <= {row["id"] for row in properties}


@pytest.mark.parametrize(
    "name",
    ["deals", "tickets", "tasks", "emails", "calls", "meetings", "notes", "line_items",
     "feedback_submissions", "contacts", "companies"],
)  # fmt: skip
def test_each_kind_of_record_can_be_read(tested: TestedPortal, name: str) -> None:
    connector = tested.connect(name, ("createdAt",))
    (made,) = many(tested, name, 1)
    pages = read(connector)
    assert [row["id"] for row in rows(pages)] == [str(made)]
    tested.clock.pass_time(HOUR)
    (later,) = many(tested, name, 1)
    tested.clock.pass_time(HOUR)
    assert str(later) in {row["id"] for row in rows(read(connector, pages[-1].cursor))}


CUSTOM = ["p_renewals", "p48000001_renewals", "2-170001"]


@pytest.mark.parametrize("by", CUSTOM)
def test_a_custom_object_can_be_read(tested: TestedPortal, by: str) -> None:
    kind = _renewals(tested)
    company, first = int(tested.make("companies", name="A")), int(tested.make(kind.name, title="1"))
    tested.portal.link(kind.name, first, "companies", company)
    connector = tested.connect(by, ("title", "associations.companies"))
    pages = read(connector)
    (row,) = rows(pages)
    assert (row["title"], row["associations.companies"]) == ("1", str(company))
    tested.clock.pass_time(HOUR)
    second = int(tested.make(kind.name, title="2"))
    tested.portal.link(kind.name, second, "companies", company)
    tested.clock.pass_time(HOUR)
    told = {
        row["title"]: row["associations.companies"]
        for row in rows(read(connector, pages[-1].cursor))
    }
    assert told["2"] == str(company)
    assert not [finding for finding in connector.check() if finding.fatal]


@pytest.mark.parametrize("by", CUSTOM)
def test_what_is_associated_with_a_custom_object_is_listed(tested: TestedPortal, by: str) -> None:
    """Beside a record they stand under the object's full name, however it was asked for."""
    kind = _renewals(tested)
    contact, renewal = tested.make("contacts", lastname="L"), tested.make(kind.name, title="1")
    company, other = (tested.make("companies", name=name) for name in "AB")
    tested.portal.link("companies", int(company), kind.name, int(renewal))
    tested.portal.link("companies", int(other), "contacts", int(contact))
    columns = (f"associations.{by}", "associations.contacts")
    found = rows(read(tested.connect(columns=columns)))
    told = [tuple(row[name] for name in columns) for row in found]
    assert told == [(renewal, None), (None, contact)]
    links = tested.connect(columns=("from", "to"), associations_to=[by])
    assert [(row["from"], row["to"]) for row in rows(read(links))] == [(company, renewal)]


def _renewals(tested: TestedPortal) -> ObjectType:
    schemas = CustomObjectsApi(tested.portal, tested.service.access)
    title = {"name": "title", "label": "Title", "type": "string", "fieldType": "text"}
    labels = {"singular": "Renewal", "plural": "Renewals"}
    return schemas.create(
        {"name": "renewals", "labels": labels, "properties": [title],
         "primaryDisplayProperty": "title", "associatedObjects": ["companies"]}
    )  # fmt: skip


def test_tasks_are_attached_to_custom_objects(tested: TestedPortal) -> None:
    kind = _renewals(tested)
    company, renewal = tested.make("companies", name="A"), tested.make(kind.name, title="1")
    connector = tested.connect_streams(
        renewals=("2-170001", ("title",), {}), tables={"renewals": "subscription"}
    )
    about = (RecordRef(table="subscription", id=renewal), RecordRef(table="account", id=company))
    tasks = [CreateTask(key=key, subject="Call", about=about) for key in "ab"]
    assert all(isinstance(one, Receipt) for one in connector.apply(tasks))
    connector.apply([CreateTask(key="c", subject="Call", about=about)])
    for row in tested.rows("tasks"):
        assert tested.portal.links.of("tasks", int(row["id"]), kind.name) == [int(renewal)]
        assert tested.portal.links.of("tasks", int(row["id"]), "companies") == [int(company)]
    assert len([one for one in tested.service.requests if one.route[-1] == "labels"]) == 1


def test_tasks_are_attached_to_custom_objects_by_the_type_without_a_label(
    tested: TestedPortal,
) -> None:
    kind = _renewals(tested)
    renewal = tested.make(kind.name, title="1")
    first = LinkType(
        number=1, category="USER_DEFINED", label="Signed", source="tasks", target=kind.name,
        inverse=2,
    )  # fmt: skip
    back = replace(first, number=2, source=kind.name, target="tasks", inverse=1)
    for one in (first, back):
        tested.portal.links.define(one)
    connector = tested.connect_streams(
        renewals=("2-170001", ("title",), {}), tables={"renewals": "subscription"}
    )
    about = (RecordRef(table="subscription", id=renewal),)
    (receipt,) = connector.apply([CreateTask(key="k", subject="Call", about=about)])
    assert isinstance(receipt, Receipt)
    task = int(receipt.remote_id)
    assert 1 not in tested.portal.links.numbers("tasks", task, kind.name, int(renewal))


def test_what_cannot_be_attached_leaves_the_rest(tested: TestedPortal) -> None:
    company, item = tested.make("companies", name="A"), tested.make("line_items", name="Seat")
    connector = tested.connect_streams(
        items=("line_items", ("name",), {}), tables={"items": "order"}
    )
    order = RecordRef(table="order", id=item)
    both = (order, RecordRef(table="account", id=company))
    some, none, unknown = connector.apply(
        [
            CreateTask(key="some", subject="Call", about=both),
            CreateTask(key="none", subject="Call", about=(order,)),
            CreateTask(key="unknown", subject="Call", about=(RecordRef(table="usage", id="1"),)),
        ]
    )
    assert isinstance(some, Receipt)
    assert isinstance(none, RejectedError)
    assert isinstance(unknown, RejectedError)
    (row,) = tested.rows("tasks")
    assert tested.portal.links.of("tasks", int(row["id"]), "companies") == [int(company)]


def test_an_account_that_is_a_custom_object_is_no_company(tested: TestedPortal) -> None:
    kind = _renewals(tested)
    renewal = tested.make(kind.name, title="1")
    connector = tested.connect_streams(
        accounts=("p48000001_renewals", ("title",), {}), tables={"accounts": "account"}
    )
    about = (RecordRef(table="account", id=renewal),)
    (answer,) = connector.apply([CreateTask(key="k", subject="Call", about=about)])
    assert isinstance(answer, Receipt)
    (row,) = tested.rows("tasks")
    assert tested.portal.links.of("tasks", int(row["id"]), kind.name) == [int(renewal)]


@pytest.mark.parametrize("name", ["orders", "quotes", "invoices", "carts", "0-123", "p_x", "2-1"])
def test_hubspots_other_objects_are_not_taken_for_slips(name: str) -> None:
    assert HubSpotStreamOptions.model_validate({"object": name}).object == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("company", "did you mean “companies”"),
        ("order", "did you mean “orders”"),
        ("renewals", "a custom object is named like p_renewals, or by its number, like 2-1234567"),
        ("sales orders", "is no name of an object"),
    ],
)
def test_what_is_no_object_of_hubspots_is_told(name: str, words: str) -> None:
    """HubSpot takes no custom object by its bare name."""
    with pytest.raises(ValidationError, match=words):
        HubSpotStreamOptions.model_validate({"object": name})


def test_an_object_that_is_not_there_is_named(tested: TestedPortal) -> None:
    connector = tested.connect("p_renewals", ("name",))
    with pytest.raises(RejectedError, match="no object “p_renewals”"):
        read(connector)


def test_a_cursor_of_another_request_begins_anew(tested: TestedPortal) -> None:
    tested.make("companies", name="A", city="Basel")
    cursor = first_load(tested.connect())
    assert rows(read(tested.connect(columns=("name", "city")), cursor))[0]["city"] == "Basel"
    assert rows(read(tested.connect(), "no cursor at all"))


def test_the_portals_own_clock_may_be_behind(tested: TestedPortal) -> None:
    """What changes between the portal's present and ours is read the next time."""
    from portal_under_test import VirtualTime  # noqa: PLC0415  for this alone

    connector = tested.connect()
    ahead = VirtualTime(tested.clock.now() + timedelta(hours=2))
    connector._client.clock = ahead  # noqa: SLF001  a machine whose clock is wrong
    cursor = first_load(connector)
    tested.clock.pass_time(timedelta(minutes=30))
    ahead.pass_time(timedelta(minutes=30))
    made = tested.make("companies", name="between")
    tested.clock.pass_time(HOUR)
    ahead.pass_time(HOUR)
    pages = read(connector, cursor)
    found = {row["id"] for row in rows(pages)}
    tested.clock.pass_time(HOUR)
    ahead.pass_time(HOUR)
    found |= {row["id"] for row in rows(read(connector, pages[-1].cursor if pages else cursor))}
    assert made in found
