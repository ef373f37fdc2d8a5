"""Properties and their values."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from portal_reading import HOUR, asked, first_load, read, rows

from crmsync.errors import RejectedError, TransientError
from crmsync_hubspot import reading
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.records import record
from crmsync_hubspot.simulator.values import milliseconds

if TYPE_CHECKING:
    from portal_under_test import TestedPortal


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
    for name in columns:
        tested.portal.types["companies"].add(_property(name, "string"))
    tested.make("companies", name="A")
    (row,) = rows(read(tested.connect(columns=("name", *columns))))
    assert row["name"] == "A"
    assert max(len(one.target) for one in tested.service.requests) < 16_384


def test_no_search_is_too_long(tested: TestedPortal) -> None:
    """A portal refuses searches of more than 3,000 characters, and properties count to them."""
    columns = tuple(f"a_property_with_a_rather_long_name_{number:04}" for number in range(150))
    for name in columns:
        tested.portal.types["companies"].add(_property(name, "string"))
    connector = tested.connect(columns=("name", *columns))
    cursor = first_load(connector)
    made = [tested.make("companies", name="A", **{columns[-1]: f"v{n}"}) for n in range(120)]
    tested.clock.pass_time(HOUR)
    told = {row["id"]: row for row in rows(read(connector, cursor))}
    assert told.keys() == set(made)
    assert [told[one][columns[-1]] for one in made] == [f"v{n}" for n in range(120)]
    assert {row["name"] for row in told.values()} == {"A"}


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
    assert {row["moment"] for row in told} == {"2026-03-01T11:00:00+01:00"}
    assert {row["createdAt"] for row in told} == {"2026-03-02T09:00:00.000Z"}


def test_an_instants_day_is_that_of_the_portals_people(tested: TestedPortal) -> None:
    """A deal closed on an evening in New York is closed on that day, not on Greenwich's next."""
    tested.settings.time_zone = "America/New_York"
    tested.make("deals", dealname="D", closedate="2026-04-01T01:00:00Z")
    (row,) = rows(read(tested.connect("deals", ("dealname", "closedate"))))
    assert row["closedate"] == "2026-03-31T21:00:00-04:00"


def test_of_what_is_not_told_nothing_is_lost(
    tested: TestedPortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """207 for a record that is there: its other properties are not known, and not empty."""
    monkeypatch.setattr(reading, "_LONGEST_ADDRESS", 20)
    tested.make("companies", name="A", city="Basel", industry="BANKING")
    connector = tested.connect(columns=("name", "city", "industry"))
    tested.service.faults.append(Fault.ITEM_UNKNOWN)
    with pytest.raises(TransientError, match="INTERNAL_ERROR"):
        read(connector)
    assert rows(read(connector))[0]["industry"] == "BANKING"


def test_the_past_begins_where_all_of_it_is_known(tested: TestedPortal) -> None:
    """HubSpot keeps the latest values of a property only: before them it was not empty."""
    made = int(tested.make("companies", name="A", lifecyclestage="lead", city="c0"))
    tested.clock.pass_time(HOUR)
    tested.portal.update("companies", made, {"lifecyclestage": "customer"})
    for number in range(1, 31):
        tested.clock.pass_time(HOUR)
        tested.portal.update("companies", made, {"city": f"c{number}"})
    connector = tested.connect(
        columns=("name", "lifecyclestage", "city", "updatedAt"), history=["lifecyclestage", "city"]
    )
    told = [(row["lifecyclestage"], row["city"]) for row in rows(read(connector))]
    assert told == [("customer", f"c{number}") for number in range(11, 31)]


def test_the_past_of_many_is_asked_for_by_fifty(tested: TestedPortal) -> None:
    """HubSpot refuses to tell that of more records in one call."""
    made = [int(tested.make("companies", name="A", city="Basel")) for _ in range(120)]
    tested.clock.pass_time(HOUR)
    for one in made:
        tested.portal.update("companies", one, {"city": "Bern"})
    connector = tested.connect(columns=("name", "city", "updatedAt"), history=["city"])
    told = [row["city"] for row in rows(read(connector))]
    assert (told.count("Basel"), told.count("Bern")) == (120, 120)
    assert asked(tested).count("POST objects/companies/batch/read") == 3, "100 a page, 50 a call"


def _property(name: str, type_: str) -> Any:
    from crmsync_hubspot.simulator.definitions import own_property  # noqa: PLC0415  used once

    return own_property(f"{name} {type_}", "companyinformation")


@pytest.mark.parametrize("null_values", [True, False])
def test_an_empty_property_is_null_or_left_out(tested: TestedPortal, null_values: bool) -> None:
    tested.settings.null_values = null_values
    tested.make("companies", name="A")
    (row,) = rows(read(tested.connect(columns=("name", "city"))))
    assert row["city"] is None


def test_a_property_that_went_away_is_no_empty_one(tested: TestedPortal) -> None:
    """The portal's lists leave it out without a word, and all records would lose it."""
    tested.make("companies", name="A", city="Basel")
    connector = tested.connect(columns=("name", "city"))
    assert rows(read(connector))[0]["city"] == "Basel"
    tested.portal.types["companies"].properties["city"].archived = 1
    with pytest.raises(RejectedError, match="companies have no property “city”"):
        read(tested.connect(columns=("name", "city")))
    with pytest.raises(RejectedError, match="no property “nmae”; did you mean “name”"):
        read(tested.connect(columns=("nmae",)))


@pytest.mark.parametrize("null_values", [True, False])
def test_a_property_that_went_away_after_the_listing_is_no_empty_one(
    tested: TestedPortal, null_values: bool
) -> None:
    """A search leaves it out, too; where the portal says null, to know that costs no call."""
    tested.settings.null_values = null_values
    made = int(tested.make("companies", name="A", city="Basel"))
    cursor = read(tested.connect(columns=("name", "city")))[-1].cursor
    for name in ("B", "C"):
        tested.clock.pass_time(HOUR)
        tested.portal.update("companies", made, {"name": name, "city": ""})
        tested.clock.pass_time(HOUR)
        asked(tested)
        pages = read(tested.connect(columns=("name", "city")), cursor)
        assert [row["city"] for row in rows(pages)] == [None]
        more = [] if null_values else ["GET properties/companies"]
        assert asked(tested) == ["POST objects/companies/search", *more]
        cursor = pages[-1].cursor
    tested.portal.types["companies"].properties["city"].archived = 1
    tested.portal.update("companies", made, {"name": "D"})
    tested.clock.pass_time(HOUR)
    with pytest.raises(RejectedError, match="companies have no property “city”"):
        read(tested.connect(columns=("name", "city")), cursor)


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
