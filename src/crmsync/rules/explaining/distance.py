"""How far a value is from passing a test, in words: “3 of 14 days”."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from crmsync.model.business_days import business_days_between, is_business_day
from crmsync.model.durations import Duration
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Change, Operator, Test

if TYPE_CHECKING:
    from crmsync.rules.evaluation.calendar import Calendar

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def distance(value: object, test: Test, calendar: Calendar) -> str | None:
    """How far a value is from passing, or by how much it passes; None where that says nothing.

    Args:
        value: what was seen; None where there is nothing.
        calendar: that of the subject's time zone.
    """
    operand = test.operand
    if isinstance(operand, Change):
        if operand.in_last is None:
            return None
        return _time_distance(value, operand.in_last, Operator.IN_LAST, calendar)
    if isinstance(operand, Duration):
        return _time_distance(value, operand, test.operator, calendar)
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if not isinstance(operand, int | Decimal) or isinstance(operand, bool):
        return None
    match test.operator:
        case Operator.AT_LEAST:
            return f"{_number(value)} of {_number(operand)}"
        case Operator.OVER:
            return f"{_number(value)} of more than {_number(operand)}"
        case Operator.AT_MOST:
            return f"{_number(value)} of at most {_number(operand)}"
        case Operator.UNDER:
            return f"{_number(value)} of less than {_number(operand)}"
        case _:
            return None


def _time_distance(
    value: object, bound: Duration, operator: Operator, calendar: Calendar
) -> str | None:
    if not isinstance(value, date):
        return None
    ahead = _is_ahead(value, calendar)
    # What looks the other way than the test is no part of the way to it.
    side = " ahead" if ahead else " ago"
    count, unit, needed = _measured(value, bound, calendar)
    wanted_ahead = operator in {Operator.IN_NEXT, Operator.FURTHER_THAN}
    if count and ahead != wanted_ahead:
        return f"{count} {_counted(unit, count)}{side}"
    if operator not in {Operator.IN_NEXT, Operator.IN_LAST}:
        return f"{count} of {needed} {_counted(unit, needed)}"
    # Whole ones are counted, and what lies behind the last may be part of one, or a day off.
    kind = FieldType.INSTANT if isinstance(value, datetime) else FieldType.DATE
    end = calendar.shifted(bound, kind, back=not ahead)
    beyond = value > end if ahead else value < end
    more = "more than " if count == needed and beyond else ""
    return f"{more}{count} of at most {needed} {_counted(unit, needed)}"


def _is_ahead(value: date, calendar: Calendar) -> bool:
    if isinstance(value, datetime):
        return value > calendar.now
    return value > calendar.today


def _measured(value: date, bound: Duration, calendar: Calendar) -> tuple[int, str, int]:
    """How far a time is from now, in whole units of the bound; the unit; the bound in it."""
    if bound.business_days:
        return _business_days(value, calendar), "business days", bound.business_days
    if isinstance(value, datetime):
        away = abs(calendar.now.astimezone(UTC) - value)
    else:
        away = abs(calendar.today - value)
    unit, name = (_HOUR, "hours") if bound.length % _DAY else (_DAY, "days")
    return away // unit, name, bound.length // unit


def _business_days(value: date, calendar: Calendar) -> int:
    """How many whole business days lie between a time and now; no time passes on other days."""
    if not isinstance(value, datetime):
        first, last = sorted((value, calendar.today))
        # A day is over when the next one begins; one ahead is there when it begins.
        moved = _DAY if value == first else timedelta(0)
        return business_days_between(first - moved, last - moved, calendar.country)
    first, last = sorted((value.astimezone(calendar.zone), calendar.local))
    whole = business_days_between(first.date() - _DAY, last.date() - _DAY, calendar.country)
    return whole - (_at_work(last, calendar) < _at_work(first, calendar))


def _at_work(instant: datetime, calendar: Calendar) -> time:
    """The time of day, which on days without work stands at midnight."""
    return instant.time() if is_business_day(instant.date(), calendar.country) else time()


def _counted(unit: str, count: int) -> str:
    return unit.removesuffix("s") if count == 1 else unit


def _number(value: Decimal | int) -> str:
    return f"{Decimal(value).normalize():f}"
