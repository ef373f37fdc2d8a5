"""Every kind of answer is what the vendor's own library has a model for, key by key.

The library itself takes what it gets; here its models are taken at their word: no key that a
model does not know, none missing that it requires, and each value of the type that it names.
"""

from __future__ import annotations

import importlib
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import hubspot
import pytest
from portal_on_wire import PortalOnWire

from crmsync_hubspot.simulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = {
    "companies": "hubspot.crm.companies",
    "contacts": "hubspot.crm.contacts",
    "deals": "hubspot.crm.deals",
    "tickets": "hubspot.crm.tickets",
    "line_items": "hubspot.crm.line_items",
    "tasks": "hubspot.crm.objects.tasks",
    "emails": "hubspot.crm.objects.emails",
    "calls": "hubspot.crm.objects.calls",
    "meetings": "hubspot.crm.objects.meetings",
    "notes": "hubspot.crm.objects.notes",
}
LISTED = "CollectionResponseSimplePublicObjectWithAssociationsForwardPaging"
FOUND = "CollectionResponseWithTotalSimplePublicObjectForwardPaging"
_PLAIN: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "object": dict}


@pytest.fixture
def wire() -> Iterator[PortalOnWire]:
    settings = Settings(index_lag=timedelta(0), burst=10_000, searches=10_000)
    one = PortalOnWire(settings)
    yield one
    one.close()


def parsed(package: str, kind: str, value: Any) -> Any:
    """The vendor's model of a value."""
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        assert isinstance(value, list), (kind, value)
        return [parsed(package, inner[1], one) for one in value]
    if inner := re.fullmatch(r"dict[\[(]str, (.+)[\])]", kind):
        assert isinstance(value, dict), (kind, value)
        return {name: parsed(package, inner[1], one) for name, one in value.items()}
    if kind == "datetime":
        assert value.endswith("Z"), value
        return datetime.fromisoformat(value)
    if kind in _PLAIN:
        assert isinstance(value, _PLAIN[kind]), (kind, value)
        assert isinstance(value, bool) == (kind == "bool"), (kind, value)
        return value
    model = getattr(importlib.import_module(f"{package}.models"), kind)
    names = {told: ours for ours, told in model.attribute_map.items()}
    assert set(value) <= set(names), (kind, set(value) - set(names))
    told = {
        names[name]: parsed(package, model.openapi_types[names[name]], one)
        for name, one in value.items()
    }
    return model(**told)  # refuses where something is missing or no option


def required(name: str) -> dict[str, str]:
    if name == "tickets":
        return {"hs_pipeline_stage": "1"}
    if name == "contacts":
        return {"firstname": "Ada"}
    return {"hs_timestamp": "0"} if "objects" in RECORDS[name] else {}


@pytest.mark.parametrize("name", RECORDS)
def test_records_are_of_the_vendors_models(wire: PortalOnWire, name: str) -> None:
    package, path = RECORDS[name], f"/crm/v3/objects/{name}"
    company = wire.make("companies", name="x")
    number = wire.portal.links.plain(name, "companies")
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}]
    links = [{"to": {"id": company}, "types": types}] if number is not None else []
    body = {"properties": required(name), "associations": links}
    made = parsed(package, "SimplePublicObject", wire.post(path, body, status=201))
    inputs = [body | {"objectWriteTraceId": "t"}, body | {"objectWriteTraceId": "u"}]
    told = wire.post(f"{path}/batch/create", {"inputs": inputs}, status=201)
    parsed(package, "BatchResponseSimplePublicObject", told)
    wrong = {"properties": {"nonsense": "x"}, "associations": [], "objectWriteTraceId": "v"}
    told = wire.post(f"{path}/batch/create", {"inputs": [*inputs, wrong]}, status=207)
    parsed(package, "BatchResponseSimplePublicObjectWithErrors", told)
    read = {
        "inputs": [{"id": made.id}, {"id": "1"}],
        "properties": [],
        "propertiesWithHistory": ["hs_object_id"],
    }
    told = wire.post(f"{path}/batch/read", read, status=207)
    parsed(package, "BatchResponseSimplePublicObjectWithErrors", told)
    told = wire.post(f"{path}/batch/read", read | {"inputs": [{"id": made.id}]})
    parsed(package, "BatchResponseSimplePublicObject", told)
    parsed(package, FOUND, wire.post(f"{path}/search", {"limit": 1}))
    page = wire.get(path, limit=1, associations="companies")
    model = parsed(package, LISTED, page)
    assert model.paging.next.after == page["paging"]["next"]["after"]
    wire("DELETE", f"{path}/{made.id}")
    archived = parsed(package, LISTED, wire.get(path, archived="true"))
    assert archived.results[0].archived_at is not None


