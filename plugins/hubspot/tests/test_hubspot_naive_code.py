"""What goes wrong without the care that this connector takes.

Each test runs the code that one would write first, against the same simulated portal, and sees it
fail; the test that it names shows the connector in the same place.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hubspot import HubSpot
from hubspot.crm.objects import BatchInputSimplePublicObjectBatchInputForCreate as Inputs
from hubspot.crm.objects.exceptions import ApiException
from hubspot.utils.objects import fetch_all
from portal_under_test import KEY, TestedPortal
from urllib3 import Retry

from crmsync_hubspot.simulator.definitions import own_property
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.records import record
from crmsync_hubspot.simulator.values import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = timedelta(hours=1)


@pytest.fixture
def library(tested: TestedPortal) -> Any:
    """hubspot-api-client as it is."""
    api: Any = HubSpot(access_token=tested.settings.token)
    return api.crm.objects


@pytest.fixture
def plain(tested: TestedPortal) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {tested.settings.token}"}
    with httpx.Client(base_url=tested.server.address, headers=headers, timeout=10) as client:
        yield client


def pointed(api: Any, tested: TestedPortal) -> Any:
    """An API of the library, at the simulator."""
    api.api_client.configuration.host = tested.server.address
    return api


def imported(tested: TestedPortal, count: int) -> list[int]:
    at = milliseconds(tested.clock.now())
    made = [tested.portal.minted("companies") for _ in range(count)]
    tested.portal.load("companies", [record(one, at, at, None, {"name": "n"}) for one in made])
    return made


def searched(plain: httpx.Client, since: int, **more: Any) -> httpx.Response:
    changed = {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": str(since)}
    body = {
        "filterGroups": [{"filters": [changed]}],
        "sorts": ["hs_lastmodifieddate"],
        "properties": ["name"],
        "limit": 200,
        "after": "0",
    }
    return plain.post("/crm/v3/objects/companies/search", json=body | more)


def ids_of(answer: httpx.Response) -> list[int]:
    return [int(one["id"]) for one in answer.json()["results"]]


def test_a_search_ends_at_ten_thousand(tested: TestedPortal, plain: httpx.Client) -> None:
    """Tokens followed to the end; test_more_than_ten_thousand_changes_of_one_instant."""
    imported(tested, 10_450)
    tested.clock.pass_time(HOUR)
    found, after = [], "0"
    while True:
        tested.clock.pass_time(timedelta(seconds=1))
        answer = searched(plain, 0, after=after, sorts=["hs_object_id"])
        if answer.status_code != httpx.codes.OK:
            break
        found += ids_of(answer)
        after = answer.json()["paging"]["next"]["after"]
    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert len(found) == 10_000


def test_beginning_again_at_the_last_instant_never_ends(
    tested: TestedPortal, plain: httpx.Client
) -> None:
    """airbyte #43317; test_more_than_ten_thousand_changes_of_one_instant."""
    made = imported(tested, 450)
    tested.clock.pass_time(HOUR)
    since, found = 0, set()
    for _ in range(20):
        tested.clock.pass_time(timedelta(seconds=1))
        page = searched(plain, since)
        found |= set(ids_of(page))
        since = tested.portal.tables["companies"].records[ids_of(page)[-1]].updated
    assert len(found) == 200 < len(made)


def test_a_change_moves_those_behind_it(tested: TestedPortal, plain: httpx.Client) -> None:
    """Pages by offset, in the order of change; test_a_change_during_the_read_is_not_lost."""
    made = imported(tested, 400)
    tested.clock.pass_time(HOUR)
    first = searched(plain, 0)
    tested.portal.update("companies", made[0], {"name": "changed meanwhile"})
    tested.clock.pass_time(timedelta(minutes=1))
    second = searched(plain, 0, after=first.json()["paging"]["next"]["after"])
    assert made[200] not in {*ids_of(first), *ids_of(second)}


