"""``policy.hours``: when mails may go out, as people write it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from crmsync.config.base import Settings
from crmsync.config.yaml import nearest

_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*(?:-|–|to)\s*(\d{1,2}):(\d{2})")
_YEARLY = re.compile(r"(\d{2})-(\d{2})")
_DAY = 24 * 60
_FRIDAY = 4
_LEAP_YEAR = 2000
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, kw_only=True, order=True)
class Span:
    """A part of a day on the clock on the wall, in minutes after midnight; the end is outside."""

    opens: int
    closes: int

    def __str__(self) -> str:
        return f"{_clock(self.opens)}–{_clock(self.closes)}"


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _span(text: object) -> Span:
    match = _SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"“{text}” is no part of a day; write for example “08:00-18:00” or closed")
    opens, closes = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3))
    if int(match[2]) > 59 or int(match[4]) > 59 or closes > _DAY:  # noqa: PLR2004  minutes
        raise ValueError(f"“{text}” is not on the clock, which goes from 00:00 to 24:00")
    if closes <= opens:
        raise ValueError(
            f"“{text}” ends before it begins; what goes past midnight is written as two days"
        )
    return Span(opens=opens, closes=closes)


def _spans(value: object) -> object:
    if value is None or isinstance(value, tuple):
        return value
    if value == "closed":
        return ()
    spans = sorted(_span(text) for text in (value if isinstance(value, list) else [value]))
    for before, after in pairwise(spans):
        if after.opens < before.closes:
            raise ValueError(f"{before} and {after} overlap")
    return tuple(spans)


@dataclass(frozen=True, kw_only=True)
class Dates:
    """Days from a first to a last one, both included.

    Attributes:
        first, last: year, month and day; the year is 0 where they are meant in every year, and
            then the last may lie before the first, in the next year.
    """

    first: tuple[int, int, int]
    last: tuple[int, int, int]

    def __contains__(self, day: date) -> bool:
        if self.first[0]:
            return self.first <= (day.year, day.month, day.day) <= self.last
        this = (0, day.month, day.day)
        if self.first <= self.last:
            return self.first <= this <= self.last
        return this >= self.first or this <= self.last


def _one_date(text: str) -> tuple[int, int, int]:
    yearly = _YEARLY.fullmatch(text)
    try:
        # 29 February is a day of some years.
        day = date(_LEAP_YEAR, int(yearly[1]), int(yearly[2])) if yearly else None
        day = day or date.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"“{text}” is no date; write for example 2026-12-24, or “12-24” for every year, "
            "or “12-24 to 01-02”"
        ) from None
    return (0 if yearly else day.year, day.month, day.day)


def _dates(value: object) -> object:
    if isinstance(value, Dates):
        return value
    ends = [_one_date(part.strip()) for part in str(value).split(" to ")]
    first, last = ends[0], ends[-1]
    if len(ends) > 2 or (first[0] == 0) != (last[0] == 0):  # noqa: PLR2004  two ends
        raise ValueError(f"“{value}” is no span of dates; write for example “12-24 to 01-02”")
    if first[0] and last < first:
        raise ValueError(f"“{value}” ends before it begins")
    return Dates(first=first, last=last)


_DayHours = Annotated[
    tuple[Span, ...] | None, BeforeValidator(_spans, json_schema_input_type=str | list[str])
]


class UnknownZone(StrEnum):
    """What becomes of a mail to somebody whose time zone is not known."""

    HOLD = "hold"
    COMPANY = "company"


class DayHours(Settings):
    """Hours by the clock on the wall, for each day of the week.

    ``weekdays`` is Monday to Friday; a day that is named for itself is as it says there. Days
    that are not named are closed, and so are quiet dates.
    """

    weekdays: _DayHours = None
    monday: _DayHours = None
    tuesday: _DayHours = None
    wednesday: _DayHours = None
    thursday: _DayHours = None
    friday: _DayHours = None
    saturday: _DayHours = None
    sunday: _DayHours = None
    quiet_dates: tuple[
        Annotated[Dates, BeforeValidator(_dates, json_schema_input_type=str)], ...
    ] = ()

    @model_validator(mode="after")
    def _open_at_all(self) -> DayHours:
        if not any(self.by_weekday):
            raise ValueError("no day has hours; write for example weekdays: “08:00-18:00”")
        return self

    @cached_property
    def by_weekday(self) -> tuple[tuple[Span, ...], ...]:
        """The spans of each day of the week, Monday first."""
        found = []
        for number, name in enumerate(WEEKDAYS):
            own: tuple[Span, ...] | None = getattr(self, name)
            general = self.weekdays if number <= _FRIDAY else ()
            found.append((general if own is None else own) or ())
        return tuple(found)


class Hours(DayHours):
    """The hours in which mails may go out, by the clock on the reader's wall."""

    on_holidays: bool = False
    regions: dict[str, str] = Field(default={})
    unknown_zone: UnknownZone = UnknownZone.HOLD
    any_time_for: tuple[Literal["service", "commercial"], ...] = ()
    tasks: bool = False

    @field_validator("regions")
    @classmethod
    def _known_regions(cls, regions: dict[str, str]) -> dict[str, str]:
        if not regions:
            return regions
        from holidays import list_supported_countries  # noqa: PLC0415  heavy, and seldom needed

        countries = list_supported_countries()
        for country, region in regions.items():
            if country not in countries:
                raise ValueError(f"no holidays are known of the country “{country}”")
            if region not in countries[country]:
                raise ValueError(
                    f"no holidays are known of “{region}” in {country}"
                    + nearest(region, countries[country])
                )
        return regions
