"""What the simulated portal refuses to write, and what becomes of a batch."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from portal_on_wire import PortalOnWire

from crmsync_hubspot.simulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS = "/crm/v3/objects"


@pytest.fixture
def wire() -> Iterator[PortalOnWire]:
    custom = (
        "companies crmsync_key string unique",
        "companies tiers enumeration multiple : a b c",
        "companies renewal date",
        "companies key_account bool",
        "tasks crmsync_key string unique",
    )
    one = PortalOnWire(Settings(index_lag=timedelta(0), burst=10_000), custom)
    yield one
    one.close()


def made_of(properties: dict[str, Any], *links: tuple[str, int]) -> dict[str, Any]:
    """The body that makes a record, associated with others."""
    return {"properties": properties, "associations": [linked(*link) for link in links]}


def linked(to: str, number: int) -> dict[str, Any]:
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}]
    return {"to": {"id": to}, "types": types}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"nonsense": "x"}, "PROPERTY_DOESNT_EXIST"),
        ({"hs_object_id": "1"}, "READ_ONLY_VALUE"),
        ({"createdate": "2026-01-01"}, "READ_ONLY_VALUE"),
        ({"type": "vendor"}, "INVALID_OPTION"),
        ({"tiers": "a;d"}, "INVALID_OPTION"),
        ({"annualrevenue": "12,5"}, "INVALID_NUMBER"),
        ({"renewal": "soon"}, "INVALID_DATE"),
        ({"renewal": "1772442000000"}, "INVALID_DATE"),  # not midnight
        ({"key_account": "yes"}, "INVALID_BOOLEAN"),
        ({"hubspot_owner_id": "12"}, "INVALID_OWNER_ID"),
        ({"name": "x" * 65_537}, "VALUE_TOO_LONG"),
    ],
)
def test_a_value_that_the_real_one_refuses(
    wire: PortalOnWire, values: dict[str, str], code: str
) -> None:
    answer = wire("POST", f"{OBJECTS}/companies", json=made_of(values))
    body = answer.json()
    assert (answer.status_code, body["category"]) == (400, "VALIDATION_ERROR")
    assert [error["code"] for error in body["errors"]] == [code]
    told = json.loads(body["message"].removeprefix("Property values were not valid: "))
    assert [one["error"] for one in told] == [code]
    assert wire.get(f"{OBJECTS}/companies")["results"] == []


def test_values_are_kept_as_the_portal_writes_them(wire: PortalOnWire) -> None:
    owner = str(wire.portal.add_owner("o@x.example", "O", "X"))
    values = {
        "renewal": "1772409600000",
        "key_account": "TRUE",
        "tiers": "a;c",
        "annualrevenue": "1e6",
        "hubspot_owner_id": owner,
    }
    told = wire.post(f"{OBJECTS}/companies", made_of(values), status=201)["properties"]
    assert told["renewal"] == "2026-03-02"
    assert told["key_account"] == "true"
    assert told["tiers"] == "a;c"
    task = made_of({"hs_timestamp": "1772442000123"})
    told = wire.post(f"{OBJECTS}/tasks", task, status=201)["properties"]
    assert told["hs_timestamp"] == "2026-03-02T09:00:00.123Z"
    assert told["hs_task_status"] == "NOT_STARTED"


def test_an_empty_value_takes_the_value_away(wire: PortalOnWire) -> None:
    one = wire.make("companies", name="x", city="Bern")
    body = {"properties": {"city": ""}}
    told = wire("PATCH", f"{OBJECTS}/companies/{one}", json=body).json()
    assert "city" not in told["properties"]


def test_an_unchanged_value_is_no_change(wire: PortalOnWire) -> None:
    one = wire.make("companies", name="x")
    wire.clock.pass_time(timedelta(minutes=1))
    path = f"{OBJECTS}/companies/{one}"
    same = wire("PATCH", path, json={"properties": {"name": "x"}}).json()
    assert same["updatedAt"] == "2026-03-02T09:00:00Z"
    other = wire("PATCH", path, json={"properties": {"name": "y"}}).json()
    assert other["updatedAt"] == "2026-03-02T09:01:00Z"


@pytest.mark.parametrize(
    ("name", "values", "missing"),
    [
        ("tasks", {"hs_task_subject": "x"}, ["hs_timestamp"]),
        ("emails", {}, ["hs_timestamp"]),
        ("tickets", {"subject": "x"}, ["hs_pipeline_stage"]),
    ],
)
def test_a_record_needs_its_required_properties(
    wire: PortalOnWire, name: str, values: dict[str, str], missing: list[str]
) -> None:
    answer = wire("POST", f"{OBJECTS}/{name}", json=made_of(values))
    assert answer.status_code == 400
    assert answer.json()["context"] == {"properties": missing}


def test_stages_belong_to_their_pipeline(wire: PortalOnWire) -> None:
    deal = made_of({"dealname": "x", "pipeline": "default", "dealstage": "closedwon"})
    told = wire.post(f"{OBJECTS}/deals", deal, status=201)
    query = {"properties": "hs_is_closed,hs_is_closed_won"}
    deal_told = wire.get(f"{OBJECTS}/deals/{told['id']}", **query)["properties"]
    assert (deal_told["hs_is_closed"], deal_told["hs_is_closed_won"]) == ("true", "true")
    for values in ({"dealstage": "4"}, {"pipeline": "nonsense"}):
        answer = wire("POST", f"{OBJECTS}/deals", json=made_of(values))
        assert answer.json()["errors"][0]["code"] == "INVALID_OPTION"


def test_the_headers_of_a_logged_mail_fill_its_addresses(wire: PortalOnWire) -> None:
    headers = {
        "from": {"email": "a@x.example", "firstName": "Ada"},
        "to": [{"email": "b@x.example"}, {"email": "c@x.example"}],
    }
    values = {"hs_timestamp": "1772442000000", "hs_email_headers": json.dumps(headers)}
    told = wire.post(f"{OBJECTS}/emails", made_of(values), status=201)["properties"]
    assert told["hs_email_from_email"] == "a@x.example"
    assert told["hs_email_to_email"] == "b@x.example;c@x.example"
    direct = made_of({"hs_timestamp": "0", "hs_email_from_email": "a@x.example"})
    assert wire("POST", f"{OBJECTS}/emails", json=direct).status_code == 400


def test_a_contact_is_there_once_for_an_address(wire: PortalOnWire) -> None:
    one = wire.make("contacts", email="a@b.example")
    answer = wire("POST", f"{OBJECTS}/contacts", json=made_of({"email": "A@B.example"}))
    assert (answer.status_code, answer.json()["category"]) == (409, "CONFLICT")
    assert answer.json()["message"] == f"Contact already exists. Existing ID: {one}"
    wire("DELETE", f"{OBJECTS}/contacts/{one}")
    wire.post(f"{OBJECTS}/contacts", made_of({"email": "A@B.example"}), status=201)
    bad = wire("POST", f"{OBJECTS}/contacts", json=made_of({"email": "nobody"}))
    assert bad.json()["errors"][0]["code"] == "INVALID_EMAIL"


def test_a_unique_value_is_there_once(wire: PortalOnWire) -> None:
    one = wire.make("companies", crmsync_key="k")
    answer = wire("POST", f"{OBJECTS}/companies", json=made_of({"crmsync_key": "k"}))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "CONFLICTING_UNIQUE_VALUE"
    assert one in answer.json()["message"]


def test_a_batch_of_new_records_is_made_as_a_whole_or_not(wire: PortalOnWire) -> None:
    path = f"{OBJECTS}/contacts/batch/create"
    inputs = [made_of({"email": told}) for told in ("a@b.example", "b@b.example", "a@b.example")]
    answer = wire("POST", path, json={"inputs": inputs})
    assert answer.status_code == 409
    assert wire.get(f"{OBJECTS}/contacts")["results"] == []
    made = wire.post(path, {"inputs": inputs[:2]}, status=201)
    assert [one["properties"]["email"] for one in made["results"]] == ["a@b.example", "b@b.example"]


def test_with_traces_each_input_stands_for_itself(wire: PortalOnWire) -> None:
    path = f"{OBJECTS}/contacts/batch/create"
    addresses = ("a@b.example", "nobody", "b@b.example")
    inputs = [
        made_of({"email": told}) | {"objectWriteTraceId": f"t{place}"}
        for place, told in enumerate(addresses)
    ]
    told = wire.post(path, {"inputs": inputs}, status=207)
    assert [one["objectWriteTraceId"] for one in told["results"]] == ["t0", "t2"]
    (error,) = told["errors"]
    assert error["context"] == {"objectWriteTraceId": ["t1"]}
    assert (error["status"], error["category"]) == ("error", "VALIDATION_ERROR")
    twice = wire("POST", path, json={"inputs": [inputs[0], inputs[0]]})
    assert twice.status_code == 400


def test_a_batch_of_changes_tells_what_is_missing(wire: PortalOnWire) -> None:
    one, other = wire.make("companies", name="x"), wire.make("companies", name="y")
    wire.clock.pass_time(timedelta(minutes=1))
    path = f"{OBJECTS}/companies/batch/update"
    inputs = [{"id": i, "properties": {"name": "new"}} for i in (one, "12")]
    told = wire.post(path, {"inputs": inputs}, status=207)
    assert [done["id"] for done in told["results"]] == [one]
    assert told["errors"][0]["context"] == {"ids": ["12"]}
    bad = [
        {"id": other, "properties": {"name": "newer"}},
        {"id": one, "properties": {"type": "x"}},
    ]
    assert wire("POST", path, json={"inputs": bad}).status_code == 400
    kept = wire.get(f"{OBJECTS}/companies/{other}", propertiesWithHistory="name")
    assert kept["properties"]["name"] == "y"
    assert [version["value"] for version in kept["propertiesWithHistory"]["name"]] == ["y"]
    twice = wire("POST", path, json={"inputs": [inputs[0], inputs[0]]})
    assert "Duplicate IDs found in batch input" in twice.json()["message"]


def test_an_upsert_makes_or_changes_by_a_unique_property(wire: PortalOnWire) -> None:
    path = f"{OBJECTS}/companies/batch/upsert"
    one = {"id": "k1", "idProperty": "crmsync_key", "properties": {"name": "x"}}
    first = wire.post(path, {"inputs": [one]})["results"][0]
    assert (first["new"], first["properties"]["crmsync_key"]) == (True, "k1")
    second = wire.post(path, {"inputs": [one | {"properties": {"name": "y"}}]})["results"][0]
    assert (second["new"], second["id"]) == (False, first["id"])
    assert second["properties"]["name"] == "y"
    for wrong in ({"idProperty": "name"}, {"idProperty": ""}):
        assert wire("POST", path, json={"inputs": [one | wrong]}).status_code == 400


def test_associations_are_made_in_the_same_call_or_nothing_is(wire: PortalOnWire) -> None:
    company, contact = wire.make("companies", name="x"), wire.make("contacts", email="a@b.example")
    task = {"hs_timestamp": "1772442000000", "hs_task_subject": "Call"}
    body = made_of(task, (company, 192), (contact, 204))
    made = wire.post(f"{OBJECTS}/tasks", body, status=201)["id"]
    told = wire.get(f"{OBJECTS}/tasks/{made}", associations="companies,contacts")["associations"]
    assert told == {
        "companies": {"results": [{"id": company, "type": "task_to_company"}]},
        "contacts": {"results": [{"id": contact, "type": "task_to_contact"}]},
    }
    wrong: list[tuple[str, int]] = [(company, 191), (company, 204), ("12", 192), (company, 9999)]
    for link in wrong:
        answer = wire("POST", f"{OBJECTS}/tasks", json=made_of(task, link))
        assert answer.status_code == 400, link
    none = {"properties": task, "associations": [{"to": {"id": company}, "types": []}]}
    assert wire("POST", f"{OBJECTS}/tasks", json=none).status_code == 400
    assert len(wire.get(f"{OBJECTS}/tasks")["results"]) == 1


def test_an_archived_batch_is_gone_without_a_word(wire: PortalOnWire) -> None:
    one = wire.make("companies", name="x")
    inputs = {"inputs": [{"id": one}, {"id": "12"}]}
    answer = wire("POST", f"{OBJECTS}/companies/batch/archive", json=inputs)
    assert (answer.status_code, answer.content) == (204, b"")
    assert wire.get(f"{OBJECTS}/companies")["results"] == []


def test_a_forgotten_contact_is_not_even_archived(wire: PortalOnWire) -> None:
    wire.make("contacts", email="a@b.example")
    body = {"objectId": "a@b.example", "idProperty": "email"}
    assert wire("POST", f"{OBJECTS}/contacts/gdpr-delete", json=body).status_code == 204
    for archived in ("true", "false"):
        assert wire.get(f"{OBJECTS}/contacts", archived=archived)["results"] == []


LINKS = "/crm/v4/associations/companies/contacts/batch"
ODD: list[Any] = [None, 3, True, [], [None], [[None]], {}, {"x": [1]}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{OBJECTS}/companies", lambda odd: {"properties": odd}),
        (f"{OBJECTS}/companies", lambda odd: {"properties": {}, "associations": odd}),
        (f"{OBJECTS}/companies/search", lambda odd: odd),
        *(
            (f"{OBJECTS}/companies/search", lambda odd, name=name: {name: odd})
            for name in ("after", "limit", "sorts", "query", "properties", "filterGroups")
        ),
        *(
            (
                f"{OBJECTS}/companies/search",
                lambda odd, name=name: {
                    "filterGroups": [
                        {"filters": [{"propertyName": "name", "operator": "EQ", name: odd}]}
                    ]
                },
            )
            for name in ("propertyName", "operator", "value", "values", "highValue")
        ),
        (f"{OBJECTS}/companies/search", lambda odd: {"sorts": [odd]}),
        (
            f"{OBJECTS}/companies/search",
            lambda odd: {"sorts": [{"propertyName": "name", "direction": odd}]},
        ),
        *(
            (f"{OBJECTS}/companies/batch/{verb}", lambda odd: {"inputs": odd})
            for verb in ("create", "read", "update", "upsert", "archive")
        ),
        *(
            (
                f"{OBJECTS}/companies/batch/{verb}",
                lambda odd, name=name: {
                    "inputs": [{"id": "1", "properties": {}, "idProperty": "", name: odd}]
                },
            )
            for verb in ("create", "update", "upsert")
            for name in ("id", "idProperty", "properties", "objectWriteTraceId", "associations")
        ),
        (f"{OBJECTS}/companies/batch/read", lambda odd: {"inputs": [], "idProperty": odd}),
        (f"{OBJECTS}/companies/merge", lambda odd: {"primaryObjectId": odd}),
        *(
            (f"{LINKS}/{verb}", lambda odd, name=name: {"inputs": [_ends() | {name: odd}]})
            for verb in ("create", "archive", "labels/archive", "associate/default")
            for name in ("from", "to", "types")
        ),
        *(
            (f"{LINKS}/{verb}", lambda odd: {"inputs": [_ends() | {"types": [odd]}]})
            for verb in ("create", "labels/archive")
        ),
        (f"{LINKS}/create", lambda odd: {"inputs": [_ends() | {"types": [_type(odd)]}]}),
        (f"{LINKS}/labels/archive", lambda odd: {"inputs": [_ends() | {"types": [_type(odd)]}]}),
        (f"{LINKS}/archive", lambda odd: {"inputs": [_ends() | {"to": [odd]}]}),
        (f"{LINKS}/read", lambda odd: {"inputs": [{"id": "1", "after": odd}]}),
        ("/crm/v3/properties/companies", lambda odd: {"name": odd}),
        ("/crm-object-schemas/v3/schemas", lambda odd: {"name": "x", "labels": odd}),
    ],
)
def test_a_body_of_an_odd_shape_is_the_callers_mistake(
    wire: PortalOnWire, path: str, body: Any
) -> None:
    wire.settings.searches = 10_000
    for odd in ODD:
        assert wire("POST", path, json=body(odd)).status_code < 500
    # that the simulator has made none of its own, the fixture asserts at the end


NO_LISTS: tuple[Any, ...] = ({}, "", 0, [3])
NO_TEXTS: tuple[Any, ...] = ({}, [], 0, False)
NO_TYPES: tuple[dict[str, Any], ...] = (
    {},
    {"types": None},
    {"types": [{}]},
    {"types": [{"associationTypeId": 1}]},
    {"types": [{"associationCategory": "NONE", "associationTypeId": 1}]},
    {"types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": "1"}]},
    {"types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": True}]},
)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *((f"{OBJECTS}/companies/search", {name: {}}) for name in ("filterGroups", "sorts")),
        *((f"{OBJECTS}/companies/search", {"properties": odd}) for odd in NO_LISTS),
        *((f"{OBJECTS}/companies/search", {"query": odd}) for odd in NO_TEXTS),
        *(
            (f"{LINKS}/{verb}", {"inputs": [{"from": {"id": "1"}, "to": {"id": "2"}} | odd]})
            for verb in ("create", "labels/archive")
            for odd in NO_TYPES
        ),
        (f"{LINKS}/archive", {"inputs": [{"from": {"id": "1"}}]}),
        (f"{LINKS}/archive", {"inputs": [{"from": {"id": "1"}, "to": {}}]}),
    ],
)
def test_values_of_a_wrong_type_are_refused_also_where_they_are_empty(
    wire: PortalOnWire, path: str, body: Any
) -> None:
    assert wire("POST", path, json=body).status_code == 400


def _ends() -> dict[str, Any]:
    return {"from": {"id": "1"}, "to": {"id": "2"}, "types": []}


def _type(number: Any) -> dict[str, Any]:
    return {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}


def test_who_is_unsubscribed_is_told_as_documented(wire: PortalOnWire) -> None:
    wire.make("contacts", email="ann@a.example")
    path = "/communication-preferences/v4/statuses/ann@a.example/unsubscribe-all"
    told = wire.post(f"{path}?channel=EMAIL", {})
    (status,) = told["results"]
    assert set(told) == {"status", "startedAt", "completedAt", "results"}
    assert set(status) == {
        "channel", "source", "status", "subscriberIdString", "subscriptionId", "timestamp"
    }  # fmt: skip
    assert isinstance(status["subscriptionId"], int)
