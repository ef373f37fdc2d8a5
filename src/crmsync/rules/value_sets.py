"""The values that a clause lets through, as sets that can be held against each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from crmsync.model.durations import Duration
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import NUMBERS, Column, Comparison, Operator, Test, Today

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

_LEAST, _MOST = Decimal("-Infinity"), Decimal("Infinity")
_DAY = timedelta(days=1)
_ANY_TEXT = frozenset({"", ".*", "^", "$", ".?"})


@dataclass(frozen=True, kw_only=True)
class Words:
    """Single values, or all but these."""

    values: frozenset[Hashable]
    all_but: bool = False


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of a line; an end is part of it, or not."""

    low: Decimal = _LEAST
    high: Decimal = _MOST
    with_low: bool = True
    with_high: bool = True

    @property
    def empty(self) -> bool:
        """Whether nothing is in it."""
        whole = self.with_low and self.with_high
        return self.low > self.high or (self.low == self.high and not whole)

    def within(self, other: Span) -> Span:
        """What both have."""
        low = max((self.low, not self.with_low), (other.low, not other.with_low))
        high = min((self.high, self.with_high), (other.high, other.with_high))
        return Span(low=low[0], with_low=not low[1], high=high[0], with_high=high[1])

    def rest(self) -> tuple[Span, ...]:
        """What is left of the line."""
        before = Span(high=self.low, with_high=not self.with_low)
        after = Span(low=self.high, with_low=not self.with_high)
        left = [before] if self.low > _LEAST else []
        return tuple(left + ([after] if self.high < _MOST else []))


@dataclass(frozen=True, kw_only=True)
class Passed:
    """What passes a clause.

    Attributes:
        about: the field, and the measure it is taken by: values of a day and distances from
            today cannot be held against each other.
        values: which values pass.
        empty: whether an empty field passes, or a fact that is *never*.
    """

    about: tuple[str, str]
    values: Words | tuple[Span, ...]
    empty: bool = False

    def negated(self) -> Passed:
        """What passes ``not:`` of it; an unknown clause stays unknown there."""
        return Passed(about=self.about, values=_rest(self.values), empty=False)

    @property
    def nothing(self) -> bool:
        """Whether no value passes, nor an empty field."""
        return not self.empty and _is_empty(self.values)

    @property
    def everything(self) -> bool:
        """Whether every value passes."""
        return _is_empty(_rest(self.values))

    def and_(self, other: Passed) -> Passed:
        """What passes both."""
        both = _both(self.values, other.values)
        return Passed(about=self.about, values=both, empty=self.empty and other.empty)

    def or_(self, other: Passed) -> Passed:
        """What passes one of them."""
        neither = _both(_rest(self.values), _rest(other.values))
        return Passed(about=self.about, values=_rest(neither), empty=self.empty or other.empty)


def passed(clause: Comparison) -> Passed | None:
    """What passes a clause; None where that cannot be told without records."""
    found = of_test(clause.test, clause.column.type)
    if found is None or clause.if_unknown == "yes":
        return None
    measure, values = found
    # Never is older than any age, and further than any.
    ages = {Operator.OLDER_THAN, Operator.FURTHER_THAN}
    fact = clause.column.fact
    never = fact is not None and not fact.is_state and clause.test.operator in ages
    return Passed(about=(clause.column.path, measure), values=values, empty=never)


def of_test(test: Test, kind: FieldType) -> tuple[str, Words | tuple[Span, ...]] | None:
    """What passes a test, and by what measure; None where that cannot be told."""
    operand = test.operand
    if isinstance(operand, Column) or test.operator is Operator.PRESENT:
        return None
    if isinstance(operand, Duration):
        return _of_age(test.operator, operand)
    if kind in {FieldType.TEXT, FieldType.REFERENCE, FieldType.BOOLEAN}:
        return _of_words(test.operator, operand, kind)
    if isinstance(operand, tuple):
        spots = [_spot(item, kind) for item in operand]
        known = [spot for spot in spots if spot is not None]
        measures = {measure for measure, _ in known}
        if len(known) < len(spots) or len(measures) != 1:
            return None
        return measures.pop(), _of_spots(test.operator, [at for _, at in known])
    spot = _spot(operand, kind)
    if spot is None:
        return None
    spans = _of_spot(test.operator, spot[1])
    return None if spans is None else (spot[0], spans)


