"""The simulator is as strict as the real service, and its bodies have the shapes that it sends."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml

from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.objects import as_long_id, long_id, minted_id, parsed_objects
from crmsync_salesforce.simulator.query import prepared
from crmsync_salesforce.simulator.soql import MalformedQueryError, parsed

if TYPE_CHECKING:
    from pathlib import Path

    from org_under_test import TestedOrg

Json = Any


class Wire:
    """Plain requests, as any client would send them."""

    def __init__(self, org: TestedOrg) -> None:
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.verify = str(org.server.certificate)
        self._base = f"{org.server.address}/services/data/v62.0/"
        self._http.headers["Authorization"] = f"Bearer {org.service.sessions.open()}"

    def __call__(self, method: str, path: str, **arguments: Any) -> requests.Response:
        return self._http.request(method, self._base + path, timeout=10, **arguments)

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def wire(org: TestedOrg) -> Any:
    one = Wire(org)
    yield one
    one.close()


def shape(value: Json) -> Json:
    """What kinds of values stand where, and nothing of what they are."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
    )


@pytest.fixture
def recorded(shared_data: Path) -> Any:
    def body(name: str) -> Json:
        path = shared_data / "restforce_fixtures" / name
        if not path.exists():
            pytest.skip(f"{path} is not there")
        return json.loads(path.read_text(encoding="utf-8"))

    return body


def test_errors_have_the_recorded_shapes(wire: Wire, recorded: Any) -> None:
    unknown = wire("GET", "query", params={"q": "SELECT Nope FROM Account"})
    assert unknown.status_code == 400
    assert shape(unknown.json()) == shape(recorded("sobject/query_error_response.json"))
    missing = wire("PATCH", "sobjects/Account/Namez/1", json={"Name": "x"})
    expected = recorded("sobject/upsert_error_response.json")
    assert (missing.status_code, missing.json()) == (404, expected)
    nothing = wire("GET", "sobjects/Nope/describe")
    assert nothing.json() == recorded("sobject/sobject_describe_error_response.json")
    column = wire("POST", "sobjects/Account", json={"foo": "x"})
    told = column.json()[0]
    written = recorded("sobject/write_error_response.json")[0]
    assert told["errorCode"] == written["errorCode"]
    assert told["message"] == written["message"].replace("Bar", "Account")
    wire._http.headers["Authorization"] = "Bearer nobody"  # noqa: SLF001  the wire is ours
    expired = wire("GET", "limits")
    expected = recorded("expired_session_response.json")
    assert (expired.status_code, expired.json()) == (401, expected)


def test_answers_have_the_recorded_shapes(org: TestedOrg, wire: Wire, recorded: Any) -> None:
    made = wire("POST", "sobjects/Account", json={"Name": "A"})
    assert made.status_code == 201
    assert shape(made.json()) == shape(recorded("sobject/create_success_response.json"))
    empty = wire("GET", "query", params={"q": "SELECT Id FROM Contact"})
    assert empty.json() == recorded("sobject/query_empty_response.json")
    org.org.create("Account", {"Name": "B"})
    org.settings.page_rows = 1
    first = wire("GET", "query", params={"q": "SELECT Name FROM Account"}).json()
    page = recorded("sobject/query_paginated_first_page_response.json")
    assert first.keys() == page.keys()
    assert (first["totalSize"], first["done"]) == (2, False)
    last = wire("GET", first["nextRecordsUrl"].partition("/v62.0/")[2]).json()
    page = recorded("sobject/query_paginated_last_page_response.json")
    assert last.keys() == page.keys()
    gone = made.json()["id"]
    org.org.delete("Account", gone)
    org.clock.pass_time(timedelta(minutes=5))
    window = {"start": "2026-03-02T08:00:00Z", "end": "2026-03-02T09:05:00Z"}
    deleted = wire("GET", "sobjects/Account/deleted", params=window).json()
    assert shape(deleted) == shape(recorded("sobject/get_deleted_success_response.json"))
    assert [one["id"] for one in deleted["deletedRecords"]] == [gone]
    updated = wire("GET", "sobjects/Account/updated", params=window).json()
    assert shape(updated) == shape(recorded("sobject/get_updated_success_response.json"))