def test_ids_as_texts_come_in_another_order(tested: TestedPortal) -> None:
    """test_ids_are_numbers."""
    tested.portal._minted["companies"] = 9_999_999_990  # noqa: SLF001  so that they grow by a digit
    made = [str(one) for one in imported(tested, 20)]
    assert max(made) != made[-1], "who goes on from the greatest text begins anew for ever"


def test_from_the_last_change_on_what_is_told_late_is_lost(
    tested: TestedPortal, plain: httpx.Client
) -> None:
    """No look-back; test_a_change_that_the_search_tells_late_is_not_lost."""
    first = imported(tested, 1)
    tested.settings.index_lag = timedelta(minutes=4)
    late = int(tested.make("companies", name="late"))
    tested.clock.pass_time(timedelta(minutes=1))
    assert ids_of(searched(plain, 0)) == first
    since = milliseconds(tested.clock.now())
    tested.clock.pass_time(HOUR)
    assert late not in ids_of(searched(plain, since))


def test_a_short_page_is_not_the_last(tested: TestedPortal, plain: httpx.Client) -> None:
    """airbyte #80744; test_odd_pages_lose_nothing."""
    made = imported(tested, 150)
    tested.service.faults.append(Fault.SHORT_PAGE)
    page = plain.get("/crm/v3/objects/companies", params={"limit": 100})
    assert len(ids_of(page)) < 100
    assert len(ids_of(page)) < len(made)
    assert "paging" in page.json()


def test_the_librarys_get_all_never_ends(tested: TestedPortal, library: Any) -> None:
    """test_a_list_without_end_is_given_up."""
    imported(tested, 5)
    tested.service.faults.append(Fault.ENDLESS)
    basic = pointed(library.basic_api, tested)

    class Counted:
        asked = 0

        def get_page(self, **arguments: Any) -> Any:
            self.asked += 1
            if self.asked > 30:
                raise TimeoutError
            return basic.get_page("companies", **arguments)

    counted = Counted()
    with pytest.raises(TimeoutError):
        fetch_all(counted)


def test_the_library_takes_an_undeclared_success_for_nothing(
    tested: TestedPortal, library: Any
) -> None:
    """#448; test_what_nobody_knows_is_uncertain."""
    tested.service.faults.append(Fault.UNDECLARED_BODY)
    batch = pointed(library.batch_api, tested)
    made = batch.create(
        "companies", Inputs(inputs=[{"properties": {"name": "A"}, "associations": []}])
    )
    assert made is None, "it says nothing"
    assert len(tested.rows("companies")) == 1, "and yet it has made one"


def test_the_library_takes_half_a_batch_for_a_whole(tested: TestedPortal, library: Any) -> None:
    """Ruby #403; test_one_that_is_refused_leaves_the_others_alone."""
    batch = pointed(library.batch_api, tested)
    inputs = [
        {"properties": {"name": "A"}, "associations": [], "objectWriteTraceId": "1"},
        {"properties": {"nmae": "B"}, "associations": [], "objectWriteTraceId": "2"},
    ]
    told = batch.create("companies", Inputs(inputs=inputs))
    assert len(told.results) == 1, "no error was raised, and one of two was made"


def test_the_library_does_not_try_again(tested: TestedPortal, library: Any) -> None:
    """Where HubSpot does not say how long to wait; test_where_waiting_helps_it_waits."""
    tested.settings.retry_after = False
    tested.service.faults.append(Fault.TEN_SECONDLY)
    with pytest.raises((ApiException, AttributeError)):
        pointed(library.basic_api, tested).get_page("companies")
    assert len(tested.service.requests) == 1


