"""Numbers that count the days since a date, or until it: when such a number passes a bound.

That the number reaches a bound is that its date lies so many days back or ahead. So a clause about
the number turns when a test of the date does, and the clock's meetings with dates are known.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from math import floor
from typing import TYPE_CHECKING

from crmsync.model.durations import Duration
from crmsync.rules.conditions import Column, Operator, Test

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What `Fact.turns` calls the dates.
SINCE = "days_since"
UNTIL = "days_until"
_MOST = timedelta.max.days - 1


def day_tests(counts: str, test: Test | None) -> tuple[Test, ...] | None:
    """Tests of the date, of which one turns wherever the number's does; perhaps others too.

    Args:
        counts: ``days_since`` or ``days_until``.
        test: what the number is held against.

    Returns:
        None where it is no number that is written in the rule: the answer may change every day.
    """
    if test is None or isinstance(test.operand, Column):
        return None
    if test.operator is Operator.PRESENT:
        return ()
    operands = test.operand if isinstance(test.operand, tuple) else (test.operand,)
    return tuple(_at_least(counts, bound) for bound in sorted(set(_bounds(operands))))


def _bounds(operands: Iterable[object]) -> Iterator[int]:
    """Whole numbers that the number must come to, or under, for a test's verdict to change."""
    for operand in operands:
        if not isinstance(operand, int | Decimal):
            raise TypeError(f"{operand!r} is no number")
        for bound in (floor(operand), floor(operand) + 1):
            if abs(bound) < _MOST:
                yield bound


def _at_least(counts: str, bound: int) -> Test:
    """A test of the date that passes where the number is at least so high, or where it is not."""
    # A number of days until is below the bound where the date is more than so long ago.
    back = bound if counts == SINCE else 1 - bound
    operator, days = (Operator.OLDER_THAN, back) if back >= 0 else (Operator.FURTHER_THAN, 1 - back)
    return Test(operator=operator, operand=Duration(length=timedelta(days=days)))
