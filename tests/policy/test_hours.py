"""Mails wait for the hours where they are read; also when clocks are changed in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from crmsync.config.hours import Hours
from crmsync.config.policy import Policy
from crmsync.config.settings import Company
from crmsync.ledger.values.runs import Answer
from crmsync.policy.drafts import PASS
from crmsync.policy.hours import Openings, hours
from policy.draft_world import DRAFT, MAIL, TASK

if TYPE_CHECKING:
    from collections.abc import Mapping

_MINUTE = timedelta(minutes=1)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

# Days (UTC) around which something happens to the clocks; and some where nothing does.
_CHANGES = [
    ("Europe/Zurich", "2026-03-29"),  # 02:00 → 03:00
    ("Europe/Zurich", "2026-10-25"),  # 03:00 → 02:00
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-04"),  # half an hour, 02:00 → 01:30
    ("Australia/Lord_Howe", "2026-10-03"),
    ("America/Sao_Paulo", "2018-11-04"),  # midnight did not exist
    ("America/Sao_Paulo", "2019-02-16"),  # the hour before midnight came twice
    ("America/Sao_Paulo", "2026-11-01"),  # abolished
    ("Africa/Casablanca", "2026-02-15"),  # back for Ramadan
    ("Africa/Casablanca", "2026-03-22"),
    ("Pacific/Apia", "2011-12-30"),  # a day that never was
    ("Asia/Kathmandu", "2026-05-01"),  # 05:45
    ("UTC", "2026-12-31"),
]


def at(text: str, zone: str = "UTC", *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def openings(zone: str, country: str | None = None, **written: Any) -> Openings:
    return Openings(hours=Hours.model_validate(written), zone=ZoneInfo(zone), country=country)


def naive_is_open(
    instant: datetime, zone: str, written: Mapping[str, list[str]], quiet: set[date]
) -> bool:
    local = instant.astimezone(ZoneInfo(zone))
    if local.date() in quiet:
        return False
    wall = f"{local:%H:%M}"
    spans = written.get(_WEEKDAYS[local.weekday()], [])
    return any(span[:5] <= wall < span[6:] for span in spans)


_minutes = st.integers(0, 24 * 60)
_spans = st.lists(_minutes, min_size=2, max_size=4, unique=True).map(
    lambda ends: [
        f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}"
        for a, b in zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False)
    ]
)
_week = st.dictionaries(st.sampled_from(_WEEKDAYS), _spans, min_size=1)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(_CHANGES),
    st.integers(-36 * 60, 36 * 60),
    st.integers(0, 59),
    _week,
    st.sets(st.integers(-2, 2), max_size=2),
)
@example(_CHANGES[0], 0, 0, {"sunday": ["02:30-04:00"]}, set())
@example(_CHANGES[1], 45, 0, {"sunday": ["02:15-02:30"]}, set())
@example(_CHANGES[6], 0, 0, {"sunday": ["00:00-01:30"]}, set())
@example(_CHANGES[11], -60, 0, {day: ["00:00-24:00"] for day in _WEEKDAYS}, {-1, 0})
@example(_CHANGES[13], 0, 0, {"saturday": ["00:00-00:01"]}, set())
def test_the_opening_is_the_first_open_minute(
    change: tuple[str, str],
    minutes: int,
    seconds: int,
    written: dict[str, list[str]],
    quiet_days: set[int],
) -> None:
    zone, day = change
    middle = at(day)
    quiet = {(middle + timedelta(days=n)).date() for n in quiet_days}
    days: dict[str, Any] = {**written, "quiet_dates": [str(day) for day in quiet]}
    place = openings(zone, **days)
    begin = middle + timedelta(minutes=minutes, seconds=seconds)
    opening = place.next_open(begin)
    assert opening is not None
    assert opening >= begin
    assert naive_is_open(opening, zone, written, quiet)
    if naive_is_open(begin, zone, written, quiet):
        assert opening == begin
        return
    scanned = begin.replace(second=0)
    last = min(opening, begin + timedelta(days=4))
    while scanned < last:
        assert not naive_is_open(scanned, zone, written, quiet), scanned
        scanned += _MINUTE
    assert opening.second == opening.microsecond == 0


@pytest.mark.parametrize(
    ("zone", "asked", "expected"),
    [
        # On the days when the clocks change, the same time on the wall is another one in UTC.
        ("Europe/Zurich", "2026-03-27T22:00:00+00:00", "2026-03-30T06:00:00+00:00"),
        ("Europe/Zurich", "2026-10-23T22:00:00+00:00", "2026-10-26T07:00:00+00:00"),
        ("America/New_York", "2026-03-06T23:00:00+00:00", "2026-03-09T12:00:00+00:00"),
        ("America/New_York", "2026-10-30T23:00:00+00:00", "2026-11-02T13:00:00+00:00"),
        ("America/Sao_Paulo", "2018-11-02T22:00:00+00:00", "2018-11-05T10:00:00+00:00"),
        ("America/Sao_Paulo", "2026-10-30T22:00:00+00:00", "2026-11-02T11:00:00+00:00"),
        # In Samoa, Friday the 30th of December 2011 was left out.
        ("Pacific/Apia", "2011-12-30T05:00:00+00:00", "2012-01-01T18:00:00+00:00"),
        ("Asia/Kathmandu", "2026-05-01T13:00:00+00:00", "2026-05-04T02:15:00+00:00"),
    ],
)
def test_the_next_business_morning(zone: str, asked: str, expected: str) -> None:
    place = openings(zone, weekdays="08:00-18:00")
    assert place.next_open(datetime.fromisoformat(asked)) == datetime.fromisoformat(expected)


def test_an_opening_that_the_clocks_skip_is_when_they_go_on() -> None:
    place = openings("Europe/Zurich", sunday="02:30-04:00")
    assert place.next_open(at("2026-03-29T00:30")) == at("2026-03-29T01:00")


def test_an_hour_that_comes_twice_opens_twice() -> None:
    place = openings("Europe/Zurich", sunday="02:00-02:30")
    first, again = at("2026-10-25T00:00"), at("2026-10-25T01:00")
    assert place.next_open(at("2026-10-24T22:00")) == first
    assert place.next_open(first + timedelta(minutes=45)) == again
    assert place.is_open(again + timedelta(minutes=29))
    assert not place.is_open(again + timedelta(minutes=30))


def test_holidays_are_those_of_the_country_and_its_region() -> None:
    morning = at("2026-08-14T20:00", "Europe/Berlin")
    # The 15th of August 2026 is a Saturday and a holiday in parts of Bavaria only.
    assert openings("Europe/Berlin", "DE", saturday="08:00-12:00").next_open(morning) == at(
        "2026-08-15T08:00", "Europe/Berlin"
    )
    epiphany = at("2026-01-05T20:00", "Europe/Berlin")
    everywhere = openings("Europe/Berlin", "DE", weekdays="08:00-18:00")
    bavaria = openings("Europe/Berlin", "DE", weekdays="08:00-18:00", regions={"DE": "BY"})
    assert everywhere.next_open(epiphany) == at("2026-01-06T08:00", "Europe/Berlin")
    assert bavaria.next_open(epiphany) == at("2026-01-07T08:00", "Europe/Berlin")
    new_year = at("2025-12-31T20:00", "Europe/Berlin")
    assert everywhere.next_open(new_year) == at("2026-01-02T08:00", "Europe/Berlin")
    open_then = openings("Europe/Berlin", "DE", weekdays="08:00-18:00", on_holidays=True)
    assert open_then.next_open(new_year) == at("2026-01-01T08:00", "Europe/Berlin")


def test_quiet_dates_are_of_one_year_or_of_every_year() -> None:
    place = openings(
        "UTC", weekdays="08:00-18:00", quiet_dates=["12-24 to 01-02", "2026-10-05", "02-29"]
    )
    assert place.next_open(at("2026-12-23T20:00")) == at("2027-01-04T08:00")
    assert place.next_open(at("2026-10-02T20:00")) == at("2026-10-06T08:00")
    assert place.next_open(at("2028-02-28T20:00")) == at("2028-03-01T08:00")
    assert place.is_open(at("2027-10-05T08:00"))


def test_hours_that_never_come_are_told() -> None:
    place = openings("UTC", monday="08:00-09:00", quiet_dates=["01-01 to 12-31"])
    assert place.next_open(at("2026-01-01T00:00")) is None


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({}, "no day has hours"),
        ({"weekdays": "8-18"}, "“8-18” is no part of a day"),
        ({"weekdays": 8}, "“8” is no part of a day"),
        ({"weekdays": "18:00-08:00"}, "ends before it begins; what goes past midnight"),
        ({"weekdays": "08:00-24:01"}, "from 00:00 to 24:00"),
        ({"weekdays": "08:60-12:00"}, "from 00:00 to 24:00"),
        ({"monday": ["08:00-12:00", "11:00-13:00"]}, "08:00–12:00 and 11:00–13:00 overlap"),
        ({"weekdays": "08:00-18:00", "quiet_dates": ["2026-02-30"]}, "is no date"),
        ({"weekdays": "08:00-18:00", "quiet_dates": ["12-24 to 2027-01-02"]}, "no span of dates"),
        ({"weekdays": "08:00-18:00", "quiet_dates": ["2026-12-24 to 2026-12-20"]}, "ends before"),
        ({"weekdays": "08:00-18:00", "regions": {"CH": "ZZ"}}, "no holidays are known of “ZZ”"),
        ({"weekdays": "08:00-18:00", "regions": {"XX": "ZZ"}}, "the country “XX”"),
    ],
)
def test_hours_that_make_no_sense_are_told(written: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Hours.model_validate(written)
    assert words in str(caught.value)


# The gate

_COMPANY = Company(name="Vendor", email="v@vendor.example", time_zone="Europe/Zurich", country="CH")
_NIGHT = at("2026-03-02T22:10", "America/New_York")
_POLICY = Policy.model_validate({"hours": {"weekdays": "08:00-18:00"}})
_DRAFT = replace(
    DRAFT,
    action=replace(MAIL, at=_NIGHT),
    company=_COMPANY,
    account={"id": "crm:a1", "country": "US"},
    contact={"id": "crm:c1", "name": "Ann", "time_zone": "America/New_York"},
)


def test_a_mail_at_night_waits_for_the_morning_where_the_customer_is() -> None:
    ruling = hours(_DRAFT, _POLICY, _NIGHT)
    morning = at("2026-03-03T08:00", "America/New_York")
    assert (ruling.answer, ruling.gate, ruling.until) == (Answer.DEFER, "hours", morning)
    assert ruling.reason == (
        "it is Monday 2026-03-02 22:10 where Ann is (America/New_York), and the next hours there "
        "begin on Tuesday 2026-03-03 08:00"
    )
    assert hours(_DRAFT, _POLICY, morning) == PASS
    assert hours(_DRAFT, Policy(), _NIGHT) == PASS


def test_the_zone_is_the_contacts_else_the_accounts_else_the_owners_else_it_is_held() -> None:
    zones = {"contact": "America/New_York", "account": "Asia/Kathmandu", "owner": "Europe/Zurich"}
    draft = replace(
        _DRAFT,
        contact={"id": "c", "time_zone": zones["contact"]},
        account={"id": "a", "time_zone": zones["account"]},
        owner={"id": "o", "time_zone": zones["owner"]},
    )
    for who, zone in zones.items():
        assert f"({zone})" in hours(draft, _POLICY, at("2026-03-01T12:00")).reason
        nowhere: dict[str, Any] = {who: {"id": who, "time_zone": "Somewhere/Else"}}
        draft = replace(draft, **nowhere)
    ruling = hours(draft, _POLICY, _NIGHT)
    assert (ruling.answer, ruling.gate) == (Answer.HOLD, "hours")
    assert "no time zone is known of contact, nor of the account or its owner" in ruling.reason
    ours = Policy.model_validate({"hours": {"weekdays": "08:00-18:00", "unknown_zone": "company"}})
    assert "(Europe/Zurich)" in hours(draft, ours, _NIGHT).reason


def test_the_holidays_are_those_of_the_customers_country() -> None:
    independence = at("2025-07-03T20:00", "America/New_York")
    assert hours(_DRAFT, _POLICY, independence).until == at("2025-07-07T08:00", "America/New_York")
    swiss = replace(_DRAFT, contact={**(_DRAFT.contact or {}), "country": "ch"})
    assert hours(swiss, _POLICY, independence).until == at("2025-07-04T08:00", "America/New_York")
    # The company's, where the customer's country is not known.
    unknown = replace(_DRAFT, account=None)
    national = at("2025-07-31T20:00", "America/New_York")
    assert hours(unknown, _POLICY, national).until == at("2025-08-04T08:00", "America/New_York")


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (
            "2025-07-04T09:00",
            (
                "it is Friday 2025-07-04 09:00, a public holiday in US (Independence Day), where "
                "Ann is (America/New_York), and the next hours there begin on "
                "Monday 2025-07-07 08:00"
            ),
        ),
        (
            "2025-07-10T09:00",
            (
                "it is Thursday 2025-07-10 09:00, one of the quiet_dates, where Ann is "
                "(America/New_York), and the next hours there begin on Friday 2025-07-11 08:00"
            ),
        ),
        (
            "2025-11-01T20:00",
            (
                "it is Saturday 2025-11-01 20:00 EDT where Ann is (America/New_York), and the next "
                "hours there begin on Monday 2025-11-03 08:00 EST"
            ),
        ),
    ],
)
def test_it_is_told_what_closes_the_day_and_which_clock_is_meant(now: str, words: str) -> None:
    policy = Policy.model_validate(
        {"hours": {"weekdays": "08:00-18:00", "quiet_dates": ["2025-07-10"]}}
    )
    assert hours(_DRAFT, policy, at(now, "America/New_York")).reason == words


def test_service_mails_wait_too_unless_the_policy_says_otherwise() -> None:
    service = replace(_DRAFT, action=replace(MAIL, email_class="service"))
    assert hours(service, _POLICY, _NIGHT).answer is Answer.DEFER
    policy = Policy.model_validate(
        {"hours": {"weekdays": "08:00-18:00", "any_time_for": ["service"]}}
    )
    assert hours(service, policy, _NIGHT) == PASS
    assert hours(_DRAFT, policy, _NIGHT).answer is Answer.DEFER


def test_tasks_and_mails_to_colleagues_are_written_at_night_unless_the_policy_says_so() -> None:
    colleague = {"id": "u", "name": "Jo", "time_zone": "America/New_York"}
    to_colleague = replace(_DRAFT, contact=None, colleague=colleague)
    task = replace(to_colleague, action=TASK)
    with_tasks = Policy.model_validate({"hours": {"weekdays": "08:00-18:00", "tasks": True}})
    assert hours(to_colleague, with_tasks, _NIGHT) == PASS
    assert hours(task, _POLICY, _NIGHT) == PASS
    assert hours(task, with_tasks, _NIGHT).until == at("2026-03-03T08:00", "America/New_York")
    homeless = replace(task, colleague={"id": "u", "name": "Jo"})
    assert "(Europe/Zurich)" in hours(homeless, with_tasks, _NIGHT).reason


def test_hours_that_never_come_hold() -> None:
    never = Policy.model_validate(
        {"hours": {"weekdays": "08:00-18:00", "quiet_dates": ["01-01 to 12-31"]}}
    )
    ruling = hours(_DRAFT, never, _NIGHT)
    assert (ruling.answer, ruling.gate) == (Answer.HOLD, "hours")


@given(st.sampled_from(_CHANGES), st.integers(-24 * 60, 48 * 60))
@settings(max_examples=60)
def test_until_it_closes_it_is_open(change: tuple[str, str], minutes: int) -> None:
    zone, day = change
    here = openings(zone, weekdays=["01:30-02:30", "09:00-18:00"], sunday="00:00-24:00")
    now = at(day) + minutes * _MINUTE
    closes = here.closes(now)
    assert (closes is None) is not here.is_open(now)
    if closes is not None:
        assert now < closes <= now + timedelta(days=2)
        assert all(here.is_open(now + n * _MINUTE) for n in range((closes - now) // _MINUTE))
        assert here.is_open(closes - timedelta(seconds=1))