def test_upserts_and_merges_are_of_the_vendors_models(wire: PortalOnWire) -> None:
    package, path = "hubspot.crm.contacts", "/crm/v3/objects/contacts"
    inputs = [{"id": "a@b.example", "idProperty": "email", "properties": {"city": "Bern"}}]
    told = wire.post(f"{path}/batch/upsert", {"inputs": inputs})
    parsed(package, "BatchResponseSimplePublicUpsertObject", told)
    other = wire.make("contacts", email="b@b.example")
    body = {"primaryObjectId": told["results"][0]["id"], "objectIdToMerge": other}
    parsed(package, "SimplePublicObject", wire.post(f"{path}/merge", body))
    found = wire.get(f"{path}/{other}", propertiesWithHistory="city")
    parsed(package, "SimplePublicObjectWithAssociations", found)


def test_associations_are_of_the_vendors_models(wire: PortalOnWire) -> None:
    package, path = "hubspot.crm.associations.v4", "/crm/v4/associations/contacts/companies/batch"
    contact, company = wire.make("contacts", firstname="A"), wire.make("companies", name="x")
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}]
    ends = {"from": {"id": contact}, "to": {"id": company}}
    told = wire.post(f"{path}/create", {"inputs": [ends | {"types": types}]}, status=201)
    parsed(package, "BatchResponseLabelsBetweenObjectPair", told)
    told = wire.post(f"{path}/associate/default", {"inputs": [ends]})
    parsed(package, "BatchResponsePublicDefaultAssociation", told)
    told = wire.post(f"{path}/read", {"inputs": [{"id": contact}]})
    parsed(package, "BatchResponsePublicAssociationMultiWithLabel", told)
    told = wire.post(f"{path}/read", {"inputs": [{"id": contact}, {"id": "1"}]}, status=207)
    parsed(package, "BatchResponsePublicAssociationMultiWithLabelWithErrors", told)
    told = wire.get(f"/crm/v4/objects/contacts/{contact}/associations/companies")
    parsed(package, "CollectionResponseMultiAssociatedObjectWithLabelForwardPaging", told)
    labels = wire.get("/crm/associations/v4/contacts/companies/labels")
    schema = "hubspot.crm.associations.v4.schema"
    parsed(schema, "CollectionResponseAssociationSpecWithLabelNoPaging", labels)


def test_what_describes_records_is_of_the_vendors_models(wire: PortalOnWire) -> None:
    for name in RECORDS:
        told = wire.get(f"/crm/v3/properties/{name}")
        for one in told["results"]:
            one.pop("dataSensitivity")  # newer than the library
        parsed("hubspot.crm.properties", "CollectionResponsePropertyNoPaging", told)
    groups = wire.get("/crm/v3/properties/companies/groups")
    parsed("hubspot.crm.properties", "CollectionResponsePropertyGroupNoPaging", groups)
    pipelines = wire.get("/crm/v3/pipelines/tickets")
    parsed("hubspot.crm.pipelines", "CollectionResponsePipelineNoPaging", pipelines)
    wire.portal.add_owner("a@b.example", "A", "B")
    owners = wire.get("/crm/v3/owners")
    parsed("hubspot.crm.owners", "CollectionResponsePublicOwnerForwardPaging", owners)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/crm/v3/objects/companies/1", 404),
        ("GET", "/crm/v3/objects/companies?limit=1000", 400),
        ("POST", "/crm/v3/objects/companies/search", 415),
        ("PUT", "/crm/v3/objects/companies", 405),
        ("GET", "/crm/v3/owners/1", 404),
    ],
)
def test_errors_are_of_the_vendors_models(
    wire: PortalOnWire, method: str, path: str, status: int
) -> None:
    answer = wire(method, path)
    assert answer.status_code == status
    body = answer.json()
    assert body.pop("status") == "error"  # of each error, though no model has it
    parsed("hubspot.crm.companies", "Error", body)


def test_the_vendors_library_reads_and_writes(wire: PortalOnWire) -> None:
    library = hubspot.HubSpot(access_token=wire.settings.token, host=wire.server.address)
    companies = library.crm.companies
    made = companies.basic_api.create({"properties": {"name": "x"}, "associations": []})
    listed = companies.basic_api.get_page(limit=1, properties=["name", "domain"], archived=False)
    assert [one.id for one in listed.results] == [made.id]
    found = companies.search_api.do_search({"filterGroups": [], "limit": 1})
    assert (found.total, found.results[0].properties["name"]) == (1, "x")
    batch = {"inputs": [{"id": made.id}], "properties": ["name"], "propertiesWithHistory": []}
    assert companies.batch_api.read(batch).results[0].created_at.tzinfo is not None
    with pytest.raises(hubspot.crm.companies.exceptions.ApiException) as caught:
        companies.basic_api.get_by_id("1")
    assert caught.value.status == 404
    wire.portal.add_owner("a@b.example", "A", "B")
    assert library.crm.owners.owners_api.get_page().results[0].email == "a@b.example"
