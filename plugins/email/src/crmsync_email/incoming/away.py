"""When somebody who is away is back, where their automatic reply says so.

A date counts only where grammar ties it to the absence: behind words such as “until” or “back on”,
before “まで” or “asti”, or as the end of a span, in a sentence that speaks of its author. Of
several the first told counts. Dates that two countries read differently (03/04/2027), weekdays
alone, and dates that have passed count for nothing: never a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

from babel import Locale

from crmsync_email.incoming.parts import header
from crmsync_email.incoming.phrases import any_of, said
from crmsync_email.incoming.replies import own_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync_email.incoming.parts import Part

_LOCALES = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "nl",
    "pt",
    "pl",
    "cs",
    "sv",
    "da",
    "nb",
    "fi",
    "hu",
    "ro",
    "tr",
    "ru",
)
_FURTHEST = timedelta(days=366)
# Many forget to switch their reply off: a day without a year that is not long past, has passed.
_JUST_PASSED = timedelta(days=90)
_SOON = timedelta(days=183)
# Who says both until when they are away and when they are back means one absence.
_WEEKEND_AND_MORE = timedelta(days=14)
_LOOKED_AT = 4_000  # characters
_NEAR = 45  # characters between “until” and its date, such as a weekday
_YEAR_OF_TWO_DIGITS = 2

_NUMBERS = re.compile(
    r"(?<![\d.])(?:"
    r"(?P<iso>(\d{4})[-/](\d{1,2})[-/](\d{1,2}))"
    r"|(?P<signs>(?:(\d{4})\s?[年년]\s?)?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일])"
    r"|(?P<dotted>(\d{1,2})\.\s?(\d{1,2})(?:\.\s?(\d{4}|\d{2}(?!\d))?)?)(?!\d|\s?(?:uhr|h)\b)"
    r"|(?P<slashed>(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?)"
    r")",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[!?;。！？]|\n\s*\n|(?<!\d)\.\s+(?=(\S))")


@dataclass(frozen=True, kw_only=True)
class _Date:
    """A date in a text, and where it stands."""

    start: int
    end: int
    day: date


@dataclass(frozen=True, kw_only=True)
class _Return:
    """The first day back; whether it was said itself, or the last day away."""

    day: date
    itself: bool


def back_on(mail: Part, *, arrived: date) -> date | None:
    """The first day on which the sender is there again, by their own words; None if unsaid.

    Args:
        mail: an automatic reply.
        arrived: the day on which it came; years that are not written are counted from it.
    """
    returns = _returns(mail, arrived)
    first = next(returns, None)
    if first is None:
        return None
    second = next(returns, None)
    back = first.day
    if not first.itself and second is not None and second.itself:
        later = second.day - first.day
        # “until Friday, back on Monday”; “until Friday” already gave the day behind it.
        if timedelta(days=-1) <= later <= _WEEKEND_AND_MORE:
            back = second.day
    return back if arrived < back <= arrived + _FURTHEST else None


def says_when(mail: Part) -> bool:
    """Whether a mail says when its author is back, also where that day has passed."""
    # Which year is meant makes no difference.
    return next(_returns(mail, date.min.replace(year=2000)), None) is not None


def _returns(mail: Part, arrived: date) -> Iterator[_Return]:
    for text in (header(mail, "Subject"), own_words(mail)[:_LOOKED_AT]):
        for sentence in _sentences(text):
            yield from _told(sentence, arrived)


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for end in _ENDS.finditer(text):
        if end[1] is None or end[1].isupper():  # a small letter goes on behind “Dec.”
            yield " ".join(text[start : end.start()].split())
            start = end.start() + 1
    yield " ".join(text[start:].split())


def _told(sentence: str, arrived: date) -> Iterator[_Return]:
    """The returns that a sentence tells of, in its order."""
    triggers = list(_announced().finditer(sentence))
    behind = 0
    for found in _dates(sentence, arrived):
        near = [
            trigger
            for trigger in triggers
            if behind <= trigger.end() <= found.start <= trigger.end() + _NEAR
        ]
        if near and near[-1]["back"]:
            yield _Return(day=found.day, itself=True)
        else:
            until = near[-1].start() if near else found.start
            is_last = bool(near) or _ends_a_span(sentence, behind, found)
            if is_last and _is_of_its_author(sentence, until):
                yield _Return(day=found.day + timedelta(days=1), itself=False)
        behind = found.end


def _ends_a_span(sentence: str, behind: int, found: _Date) -> bool:
    """Whether words make a date the last day that do not say “until”.

    Args:
        behind: where the date before it ends; 0 where it is the first.
    """
    before = sentence[max(behind, found.start - _NEAR) : found.start]
    return bool(
        said("until_behind").match(sentence, found.end)
        or (behind and _to().fullmatch(before))
        or _from_a_day_to().search(before)
        or _directly().search(before)
    )


_WEEKDAY = r"(?:\s?[^\W\d]{2,12}[.,]?)?\s?"


@cache
def _to() -> re.Pattern[str]:
    return re.compile(rf"\s?(?:[-–—~〜]|(?:{any_of('to')})\b){_WEEKDAY}", re.IGNORECASE)


@cache
def _from_a_day_to() -> re.Pattern[str]:
    """Such as “from 23rd to”, the month of which stands behind."""
    return re.compile(rf"\d(?:st|nd|rd|th|\.)?{_to().pattern}$", re.IGNORECASE)


@cache
def _directly() -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{any_of('until_directly')}){_WEEKDAY}$", re.IGNORECASE)


def _is_of_its_author(sentence: str, position: int) -> bool:
    """Not of an offer that ends, or of a colleague who is there."""
    begins = re.search(r"\w", sentence[:position]) is None
    return bool(begins or said("away").search(sentence) or said("author").search(sentence))


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
        rf"(?<![\d.])(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|\.|º)?\s+"
        rf"(?:of |de |d')?(?P<month>{names})\b\.?"
        rf"(?:\s*,?\s*(?:de )?(?P<year>\d{{4}}))?"
        rf"|\b(?P<month2>{names})\b\.?\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th|\.)?(?!\d)"
        rf"(?:\s*,?\s*(?P<year2>\d{{4}}))?",
        re.IGNORECASE,
    )


@cache
def _announced() -> re.Pattern[str]:
    until, back = any_of("until"), any_of("back")
    return re.compile(rf"(?<!\w)(?:(?P<until>{until})|(?P<back>{back}))(?!\w)", re.IGNORECASE)


def _dates(text: str, arrived: date) -> list[_Date]:
    """The dates of a text in order."""
    dates = []
    for found in _named().finditer(text):
        month = _months()[(found["month"] or found["month2"]).lower().rstrip(".")]
        day, year = found["day"] or found["day2"], found["year"] or found["year2"]
        dates.append((found, _made(year, month, int(day), arrived)))
    dates += [(found, _of_numbers(found, arrived)) for found in _NUMBERS.finditer(text)]
    made = [_Date(start=one.start(), end=one.end(), day=day) for one, day in dates if day]
    return sorted(made, key=lambda one: one.start)


def _of_numbers(found: re.Match[str], arrived: date) -> date | None:
    if found["iso"]:
        return _made(found[2], int(found[3]), int(found[4]), arrived)
    if found["signs"]:
        return _made(found[6], int(found[7]), int(found[8]), arrived)
    if found["dotted"]:
        return _made(found[12], int(found[11]), int(found[10]), arrived)
    first, second, year = int(found[14]), int(found[15]), found[16]
    if first == second or first > 12:  # noqa: PLR2004  a number above 12 is no month
        return _made(year, second, first, arrived)
    return _made(year, first, second, arrived) if second > 12 else None  # noqa: PLR2004  likewise


def _made(year: str | None, month: int, day: int, arrived: date) -> date | None:
    """The date; without a year the next one of that name, or the one that has just passed.

    None where there is no such day, or where it may be meant of the past.
    """
    try:
        if year is not None:
            return date(int(year) + (2000 if len(year) == _YEAR_OF_TWO_DIGITS else 0), month, day)
        earliest = arrived - _JUST_PASSED
        this = date(earliest.year, month, day)
        next_of_name = this if this >= earliest else date(earliest.year + 1, month, day)
        # Further on than that, it is likelier the last one: forgotten since the summer.
        return next_of_name if next_of_name <= arrived + _SOON else None
    except ValueError:
        return None
