"""Reading changes, where HubSpot is known to surprise."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from portal_reading import HOUR, asked, first_load, many, read, rows

from crmsync.errors import TransientError
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.records import record
from crmsync_hubspot.simulator.values import milliseconds

if TYPE_CHECKING:
    from portal_under_test import TestedPortal

    from crmsync.model.pages import Page


def test_more_than_ten_thousand_changes_of_one_instant(tested: TestedPortal) -> None:
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    made = many(tested, "companies", 10_450, name="imported")
    tested.clock.pass_time(HOUR)
    asked(tested)
    pages = read(connector, cursor)
    assert sorted(int(row["id"]) for row in rows(pages)) == made
    # 200 a page, and one call more that tells what of the day's calls is used.
    calls = asked(tested)
    assert calls.count("POST objects/companies/search") == 53
    assert [one for one in calls if "search" not in one] == ["GET account/details"]
    assert tested.service.limits.refused == {}


def test_a_reading_of_changes_goes_on_where_it_broke_off(tested: TestedPortal) -> None:
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    made = many(tested, "companies", 3_000, name="imported")
    tested.clock.pass_time(HOUR)
    pages = connector.read("records", cursor)
    first = next(pages)
    rest = read(tested.connect(), first.cursor)
    found = [int(row["id"]) for row in rows([first, *rest])]
    assert sorted(found) == made, "a record is missing, or came twice"


def test_ids_are_numbers(tested: TestedPortal) -> None:
    """“9…” comes before “10…” though it sorts behind it as a text."""
    tested.portal._minted["companies"] = 9_999_999_950  # noqa: SLF001  so that they grow by a digit
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    made = many(tested, "companies", 450)
    tested.clock.pass_time(HOUR)
    assert [int(row["id"]) for row in rows(read(connector, cursor))] == made


def test_a_change_that_the_search_tells_late_is_not_lost(tested: TestedPortal) -> None:
    """Also where a later one was told before it, so that the reading has come further."""
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    tested.settings.index_lag = timedelta(minutes=4)
    late = tested.make("companies", name="late")
    tested.clock.pass_time(timedelta(minutes=1))
    tested.settings.index_lag = timedelta(0)
    soon = tested.make("companies", name="soon")
    tested.clock.pass_time(timedelta(minutes=1))
    pages = read(connector, cursor)
    assert [row["id"] for row in rows(pages)] == [soon]
    tested.clock.pass_time(timedelta(minutes=5))
    assert {row["id"] for row in rows(read(connector, pages[-1].cursor))} == {late, soon}


def test_changes_come_in_the_order_of_ids_whenever_the_records_were_made(
    tested: TestedPortal,
) -> None:
    """Without being told an order, HubSpot goes by when they were made."""
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    at = milliseconds(tested.clock.now())
    ids = [tested.portal.minted("companies") for _ in range(450)]
    # As a merge makes a new record, which is as old as the older of the two.
    made = [record(one, at - n, at, None, {"name": "A"}) for n, one in enumerate(ids)]
    tested.portal.load("companies", made)
    tested.clock.pass_time(HOUR)
    assert [int(row["id"]) for row in rows(read(connector, cursor))] == ids


def test_contacts_have_a_time_of_change_by_another_name(tested: TestedPortal) -> None:
    connector = tested.connect("contacts", ("lastname",))
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    made = tested.make("contacts", lastname="Lovelace")
    tested.clock.pass_time(HOUR)
    assert [row["id"] for row in rows(read(connector, cursor))] == [made]


def test_nothing_new_costs_one_call(tested: TestedPortal) -> None:
    many(tested, "companies", 250)
    connector = tested.connect()
    cursor = first_load(connector)
    assert len(asked(tested)) == 1 + 3, "the properties once, and 100 a page"
    tested.clock.pass_time(HOUR)
    # The look-back brings what is known already, once.
    pages = read(connector, cursor)
    tested.clock.pass_time(HOUR)
    asked(tested)
    assert read(connector, pages[-1].cursor if pages else cursor) == []
    assert asked(tested) == ["POST objects/companies/search"]


@pytest.mark.parametrize("fault", [Fault.SHORT_PAGE, Fault.EMPTY_PAGE, Fault.SAME_PAGE])
@pytest.mark.parametrize("spared", [0, 1])
def test_odd_pages_lose_nothing(tested: TestedPortal, fault: Fault, spared: int) -> None:
    made = many(tested, "companies", 450)
    tested.service.faults.append(fault)
    tested.service.spared = spared + 1
    connector = tested.connect()
    pages = read(connector)
    assert [int(row["id"]) for row in rows(pages)] == made
    assert pages[-1].snapshot is not None
    assert pages[-1].snapshot.last
    tested.clock.pass_time(HOUR)
    more = many(tested, "companies", 450)
    tested.clock.pass_time(HOUR)
    tested.service.faults.append(fault)
    tested.service.spared = spared
    changes = rows(read(connector, pages[-1].cursor))
    assert {int(row["id"]) for row in changes} >= set(more)
    assert not tested.service.faults


def test_a_list_without_end_is_given_up(tested: TestedPortal) -> None:
    made = many(tested, "companies", 250)
    tested.service.faults.append(Fault.ENDLESS)
    connector = tested.connect()
    pages: list[Page] = []
    with pytest.raises(TransientError, match="has no end"):
        pages.extend(connector.read("records", None))
    assert len(tested.service.calls) < 40
    assert not any(page.snapshot and page.snapshot.last for page in pages)
    tested.service.faults.clear()
    pages += read(connector, pages[-1].cursor if pages else None)
    assert {int(row["id"]) for row in rows(pages)} == set(made)


def test_a_search_without_end_is_given_up(tested: TestedPortal) -> None:
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    tested.make("companies", name="new")
    tested.clock.pass_time(HOUR)
    tested.service.faults.append(Fault.ENDLESS)
    with pytest.raises(TransientError, match="has no end"):
        read(connector, cursor)
    tested.service.faults.clear()
    assert [row["name"] for row in rows(read(connector, cursor))] == ["new"]
