from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.model.schedules import PATTERN, parse_schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

ZURICH = "Europe/Zurich"


def times(schedule: object, start: str, zone: str = ZURICH) -> Iterator[str]:
    at = datetime.fromisoformat(start)
    while True:
        found = parse_schedule(schedule).next_after(at, company_zone=zone)
        assert found is not None
        at = found
        yield at.isoformat(timespec="minutes").removesuffix("+00:00")


def first(number: int, schedule: object, start: str, zone: str = ZURICH) -> list[str]:
    coming = times(schedule, start, zone)
    return [next(coming) for _ in range(number)]


def test_an_interval_counts_from_the_last_time() -> None:
    assert first(2, "every 15 minutes", "2026-03-02T09:07+00:00") == [
        "2026-03-02T09:22",
        "2026-03-02T09:37",
    ]


@pytest.mark.parametrize("text", ["weekdays at 07:00", "0 7 * * mon-fri", "Weekdays at 7:00"])
def test_weekdays_follow_the_company_s_clock_on_the_wall(text: str) -> None:
    # Friday; then the clock goes forward on Sunday.
    assert first(3, text, "2026-03-26T07:00+00:00") == [
        "2026-03-27T06:00",
        "2026-03-30T05:00",
        "2026-03-31T05:00",
    ]


def test_a_schedule_has_a_zone_of_its_own() -> None:
    own = {"at": "daily at 07:00", "zone": "America/New_York"}
    assert first(1, own, "2026-01-05T00:00+00:00") == ["2026-01-05T12:00"]
    assert str(parse_schedule(own)) == "daily at 07:00 (America/New_York)"


def test_an_hour_that_is_skipped_still_comes_and_one_that_repeats_comes_twice() -> None:
    assert first(2, "daily at 02:30", "2026-03-28T12:00+00:00")[0] == "2026-03-29T01:30"
    assert first(3, "daily at 02:30", "2026-10-24T12:00+00:00") == [
        "2026-10-25T00:30",
        "2026-10-25T01:30",
        "2026-10-26T01:30",
    ]


def test_sunday_is_sunday() -> None:
    assert first(2, "sundays at 08:00", "2026-03-02T00:00+00:00", "UTC") == [
        "2026-03-08T08:00",
        "2026-03-15T08:00",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hourly", "write for example “every 15 minutes”"),
        ("every now and then", "write for example “every 15 minutes”"),
        ("every 0 minutes", "once a minute is the most"),
        ("every 2 business days", "write “weekdays at 07:00”"),
        ("0 7 * * 1-5", "weekdays are written by name"),
        ("0 25 * * *", "is no schedule"),
        ("0 7 30 2 *", "never comes"),
        ("weekdays at 25:00", "is no schedule"),
        ("someday at 08:00", "write for example"),
        (15, "write for example"),
        ({"at": "daily at 07:00", "zone": "Europe/Zurch"}, "is not a time zone"),
        ({"zone": ZURICH}, "{at: TIMES, zone: ZONE}"),
        ({"at": "every 1 hour", "zone": ZURICH}, "it has no zone"),
    ],
)
def test_what_is_none_is_told_with_how_one_is_written(text: object, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_schedule(text)


@given(
    st.sampled_from(["every 7 minutes", "weekdays at 02:30", "*/20 2,3 * * *", "0 0 1 * *"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001  hypothesis wants naive bounds
)
def test_the_next_time_is_always_later_and_nothing_lies_between(text: str, at: datetime) -> None:
    schedule = parse_schedule(text)
    found = schedule.next_after(at, company_zone=ZURICH)
    assert found is not None
    assert found > at
    if schedule.cron:
        between = schedule.next_after(found - timedelta(microseconds=1), company_zone=ZURICH)
        assert between == found
    assert re.match(PATTERN, text)
