"""Associations, beside records and as a stream of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from portal_reading import HOUR, asked, first_load, many, read, rows

from crmsync.errors import TransientError
from crmsync.testing.samples import START
from crmsync_hubspot import linking, objects, sharing
from crmsync_hubspot.linking import foremost
from crmsync_hubspot.simulator.messages import Fault

if TYPE_CHECKING:
    from portal_under_test import TestedPortal


def test_links_come_beside_listed_records(tested: TestedPortal) -> None:
    company, other = tested.make("companies", name="A"), tested.make("companies", name="B")
    call = tested.make("calls", hs_timestamp=START.isoformat())
    tested.portal.link("calls", int(call), "companies", int(other))
    tested.portal.link("calls", int(call), "companies", int(company))
    alone = tested.make("calls", hs_timestamp=START.isoformat())
    connector = tested.connect("calls", ("associations.companies", "associations.deals"))
    found = {row["id"]: row["associations.companies"] for row in rows(read(connector))}
    assert found == {call: company, alone: None}
    assert asked(tested) == ["GET properties/calls", "GET objects/calls"]


@pytest.mark.parametrize("numeric", [True, False])
def test_links_of_changed_records_are_asked_for(tested: TestedPortal, numeric: bool) -> None:
    """A search tells none; the other ends are numbers or texts."""
    tested.settings.numeric_ends = numeric
    connector = tested.connect("calls", ("associations.companies",))
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    company = tested.make("companies", name="A")
    call = tested.make("calls", hs_timestamp=START.isoformat())
    alone = tested.make("calls", hs_timestamp=START.isoformat())
    tested.portal.link("calls", int(call), "companies", int(company))
    tested.clock.pass_time(HOUR)
    asked(tested)
    found = {row["id"]: row["associations.companies"] for row in rows(read(connector, cursor))}
    assert found == {call: company, alone: None}
    assert asked(tested) == [
        "POST objects/calls/search",
        "POST associations/calls/companies/batch/read",
    ]


def test_links_of_a_thousand_are_one_call(tested: TestedPortal) -> None:
    """HubSpot refuses to tell those of more."""
    connector = tested.connect("calls", ("associations.companies",))
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    made = many(tested, "calls", 1_250, hs_timestamp=START.isoformat())
    tested.clock.pass_time(HOUR)
    asked(tested)
    assert len(rows(read(connector, cursor))) == len(made)
    assert asked(tested).count("POST associations/calls/companies/batch/read") == 2


def test_the_primary_company_counts(tested: TestedPortal) -> None:
    older, primary = (int(tested.make("companies", name=name)) for name in ("old", "main"))
    contact = int(tested.make("contacts", lastname="Lovelace"))
    tested.portal.link("contacts", contact, "companies", older, [279])
    tested.portal.link("contacts", contact, "companies", primary, [279, 1])
    connector = tested.connect("contacts", ("associations.companies",))
    pages = read(connector)
    assert [row["associations.companies"] for row in rows(pages)] == [str(primary)]
    tested.clock.pass_time(HOUR)
    tested.portal.update("contacts", contact, {"lastname": "King"})
    tested.clock.pass_time(HOUR)
    again = rows(read(connector, pages[-1].cursor))
    assert [row["associations.companies"] for row in again] == [str(primary)]


def test_associations_are_a_stream_and_arrive_late(tested: TestedPortal) -> None:
    tested.settings.association_lag = timedelta(minutes=20)
    connector = tested.connect(
        "calls", ("from", "companies", "contacts"), associations_to=["companies", "contacts"],
        look_back="1 hour",
    )  # fmt: skip
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    company, contact = tested.make("companies", name="A"), tested.make("contacts", lastname="L")
    call = tested.make("calls", hs_timestamp=START.isoformat())
    tested.portal.link("calls", int(call), "companies", int(company))
    tested.portal.link("calls", int(call), "contacts", int(contact))
    tested.clock.pass_time(timedelta(minutes=10))
    pages = read(connector, cursor)
    assert rows(pages) == []
    tested.clock.pass_time(timedelta(minutes=30))
    told = rows(read(connector, pages[-1].cursor if pages else cursor))
    assert [(row["from"], row["companies"], row["contacts"]) for row in told] == [
        (call, company, None),
        (call, None, contact),
    ]


def test_an_association_that_arrives_behind_the_first_load_is_read(tested: TestedPortal) -> None:
    tested.settings.association_lag = timedelta(minutes=20)
    company = tested.make("companies", name="A")
    call = tested.make("calls", hs_timestamp=START.isoformat())
    tested.portal.link("calls", int(call), "companies", int(company))
    tested.clock.pass_time(timedelta(minutes=10))
    connector = tested.connect(
        "calls", ("from",), associations_to=["companies"], look_back="1 hour"
    )
    pages = read(connector)
    assert rows(pages) == []
    tested.clock.pass_time(timedelta(minutes=30))
    assert [row["from"] for row in rows(read(connector, pages[-1].cursor))] == [call]


def test_a_listed_record_with_more_associations_than_stand_beside_it(tested: TestedPortal) -> None:
    tested.settings.listed_ends = 3
    call = int(tested.make("calls", hs_timestamp=START.isoformat()))
    companies = [tested.make("companies", name=f"{n}") for n in range(7)]
    for company in companies:
        tested.portal.link("calls", call, "companies", int(company))
    connector = tested.connect("calls", ("from", "to"), associations_to=["companies"])
    assert sorted(row["to"] for row in rows(read(connector))) == companies


def test_of_several_companies_the_one_of_the_lowest_id_counts() -> None:
    """As a number: “9” comes before “10”."""
    ends = [linking.Link(to=one, types=(), primary=False) for one in ("10", "9", "11")]
    assert foremost(ends) == "9"


def test_types_of_associations_are_told_in_one_way(tested: TestedPortal) -> None:
    """Beside a listed record stands one by name; asked for, all of them by number."""
    company, contact = int(tested.make("companies", name="A")), int(tested.make("contacts"))
    tested.portal.link("contacts", contact, "companies", company, [279, 1])
    streams: dict[str, Any] = {
        "people": ("contacts", ("lastname",), {}),
        "records": ("contacts", ("from", "types"), {"associations_to": ["companies"]}),
    }
    connector = tested.connect_streams(**streams)
    list(connector.read("people", None))
    pages = read(connector)
    tested.clock.pass_time(HOUR)
    tested.portal.update("contacts", contact, {"lastname": "King"})
    tested.clock.pass_time(HOUR)
    told = rows([*pages, *read(connector, pages[-1].cursor)])
    assert [row["types"] for row in told] == ["1;279", "1;279"]


def test_an_association_that_was_taken_away_is_missing_from_the_next_listing(
    tested: TestedPortal,
) -> None:
    company = int(tested.make("companies", name="A"))
    call = int(tested.make("calls", hs_timestamp=START.isoformat()))
    tested.portal.link("calls", call, "companies", company)
    connector = tested.connect("calls", ("from",), associations_to=["companies"])
    pages = read(connector)
    assert len(rows(pages)) == 1
    tested.portal.links.remove("calls", call, "companies", company)
    tested.clock.pass_time(timedelta(days=8))
    again = [page for page in read(connector, pages[-1].cursor) if page.snapshot]
    assert rows(again) == []
    assert again[-1].snapshot is not None
    assert again[-1].snapshot.last


def test_associations_that_came_beside_records_are_not_listed_again(
    tested: TestedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "_ROWS_A_PAGE", 3)
    companies = [int(tested.make("companies", name=f"{n}")) for n in range(5)]
    contact = int(tested.make("contacts", lastname="L"))
    calls = many(tested, "calls", 250, hs_timestamp="2026-03-02T09:00:00Z")
    for place, call in enumerate(calls[:5]):
        tested.portal.link("calls", call, "companies", companies[place])
        tested.portal.link("calls", call, "contacts", contact)
    connector = tested.connect_streams(
        calls=("calls", ("associations.companies",), {}),
        links=("calls", ("from", "to"), {"associations_to": ["companies", "contacts"]}),
    )
    asked(tested)
    list(connector.read("calls", None))
    assert asked(tested) == ["GET properties/calls"] + ["GET objects/calls"] * 3
    pages = list(connector.read("links", None))
    assert asked(tested) == []
    alone = tested.connect_streams(
        links=("calls", ("from", "to"), {"associations_to": ["companies", "contacts"]})
    )
    listed = rows(list(alone.read("links", None)))
    assert asked(tested) == ["GET objects/calls"] * 3
    assert sorted(rows(pages), key=str) == sorted(listed, key=str)
    assert len(listed) == 10
    assert [page.snapshot.last for page in pages if page.snapshot] == [False] * 3 + [True]
    # What changes later is asked for as ever.
    tested.clock.pass_time(HOUR)
    tested.portal.link("calls", calls[9], "companies", companies[0])
    tested.portal.update("calls", calls[9], {"hs_call_title": "changed"})
    tested.clock.pass_time(HOUR)
    told = rows(list(connector.read("links", pages[-1].cursor)))
    assert (str(calls[9]), str(companies[0])) in {(row["from"], row["to"]) for row in told}


def test_a_list_that_went_on_elsewhere_is_not_shared(tested: TestedPortal) -> None:
    """The first pages of it are not known to this connection."""
    (company,) = many(tested, "companies", 1)
    for call in many(tested, "calls", 250):
        tested.portal.link("calls", call, "companies", company)
    streams: Any = {
        "calls": ("calls", ("associations.companies",), {}),
        "links": ("calls", ("from",), {"associations_to": ["companies"]}),
    }
    first = next(iter(tested.connect_streams(**streams).read("calls", None)))
    connector = tested.connect_streams(**streams)
    list(connector.read("calls", first.cursor))
    assert len(rows(list(connector.read("links", None)))) == 250


def test_a_record_with_more_associations_than_a_page_tells(
    tested: TestedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "ASSOCIATIONS", 2)
    calls = [int(tested.make("calls", hs_timestamp=START.isoformat())) for _ in range(5)]
    companies = [int(tested.make("companies", name=f"{n}")) for n in range(7)]
    connector = tested.connect("calls", ("from", "to"), associations_to=["companies"])
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    for call in calls:
        tested.portal.update("calls", call, {"hs_call_title": "changed"})
        for company in companies:
            tested.portal.link("calls", call, "companies", company)
    tested.clock.pass_time(HOUR)
    tested.service.faults.append(Fault.SHORT_PAGE)
    tested.service.spared = 1
    told = {(int(row["from"]), int(row["to"])) for row in rows(read(connector, cursor))}
    assert told == {(call, company) for call in calls for company in companies}


def test_of_a_record_whose_links_are_not_told_nothing_is_lost(tested: TestedPortal) -> None:
    company, contact = tested.make("companies", name="A"), tested.make("contacts", lastname="L")
    tested.portal.link("contacts", int(contact), "companies", int(company))
    connector = tested.connect("contacts", ("lastname", "associations.companies"))
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    tested.portal.update("contacts", int(contact), {"lastname": "King"})
    tested.clock.pass_time(HOUR)
    tested.service.faults.append(Fault.ITEM_UNKNOWN)
    with pytest.raises(TransientError, match="INTERNAL_ERROR"):
        read(connector, cursor)
    assert rows(read(connector, cursor))[0]["associations.companies"] == company


@pytest.mark.parametrize("number", [1, 5, 26])
def test_a_primary_company_is_known_by_its_number(number: int) -> None:
    """Of contacts, deals and tickets; its label may be in another language, or null."""
    types = [{"category": "HUBSPOT_DEFINED", "typeId": one, "label": None} for one in (999, number)]
    told = {"toObjectId": "2", "associationTypes": types}
    other = {"toObjectId": "1", "associationTypes": types[:1]}
    assert foremost([linking._link(other), linking._link(told)]) == "2"  # noqa: SLF001  what is tested
