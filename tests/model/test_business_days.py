from __future__ import annotations

from datetime import date

import pytest

from crmsync.model.business_days import (
    add_business_days,
    business_days_between,
    is_business_day,
)

_FRIDAY = date(2026, 12, 18)
_CHRISTMAS_EVE = date(2026, 12, 24)


@pytest.mark.parametrize(
    ("day", "count", "country", "expected"),
    [
        (_FRIDAY, 1, None, date(2026, 12, 21)),
        (_FRIDAY, 5, None, date(2026, 12, 25)),
        (_FRIDAY, 5, "DE", date(2026, 12, 28)),
        (_CHRISTMAS_EVE, 1, "DE", date(2026, 12, 28)),
        (date(2026, 12, 28), -1, "DE", _CHRISTMAS_EVE),
        (date(2026, 12, 28), -1, None, date(2026, 12, 25)),
        (date(2026, 12, 19), 0, None, date(2026, 12, 21)),
        (_FRIDAY, 0, None, _FRIDAY),
    ],
)
def test_working_days_are_counted_over_weekends_and_holidays(
    day: date, count: int, country: str | None, expected: date
) -> None:
    assert add_business_days(day, count, country) == expected


def test_a_country_without_a_calendar_has_weekends_only() -> None:
    assert is_business_day(date(2026, 12, 25), "XX")
    assert not is_business_day(date(2026, 12, 26), "XX")


@pytest.mark.parametrize(
    ("first", "last", "country", "expected"),
    [
        (_FRIDAY, _FRIDAY, None, 0),
        (_FRIDAY, date(2026, 12, 20), None, 0),
        (_FRIDAY, date(2026, 12, 21), None, 1),
        (_CHRISTMAS_EVE, date(2026, 12, 28), "DE", 1),
        (_CHRISTMAS_EVE, date(2026, 12, 28), None, 2),
    ],
)
def test_working_days_after_a_day(
    first: date, last: date, country: str | None, expected: int
) -> None:
    assert business_days_between(first, last, country) == expected