def test_upserts_tell_made_from_changed_from_several(
    org: TestedOrg, wire: Wire, recorded: Any
) -> None:
    path = "sobjects/Task/Crmsync_Key__c/k"
    assert wire("PATCH", path, json={"Subject": "a"}).status_code == 201
    changed = wire("PATCH", path, json={"Subject": "b"})
    assert (changed.status_code, changed.json()["created"]) == (200, False)
    first = org.org.rows("Task")[0]
    twin = dict(first) | {"Id": minted_id("00T", 99)}
    org.org.load("Task", [twin])
    several = wire("PATCH", path, json={"Subject": "c"})
    assert several.status_code == 300
    assert shape(several.json()) == shape(recorded("sobject/upsert_multiple_error_response.json"))


def _cassettes(shared_data: Path) -> Path:
    path = shared_data / "sf_cumulusci_cassettes"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.mark.parametrize(
    "name", ["Account", "Contact", "Opportunity", "Case", "Event", "Lead", "OpportunityContactRole"]
)
def test_objects_are_described_as_recorded(name: str, shared_data: Path) -> None:
    path = _cassettes(shared_data) / "describe" / f"GET_sobjects_{name}_describe.yaml"
    recording = yaml.safe_load(path.read_text(encoding="utf-8"))
    real = json.loads(recording["response"]["body"]["string"])
    ours = parsed_objects()[name].describe()
    for key in ours.keys() - {"fields", "childRelationships", "recordTypeInfos", "label"}:
        if key != "labelPlural":
            assert ours[key] == real[key], key
    fields = {field["name"]: field for field in real["fields"]}
    for field in ours["fields"]:
        # HasOptedOutOfEmail is there in the orgs of most, and was hidden in the recorded one.
        if field["name"] == "HasOptedOutOfEmail":
            continue
        told = fields[field["name"]]
        for key in field.keys() - {"label", "referenceTo"}:
            assert field[key] == told[key], f"{field['name']}.{key}"
        assert set(field["referenceTo"]) <= set(told["referenceTo"])


def test_collections_answer_as_recorded(wire: Wire, shared_data: Path) -> None:
    path = _cassettes(shared_data) / "recorded" / "TestUpsert.test_upsert__rest.yaml"
    recording = yaml.safe_load(path.read_text(encoding="utf-8"))
    (request, answer) = next(
        (one["request"], one["response"])
        for one in recording["interactions"]
        if "composite/sobjects" in str(one.get("request", {}).get("uri"))
    )
    ours = wire("POST", "composite/sobjects", data=request["body"])
    assert ours.status_code == answer["status"]["code"]
    assert shape(ours.json()) == shape(json.loads(answer["body"]["string"]))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id, Id FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Nope = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE SystemModstamp = '2026-01-01'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE SystemModstamp > 2026-01-01", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account WHERE IsDeleted > true", "INVALID_OPERATOR"),
        ("SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = 'a", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = 'a\\x'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE CreatedDate > 2026-01-01T00:00:00 0000", "MALFORMED_QUERY"),
        ("SELECT Nope.Name FROM Account", "INVALID_FIELD"),
        ("SELECT What.Website FROM Task", "INVALID_FIELD"),
        ("SELECT Id FROM Account ORDER BY Description", "INVALID_FIELD"),
        ("", "MALFORMED_QUERY"),
    ],
)
def test_a_query_that_the_real_one_refuses(org: TestedOrg, query: str, code: str) -> None:
    with pytest.raises(OrgError) as caught:
        prepared(org.org, query, all_rows=False)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("Name = 'ACME'", ["Acme"]),  # text is compared without case
        ("Name != 'Acme'", ["Blue", "Café"]),
        ("Rating != 'Hot'", ["Blue", "Café"]),  # what is empty is not 'Hot' either
        ("Rating = null", ["Café"]),
        ("NOT Rating = 'Hot'", ["Blue", "Café"]),
        ("(Name = 'Acme' OR Name = 'Blue') AND Rating = 'Cold'", ["Blue"]),
        ("Name IN ('Acme', 'Café')", ["Acme", "Café"]),
        ("Name NOT IN ('Acme')", ["Blue", "Café"]),
        ("AnnualRevenue >= 10", ["Blue"]),
        ("CreatedDate >= 2026-03-02T10:00:00+01:00", ["Acme", "Blue", "Café"]),
        ("CreatedDate > 2026-03-02T09:00:00Z", []),
        ("Owner.Name = 'Admin' AND Owner.Email = 'admin@example.com'", ["Acme", "Blue", "Café"]),
    ],
)
def test_what_a_query_means(org: TestedOrg, wire: Wire, where: str, names: list[str]) -> None:
    org.org.create("Account", {"Name": "Acme", "Rating": "Hot", "AnnualRevenue": 9.5})
    org.org.create("Account", {"Name": "Blue", "Rating": "Cold", "AnnualRevenue": 10})
    org.org.create("Account", {"Name": "Café"})
    query = f"SELECT Name FROM Account WHERE {where} ORDER BY Name"  # noqa: S608  SOQL, and a test's own
    answer = wire("GET", "query", params={"q": query}).json()
    assert [record["Name"] for record in answer["records"]] == names


