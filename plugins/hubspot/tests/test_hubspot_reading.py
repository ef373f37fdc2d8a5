"""Reading, where HubSpot is known to surprise."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import RejectedError, TransientError
from crmsync.model.pages import DELETED, MERGED_INTO
from crmsync.testing.samples import START
from crmsync_hubspot import objects, reading, sharing
from crmsync_hubspot.simulator.custom_objects import CustomObjectsApi
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.records import record
from crmsync_hubspot.simulator.values import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_under_test import TestedPortal

    from crmsync.model.pages import Page
    from crmsync_hubspot.connector import HubSpotConnector

HOUR = timedelta(hours=1)


def read(connector: HubSpotConnector, since: str | None = None) -> list[Page]:
    return list(connector.read("records", since))


def rows(pages: Sequence[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in page.records.to_pylist()]


def first_load(connector: HubSpotConnector) -> str:
    return read(connector)[-1].cursor


def many(tested: TestedPortal, kind: str, count: int, **values: str) -> list[int]:
    """So many records that were all changed at the same instant, as by an import."""
    at = milliseconds(tested.clock.now())
    made = [tested.portal.minted(kind) for _ in range(count)]
    tested.portal.load(kind, [record(one, at, at, None, values) for one in made])
    return made


def asked(tested: TestedPortal) -> list[str]:
    """The calls since it was last asked."""
    calls = list(tested.service.calls)
    tested.service.calls.clear()
    return calls


def test_more_than_ten_thousand_changes_of_one_instant(tested: TestedPortal) -> None:
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    made = many(tested, "companies", 10_450, name="imported")
    tested.clock.pass_time(HOUR)
    asked(tested)
    pages = read(connector, cursor)
    assert sorted(int(row["id"]) for row in rows(pages)) == made
    # 200 a page, and not one call more.
    assert asked(tested) == ["POST objects/companies/search"] * 53
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
    tested.settings.index_lag = timedelta(minutes=4)
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    late = tested.make("companies", name="late")
    tested.clock.pass_time(timedelta(minutes=1))
    seen = tested.make("companies", name="later still")
    other = tested.connect()
    pages = read(other, cursor)
    assert rows(pages) == [], "the search knows of neither yet"
    tested.clock.pass_time(timedelta(minutes=5))
    pages = read(other, pages[-1].cursor if pages else cursor)
    assert {row["id"] for row in rows(pages)} == {late, seen}


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


def test_what_was_archived_is_told_within_hours(tested: TestedPortal) -> None:
    gone, kept = many(tested, "companies", 2)
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    tested.portal.archive("companies", gone)
    tested.clock.pass_time(timedelta(hours=6))
    told = rows(read(connector, cursor))
    assert [row["id"] for row in told if row[DELETED]] == [str(gone)]
    assert str(kept) not in {row["id"] for row in told if row[DELETED]}
    assert told[-1]["updatedAt"] == "2026-03-02T10:00:00.000Z", "when it was archived"


def test_what_was_restored_is_back(tested: TestedPortal) -> None:
    (gone,) = many(tested, "companies", 1)
    connector = tested.connect()
    cursor = first_load(connector)
    tested.portal.archive("companies", gone)
    tested.clock.pass_time(timedelta(hours=7))
    cursor = read(connector, cursor)[-1].cursor
    tested.portal.restore("companies", gone)
    tested.clock.pass_time(timedelta(hours=7))
    told = rows(read(connector, cursor))
    assert [(row["id"], row[DELETED]) for row in told] == [(str(gone), False)]


def test_what_was_removed_for_good_is_found_missing(tested: TestedPortal) -> None:
    """By a data subject's request, or 90 days after it was archived: no list tells it."""
    gone, kept = many(tested, "contacts", 2)
    connector = tested.connect("contacts", ("lastname",))
    cursor = first_load(connector)
    tested.portal.archive("contacts", gone)
    tested.portal.purge("contacts", gone)
    tested.clock.pass_time(timedelta(days=8))
    pages = read(connector, cursor)
    listing = [page for page in pages if page.snapshot is not None]
    assert listing[-1].snapshot is not None
    assert listing[-1].snapshot.last
    assert [row["id"] for row in rows(listing)] == [str(kept)]


def test_after_a_long_pause_everything_is_read(tested: TestedPortal) -> None:
    """The archive forgets after 90 days."""
    many(tested, "companies", 2)
    connector = tested.connect(reread_every="1000 days")
    cursor = first_load(connector)
    tested.clock.pass_time(timedelta(days=100))
    assert read(connector, cursor)[0].snapshot is not None


