"""The filters that come with crmsync: dates, money, numbers and names, as the reader writes them.

Each raises `FilterError` with a sentence for the template's author; none prints “None”.
Formats and plural rules are those of the Unicode CLDR, through Babel.
"""

from __future__ import annotations

import copy
import difflib
import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from babel import dates, numbers
from jinja2 import TemplateRuntimeError, Undefined

from crmsync.templating.locales import Reader, current_reader, parse_locale
from crmsync.templating.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDTHS = ("short", "medium", "long", "full")
# Where the family name stands first also in Latin letters (CLDR, person names).
_FAMILY_FIRST = frozenset({"hu", "ja", "ko", "vi", "yue", "zh"})
# “in 0 days” is what the CLDR data in Babel would give.
_TODAY = {
    "da": "i dag",
    "de": "heute",
    "en": "today",
    "es": "hoy",
    "fi": "tänään",
    "fr": "aujourd’hui",
    "hu": "ma",
    "it": "oggi",
    "ja": "今日",
    "ko": "오늘",
    "nb": "i dag",
    "nl": "vandaag",
    "pl": "dzisiaj",
    "pt": "hoje",
    "sv": "i dag",
    "zh": "今天",
}
_MOST_DIGITS = 30


class FilterError(TemplateRuntimeError):
    """A filter was given something that it cannot format; ``str`` is a sentence."""


def _given(value: object, name: str) -> None:
    if isinstance(value, Undefined):
        str(value)  # says which name is empty or unknown
    if value is None:
        raise FilterError(f"“| {name}” was given nothing")


def _number(value: object, name: str) -> Decimal:
    _given(value, name)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise FilterError(f"“| {name}” needs a number, and was given “{value}”")
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        raise FilterError(f"“| {name}” cannot write {value}")
    return number


def _instant(value: datetime, name: str, reader: Reader) -> datetime:
    if value.tzinfo is None:
        raise FilterError(f"“| {name}” was given a time without a zone: {value}")
    return value.astimezone(reader.zone)


def format_date(value: Any, style: str = "medium") -> str:
    """``{{ account.renewal_date | date }}``; an instant becomes the date in the reader's zone.

    ``style`` is short, medium, long or full; ``day`` for day and month without the year; or a
    CLDR pattern such as ``"MMM y"``.
    """
    _given(value, "date")
    reader = current_reader()
    if isinstance(value, datetime):
        value = _instant(value, "date", reader).date()
    if not isinstance(value, date):
        raise FilterError(f"“| date” needs a date, and was given “{value}”")
    close = difflib.get_close_matches(style, (*_WIDTHS, "day"), n=1)
    if close and style != close[0]:
        raise FilterError(f"“| date” has no style “{style}”; did you mean “{close[0]}”?")
    if style == "day":
        return str(dates.format_skeleton("MMMMd", value, locale=reader.locale))
    return str(dates.format_date(value, style, locale=reader.locale))


def format_datetime(value: Any, style: str = "medium") -> str:
    """``{{ activity.at | datetime }}``: date and time of day in the reader's zone."""
    _given(value, "datetime")
    reader = current_reader()
    if not isinstance(value, datetime):
        raise FilterError(f"“| datetime” needs an instant, and was given “{value}”")
    local = _instant(value, "datetime", reader)
    if style not in _WIDTHS:
        return str(dates.format_datetime(local, style, tzinfo=reader.zone, locale=reader.locale))
    day = dates.format_date(local.date(), style, locale=reader.locale)
    time = dates.format_time(local, "short", tzinfo=reader.zone, locale=reader.locale)
    pattern = str(reader.locale.datetime_formats[style]).replace("'", "")
    return pattern.replace("{1}", str(day)).replace("{0}", str(time))


def format_days(value: Any) -> str:
    """``{{ account.renewal_date | days }}``: “in 12 days”, “today”, “3 days ago”.

    Takes a date, an instant, a number of days or a timedelta.
    """
    _given(value, "days")
    reader = current_reader()
    if isinstance(value, datetime):
        value = _instant(value, "days", reader).date()
    if isinstance(value, timedelta):
        count = value.days
    elif isinstance(value, date):
        if reader.today is None:
            raise FilterError("“| days” of a date needs “today”, which is not known here")
        count = (value - reader.today).days
    else:
        count = int(_number(value, "days"))
    if count == 0 and reader.locale.language in _TODAY:
        return _TODAY[reader.locale.language]
    return str(
        dates.format_timedelta(
            timedelta(days=count),
            granularity="day",
            threshold=math.inf,
            add_direction=True,
            locale=reader.locale,
        )
    )


