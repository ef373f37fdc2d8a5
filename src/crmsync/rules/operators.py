"""Which operators fit which type, and how their operands are written."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
from pyarrow import compute

from crmsync.config.yaml import shortened
from crmsync.model.durations import Duration, is_in_days, parse_duration
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Literal, Operator, Today

DURATION_OPERATORS = frozenset(
    {Operator.IN_NEXT, Operator.IN_LAST, Operator.OLDER_THAN, Operator.FURTHER_THAN}
)
LIST_OPERATORS = frozenset({Operator.IN, Operator.NOT_IN})
# Operators whose operand may also be the name of another field.
COLUMN_OPERATORS = frozenset(
    {
        Operator.OVER,
        Operator.UNDER,
        Operator.AT_LEAST,
        Operator.AT_MOST,
        Operator.BEFORE,
        Operator.AFTER,
    }
)

# What can be asked of any field whose changes are kept.
HISTORY_OPERATORS = (Operator.CHANGED, Operator.WAS)

_EQUAL = (Operator.IS, Operator.IS_NOT)
_AMONG = (Operator.IN, Operator.NOT_IN)
_NUMERIC = (
    *_EQUAL,
    *_AMONG,
    Operator.OVER,
    Operator.UNDER,
    Operator.AT_LEAST,
    Operator.AT_MOST,
    Operator.BETWEEN,
    Operator.PRESENT,
)
_TIME = (
    Operator.IN_NEXT,
    Operator.IN_LAST,
    Operator.OLDER_THAN,
    Operator.FURTHER_THAN,
    Operator.BEFORE,
    Operator.AFTER,
    Operator.BETWEEN,
    Operator.PRESENT,
)
OPERATORS: dict[FieldType, tuple[Operator, ...]] = {
    FieldType.TEXT: (
        *_EQUAL,
        *_AMONG,
        Operator.CONTAINS,
        Operator.STARTS_WITH,
        Operator.ENDS_WITH,
        Operator.MATCHES,
        Operator.PRESENT,
    ),
    FieldType.REFERENCE: (*_EQUAL, *_AMONG, Operator.PRESENT),
    FieldType.INTEGER: _NUMERIC,
    FieldType.NUMBER: _NUMERIC,
    FieldType.BOOLEAN: (*_EQUAL, Operator.PRESENT),
    FieldType.DATE: (*_EQUAL, *_TIME),
    FieldType.INSTANT: _TIME,
}

TYPE_WORDS = {
    FieldType.TEXT: "a text",
    FieldType.REFERENCE: "a reference to a record",
    FieldType.INTEGER: "a whole number",
    FieldType.NUMBER: "a number",
    FieldType.BOOLEAN: "true or false",
    FieldType.DATE: "a date",
    FieldType.INSTANT: "a time",
}

TODAY = "today"
# How days and instants are written; Python and JavaScript read these expressions alike.
DAY_PATTERN = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_OFFSET = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
INSTANT_PATTERN = rf"{DAY_PATTERN}[T ]{_CLOCK}{_OFFSET}?"

_MOST_BUSINESS_DAYS = 1000
_DECIMAL_PLACES = 4
LARGEST = Decimal(10) ** 14


def parse_number(value: object, *, whole: bool) -> int | Decimal:
    """A number as YAML has it.

    Raises:
        ValueError: it is not one, or none that a field could hold.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "; write it without quotes" if _looks_numeric(value) else ""
        raise ValueError(f"{shown(value)} is not a number{hint}")
    if isinstance(value, int) and abs(value) < LARGEST:
        return value
    number = Decimal(str(value))
    if not number.is_finite() or abs(number) >= LARGEST:
        raise ValueError(f"{shown(value)} is larger than any field can hold")
    if number == number.to_integral_value():
        return int(number)
    if whole:
        raise ValueError(f"{shown(value)} is not a whole number, and the field holds only those")
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > _DECIMAL_PLACES:
        raise ValueError(f"{shown(value)} has more than four decimal places")
    return number


def parse_boolean(value: object) -> bool:
    """``true`` or ``false``.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, bool):
        return value
    meant = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
    hint = meant.get(str(value).lower())
    raise ValueError(
        f"{shown(value)} is neither true nor false"
        + (f"; write {hint}" if hint else "; write true or false, without quotes")
    )


def parse_text(value: object) -> str:
    """A text.

    Raises:
        ValueError: YAML reads something else there.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise ValueError(f"{shown(value)} is not a text; write one text here")
    raise ValueError(f'{shown(value)} is not a text; write it in quotes: "{shown(value, "")}"')


def parse_time(value: object, kind: FieldType) -> Literal:
    """``today``, a date, or (for instants) a date with a time.

    Raises:
        ValueError: it is none of these.
    """
    if value == TODAY:
        return Today()
    if isinstance(value, str):
        try:
            if re.fullmatch(DAY_PATTERN, value):
                return date.fromisoformat(value)
            if kind is FieldType.INSTANT and re.fullmatch(INSTANT_PATTERN, value):
                return datetime.fromisoformat(value)
        except ValueError:  # a day that its month does not have
            pass
    example = "2026-03-01" if kind is FieldType.DATE else "2026-03-01 or 2026-03-01T09:30+01:00"
    raise ValueError(f"{shown(value)} is not {TYPE_WORDS[kind]}; write for example {example}")


def parse_literal(value: object, kind: FieldType) -> Literal:
    """One value of a field's type.

    Raises:
        ValueError: it does not fit; the sentence says how to write it.
    """
    match kind:
        case FieldType.TEXT | FieldType.REFERENCE:
            return parse_text(value)
        case FieldType.INTEGER:
            return parse_number(value, whole=True)
        case FieldType.NUMBER:
            return parse_number(value, whole=False)
        case FieldType.BOOLEAN:
            return parse_boolean(value)
        case _:
            return parse_time(value, kind)


def parse_age(value: object, kind: FieldType) -> Duration:
    """A duration that fits a date (whole days) or an instant.

    Raises:
        ValueError: it does not.
    """
    duration = parse_duration(value)
    if duration.business_days > _MOST_BUSINESS_DAYS:
        raise ValueError(f"{duration} is too long to count in business days; write days or weeks")
    if kind is FieldType.DATE and not is_in_days(value):
        raise ValueError(f"a date has no hours, so {duration} does not fit it; write whole days")
    return duration


def parse_pattern(value: object) -> str:
    """A regular expression in the syntax of RE2.

    Raises:
        ValueError: it is not one.
    """
    pattern = parse_text(value)
    try:
        # Arrow bundles RE2, the library that DuckDB evaluates patterns with.
        compute.match_substring_regex(pa.scalar("", pa.string()), pattern)
    except pa.ArrowInvalid as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise ValueError(
            f"“{pattern}” is not a regular expression: {reason} (the syntax is RE2's)"
        ) from None
    return pattern


def shown(value: object, quote: str = "“”") -> str:
    """A YAML value as its author wrote it, more or less."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, float) and "e-" in str(value):
        value = f"{Decimal(str(value)):f}"  # nobody writes 1e-05
    return f"{quote[:1]}{shortened(value)}{quote[1:]}"


def _looks_numeric(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\s*-?[\d.]+\s*", value) is not None