def _of_age(operator: Operator, age: Duration) -> tuple[str, tuple[Span, ...]] | None:
    if age.business_days:
        return None  # how long that is depends on the day
    away = Decimal(age.length // timedelta(seconds=1)) / Decimal(_DAY // timedelta(seconds=1))
    match operator:
        case Operator.IN_LAST:
            span = Span(low=-away, high=Decimal(0))
        case Operator.IN_NEXT:
            span = Span(low=Decimal(0), high=away)
        case Operator.OLDER_THAN:
            span = Span(high=-away)
        case _:
            span = Span(low=away)
    return "now", (span,)


def _of_words(operator: Operator, operand: object, kind: FieldType) -> tuple[str, Words] | None:
    values = operand if isinstance(operand, tuple) else (operand,)
    if operator in {Operator.IS, Operator.IN}:
        return "value", Words(values=frozenset(values))
    if operator in {Operator.IS_NOT, Operator.NOT_IN}:
        if kind is FieldType.BOOLEAN:
            return "value", Words(values=frozenset({True, False} - set(values)))
        return "value", Words(values=frozenset(values), all_but=True)
    searched = {Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH}
    whole = operand == "" if operator in searched else operand in _ANY_TEXT
    known = operator in searched or operator is Operator.MATCHES
    return ("value", Words(values=frozenset(), all_but=True)) if whole and known else None


def _spot(value: object, kind: FieldType) -> tuple[str, Decimal] | None:
    """Where a value lies on the line, and on which."""
    if kind in NUMBERS and isinstance(value, int | Decimal):
        return "value", Decimal(value)
    if kind is FieldType.DATE and isinstance(value, Today):
        return "now", Decimal(0)
    if isinstance(value, date) and not isinstance(value, datetime):
        return "value", Decimal(value.toordinal())
    return None


def _of_spots(operator: Operator, spots: list[Decimal]) -> tuple[Span, ...]:
    if operator is Operator.BETWEEN:
        return (Span(low=spots[0], high=spots[1]),)
    single = tuple(Span(low=at, high=at) for at in sorted(set(spots)))
    return _without(single) if operator is Operator.NOT_IN else single


def _of_spot(operator: Operator, at: Decimal) -> tuple[Span, ...] | None:
    match operator:
        case Operator.IS:
            return (Span(low=at, high=at),)
        case Operator.IS_NOT:
            return Span(low=at, high=at).rest()
        case Operator.OVER | Operator.AFTER:
            return (Span(low=at, with_low=False),)
        case Operator.UNDER | Operator.BEFORE:
            return (Span(high=at, with_high=False),)
        case Operator.AT_LEAST:
            return (Span(low=at),)
        case Operator.AT_MOST:
            return (Span(high=at),)
        case _:
            return None


def _rest(values: Words | tuple[Span, ...]) -> Words | tuple[Span, ...]:
    if isinstance(values, Words):
        if values.values and all(isinstance(value, bool) for value in values.values):
            return Words(values=frozenset({True, False} - values.values))
        return Words(values=values.values, all_but=not values.all_but)
    return _without(values)


def _without(spans: Iterable[Span]) -> tuple[Span, ...]:
    left: tuple[Span, ...] = (Span(),)
    for span in spans:
        left = _common(left, span.rest())
    return left


def _common(some: Iterable[Span], others: Iterable[Span]) -> tuple[Span, ...]:
    others = tuple(others)
    both = (one.within(other) for one in some for other in others)
    return tuple(span for span in both if not span.empty)


def _both(
    one: Words | tuple[Span, ...], other: Words | tuple[Span, ...]
) -> Words | tuple[Span, ...]:
    if isinstance(one, Words) and isinstance(other, Words):
        if one.all_but and other.all_but:
            return Words(values=one.values | other.values, all_but=True)
        if one.all_but or other.all_but:
            kept, left_out = (other, one) if one.all_but else (one, other)
            return Words(values=kept.values - left_out.values)
        return Words(values=one.values & other.values)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return _common(one, other)
    raise TypeError("values of one field are measured in one way")


def _is_empty(values: Words | tuple[Span, ...]) -> bool:
    if isinstance(values, Words):
        return not values.values and not values.all_but
    return not any(not span.empty for span in values)
