"""Associations of the simulated portal: types, labels, and how they are read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hubspot.crm.association_type import AssociationType
from portal_on_wire import PortalOnWire

from crmsync_hubspot.simulator.links import Links
from crmsync_hubspot.simulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/crm/v4/associations/contacts/companies"


@pytest.fixture
def wire() -> Iterator[PortalOnWire]:
    one = PortalOnWire()
    yield one
    one.close()


def spec(number: int, category: str = "HUBSPOT_DEFINED") -> dict[str, Any]:
    return {"associationCategory": category, "associationTypeId": number}


def pair(one: str, other: str, *numbers: int) -> dict[str, Any]:
    return {"from": {"id": one}, "to": {"id": other}, "types": [spec(n) for n in numbers]}


def people(wire: PortalOnWire) -> tuple[str, str, str]:
    return (
        wire.make("contacts", email="a@b.example"),
        wire.make("companies", name="x"),
        wire.make("companies", name="y"),
    )


def test_the_types_are_those_of_the_vendors_library() -> None:
    links = Links()
    known = {n: one for types in links.types.values() for n, one in types.items()}
    plural = {"company": "companies", "feedback_submission": "feedback_submissions"}
    compared = 0
    for name, number in vars(AssociationType).items():
        if name.startswith("_") or number not in known:
            continue
        primary = name.startswith("PRIMARY_")
        source, target = name.removeprefix("PRIMARY_").lower().split("_to_")
        one = known[number]
        assert one.source == plural.get(source, f"{source}s"), name
        assert one.target == plural.get(target, f"{target}s"), name
        assert one.primary == primary, name
        compared += 1
    assert compared > 60


def test_associations_are_made_and_read_in_batches(wire: PortalOnWire) -> None:
    contact, first, second = people(wire)
    inputs = [pair(contact, first, 1), pair(contact, second, 279)]
    made = wire.post(f"{PATH}/batch/create", {"inputs": inputs}, status=201)
    assert [one["labels"] for one in made["results"]] == [["Primary"], []]
    assert made["results"][0]["fromObjectTypeId"] == "0-1"
    told = wire.post(f"{PATH}/batch/read", {"inputs": [{"id": contact}]})
    (result,) = told["results"]
    types = {
        end["toObjectId"]: {one["typeId"] for one in end["associationTypes"]}
        for end in result["to"]
    }
    assert types == {first: {1, 279}, second: {279}}
    back = "/crm/v4/associations/companies/contacts/batch/read"
    (result,) = wire.post(back, {"inputs": [{"id": first}]})["results"]
    assert {one["typeId"] for one in result["to"][0]["associationTypes"]} == {2, 280}


def test_what_has_no_associations_is_told_as_an_error(wire: PortalOnWire) -> None:
    contact, first, _ = people(wire)
    other = wire.make("contacts", email="b@b.example")
    wire.post(f"{PATH}/batch/create", {"inputs": [pair(contact, first, 279)]}, status=201)
    inputs = [{"id": contact}, {"id": other}]
    told = wire.post(f"{PATH}/batch/read", {"inputs": inputs}, status=207)
    assert [one["from"]["id"] for one in told["results"]] == [contact]
    assert (told["numErrors"], told["errors"][0]["context"]["fromObjectId"]) == (1, [other])


def test_a_record_has_one_primary_company(wire: PortalOnWire) -> None:
    contact, first, second = people(wire)
    for company in (first, second):
        wire.post(f"{PATH}/batch/create", {"inputs": [pair(contact, company, 1)]}, status=201)
    told = wire.get(f"/crm/v4/objects/contacts/{contact}/associations/companies")["results"]
    labelled = {
        end["toObjectId"]
        for end in told
        for one in end["associationTypes"]
        if one.get("label") == "Primary"
    }
    assert (len(told), labelled) == (2, {second})
    contact_told = wire.get(f"/crm/v3/objects/contacts/{contact}", properties="associatedcompanyid")
    assert contact_told["properties"]["associatedcompanyid"] == second


def test_long_lists_of_ends_are_paged(wire: PortalOnWire) -> None:
    company = wire.make("companies", name="x")
    contacts = [wire.make("contacts", email=f"c{n}@b.example") for n in range(600)]
    for contact in contacts:
        wire.portal.links.add("contacts", int(contact), "companies", int(company))
    read = "/crm/v4/associations/companies/contacts/batch/read"
    (first,) = wire.post(read, {"inputs": [{"id": company}]})["results"]
    after = first["paging"]["next"]["after"]
    (last,) = wire.post(read, {"inputs": [{"id": company, "after": after}]})["results"]
    told = [end["toObjectId"] for end in first["to"] + last["to"]]
    assert (len(first["to"]), told, "paging" in last) == (500, contacts, False)
    single = f"/crm/v4/objects/companies/{company}/associations/contacts"
    page = wire.get(single, limit=400)
    rest = wire.get(single, after=page["paging"]["next"]["after"])
    assert len(page["results"]) + len(rest["results"]) == 600
    assert wire("GET", single, params={"limit": 501}).status_code == 400


def test_associations_of_the_archived_are_not_told(wire: PortalOnWire) -> None:
    contact, first, _ = people(wire)
    wire.portal.links.add("contacts", int(contact), "companies", int(first))
    wire("DELETE", f"/crm/v3/objects/companies/{first}")
    told = wire.post(f"{PATH}/batch/read", {"inputs": [{"id": contact}]}, status=207)
    assert told["results"] == []
    wire.portal.restore("companies", int(first))
    assert wire.post(f"{PATH}/batch/read", {"inputs": [{"id": contact}]})["results"]


def test_associations_are_taken_away(wire: PortalOnWire) -> None:
    contact, first, second = people(wire)
    for company in (first, second):
        wire.portal.links.add("contacts", int(contact), "companies", int(company), [1])
    single = f"/crm/v4/objects/contacts/{contact}/associations/companies"
    gone = {"inputs": [{"from": {"id": contact}, "to": [{"id": first}]}]}
    assert wire("POST", f"{PATH}/batch/archive", json=gone).status_code == 204
    unlabelled = {"inputs": [pair(contact, second, 1)]}
    assert wire("POST", f"{PATH}/batch/labels/archive", json=unlabelled).status_code == 204
    (end,) = wire.get(single)["results"]
    assert [one["typeId"] for one in end["associationTypes"]] == [279]
    assert wire("DELETE", f"{single}/{second}").status_code == 204
    assert wire.get(single)["results"] == []
    assert wire.portal.links.of("companies", int(second), "contacts") == []


def test_an_association_can_be_put_by_itself(wire: PortalOnWire) -> None:
    contact, first, second = people(wire)
    single = f"/crm/v4/objects/contacts/{contact}/associations"
    put = wire("PUT", f"{single}/companies/{first}", json=[spec(1)])
    assert (put.status_code, put.json()["labels"]) == (201, ["Primary"])
    default = wire("PUT", f"{single}/default/companies/{second}")
    assert default.status_code == 200
    assert default.json()["results"][0]["associationSpec"] == spec(279)
    batch = {"inputs": [{"from": {"id": contact}, "to": {"id": second}}]}
    told = wire.post(f"{PATH}/batch/associate/default", batch)
    assert len(told["results"]) == 2
    assert wire("PUT", f"{single}/companies/12", json=[spec(1)]).is_error


def test_own_labels_can_be_made(wire: PortalOnWire) -> None:
    contact, first, _ = people(wire)
    labels = "/crm/associations/v4/contacts/companies/labels"
    body = {"label": "Decides", "name": "decides", "inverseLabel": "Is decided by"}
    made = wire.post(labels, body)["results"]
    (number,) = (one["typeId"] for one in made if one["label"] == "Decides")
    assert wire("POST", labels, json=body).status_code == 400
    own = spec(number, "USER_DEFINED")
    inputs = [{"from": {"id": contact}, "to": {"id": first}, "types": [own]}]
    wire.post(f"{PATH}/batch/create", {"inputs": inputs}, status=201)
    known = {one["typeId"] for one in wire.get(labels)["results"]}
    assert known == {1, 279, number}
    back = wire.get(f"/crm/v4/objects/companies/{first}/associations/contacts")["results"]
    assert {one.get("label") for one in back[0]["associationTypes"]} == {None, "Is decided by"}
    assert wire("DELETE", f"{labels}/{number}").status_code == 204
    assert wire("DELETE", f"{labels}/279").status_code == 404
    assert len(wire.get(labels)["results"]) == 2


@pytest.mark.parametrize(
    ("path", "inputs"),
    [
        ("batch/read", [{"id": str(n)} for n in range(1001)]),
        ("batch/create", [pair("1", "2", 1)] * 2001),
        ("batch/create", [{"from": {"id": "1"}, "to": "2", "types": []}]),
    ],
)
def test_a_batch_that_the_real_one_refuses(
    wire: PortalOnWire, path: str, inputs: list[Any]
) -> None:
    assert wire("POST", f"{PATH}/{path}", json={"inputs": inputs}).status_code == 400


def test_types_that_do_not_fit_are_told_item_by_item(wire: PortalOnWire) -> None:
    contact, first, second = people(wire)
    inputs = [pair(contact, first, 192), pair(contact, "12", 279), pair(contact, second, 279)]
    told = wire.post(f"{PATH}/batch/create", {"inputs": inputs}, status=207)
    assert (len(told["results"]), told["numErrors"]) == (1, 2)


def test_associations_can_be_told_later_than_their_record() -> None:
    settings = Settings(index_lag=timedelta(0), association_lag=timedelta(seconds=30))
    wire = PortalOnWire(settings)
    contact, first, _ = people(wire)
    wire.post(f"{PATH}/batch/create", {"inputs": [pair(contact, first, 279)]}, status=201)
    single = f"/crm/v4/objects/contacts/{contact}/associations/companies"
    assert wire.get(single)["results"] == []
    wire.clock.pass_time(timedelta(seconds=30))
    assert len(wire.get(single)["results"]) == 1
    wire.close()


def test_companies_have_parents(wire: PortalOnWire) -> None:
    parent, child = wire.make("companies", name="p"), wire.make("companies", name="c")
    put = wire(
        "PUT", f"/crm/v4/objects/companies/{child}/associations/companies/{parent}", json=[spec(14)]
    )
    assert put.json()["labels"] == ["Parent Company"]
    (end,) = wire.get(f"/crm/v4/objects/companies/{parent}/associations/companies")["results"]
    assert {one.get("label") for one in end["associationTypes"]} == {None, "Child Company"}
