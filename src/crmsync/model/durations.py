"""Durations as people write them: ``30 days``, ``30d``, ``2 weeks``, ``3 business days``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_SHORT = {"m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week"}
# Beyond this, calendars end before the sums do.
_LONGEST = timedelta(days=100 * 365)
_MOST_DIGITS = 6
# What is meant as a duration, and is none.
_LIKE_ONE = re.compile(r"^\s*([0-9]+)\s*(?:business\s+)?([a-z]+)\s*$")
_PATTERN = re.compile(r"^\s*([0-9]{1,6})\s*(business\s+)?([a-z]+)\s*$")


@dataclass(frozen=True, kw_only=True)
class Duration:
    """A length of time.

    Attributes:
        length: for calendar time, its exact length; for business days, zero.
        business_days: how many working days; zero for calendar time.
    """

    length: timedelta = timedelta()
    business_days: int = 0

    def __str__(self) -> str:
        if self.business_days:
            return f"{self.business_days} business day{'s' if self.business_days != 1 else ''}"
        seconds = int(self.length.total_seconds())
        for name, unit in (("day", 86400), ("hour", 3600), ("minute", 60)):
            if seconds % unit == 0:
                count = seconds // unit
                return f"{count} {name}{'s' if count != 1 else ''}"
        return f"{seconds} seconds"


def duration_pattern(*, whole_days: bool = False) -> str:
    """What durations look like, as a regular expression that Python and JavaScript read alike.

    ``whole_days`` leaves out units that are shorter than a day.
    """
    short = {abbreviation: _UNITS[unit] for abbreviation, unit in _SHORT.items()}
    day = _UNITS["day"]
    units = [
        f"{_any_case(u)}{_any_case('s')}?" for u, n in _UNITS.items() if n >= day or not whole_days
    ]
    units += [_any_case(u) for u, n in short.items() if n >= day or not whole_days]
    business = rf"{_any_case('business')}\s+{_any_case('day')}{_any_case('s')}?"
    return rf"^\s*[0-9]{{1,6}}\s*(?:{business}|{'|'.join(units)})\s*$"


def is_in_days(text: object) -> bool:
    """Whether a duration is written in days, business days or weeks."""
    return isinstance(text, str) and _IN_DAYS.match(text) is not None


def _any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)


_IN_DAYS = re.compile(duration_pattern(whole_days=True))


def parse_duration(text: object) -> Duration:
    """Read a duration.

    Raises:
        ValueError: it is not one; the sentence shows how one is written.
    """
    match = _PATTERN.match(text.lower()) if isinstance(text, str) else None
    if match is not None:
        count, business, unit = int(match[1]), match[2], match[3]
        unit = _SHORT.get(unit, unit.removesuffix("s"))
        duration = None
        if business and unit == "day":
            duration = Duration(business_days=count)
        elif not business and unit in _UNITS:
            duration = Duration(length=count * _UNITS[unit])
        if duration is not None:
            if duration.length > _LONGEST or duration.business_days > _LONGEST.days:
                raise ValueError(f"“{text}” is longer than {_LONGEST.days // 365} years")
            return duration
    named = _LIKE_ONE.match(text.lower()) if isinstance(text, str) else None
    if named is not None and named[2].startswith(("month", "quarter", "year")):
        units = f"{named[2].removesuffix('s')}s"
        raise ValueError(
            f"“{text}” is not a duration, for {units} differ in length; write days or weeks, "
            "for example 30 days"
        )
    if named is not None and len(named[1]) > _MOST_DIGITS:
        raise ValueError(
            f"“{text}” has more than six digits; write a shorter time, or in a longer unit"
        )
    raise ValueError(
        f"“{text}” is not a duration; write for example 30 days, 12h, 2 weeks or 3 business days"
    )
