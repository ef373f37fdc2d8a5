"""The simulated search finds what the real one finds, later than it was written, within limits."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from portal_on_wire import BEGIN, PortalOnWire

from crmsync_hubspot.simulator.records import record
from crmsync_hubspot.simulator.settings import Settings
from crmsync_hubspot.simulator.values import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/crm/v3/objects/companies/search"


@pytest.fixture
def wire() -> Iterator[PortalOnWire]:
    settings = Settings(index_lag=timedelta(0), searches=10_000)
    one = PortalOnWire(settings, ("companies crmsync_key string unique",))
    yield one
    one.close()


def query(*filters: dict[str, Any], **more: Any) -> dict[str, Any]:
    groups = [{"filters": list(filters)}] if filters else []
    body = {"filterGroups": groups, "limit": 100, "after": "", "sorts": [], "properties": ["name"]}
    return body | more


def condition(name: str, operator: str, **more: Any) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator, **more}


def names(wire: PortalOnWire, *filters: dict[str, Any], **more: Any) -> list[str]:
    answer = wire.post(PATH, query(*filters, **more))
    return [one["properties"]["name"] for one in answer["results"]]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([condition("name", "EQ", value="acme")], ["Acme"]),  # without case
        ([condition("name", "NEQ", value="Acme")], ["Blue Sky", "Café"]),
        ([condition("name", "IN", values=["acme", "café"])], ["Acme", "Café"]),
        ([condition("name", "IN", values=["Acme"])], []),  # values must be in small letters
        ([condition("name", "NOT_IN", values=["acme"])], ["Blue Sky", "Café"]),
        ([condition("type", "IN", values=["VENDOR"])], ["Acme"]),
        ([condition("city", "HAS_PROPERTY")], ["Blue Sky"]),
        ([condition("city", "NOT_HAS_PROPERTY")], ["Acme", "Café"]),
        ([condition("city", "NEQ", value="Bern")], ["Acme", "Café"]),
        ([condition("name", "CONTAINS_TOKEN", value="sky")], ["Blue Sky"]),
        ([condition("name", "CONTAINS_TOKEN", value="sk")], []),
        ([condition("name", "CONTAINS_TOKEN", value="sk*")], ["Blue Sky"]),
        ([condition("annualrevenue", "GT", value="9.5")], ["Blue Sky"]),
        ([condition("annualrevenue", "LTE", value="9.50")], ["Acme"]),
        ([condition("annualrevenue", "BETWEEN", value="9", highValue="10")], ["Acme", "Blue Sky"]),
        ([condition("createdate", "GTE", value="2026-03-02T10:00:00+01:00")], None),
        ([condition("createdate", "GT", value=str(milliseconds(BEGIN)))], []),
        ([condition("crmsync_key", "EQ", value="k1")], ["Acme"]),
        ([condition("crmsync_key", "IN", values=["k1", "k2"])], ["Acme"]),
        (
            [condition("annualrevenue", "GT", value="1"), condition("type", "EQ", value="VENDOR")],
            ["Acme"],
        ),
    ],
)
def test_what_a_filter_means(
    wire: PortalOnWire, filters: list[dict[str, Any]], expected: list[str] | None
) -> None:
    wire.make("companies", name="Acme", annualrevenue="9.5", type="VENDOR", crmsync_key="k1")
    wire.make("companies", name="Blue Sky", annualrevenue="10", city="Bern")
    wire.make("companies", name="Café")
    assert names(wire, *filters) == (["Acme", "Blue Sky", "Café"] if expected is None else expected)


def test_groups_are_alternatives_and_a_query_looks_at_texts(wire: PortalOnWire) -> None:
    for name in ("Acme", "Blue", "Café"):
        wire.make("companies", name=name, domain=f"{name.lower()}.example")
    either = [{"filters": [condition("name", "EQ", value=name)]} for name in ("acme", "blue")]
    assert names(wire, filterGroups=either) == ["Acme", "Blue"]
    assert names(wire, query="blue.example") == ["Blue"]


@pytest.mark.parametrize(
    "sorts",
    [
        [{"propertyName": "name", "direction": "DESCENDING"}],
        ["-name"],
        [json.dumps({"propertyName": "name", "direction": "DESCENDING"})],
    ],
)
def test_a_sort_is_told_in_three_ways(wire: PortalOnWire, sorts: list[Any]) -> None:
    for name in ("Blue", "Acme", "Café"):
        wire.make("companies", name=name)
    assert names(wire, sorts=sorts) == ["Café", "Blue", "Acme"]
    assert names(wire, sorts=["name"]) == ["Acme", "Blue", "Café"]
    assert names(wire) == ["Blue", "Acme", "Café"]  # as they were made


def test_ids_are_compared_as_numbers(wire: PortalOnWire) -> None:
    for number in (9, 10, 100):
        values = {"name": str(number)}
        wire.portal.load("companies", [record(number, 0, 0, None, values)])
    after = condition("hs_object_id", "GT", value="9")
    assert names(wire, after, sorts=["hs_object_id"]) == ["10", "100"]
    assert names(wire, sorts=["-hs_object_id"]) == ["100", "10", "9"]


def test_a_search_is_paged_by_offsets(wire: PortalOnWire) -> None:
    for number in range(5):
        wire.make("companies", name=str(number))
    first = wire.post(PATH, query(limit=3))
    assert (first["total"], first["paging"]) == (5, {"next": {"after": "3"}})
    last = wire.post(PATH, query(limit=3, after="3"))
    assert [one["properties"]["name"] for one in last["results"]] == ["3", "4"]
    assert "paging" not in last


def test_beyond_ten_thousand_results_nothing_is_told(wire: PortalOnWire) -> None:
    made = [record(n, 0, n, None, {"name": str(n)}) for n in range(1, 10_202)]
    wire.portal.load("companies", made)
    last = wire.post(PATH, query(limit=200, after="9800"))
    assert last["total"] == 10_201
    assert last["paging"]["next"]["after"] == "10000"
    refused = wire("POST", PATH, json=query(limit=200, after="10000"))
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")
    assert wire("POST", PATH, json=query(limit=200, after="9801")).status_code == 400
    window = condition("hs_lastmodifieddate", "BETWEEN", value="5000", highValue="5002")
    assert names(wire, window) == ["5000", "5001", "5002"]


MANY = [condition("name", "EQ", value=str(n)) for n in range(19)]


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"limit": -1},
        {"limit": "ten"},
        {"after": "next"},
        {"query": "x" * 3001},
        {"properties": ["name"] * 430},  # a body of more than 3,000 characters
        {"sorts": ["name", "city"]},
        {"sorts": ["nonsense"]},
        {"sorts": [{"propertyName": "name", "direction": "UP"}]},
        {"sorts": ["{"]},
        {"properties": "name"},
        {"filterGroups": [{"filters": [one]} for one in MANY[:6]]},
        {"filterGroups": [{"filters": MANY[:7]}]},
        {
            "filterGroups": [{"filters": MANY[n : n + 5]} for n in (0, 5, 10)]
            + [{"filters": MANY[:4]}]
        },
        {"filterGroups": [{"filters": {}}]},
        {"filterGroups": [{"filters": [condition("nonsense", "EQ", value="x")]}]},
        {"filterGroups": [{"filters": [condition("name", "LIKE", value="x")]}]},
        {"filterGroups": [{"filters": [condition("name", "EQ")]}]},
        {"filterGroups": [{"filters": [condition("name", "EQ", value=3)]}]},
        {"filterGroups": [{"filters": [condition("name", "IN", value="x")]}]},
        {"filterGroups": [{"filters": [condition("name", "IN", values=[])]}]},
        {"filterGroups": [{"filters": [condition("name", "HAS_PROPERTY", value="")]}]},
        {"filterGroups": [{"filters": [condition("createdate", "GT", value="soon")]}]},
        {"filterGroups": [{"filters": [condition("createdate", "BETWEEN", value="1")]}]},
        {"filterGroups": [{"filters": [condition("annualrevenue", "GT", value="much")]}]},
    ],
)
def test_a_search_that_the_real_one_refuses(wire: PortalOnWire, body: dict[str, Any]) -> None:
    answer = wire("POST", PATH, json=query() | body)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_the_most_filters_are_accepted(wire: PortalOnWire) -> None:
    groups = [{"filters": MANY[n : n + 6]} for n in (0, 6, 12)]
    assert names(wire, filterGroups=groups) == []
    wire.post(PATH, {})  # nothing is required


def test_a_search_sees_a_write_late_and_the_old_value_until_then() -> None:
    wire = PortalOnWire(Settings(index_lag=timedelta(seconds=5), searches=1000))
    one = wire.make("companies", name="Old")
    assert names(wire) == []
    assert wire.get(f"/crm/v3/objects/companies/{one}")["id"] == one
    wire.clock.pass_time(timedelta(seconds=5))
    assert names(wire) == ["Old"]
    wire.portal.update("companies", int(one), {"name": "New"})
    assert names(wire) == ["Old"]
    since = condition("hs_lastmodifieddate", "GTE", value=str(wire.portal.now()))
    assert names(wire, since) == []
    wire.clock.pass_time(timedelta(seconds=5))
    assert names(wire, since) == ["New"]
    wire.portal.archive("companies", int(one))
    assert names(wire) == ["New"]
    wire.clock.pass_time(timedelta(seconds=5))
    assert names(wire) == []
    wire.close()


def test_changes_are_found_in_whatever_order_they_were_stamped(wire: PortalOnWire) -> None:
    ids = [int(wire.make("companies", name=str(n))) for n in range(1200)]
    for place, one in enumerate(reversed(ids)):
        wire.portal.stamp("companies", one, BEGIN + timedelta(seconds=place))
    first = milliseconds(BEGIN + timedelta(seconds=10))
    window = condition(
        "hs_lastmodifieddate", "BETWEEN", value=str(first), highValue=str(first + 2000)
    )
    assert names(wire, window) == ["1187", "1188", "1189"]


def test_associations_can_be_searched_by(wire: PortalOnWire) -> None:
    company = wire.make("companies", name="x")
    contact = wire.make("contacts", email="a@b.example")
    wire.make("contacts", email="b@b.example")
    wire.portal.links.add("contacts", int(contact), "companies", int(company))
    filters = [condition("associations.company", "EQ", value=company)]
    answer = wire.post("/crm/v3/objects/contacts/search", {"filterGroups": [{"filters": filters}]})
    assert [one["id"] for one in answer["results"]] == [contact]
