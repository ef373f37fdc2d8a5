"""When somebody who is away is back, where their automatic reply says so.

A date counts only behind words such as “until” or “back on”. Dates that two countries read
differently (03/04/2027) and dates that have passed count for nothing: never a guess.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

from babel import Locale

from crmsync_email.incoming.parts import header, texts
from crmsync_email.incoming.phrases import any_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync_email.incoming.parts import Part

_LOCALES = ("en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "da", "nb", "ru")
_FURTHEST = timedelta(days=366)
_LOOKED_AT = 4_000  # characters

_NUMBERS = re.compile(
    r"(?P<iso>(\d{4})-(\d{1,2})-(\d{1,2}))|(?P<dotted>(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4}|\d{2})?)"
    r"|(?P<slashed>(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?)"
)


@cache
def _months() -> dict[str, int]:
    names: dict[str, int] = {}
    for locale in _LOCALES:
        months = Locale(locale).months
        for context, width in (
            ("format", "wide"),
            ("stand-alone", "wide"),
            ("format", "abbreviated"),
        ):
            for number, name in months[context][width].items():
                names.setdefault(name.lower().rstrip("."), number)
    return names


@cache
def _named() -> re.Pattern[str]:
    names = "|".join(sorted(map(re.escape, _months()), key=len, reverse=True))
    return re.compile(
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|\.|º)?\s+(?:of |de |d')?(?P<month>{names})\b\.?"
        rf"(?:\s*,?\s*(?:de )?(?P<year>\d{{4}}))?"
        rf"|(?P<month2>{names})\b\.?\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)"
        rf"(?:\s*,?\s*(?P<year2>\d{{4}}))?",
        re.IGNORECASE,
    )


@cache
def _announced() -> re.Pattern[str]:
    until, back = any_of("until"), any_of("back")
    return re.compile(rf"(?<!\w)(?:(?P<until>{until})|(?P<back>{back}))(?!\w)", re.IGNORECASE)


def back_on(mail: Part, *, arrived: date) -> date | None:
    """The first day on which the sender is there again, by their own words; None if unsaid.

    Args:
        mail: an automatic reply.
        arrived: the day on which it came; years that are not written are counted from it.
    """
    body = next((one.text for one in texts(mail)), "")
    text = " ".join(f"{header(mail, 'Subject')} . {body[:_LOOKED_AT]}".split())
    days = {
        day
        for found in _announced().finditer(text)
        for day in _told(text, found, arrived)
        if arrived < day <= arrived + _FURTHEST
    }
    return max(days, default=None)


def _told(text: str, trigger: re.Match[str], arrived: date) -> Iterator[date]:
    """The day that follows a trigger, some words such as a weekday between them."""
    near = text[trigger.end() : trigger.end() + 45]
    near = re.split(r"[!?;]|(?<!\d)\.\s+(?=[A-ZÄÖÜ])", near)[0]
    found = next(iter(sorted(_dates(near, arrived))), None)
    if found is not None:
        _, day = found
        yield day + timedelta(days=1) if trigger["until"] else day


def _dates(text: str, arrived: date) -> Iterator[tuple[int, date]]:
    for found in _named().finditer(text):
        month = _months()[(found["month"] or found["month2"]).lower().rstrip(".")]
        day, year = found["day"] or found["day2"], found["year"] or found["year2"]
        if (made := _made(year, month, int(day), arrived)) is not None:
            yield found.start(), made
    for found in _NUMBERS.finditer(text):
        if (made := _of_numbers(found, arrived)) is not None:
            yield found.start(), made


def _of_numbers(found: re.Match[str], arrived: date) -> date | None:
    if found["iso"]:
        return _made(found[2], int(found[3]), int(found[4]), arrived)
    if found["dotted"]:
        return _made(found[8], int(found[7]), int(found[6]), arrived)
    first, second, year = int(found[10]), int(found[11]), found[12]
    if first == second or first > 12:  # noqa: PLR2004  a number above 12 is no month
        return _made(year, second, first, arrived)
    return _made(year, first, second, arrived) if second > 12 else None  # noqa: PLR2004  likewise


def _made(year: str | None, month: int, day: int, arrived: date) -> date | None:
    """The date; without a year the next one of that name. None where there is no such day."""
    try:
        if year is not None:
            return date(int(year) + (2000 if len(year) == 2 else 0), month, day)  # noqa: PLR2004  as in 26
        this = date(arrived.year, month, day)
        return this if this >= arrived else date(arrived.year + 1, month, day)
    except ValueError:
        return None
