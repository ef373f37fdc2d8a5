"""Properties, groups and custom objects of the simulated portal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from portal_on_wire import PortalOnWire

from crmsync_hubspot.simulator.definitions import own_property

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/crm/v3/properties"


@pytest.fixture
def wire() -> Iterator[PortalOnWire]:
    one = PortalOnWire()
    yield one
    one.close()


def definition(name: str = "crmsync_key", **more: Any) -> dict[str, Any]:
    told = {
        "name": name,
        "label": "crmsync key",
        "type": "string",
        "fieldType": "text",
        "groupName": "companyinformation",
    }
    return told | more


def test_properties_are_described(wire: PortalOnWire) -> None:
    told = {one["name"]: one for one in wire.get(f"{PATH}/tasks")["results"]}
    assert told["hs_timestamp"]["type"] == "datetime"
    options = [one["value"] for one in told["hs_task_priority"]["options"]]
    assert options == ["NONE", "LOW", "MEDIUM", "HIGH"]
    assert told["hs_object_id"]["modificationMetadata"]["readOnlyValue"] is True
    assert wire.get(f"{PATH}/0-27/hs_timestamp") == told["hs_timestamp"]
    missing = wire("GET", f"{PATH}/tasks/nonsense")
    assert (missing.status_code, missing.json()["category"]) == (404, "OBJECT_NOT_FOUND")


def test_a_property_is_made_and_then_used(wire: PortalOnWire) -> None:
    made = wire.post(f"{PATH}/companies", definition(hasUniqueValue=True), status=201)
    assert (made["hasUniqueValue"], made["createdAt"]) == (True, "2026-03-02T09:00:00Z")
    inputs = [{"id": "k", "idProperty": "crmsync_key", "properties": {"name": "x"}}]
    told = wire.post("/crm/v3/objects/companies/batch/upsert", {"inputs": inputs})
    one = told["results"][0]["id"]
    found = wire.get("/crm/v3/objects/companies/k", idProperty="crmsync_key")
    assert found["id"] == one
    assert wire("DELETE", f"{PATH}/companies/crmsync_key").status_code == 204
    assert wire("GET", f"{PATH}/companies/crmsync_key").status_code == 404
    assert wire.get(f"{PATH}/companies/crmsync_key", archived="true")["archived"] is True
    refused = wire(
        "PATCH", f"/crm/v3/objects/companies/{one}", json={"properties": {"crmsync_key": "x"}}
    )
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("companies", definition("Crmsync"), 400),
        ("companies", definition("9lives"), 400),
        ("companies", definition("name"), 409),
        ("companies", definition(type="text"), 400),
        ("companies", definition(fieldType="date"), 400),
        ("companies", definition(groupName="nonsense"), 400),
        ("companies", definition(label=""), 400),
        (
            "companies",
            definition(hasUniqueValue=True, type="bool", fieldType="booleancheckbox"),
            400,
        ),
        ("tasks", definition(groupName="taskinformation", hasUniqueValue=True), 400),
    ],
)
def test_a_property_that_the_real_one_refuses(
    wire: PortalOnWire, name: str, body: dict[str, Any], status: int
) -> None:
    assert wire("POST", f"{PATH}/{name}", json=body).status_code == status


def test_where_the_account_allows_it_tasks_have_unique_properties_too(wire: PortalOnWire) -> None:
    wire.settings.unique_on |= {"tasks"}
    body = definition(groupName="taskinformation", hasUniqueValue=True)
    wire.post(f"{PATH}/tasks", body, status=201)


def test_ten_unique_properties_are_enough(wire: PortalOnWire) -> None:
    for number in range(10):
        wire.post(f"{PATH}/companies", definition(f"key_{number}", hasUniqueValue=True), status=201)
    more = wire("POST", f"{PATH}/companies", json=definition("key_10", hasUniqueValue=True))
    assert more.status_code == 400


def test_properties_are_handled_in_batches(wire: PortalOnWire) -> None:
    inputs = [definition("one"), definition("name"), definition("two")]
    told = wire.post(f"{PATH}/companies/batch/create", {"inputs": inputs}, status=207)
    assert [one["name"] for one in told["results"]] == ["one", "two"]
    assert told["errors"][0]["category"] == "OBJECT_ALREADY_EXISTS"
    read = {"inputs": [{"name": "one"}], "archived": False, "dataSensitivity": "non_sensitive"}
    assert wire.post(f"{PATH}/companies/batch/read", read)["results"][0]["name"] == "one"
    gone = wire("POST", f"{PATH}/companies/batch/archive", json={"inputs": [{"name": "one"}]})
    assert gone.status_code == 204


def test_a_property_is_changed_but_not_the_vendors(wire: PortalOnWire) -> None:
    wire.post(f"{PATH}/companies", definition(), status=201)
    wire.clock.pass_time(timedelta(hours=1))
    changed = wire("PATCH", f"{PATH}/companies/crmsync_key", json={"label": "New"}).json()
    assert (changed["label"], changed["updatedAt"]) == ("New", "2026-03-02T10:00:00Z")
    assert wire("PATCH", f"{PATH}/companies/name", json={"label": "New"}).status_code == 400
    assert wire("DELETE", f"{PATH}/companies/name").status_code == 400


def test_groups_are_made(wire: PortalOnWire) -> None:
    group = {"name": "crmsync", "label": "crmsync"}
    wire.post(f"{PATH}/companies/groups", group, status=201)
    assert wire("POST", f"{PATH}/companies/groups", json=group).status_code == 409
    names = {one["name"] for one in wire.get(f"{PATH}/companies/groups")["results"]}
    assert names == {"companyinformation", "crmsync"}
    wire.post(f"{PATH}/companies", definition(groupName="crmsync"), status=201)
    assert wire.get(f"{PATH}/companies/groups/crmsync")["label"] == "crmsync"


def test_a_line_that_is_no_property() -> None:
    for line in ("tier colour", "tier string shiny"):
        with pytest.raises(ValueError, match="is no property"):
            own_property(line, "companyinformation")


SCHEMA = {
    "name": "machine",
    "labels": {"singular": "Machine", "plural": "Machines"},
    "primaryDisplayProperty": "serial",
    "requiredProperties": ["serial"],
    "searchableProperties": ["serial"],
    "properties": [
        {
            "name": "serial",
            "label": "Serial",
            "type": "string",
            "fieldType": "text",
            "hasUniqueValue": True,
        },
        {
            "name": "state",
            "label": "State",
            "type": "enumeration",
            "fieldType": "select",
            "options": [{"label": "On", "value": "on", "displayOrder": 0, "hidden": False}],
        },
    ],
    "associatedObjects": ["COMPANY"],
}


def test_custom_objects_are_objects(wire: PortalOnWire) -> None:
    made = wire.post("/crm-object-schemas/v3/schemas", SCHEMA, status=201)
    company = wire.make("companies", name="x")
    (link,) = (one for one in made["associations"] if one["toObjectTypeId"] == "0-2")
    types = [{"associationCategory": "USER_DEFINED", "associationTypeId": int(link["id"])}]
    body = {
        "properties": {"serial": "A1", "state": "on"},
        "associations": [{"to": {"id": company}, "types": types}],
    }
    names = (made["objectTypeId"], made["fullyQualifiedName"], "p_machine")
    one = wire.post(f"/crm/v3/objects/{names[0]}", body, status=201)["id"]
    for name in names:
        assert wire.get(f"/crm/v3/objects/{name}/A1", idProperty="serial")["id"] == one
        assert wire.get(f"/crm-object-schemas/v3/schemas/{name}")["id"] == made["id"]
    assert wire.http.get("/crm/v3/objects/machine").status_code == 400, "HubSpot knows no bare name"
    told = wire.post(
        f"/crm/v4/associations/{names[0]}/companies/batch/read", {"inputs": [{"id": one}]}
    )
    assert [end["toObjectId"] for end in told["results"][0]["to"]] == [company]
    found = wire.post(f"/crm/v3/objects/{names[1]}/search", {"query": "a1"})
    assert found["total"] == 1
    assert wire("POST", f"/crm/v3/objects/{names[0]}", json={"properties": {}}).status_code == 400
    again = wire("POST", "/crm-object-schemas/v3/schemas", json=SCHEMA)
    assert again.status_code == 409
    listed = wire.get("/crm-object-schemas/v3/schemas")["results"]
    assert [schema["name"] for schema in listed] == ["machine"]
    assert wire("DELETE", f"/crm-object-schemas/v3/schemas/{names[0]}").status_code == 400
    wire("DELETE", f"/crm/v3/objects/{names[0]}/{one}")
    assert wire("DELETE", f"/crm-object-schemas/v3/schemas/{names[0]}").status_code == 204
    assert wire("GET", f"/crm/v3/objects/{names[0]}").status_code == 400
    assert wire("GET", "/crm-object-schemas/v3/schemas/companies").status_code == 404