def test_the_library_waits_for_ever(
    tested: TestedPortal, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """#331: no time-out but one that each call is given; test_every_call_has_a_time_out."""
    basic = pointed(library.basic_api, tested)
    pool = basic.api_client.rest_client.pool_manager
    request, timeouts = pool.request, []

    def noted(*given: Any, **more: Any) -> Any:
        timeouts.append(more["timeout"])
        return request(*given, **more)

    monkeypatch.setattr(pool, "request", noted)
    basic.get_page("companies")
    assert timeouts == [None]


def test_a_conflict_names_only_the_first(tested: TestedPortal, plain: httpx.Client) -> None:
    """#51; test_unique_keys_are_the_portals_own_guard."""
    for name in ("a", "b"):
        tested.make("contacts", email=f"{name}@customer.example")
    inputs = [
        {"properties": {"email": f"{name}@customer.example"}, "associations": []} for name in "abc"
    ]
    answer = plain.post("/crm/v3/objects/contacts/batch/create", json={"inputs": inputs})
    assert answer.status_code == httpx.codes.CONFLICT
    assert answer.json()["message"].count("Existing ID") == 1
    assert len(tested.rows("contacts")) == 2, "c was not made either"


def test_an_upsert_writes_over_what_a_person_did(tested: TestedPortal, plain: httpx.Client) -> None:
    """test_what_a_person_has_made_of_a_task_stays."""
    made = {KEY: "k", "hs_timestamp": "2026-03-05T11:00:00Z", "hs_task_status": "NOT_STARTED"}
    task = tested.make("tasks", **made)
    tested.portal.update("tasks", int(task), {"hs_task_status": "COMPLETED"})
    again = {"id": "k", "idProperty": KEY, "properties": made}
    plain.post("/crm/v3/objects/tasks/batch/upsert", json={"inputs": [again]}).raise_for_status()
    assert tested.rows("tasks")[0]["hs_task_status"] == "NOT_STARTED"


def test_the_order_of_answers_is_not_that_of_questions(
    tested: TestedPortal, plain: httpx.Client
) -> None:
    """batch_read goes by the ids."""
    made = [str(one) for one in imported(tested, 3)]
    body = {
        "inputs": [{"id": one} for one in reversed(made)],
        "properties": ["name"],
        "propertiesWithHistory": [],
    }
    answer = plain.post("/crm/v3/objects/companies/batch/read", json=body)
    assert [one["id"] for one in answer.json()["results"]] == made


def test_a_search_tells_no_associations_and_nothing_archived(
    tested: TestedPortal, plain: httpx.Client
) -> None:
    """test_links_of_changed_records_are_asked_for, test_what_was_archived_is_told_within_hours."""
    gone, there = imported(tested, 2)
    contact = int(tested.make("contacts", lastname="L"))
    tested.portal.link("companies", there, "contacts", contact)
    tested.portal.archive("companies", gone)
    tested.clock.pass_time(HOUR)
    (found,) = searched(plain, 0).json()["results"]
    assert found["id"] == str(there)
    assert "associations" not in found


def test_contacts_have_no_such_time_of_change(plain: httpx.Client) -> None:
    """test_contacts_have_a_time_of_change_by_another_name."""
    body = {
        "filterGroups": [
            {"filters": [{"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": "0"}]}
        ],
        "sorts": [],
        "properties": [],
        "limit": 1,
        "after": "0",
    }
    answer = plain.post("/crm/v3/objects/contacts/search", json=body)
    assert answer.status_code == httpx.codes.BAD_REQUEST


def test_a_rotated_refresh_token_is_of_no_use(tested: TestedPortal, plain: httpx.Client) -> None:
    """Who does not keep the new one; test_a_new_refresh_token_is_kept_for_its_owner_only."""
    form = {
        "grant_type": "refresh_token",
        "client_id": tested.settings.client_id,
        "client_secret": tested.settings.client_secret,
        "refresh_token": tested.settings.refresh_token,
    }
    assert plain.post("/oauth/2026-03/token", data=form).status_code == httpx.codes.OK
    assert plain.post("/oauth/2026-03/token", data=form).status_code == httpx.codes.BAD_REQUEST


def test_the_retries_of_the_librarys_readme_leave_out_what_posts(tested: TestedPortal) -> None:
    """A search is a POST, too; test_where_nothing_has_happened_it_is_tried_again."""
    tested.settings.retry_after = False
    tested.service.faults.append(Fault.UNAVAILABLE)
    retry = Retry(total=3, backoff_factor=0, status_forcelist=(429, 500, 502, 503, 504))
    api: Any = HubSpot(access_token=tested.settings.token, retry=retry)
    search = pointed(api.crm.objects.search_api, tested)
    with pytest.raises((ApiException, AttributeError)):
        search.do_search("companies", {"filterGroups": [], "limit": 1, "after": "0"})
    assert len(tested.service.requests) == 1


def test_the_library_takes_a_page_that_was_read_in_part_for_a_whole(
    tested: TestedPortal, library: Any
) -> None:
    """test_of_what_is_not_told_nothing_is_lost."""
    one, _ = imported(tested, 2)
    tested.service.faults.append(Fault.ITEM_UNKNOWN)
    asked = {"inputs": [{"id": str(one)}], "properties": ["name"], "propertiesWithHistory": []}
    told = pointed(library.batch_api, tested).read("companies", asked)
    assert told.results == [], "no error was raised, and the record is there"


def test_the_library_makes_records_without_ids(tested: TestedPortal, library: Any) -> None:
    """What it must have, nobody looks for; ours reads the JSON, where a missing id is an error."""
    client = pointed(library.basic_api, tested).api_client
    answer = SimpleNamespace(data=b'{"properties": {}}')
    assert client.deserialize(answer, "SimplePublicObject").id is None


def test_an_address_with_all_properties_is_too_long(plain: httpx.Client) -> None:
    """test_no_address_is_too_long."""
    names = ",".join(f"a_property_with_a_rather_long_name_{number:04}" for number in range(900))
    answer = plain.get("/crm/v3/objects/companies", params={"properties": names})
    assert answer.status_code == httpx.codes.REQUEST_URI_TOO_LONG


def test_a_search_for_a_hundred_keys_is_too_long(plain: httpx.Client) -> None:
    """test_the_longest_keys_of_a_batch_are_looked_for, test_no_search_is_too_long."""
    keys = [f"a-rule-with-a-rather-long-name-{number:049}" for number in range(100)]
    asked = {"propertyName": KEY, "operator": "IN", "values": keys}
    answer = plain.post(
        "/crm/v3/objects/tasks/search", json={"filterGroups": [{"filters": [asked]}]}
    )
    assert answer.status_code == httpx.codes.BAD_REQUEST


def test_a_page_with_history_holds_fewer_records(plain: httpx.Client) -> None:
    """test_what_was_before_comes_before."""
    asked = {"limit": "100", "propertiesWithHistory": "name"}
    answer = plain.get("/crm/v3/objects/companies", params=asked)
    assert answer.status_code == httpx.codes.BAD_REQUEST


def test_a_misspelt_property_is_left_out_without_a_word(
    tested: TestedPortal, plain: httpx.Client
) -> None:
    """test_a_property_that_went_away_is_no_empty_one."""
    imported(tested, 1)
    answer = plain.get("/crm/v3/objects/companies", params={"properties": "nmae"})
    assert answer.status_code == httpx.codes.OK
    assert "nmae" not in answer.json()["results"][0]["properties"]


def test_who_reads_times_in_one_way_stumbles(tested: TestedPortal, plain: httpx.Client) -> None:
    """test_times_are_told_in_one_way."""
    kind = tested.portal.types["companies"]
    kind.add(own_property("moment datetime", "companyinformation"))
    at = milliseconds(tested.clock.now())
    values = {"moment": "1772359200000"}
    one = record(tested.portal.minted("companies"), at, at, None, values)
    tested.portal.load("companies", [one])
    (told,) = plain.get("/crm/v3/objects/companies", params={"properties": "moment"}).json()[
        "results"
    ]
    with pytest.raises(ValueError, match="month must be"):
        datetime.fromisoformat(told["properties"]["moment"])
