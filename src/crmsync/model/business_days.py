"""Working days: Monday to Friday, without the public holidays of a country."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import holidays

if TYPE_CHECKING:
    from collections.abc import Mapping

_SATURDAY = 5


@lru_cache(maxsize=256)
def public_holidays(country: str | None, region: str | None = None) -> Mapping[date, str]:
    """The public holidays of a country (ISO 3166), and of a part of it (ISO 3166-2) if named.

    Each with its name, in English where that is known. None where the country is None or not known.
    """
    # The calendar fills itself in, year by year, as dates are looked up in it.
    if country is None or country not in holidays.list_supported_countries():
        return {}
    return holidays.country_holidays(country, subdiv=region, language="en_US")


def is_business_day(day: date, country: str | None) -> bool:
    """Whether people work on that day; ``country`` is an ISO 3166 code, or None for none."""
    return day.weekday() < _SATURDAY and day not in public_holidays(country)


def add_business_days(day: date, count: int, country: str | None) -> date:
    """The ``count``-th working day after that day; before it where ``count`` is negative.

    With zero, the day itself, or the next working day where it is none.
    """
    step = timedelta(days=-1 if count < 0 else 1)
    if count == 0:
        while not is_business_day(day, country):
            day += step
        return day
    for _ in range(abs(count)):
        day += step
        while not is_business_day(day, country):
            day += step
    return day


def business_days_between(first: date, last: date, country: str | None) -> int:
    """How many working days lie after the first day, up to and including the last."""
    days = (first + timedelta(days=i) for i in range(1, (last - first).days + 1))
    return sum(1 for day in days if is_business_day(day, country))