def test_both_records_of_a_merge_lead_to_the_new_one(tested: TestedPortal) -> None:
    one, two = (int(tested.make("companies", name=name)) for name in ("one", "two"))
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    made = tested.portal.merge("companies", one, two)
    tested.clock.pass_time(HOUR)
    told = rows(read(connector, cursor))
    assert [(row["id"], row[MERGED_INTO]) for row in told] == [
        (str(made.id), None),
        (str(one), str(made.id)),
        (str(two), str(made.id)),
    ]
    assert [row[DELETED] for row in told] == [False, True, True]
    anew = rows(read(tested.connect()))
    assert [(row["id"], row[MERGED_INTO]) for row in anew] == [
        (row["id"], row[MERGED_INTO]) for row in told
    ]


def test_more_properties_than_an_address_can_name(
    tested: TestedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_LONGEST_ADDRESS", 60)
    tested.make("companies", name="A", city="Basel", country="CH", industry="tea", zip="4051")
    columns = ("name", "city", "country", "industry", "zip", "phone")
    connector = tested.connect(columns=columns)
    (row,) = rows(read(connector))
    assert [row[name] for name in columns] == ["A", "Basel", "CH", "tea", "4051", None]
    targets = [one.target for one in tested.service.requests if one.method == "GET"]
    assert max(map(len, targets)) < 200
    assert asked(tested)[-1] == "POST objects/companies/batch/read"


def test_no_address_is_too_long(tested: TestedPortal) -> None:
    """A portal refuses addresses of more than 16 KiB; some have thousands of properties."""
    columns = tuple(f"a_property_with_a_rather_long_name_{number:04}" for number in range(900))
    tested.make("companies", name="A")
    (row,) = rows(read(tested.connect(columns=("name", *columns))))
    assert row["name"] == "A"
    assert max(len(one.target) for one in tested.service.requests) < 16_384


def test_times_are_told_in_one_way(tested: TestedPortal) -> None:
    """HubSpot writes days and instants as ISO texts, with and without fractions, or as numbers."""
    tested.settings.index_lag = timedelta(0)
    kind = tested.portal.types["companies"]
    for name, type_ in (("day", "date"), ("moment", "datetime")):
        kind.add(_property(name, type_))
    variants = [
        {"day": "2026-03-01", "moment": "2026-03-01T10:00:00Z"},
        {"day": "1772323200000", "moment": "1772359200000"},
        {"day": "2026-03-01T00:00:00Z", "moment": "2026-03-01T10:00:00.000Z"},
    ]
    at = milliseconds(tested.clock.now())
    made = [record(tested.portal.minted("companies"), at, at, None, values) for values in variants]
    tested.portal.load("companies", made)
    told = rows(read(tested.connect(columns=("day", "moment", "createdAt"))))
    assert {row["day"] for row in told} == {"2026-03-01"}
    assert {row["moment"] for row in told} == {"2026-03-01T10:00:00.000Z"}
    assert {row["createdAt"] for row in told} == {"2026-03-02T09:00:00.000Z"}


def _property(name: str, type_: str) -> Any:
    from crmsync_hubspot.simulator.definitions import own_property  # noqa: PLC0415  used once

    return own_property(f"{name} {type_}", "companyinformation")


@pytest.mark.parametrize("null_values", [True, False])
def test_an_empty_property_is_null_or_left_out(tested: TestedPortal, null_values: bool) -> None:
    tested.settings.null_values = null_values
    tested.make("companies", name="A")
    (row,) = rows(read(tested.connect(columns=("name", "city"))))
    assert row["city"] is None


def test_a_property_that_went_away_is_empty(tested: TestedPortal) -> None:
    tested.make("companies", name="A", city="Basel")
    connector = tested.connect(columns=("name", "city", "never_there"))
    assert rows(read(connector))[0]["city"] == "Basel"
    tested.portal.types["companies"].properties["city"].archived = 1
    (row,) = rows(read(connector))
    assert (row["name"], row["never_there"]) == ("A", None)


def test_what_was_before_comes_before(tested: TestedPortal) -> None:
    made = int(tested.make("companies", name="A", lifecyclestage="lead"))
    for stage in ("opportunity", "customer"):
        tested.clock.pass_time(HOUR)
        tested.portal.update("companies", made, {"lifecyclestage": stage})
    connector = tested.connect(
        columns=("name", "lifecyclestage", "updatedAt"), history=["lifecyclestage"]
    )
    pages = read(connector)
    told = [(row["updatedAt"], row["lifecyclestage"]) for row in rows(pages)]
    assert told == [
        ("2026-03-02T09:00:00.000Z", "lead"),
        ("2026-03-02T10:00:00.000Z", "opportunity"),
        ("2026-03-02T11:00:00.000Z", "customer"),
    ]
    assert all(page.snapshot is None for page in pages), "a listing names each record once"
    for stage in ("evangelist", "other"):
        tested.clock.pass_time(HOUR)
        tested.portal.update("companies", made, {"lifecyclestage": stage})
    tested.clock.pass_time(HOUR)
    later = [row["lifecyclestage"] for row in rows(read(connector, pages[-1].cursor))]
    assert later[-2:] == ["evangelist", "other"]
    batches = [one for one in tested.service.requests if one.route[-1] == "read"]
    assert all(len(one.fields()["inputs"]) <= 50 for one in batches)


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


def test_owners_are_listed_as_a_whole_where_they_changed(tested: TestedPortal) -> None:
    ada = tested.portal.add_owner("ada@example.com", "Ada", "Lovelace")
    connector = tested.connect("owners", ("email", "lastName"))
    pages = read(connector)
    assert [(row["id"], row["lastName"]) for row in rows(pages)] == [(str(ada), "Lovelace")]
    asked(tested)
    assert read(connector, pages[-1].cursor) == []
    assert asked(tested) == ["GET owners"]
    tested.portal.owners[ada].archived = True
    (page,) = read(connector, pages[-1].cursor)
    assert rows([page]) == []
    assert page.snapshot is not None
    assert page.snapshot.last


def test_pipelines_and_properties_are_streams(tested: TestedPortal) -> None:
    stages = rows(read(tested.connect("pipelines", ("label", "isClosed"), of="deals")))
    assert {row["id"] for row in stages if row["isClosed"] == "true"} == {"closedwon", "closedlost"}
    properties = rows(read(tested.connect("properties", ("label", "type"), of="companies")))
    assert {"name", "domain"} <= {row["id"] for row in properties}


@pytest.mark.parametrize(
    "name",
    ["deals", "tickets", "tasks", "emails", "calls", "meetings", "notes", "line_items",
     "feedback_submissions", "contacts", "companies"],
)  # fmt: skip
def test_each_kind_of_record_can_be_read(tested: TestedPortal, name: str) -> None:
    connector = tested.connect(name, ("createdAt",))
    (made,) = many(tested, name, 1)
    pages = read(connector)
    assert [row["id"] for row in rows(pages)] == [str(made)]
    tested.clock.pass_time(HOUR)
    (later,) = many(tested, name, 1)
    tested.clock.pass_time(HOUR)
    assert str(later) in {row["id"] for row in rows(read(connector, pages[-1].cursor))}


@pytest.mark.parametrize("by", ["p48000001_renewals", "2-170001"])
def test_a_custom_object_can_be_read(tested: TestedPortal, by: str) -> None:
    schemas = CustomObjectsApi(tested.portal, tested.service.access)
    title = {"name": "title", "label": "Title", "type": "string", "fieldType": "text"}
    labels = {"singular": "Renewal", "plural": "Renewals"}
    kind = schemas.create(
        {"name": "renewals", "labels": labels, "properties": [title],
         "primaryDisplayProperty": "title", "associatedObjects": ["companies"]}
    )  # fmt: skip
    company, first = int(tested.make("companies", name="A")), int(tested.make(kind.name, title="1"))
    tested.portal.link(kind.name, first, "companies", company)
    connector = tested.connect(by, ("title", "associations.companies"))
    pages = read(connector)
    (row,) = rows(pages)
    assert (row["title"], row["associations.companies"]) == ("1", str(company))
    tested.clock.pass_time(HOUR)
    second = int(tested.make(kind.name, title="2"))
    tested.portal.link(kind.name, second, "companies", company)
    tested.clock.pass_time(HOUR)
    told = {
        row["title"]: row["associations.companies"]
        for row in rows(read(connector, pages[-1].cursor))
    }
    assert told["2"] == str(company)
    assert not [finding for finding in connector.check() if finding.fatal]


def test_an_object_that_is_not_there_is_named(tested: TestedPortal) -> None:
    connector = tested.connect("p_renewals", ("name",))
    with pytest.raises(RejectedError, match="no object “p_renewals”"):
        read(connector)


def test_a_cursor_of_another_request_begins_anew(tested: TestedPortal) -> None:
    tested.make("companies", name="A", city="Basel")
    cursor = first_load(tested.connect())
    assert rows(read(tested.connect(columns=("name", "city")), cursor))[0]["city"] == "Basel"
    assert rows(read(tested.connect(), "no cursor at all"))


def test_the_portals_own_clock_may_be_behind(tested: TestedPortal) -> None:
    """What changes between the portal's present and ours is read the next time."""
    from portal_under_test import VirtualTime  # noqa: PLC0415  for this alone

    connector = tested.connect()
    ahead = VirtualTime(tested.clock.now() + timedelta(hours=2))
    connector._client.clock = ahead  # noqa: SLF001  a machine whose clock is wrong
    cursor = first_load(connector)
    tested.clock.pass_time(timedelta(minutes=30))
    ahead.pass_time(timedelta(minutes=30))
    made = tested.make("companies", name="between")
    tested.clock.pass_time(HOUR)
    ahead.pass_time(HOUR)
    pages = read(connector, cursor)
    found = {row["id"] for row in rows(pages)}
    tested.clock.pass_time(HOUR)
    ahead.pass_time(HOUR)
    found |= {row["id"] for row in rows(read(connector, pages[-1].cursor if pages else cursor))}
    assert made in found
