"""The simulated portal answers as the documentation has it, and refuses what it refuses."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from portal_on_wire import PortalOnWire

from crmsync_hubspot.simulator.settings import ALL_SCOPES, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS = "/crm/v3/objects"


@pytest.fixture
def wire() -> Iterator[PortalOnWire]:
    one = PortalOnWire()
    yield one
    one.close()


def made_of(properties: dict[str, str], *links: tuple[str, int]) -> dict[str, Any]:
    """The body that makes a record, associated with others."""
    return {
        "properties": properties,
        "associations": [
            {
                "to": {"id": to},
                "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}],
            }
            for to, number in links
        ],
    }


def test_a_listing_goes_on_after_its_token(wire: PortalOnWire) -> None:
    made = [wire.make("companies", name=f"C{n}") for n in range(5)]
    first = wire.get(f"{OBJECTS}/companies", limit=3, properties="name")
    following = first["paging"]["next"]["after"]
    assert isinstance(following, str)
    last = wire.get(f"{OBJECTS}/companies", limit=3, properties="name", after=following)
    assert "paging" not in last
    assert [one["id"] for one in first["results"] + last["results"]] == made
    assert first["results"][0]["properties"]["name"] == "C0"


def test_a_listing_tells_the_archived_apart(wire: PortalOnWire) -> None:
    kept, gone = wire.make("companies", name="kept"), wire.make("companies", name="gone")
    assert wire("DELETE", f"{OBJECTS}/companies/{gone}").status_code == 204
    assert wire("DELETE", f"{OBJECTS}/companies/{gone}").status_code == 204
    live = wire.get(f"{OBJECTS}/companies")["results"]
    archived = wire.get(f"{OBJECTS}/companies", archived="true")["results"]
    assert [one["id"] for one in live] == [kept]
    assert [(one["id"], one["archived"], one["archivedAt"]) for one in archived] == [
        (gone, True, "2026-03-02T09:00:00Z")
    ]
    assert wire("GET", f"{OBJECTS}/companies/{gone}").status_code == 404
    assert wire.get(f"{OBJECTS}/companies/{gone}", archived="true")["id"] == gone
    wire.clock.pass_time(timedelta(days=91))
    assert wire.get(f"{OBJECTS}/companies", archived="true")["results"] == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": 101}, "less than or equal to 100"),
        ({"limit": 0}, "Invalid integer"),
        ({"limit": 51, "propertiesWithHistory": "name"}, "less than or equal to 50"),
        ({"after": "page2"}, "Invalid after"),
        ({"archived": "perhaps"}, "true or false"),
    ],
)
def test_a_listing_that_the_real_one_refuses(
    wire: PortalOnWire, query: dict[str, Any], words: str
) -> None:
    answer = wire("GET", f"{OBJECTS}/companies", params=query)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    assert words in answer.json()["message"]


def test_a_listing_whose_address_is_too_long_is_refused(wire: PortalOnWire) -> None:
    names = ",".join(f"property_{n:04d}" for n in range(1200))
    assert wire("GET", f"{OBJECTS}/companies", params={"properties": names}).status_code == 414


def test_properties_are_told_that_are_asked_for_and_have_a_value(wire: PortalOnWire) -> None:
    wire.make("contacts", email="a@b.example", firstname="Ada")
    path = f"{OBJECTS}/contacts"
    basics = {"createdate", "lastmodifieddate", "hs_object_id"}
    default = wire.get(path)["results"][0]
    assert set(default["properties"]) == {"email", "firstname", *basics}
    asked = wire.get(path, properties=["phone", "email", "nonsense"])["results"][0]
    assert set(asked["properties"]) == {"email", *basics}
    wire.settings.null_values = True
    asked = wire.get(path, properties="phone,email,nonsense")["results"][0]
    assert asked["properties"]["phone"] is None
    assert "nonsense" not in asked["properties"]


def test_instants_have_a_fraction_where_they_have_one(wire: PortalOnWire) -> None:
    first = wire.make("companies", name="a")
    wire.clock.pass_time(timedelta(milliseconds=70))
    second = wire.make("companies", name="b")
    told = {one["id"]: one["updatedAt"] for one in wire.get(f"{OBJECTS}/companies")["results"]}
    assert told == {first: "2026-03-02T09:00:00Z", second: "2026-03-02T09:00:00.070Z"}


def test_history_tells_the_newest_value_first(wire: PortalOnWire) -> None:
    one = wire.make("companies", name="Old", city="Rom")
    wire.clock.pass_time(timedelta(hours=1))
    for value in ("New", "New", ""):
        wire("PATCH", f"{OBJECTS}/companies/{one}", json={"properties": {"name": value}})
    told = wire.get(f"{OBJECTS}/companies/{one}", propertiesWithHistory=["name", "city"])
    versions = told["propertiesWithHistory"]["name"]
    assert [version["value"] for version in versions] == ["", "New", "Old"]
    assert versions[2]["timestamp"] == "2026-03-02T09:00:00Z"
    assert [version["value"] for version in told["propertiesWithHistory"]["city"]] == ["Rom"]


def test_a_batch_read_names_what_is_missing(wire: PortalOnWire) -> None:
    ids = [wire.make("companies", name=f"C{n}") for n in range(3)]
    inputs = [{"id": one} for one in (ids[2], ids[0], "77", ids[0])]
    told = wire.post(
        f"{OBJECTS}/companies/batch/read",
        {"inputs": inputs, "properties": ["name"], "propertiesWithHistory": []},
        status=207,
    )
    assert [one["id"] for one in told["results"]] == [ids[0], ids[2]]
    assert (told["status"], told["numErrors"]) == ("COMPLETE", 1)
    assert told["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert told["errors"][0]["context"] == {"ids": ["77"]}


def test_a_batch_has_its_limits(wire: PortalOnWire) -> None:
    inputs = [{"id": str(n)} for n in range(101)]
    many = {"inputs": inputs, "properties": ["name"]}
    for verb in ("read", "update", "upsert", "create", "archive"):
        answer = wire("POST", f"{OBJECTS}/companies/batch/{verb}", json=many)
        assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
        assert "Received 101" in answer.json()["message"]
    history = {"inputs": inputs[:51], "properties": [], "propertiesWithHistory": ["name"]}
    answer = wire("POST", f"{OBJECTS}/companies/batch/read", json=history)
    assert "property histories is 50" in answer.json()["message"]


def test_a_record_can_be_read_by_a_unique_property_only(wire: PortalOnWire) -> None:
    one = wire.make("contacts", email="Ada@b.example")
    found = wire.get(f"{OBJECTS}/contacts/ada@B.example", idProperty="email")
    assert found["id"] == one
    refused = wire("GET", f"{OBJECTS}/contacts/Ada", params={"idProperty": "firstname"})
    assert refused.status_code == 400
    assert wire("GET", f"{OBJECTS}/contacts/x@y.z", params={"idProperty": "email"}).is_error


@pytest.mark.parametrize("told", ["1", "abc", "99999999999999999999"])
def test_what_is_not_there_is_not_found(wire: PortalOnWire, told: str) -> None:
    answer = wire("GET", f"{OBJECTS}/companies/{told}")
    assert (answer.status_code, answer.json()["category"]) == (404, "OBJECT_NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/crm/v3/objects/sandwiches", 400),
        ("GET", "/crm/v2/objects/companies", 404),
        ("GET", "/crm/v3/nonsense", 404),
        ("GET", "/crm/objects/2026-09/companies", 404),
        ("GET", "/account-info/v9/details", 404),
        ("PUT", "/crm/v3/objects/companies", 405),
        ("HEAD", "/crm/v3/objects/companies", 405),
        ("OPTIONS", "/crm/v3/owners", 405),
        ("GET", "/crm/v3/objects/companies/batch/read", 405),
        ("POST", "/crm/v3/objects/companies/batch/nonsense", 404),
        ("POST", "/crm/v3/objects/notes/merge", 405),
        ("POST", "/crm/v3/objects/feedback_submissions", 405),
        ("PATCH", "/crm/v3/objects/feedback_submissions/1", 405),
    ],
)
def test_what_the_api_does_not_have(
    wire: PortalOnWire, method: str, path: str, status: int
) -> None:
    answer = wire(method, path, json={"inputs": []} if method != "GET" else None)
    assert answer.status_code == status
    assert method == "HEAD" or answer.json()["status"] == "error"


@pytest.mark.parametrize(
    "path",
    [
        "/crm/v3/objects/companies",
        "/crm/v3/objects/company",
        "/crm/v3/objects/0-2",
        "/crm/objects/2026-03/companies",
        "/crm/objects/2026-03/0-2",
    ],
)
def test_a_type_has_several_names_and_the_api_several_versions(
    wire: PortalOnWire, path: str
) -> None:
    one = wire.make("companies", name="x")
    assert [found["id"] for found in wire.get(path)["results"]] == [one]


def test_a_body_must_be_told_to_be_json_and_be_some(wire: PortalOnWire) -> None:
    path = f"{OBJECTS}/companies"
    form = wire("POST", path, data={"name": "x"})
    assert form.status_code == 415
    broken = wire("POST", path, content=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 400
    bodies: list[Any] = [[], {"properties": []}, {"properties": {"name": 3}}]
    for body in [*bodies, {"properties": {"name": None}}]:
        answer = wire("POST", path, json=body)
        assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    numbers = {"inputs": [{"id": 12}], "properties": [], "propertiesWithHistory": []}
    assert wire("POST", f"{path}/batch/read", json=numbers).status_code == 400


def test_without_a_valid_token_nothing_is_told(wire: PortalOnWire) -> None:
    for headers in ({}, {"Authorization": "Bearer nobody"}, {"Authorization": "Basic eDp5"}):
        wire.http.headers.pop("Authorization", None)
        answer = wire("GET", f"{OBJECTS}/companies", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["category"] == "INVALID_AUTHENTICATION"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/crm/v3/objects/companies", "crm.objects.companies.read"),
        ("POST", "/crm/v3/objects/companies/search", "crm.objects.companies.read"),
        ("POST", "/crm/v3/objects/companies/batch/create", "crm.objects.companies.write"),
        ("GET", "/crm/v3/objects/tickets", "tickets"),
        ("GET", "/crm/v3/objects/tasks", "crm.objects.contacts.read"),
        ("POST", "/crm/v3/objects/tasks", "crm.objects.contacts.write"),
        ("GET", "/crm/v3/owners", "crm.objects.owners.read"),
        ("POST", "/crm/v3/properties/tasks", "crm.schemas.contacts.write"),
        ("POST", "/crm/v4/associations/deals/companies/batch/read", "crm.objects.deals.read"),
    ],
)
def test_a_missing_scope_is_named(wire: PortalOnWire, method: str, path: str, scope: str) -> None:
    wire.settings.scopes = frozenset()
    answer = wire(method, path, json={} if method == "POST" else None)
    body = answer.json()
    assert (answer.status_code, body["category"]) == (403, "MISSING_SCOPES")
    assert body["errors"][0]["context"] == {"requiredGranularScopes": [scope]}
    wire.settings.scopes = ALL_SCOPES
    assert wire(method, path, json={} if method == "POST" else None).status_code != 403


def test_a_merge_makes_a_record_that_both_ids_lead_to(wire: PortalOnWire) -> None:
    first = wire.make("companies", name="First", city="Bern")
    second = wire.make("companies", name="Second", phone="123")
    contact = wire.make("contacts", email="a@b.example")
    wire.portal.links.add("contacts", int(contact), "companies", int(second), [1])
    wire.clock.pass_time(timedelta(minutes=1))
    body = {"primaryObjectId": first, "objectIdToMerge": second}
    merged = wire.post(f"{OBJECTS}/companies/merge", body)
    assert merged["id"] not in {first, second}
    assert merged["properties"]["name"] == "First"
    assert merged["properties"]["phone"] == "123"
    assert merged["properties"]["hs_merged_object_ids"] == f"{first};{second}"
    for former in (first, second):
        assert wire.get(f"{OBJECTS}/companies/{former}")["id"] == merged["id"]
    assert [one["id"] for one in wire.get(f"{OBJECTS}/companies")["results"]] == [merged["id"]]
    assert wire.get(f"{OBJECTS}/companies", archived="true")["results"] == []
    links = wire.get(f"/crm/v4/objects/contacts/{contact}/associations/companies")["results"]
    assert [one["toObjectId"] for one in links] == [merged["id"]]
    third = wire.make("companies", name="Third")
    body = {"primaryObjectId": third, "objectIdToMerge": first}
    again = wire.post(f"{OBJECTS}/companies/merge", body)
    assert set(again["properties"]["hs_merged_object_ids"].split(";")) == {
        first,
        second,
        third,
        merged["id"],
    }
    itself = {"primaryObjectId": first, "objectIdToMerge": second}
    assert wire("POST", f"{OBJECTS}/companies/merge", json=itself).status_code == 400


def test_a_merge_can_keep_the_id_of_the_primary_record(wire: PortalOnWire) -> None:
    wire.settings.merge_keeps_id = True
    first, second = wire.make("contacts", email="a@b.example"), wire.make("contacts", city="Bern")
    body = {"primaryObjectId": first, "objectIdToMerge": second}
    merged = wire.post(f"{OBJECTS}/contacts/merge", body)
    assert (merged["id"], merged["properties"]["hs_merged_object_ids"]) == (first, second)
    assert wire.get(f"{OBJECTS}/contacts/{second}", properties="city")["id"] == first
    assert [one["id"] for one in wire.get(f"{OBJECTS}/contacts")["results"]] == [first]


def test_owners_are_told_with_those_who_left_apart(wire: PortalOnWire) -> None:
    numbers = [wire.portal.add_owner(f"o{n}@x.example", "O", str(n)) for n in range(3)]
    wire.portal.owners[numbers[1]].archived = True
    first = wire.get("/crm/v3/owners", limit=1)
    last = wire.get("/crm/v3/owners", limit=1, after=first["paging"]["next"]["after"])
    told = [*first["results"], *last["results"]]
    assert [one["id"] for one in told] == [str(numbers[0]), str(numbers[2])]
    left = wire.get("/crm/v3/owners", archived="true")["results"]
    assert [one["id"] for one in left] == [str(numbers[1])]
    by_mail = wire.get("/crm/v3/owners", email="O2@x.example")["results"]
    assert [one["id"] for one in by_mail] == [str(numbers[2])]
    user = wire.portal.owners[numbers[0]].user_id
    assert wire.get(f"/crm/v3/owners/{user}", idProperty="userId")["id"] == str(numbers[0])
    assert wire("GET", f"/crm/v3/owners/{numbers[1]}").status_code == 404


def test_pipelines_are_told_with_their_stages(wire: PortalOnWire) -> None:
    (pipeline,) = wire.get("/crm/v3/pipelines/deals")["results"]
    won = next(stage for stage in pipeline["stages"] if stage["id"] == "closedwon")
    assert won["metadata"] == {"isClosed": "true", "probability": "1.0"}
    assert wire.get("/crm/v3/pipelines/deals/default/stages/closedwon") == won
    assert wire.get("/crm/v3/pipelines/companies")["results"] == []


def test_the_account_is_told(wire: PortalOnWire) -> None:
    assert wire.get("/account-info/v3/details")["utcOffset"] == "+01:00"
    (usage,) = wire.get("/account-info/v3/api-usage/daily/private-apps")["results"]
    assert (usage["currentUsage"], usage["usageLimit"]) == (2, wire.settings.daily)
    assert usage["resetsAt"] == "2026-03-02T23:00:00Z"


def test_a_setting_tells_ends_as_numbers() -> None:
    wire = PortalOnWire(Settings(numeric_ends=True, index_lag=timedelta(0)))
    company = wire.make("companies", name="x")
    body = made_of({"email": "a@b.example"}, (company, 1))
    contact = wire.post(f"{OBJECTS}/contacts", body, status=201)["id"]
    (end,) = wire.get(f"/crm/v4/objects/contacts/{contact}/associations/companies")["results"]
    assert end["toObjectId"] == int(company)
    wire.close()