def test_soql_that_is_none() -> None:
    with pytest.raises(MalformedQueryError, match="Row:1:Column:1"):
        parsed("SELECT ")


def test_ids_are_those_of_the_vendor() -> None:
    # From the recorded upsert, and from fivetran's anonymised rows.
    assert long_id("0017e00001W4GYR") == "0017e00001W4GYRAA3"
    assert as_long_id("0037e00001WZ30q") == "0037e00001WZ30qAAD"
    assert as_long_id("0037e00001WZ30qAAX") is None
    assert as_long_id("0037e") is None
    assert len({minted_id("001", number) for number in range(5000)}) == 5000


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, "REQUIRED_FIELD_MISSING"),
        ({"Name": "x" * 256}, "STRING_TOO_LONG"),
        ({"Name": "x", "IsDeleted": True}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"Name": "x", "OwnerId": "0017e00001W4GYR"}, "FIELD_INTEGRITY_EXCEPTION"),
        ({"Name": "x", "OwnerId": "0057e00001W4GYR"}, "INVALID_CROSS_REFERENCE_KEY"),
        ({"Name": "x", "OwnerId": "Bo"}, "MALFORMED_ID"),
        ({"Name": "x", "NumberOfEmployees": "3"}, "JSON_PARSER_ERROR"),
        ({"Name": 3}, "JSON_PARSER_ERROR"),
    ],
)
def test_a_record_that_the_real_one_refuses(
    org: TestedOrg, values: dict[str, Any], code: str
) -> None:
    with pytest.raises(OrgError) as caught:
        org.org.create("Account", values)
    assert caught.value.code == code


def test_a_collection_has_its_limits(wire: Wire) -> None:
    record = {"attributes": {"type": "Account"}, "Name": "x"}
    contact = {"attributes": {"type": "Contact"}, "LastName": "x"}
    many = wire("POST", "composite/sobjects", json={"records": [record] * 201})
    assert many.status_code == 400
    mixed = wire("POST", "composite/sobjects", json={"records": [record, contact] * 6})
    assert "10 chunks" in mixed.json()[0]["message"]


def test_the_rolled_up_last_activity_is_the_furthest_future_one(org: TestedOrg) -> None:
    account = org.org.create("Account", {"Name": "A"})
    stamp = org.org.rows("Account")[0]["SystemModstamp"]
    org.clock.pass_time(timedelta(hours=1))
    for day in ("2030-01-01", "2026-01-01"):
        org.org.create("Task", {"WhatId": account, "Status": "Completed", "ActivityDate": day})
    row = org.org.rows("Account")[0]
    assert row["LastActivityDate"] == "2030-01-01"
    assert row["SystemModstamp"] == stamp


def test_the_type_of_an_account_is_its_own_field(org: TestedOrg) -> None:
    account = org.org.create("Account", {"Name": "Acme", "Type": "Prospect"})
    org.org.create("Contact", {"LastName": "C", "AccountId": account})
    (page,) = org.connect("Contact", ("Account.Type",)).read("records", None)
    assert page.records["Account.Type"].to_pylist() == ["Prospect"]
