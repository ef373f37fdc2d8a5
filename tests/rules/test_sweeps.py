from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.model.durations import Duration, parse_duration
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Operator, Test, Today
from crmsync.rules.evaluation.calendar import Bound, Bounds, Calendar
from crmsync.rules.turning.sweeps import Sweep, meetings, midnights, sweeps

ZURICH = ZoneInfo("Europe/Zurich")
# Clocks change in Zurich, Los Angeles and on Lord Howe Island, and so does the year.
PRESENTS = [
    datetime(2026, 3, 28, 23, 30, tzinfo=UTC),
    datetime(2026, 10, 24, 22, 30, tzinfo=UTC),
    datetime(2026, 3, 8, 9, 59, 59, tzinfo=UTC),
    datetime(2026, 4, 4, 14, 45, tzinfo=UTC),
    datetime(2026, 12, 31, 23, tzinfo=UTC),
]
ZONES = ["UTC", "Europe/Zurich", "America/Los_Angeles", "Pacific/Auckland", "Australia/Lord_Howe"]
TESTS = [
    Test(operator=operator, operand=parse_duration(age))
    for operator in (
        Operator.IN_NEXT,
        Operator.IN_LAST,
        Operator.OLDER_THAN,
        Operator.FURTHER_THAN,
    )
    for age in ("0 days", "1 day", "3 days", "1 business day", "3 business days")
] + [
    Test(operator=Operator.BEFORE, operand=Today()),
    Test(operator=Operator.AFTER, operand=Today()),
    Test(operator=Operator.BETWEEN, operand=(Today(), Today())),
    Test(operator=Operator.BEFORE, operand=date(2026, 3, 29)),
]


def passes(value: Bound, bounds: Bounds) -> bool:
    """Shares nothing with the code under test."""
    return all(
        (
            bounds.least is None or bounds.least <= value,
            bounds.most is None or value <= bounds.most,
            bounds.above is None or bounds.above < value,
            bounds.below is None or value < bounds.below,
        )
    )


def is_in(value: Bound, swept: frozenset[Sweep]) -> bool:
    return any(s.low <= value < s.high if s.leaves else s.low < value <= s.high for s in swept)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Bound, Test, FieldType, Calendar, datetime]:
    present = draw(st.sampled_from(PRESENTS)) + timedelta(minutes=draw(st.integers(-600, 600)))
    calendar = Calendar(now=present, zone=ZoneInfo(draw(st.sampled_from(ZONES))), country=None)
    until = present + timedelta(minutes=draw(st.integers(1, 5000)))
    test = draw(st.sampled_from(TESTS))
    instant = present + timedelta(minutes=draw(st.integers(-9000, 9000)))
    kind = draw(st.sampled_from([FieldType.DATE, FieldType.INSTANT]))
    return (instant.date() if kind is FieldType.DATE else instant), test, kind, calendar, until


@settings(max_examples=150, deadline=None, derandomize=True)
@given(situation=situations())
def test_a_verdict_turns_only_on_swept_values_and_at_told_instants(
    situation: tuple[Bound, Test, FieldType, Calendar, datetime],
) -> None:
    value, test, kind, start, until = situation
    told = list(meetings(value, test, kind, start, until))
    assert told == sorted(told)
    assert all(start.now < instant <= until for instant in told)
    swept = sweeps(test, kind, start, until)
    assert not told or is_in(value, swept)

    def at(instant: datetime) -> bool:
        here = Calendar(now=instant, zone=start.zone, country=None)
        return passes(value, here.bounds(test, kind))

    turns = [start.now, *told, until]
    for earlier, later in itertools.pairwise(turns):
        probes = [earlier + i * (later - earlier) / 12 for i in range(12)]
        probes = [probe for probe in probes if probe < later]  # it is rounded to microseconds
        assert len({at(probe) for probe in probes}) <= 1, (value, test, told)
    for turn in told:
        assert at(turn) is not at(turn - timedelta(microseconds=1))
    assert at(start.now) is (at(until) if len(told) % 2 == 0 else not at(until))


@pytest.mark.parametrize(
    ("operator", "age", "swept"),
    [
        (Operator.OLDER_THAN, "14 days", {(-14, False)}),
        (Operator.IN_LAST, "14 days", {(-14, True), (0, False)}),
        (Operator.IN_NEXT, "14 days", {(0, True), (14, False)}),
        (Operator.FURTHER_THAN, "14 days", {(14, True)}),
    ],
)
def test_an_hour_sweeps_over_an_hour(
    operator: Operator, age: str, swept: set[tuple[int, bool]]
) -> None:
    now, hour = datetime(2026, 3, 2, 12, tzinfo=UTC), timedelta(hours=1)
    test = Test(operator=operator, operand=parse_duration(age))
    start = Calendar(now=now, zone=ZURICH, country=None)
    assert sweeps(test, FieldType.INSTANT, start, now + hour) == {
        Sweep(low=now + timedelta(days=d), high=now + timedelta(days=d) + hour, leaves=leaves)
        for d, leaves in swept
    }


def test_dates_wait_for_midnight_there() -> None:
    start = Calendar(now=datetime(2026, 3, 2, 12, tzinfo=UTC), zone=ZURICH, country=None)
    test = Test(operator=Operator.IN_NEXT, operand=Duration(length=timedelta(days=30)))
    evening = datetime(2026, 3, 2, 22, 59, tzinfo=UTC)
    assert sweeps(test, FieldType.DATE, start, evening) == set()
    assert sweeps(test, FieldType.DATE, start, evening + timedelta(minutes=1)) == {
        Sweep(low=date(2026, 3, 2), high=date(2026, 3, 3), leaves=True),
        Sweep(low=date(2026, 4, 1), high=date(2026, 4, 2), leaves=False),
    }
    year = start.now + timedelta(days=366)
    assert list(meetings(date(2026, 5, 1), test, FieldType.DATE, start, year)) == [
        datetime(2026, 3, 31, 22, tzinfo=UTC),  # summer time has come in between
        datetime(2026, 5, 1, 22, tzinfo=UTC),
    ]
    assert list(midnights(start, evening + timedelta(days=1, minutes=1))) == [
        datetime(2026, 3, 2, 23, tzinfo=UTC),
        datetime(2026, 3, 3, 23, tzinfo=UTC),
    ]


def test_what_stands_still_is_never_met() -> None:
    start = Calendar(now=PRESENTS[0], zone=ZURICH, country=None)
    test = Test(operator=Operator.AFTER, operand=date(2026, 4, 1))
    year = start.now + timedelta(days=366)
    for kind in (FieldType.DATE, FieldType.INSTANT):
        assert sweeps(test, kind, start, year) == set()
    assert list(meetings(date(2026, 4, 1), test, FieldType.DATE, start, year)) == []