def format_money(amount: Any, currency: Any = None) -> str:
    """``{{ deal.amount | money(deal.currency) }}``; a whole amount is written without decimals."""
    number = _number(amount, "money")
    if currency is None:
        raise FilterError("“| money” needs a currency: write for example money(deal.currency)")
    _given(currency, "money")
    locale = current_reader().locale
    code = str(currency).strip().upper()
    if code not in locale.currencies:
        raise FilterError(f"“{currency}” is not a currency code; write for example EUR")
    pattern = copy.copy(locale.currency_formats["standard"])
    digits = numbers.get_currency_precision(code)
    whole = number == number.to_integral_value()
    pattern.frac_prec = (0, 0) if whole else (digits, digits)
    return str(pattern.apply(number, locale, currency=code, currency_digits=False))


def format_number(value: Any, decimals: int | None = None) -> str:
    """``{{ account.usage_30d | number }}``; ``decimals`` fixes how many, else as many as needed."""
    number = _number(value, "number")
    locale = current_reader().locale
    if decimals is None:
        return str(numbers.format_decimal(number, locale=locale))
    places = max(0, min(int(decimals), 10))
    pattern = "#,##0" + ("." + "0" * places if places else "")
    return str(numbers.format_decimal(number, pattern, locale=locale))


def format_percent(value: Any, decimals: int = 0) -> str:
    """``{{ 0.25 | percent }}``: “25%”."""
    number = _number(value, "percent")
    locale = current_reader().locale
    pattern = copy.copy(locale.percent_formats[None])
    places = max(0, min(int(decimals), 10))
    pattern.frac_prec = (places, places)
    return str(pattern.apply(number, locale))


def format_plural(
    count: Any,
    one: str,
    other: str,
    *,
    zero: str | None = None,
    two: str | None = None,
    few: str | None = None,
    many: str | None = None,
) -> str:
    """``{{ account.open_tickets | plural("open ticket", "open tickets") }}``: “3 open tickets”.

    Which form a count takes is the language's own rule; ``zero`` also stands for a plain 0.
    """
    number = _number(count, "plural")
    locale = current_reader().locale
    if number == 0 and zero is not None:
        return zero
    forms = {"one": one, "two": two, "few": few, "many": many}
    form = forms.get(locale.plural_form(number)) or other
    return f"{numbers.format_decimal(number, locale=locale)} {form}"


def format_name(record: Any) -> str:
    """``{{ contact | name }}``: given and family name in the person's own order.

    Han, Kana and Hangul names are written family name first and without a space.
    Falls back to whichever part is there, then to the record's whole ``name``.
    """
    _given(record, "name")
    if not isinstance(record, Record):
        raise FilterError(f"“| name” needs a person, and was given “{record}”")
    parts = {
        field: str(record[field] or "").strip()
        for field in ("first_name", "last_name", "name", "locale")
        if field in record
    }
    given, family = parts.get("first_name", ""), parts.get("last_name", "")
    if not (given and family):
        whole = parts.get("name") or given or family
        if not whole:
            raise FilterError(f"{record.path} has no name")
        return whole
    if _is_east_asian(given + family):
        return family + given
    locale = parse_locale(parts.get("locale")) or current_reader().locale
    return f"{family} {given}" if locale.language in _FAMILY_FIRST else f"{given} {family}"


def _is_east_asian(text: str) -> bool:
    return all(
        "\u3040" <= character <= "\u30ff"  # Hiragana and Katakana
        or "\u3400" <= character <= "\u9fff"  # Han
        or "\uac00" <= character <= "\ud7a3"  # Hangul
        for character in text
    )


def as_text(value: object) -> object:
    """What ``{{ … }}`` writes where no filter formats the value."""
    if isinstance(value, datetime):
        return format_datetime(value)
    if isinstance(value, date):
        return format_date(value)
    if isinstance(value, float | Decimal):
        return format_number(value)
    if isinstance(value, Record):
        raise FilterError(f"{value.path} is a whole record; name one of its fields")
    if value is None:
        raise FilterError("this expression gave nothing")
    if isinstance(value, bool):
        raise FilterError("this is true or false, not a text; ask for it with {% if … %}")
    return value


BUILTIN_FILTERS: dict[str, Callable[..., str]] = {
    "date": format_date,
    "datetime": format_datetime,
    "days": format_days,
    "money": format_money,
    "name": format_name,
    "number": format_number,
    "percent": format_percent,
    "plural": format_plural,
}
