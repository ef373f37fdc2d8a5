"""Conditions as Ibis expressions over the wide table; SQL's three values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

import ibis

from crmsync.model.tables import FieldType
from crmsync.rules.conditions import (
    HISTORY,
    TIMES,
    All,
    AnyOf,
    Column,
    Comparison,
    Condition,
    InSegment,
    Not,
    Operator,
    Quantifier,
    Related,
    Test,
    conjuncts,
)
from crmsync.rules.evaluation import history
from crmsync.rules.evaluation.rows import has_currency
from crmsync.rules.unknown import is_never_unknown
from crmsync.rules.unknown import passes as number_passes

if TYPE_CHECKING:
    from collections.abc import Container

    import ibis.expr.types as ir

    from crmsync.rules.evaluation.rows import Rows

# Numbers in records have four decimal places.
_NUMBER_TYPE = "decimal(18, 4)"
# Nothing at all, where that is known, is never: older than any age, and further than any.
_NEVER_PASSES = frozenset({Operator.OLDER_THAN, Operator.FURTHER_THAN, Operator.IS_NOT})
_NO_TIME_PASSES = frozenset({Operator.IS_NOT})
# The largest of some is older where all of them are, the smallest where one of them is.
_NONE_PASSES = {
    Quantifier.MIN: frozenset({Operator.FURTHER_THAN, Operator.IS_NOT}),
    Quantifier.MAX: frozenset({Operator.OLDER_THAN, Operator.IS_NOT}),
}
_MONOTONE = frozenset({Operator.OVER, Operator.UNDER, Operator.AT_LEAST, Operator.AT_MOST})
_TRUE = ibis.literal(True)
_UNKNOWN = ibis.null("boolean")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A value as a clause sees it.

    Attributes:
        found: the value, where it is known.
        known: never null; where it is false nothing can be said. None for a plain field, of which
            everything is said by its value: empty is unknown.
        nothing_passes: the tests that a time passes where it is known that there is nothing.
    """

    found: ir.Value
    type: FieldType
    known: ir.BooleanValue | None = None
    nothing_passes: Container[Operator] = _NEVER_PASSES

    @property
    def value(self) -> ir.Value:
        """The value; null where it is not known."""
        if self.known is None:
            return self.found
        return self.known.ifelse(self.found, ibis.null(self.found.type()))


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a clause says of itself, before ``if_unknown``.

    Attributes:
        verdict: what it says, where that is known.
        known: never null; None where it is known of all.
        null_as: what a verdict that is null means; None where that is unknown.
    """

    verdict: ir.BooleanValue
    known: ir.BooleanValue | None = None
    null_as: bool | None = None

    @property
    def whole(self) -> ir.BooleanValue:
        """True, false, or null where it is unknown."""
        verdict = self.verdict if self.null_as is None else self.verdict.fill_null(self.null_as)
        return verdict if self.known is None else self.known.ifelse(verdict, _UNKNOWN)

    @property
    def surely(self) -> ir.BooleanValue:
        """True where it is; else false or null."""
        verdict = self.verdict.fill_null(True) if self.null_as else self.verdict
        return verdict if self.known is None else self.known & verdict

    @property
    def perhaps(self) -> ir.BooleanValue:
        """True where it is or where it is unknown; else false or null."""
        verdict = self.verdict if self.null_as is False else self.verdict.fill_null(True)
        return verdict if self.known is None else ~self.known | verdict


def predicate(rows: Rows, condition: Condition) -> ir.BooleanValue:
    """True, false, or null where it is unknown."""
    match condition:
        case Comparison() | Related():
            said = clause_said(rows, condition)
            if condition.unknown_as is None:
                return said.whole
            return (said.perhaps if condition.unknown_as else said.surely).fill_null(False)
        case All():
            return reduce(and_, [predicate(rows, c) for c in condition.conditions])
        case AnyOf():
            return reduce(or_, [predicate(rows, c) for c in condition.conditions])
        case Not():
            return negated(predicate(rows, condition.condition))
        case InSegment():
            return predicate(rows, condition.condition)


def holds(rows: Rows, condition: Condition, *, perhaps: bool = False) -> ir.BooleanValue:
    """True where `predicate` is, else false or null: enough for a filter, and plainer.

    Args:
        perhaps: also true where it is unknown.
    """
    match condition:
        case Comparison() | Related():
            said, counts = clause_said(rows, condition), condition.unknown_as
            return said.perhaps if counts or (counts is None and perhaps) else said.surely
        case All():
            return reduce(and_, [holds(rows, c, perhaps=perhaps) for c in condition.conditions])
        case AnyOf():
            return reduce(or_, [holds(rows, c, perhaps=perhaps) for c in condition.conditions])
        case InSegment():
            return holds(rows, condition.condition, perhaps=perhaps)
        case Not():
            verdict = predicate(rows, condition)
            return verdict.fill_null(True) if perhaps else verdict


def verdict_of_held(rows: Rows, condition: Condition) -> ir.BooleanValue:
    """The `predicate` of those for which it perhaps `holds`: true, or null where it is unknown."""
    undecided = [part for part in conjuncts(condition) if not is_never_unknown(part)]
    return reduce(and_, [predicate(rows, p) for p in undecided]) if undecided else _TRUE


def negated(verdict: ir.BooleanValue) -> ir.BooleanValue:
    """Not."""
    # Within a function call: Ibis 12 writes (~x).isnull() as NOT x IS NULL, which is another thing.
    return ibis.coalesce(~verdict, _UNKNOWN)


def clause_verdict(rows: Rows, clause: Comparison | Related) -> ir.BooleanValue:
    """What a clause says of itself, before ``if_unknown``: true, false, or null."""
    return clause_said(rows, clause).whole


def clause_said(rows: Rows, clause: Comparison | Related) -> Said:
    """The same by its parts."""
    if isinstance(clause, Comparison):
        if clause.test.operator in HISTORY:
            return Said(verdict=history.verdict(rows, clause.column, clause.test))
        return passes(rows, seen(rows, clause.column), clause.test)
    return _related(rows, clause)


def seen(rows: Rows, column: Column) -> Seen:
    """The value at the end of a path."""
    if column.fact is None:
        return Seen(found=rows.field(column.hops, column.name), type=column.type)
    found, value = rows.fact(column)
    if not column.fact.rests_on and column.fact.default is None:
        # It says no more than the record's own fields: where they are empty, so is it.
        return Seen(found=value, type=column.type)
    known = rows.fresh(column.hops, column.fact.rests_on)
    if found is not None:
        # A row without a value says that it cannot be computed; no row, that there is nothing.
        known &= ~(found & value.isnull())
    if column.fact.default is not None:
        value = value.fill_null(column.fact.default)
    nothing = _NO_TIME_PASSES if column.fact.is_state else _NEVER_PASSES
    return Seen(found=value, type=column.type, known=known, nothing_passes=nothing)


def passes(rows: Rows, subject: Seen, test: Test) -> Said:
    """Whether a value passes a test."""
    value, known = subject.found, subject.known
    null_as = None
    if known is not None and subject.type in TIMES:
        null_as = test.operator in subject.nothing_passes
    if test.operator is Operator.PRESENT:
        verdict = value.notnull() if test.operand else value.isnull()
    elif isinstance(test.operand, Column):
        verdict = _compared(value, test.operator, seen(rows, test.operand).value)
        if null_as is not None:
            verdict = value.isnull().ifelse(null_as, verdict)
        null_as = None
    elif subject.type in TIMES:
        verdict = _within(rows, subject, test)
    else:
        verdict = _tested(value, test)
    return Said(verdict=verdict, known=known, null_as=null_as)


def _within(rows: Rows, subject: Seen, test: Test) -> ir.BooleanValue:
    value = subject.found
    ends = rows.interval(test, subject.type)
    sides = []
    if ends.least is not None:
        sides.append(value >= ends.least)
    if ends.most is not None:
        sides.append(value <= ends.most)
    if ends.above is not None:
        sides.append(value > ends.above)
    if ends.below is not None:
        sides.append(value < ends.below)
    verdict = reduce(and_, sides)
    return negated(verdict) if test.operator is Operator.IS_NOT else verdict


def _compared(value: ir.Value, operator: Operator, bound: ir.Value) -> ir.BooleanValue:
    match operator:
        case Operator.IS:
            return value == bound
        case Operator.IS_NOT:
            return value != bound
        case Operator.OVER | Operator.AFTER:
            return value > bound
        case Operator.UNDER | Operator.BEFORE:
            return value < bound
        case Operator.AT_LEAST:
            return value >= bound
        case Operator.AT_MOST:
            return value <= bound
        case _:
            raise TypeError(f"{operator} has no single bound")


def _tested(value: ir.Value, test: Test) -> ir.BooleanValue:
    operand = test.operand
    match test.operator:
        case Operator.IN:
            return value.isin(_literals(operand))
        case Operator.NOT_IN:
            return negated(value.isin(_literals(operand)))
        case Operator.BETWEEN:
            low, high = _literals(operand)
            return (value >= low) & (value <= high)
        case Operator.CONTAINS:
            return value.contains(operand)
        case Operator.STARTS_WITH:
            return value.startswith(operand)
        case Operator.ENDS_WITH:
            return value.endswith(operand)
        case Operator.MATCHES:
            return value.re_search(operand)
        case _:
            return _compared(value, test.operator, _literal(operand))


def _literals(operand: object) -> list[ir.Value]:
    if not isinstance(operand, tuple):
        raise TypeError(f"{operand!r} is no list of values")
    return [_literal(item) for item in operand]


def _literal(operand: object) -> ir.Value:
    if isinstance(operand, Decimal):
        return ibis.literal(operand, type=_NUMBER_TYPE)
    return ibis.literal(operand)


def _related(rows: Rows, clause: Related) -> Said:
    fresh = rows.fresh(clause.of.hops, (clause.of.relation.target,))
    match clause.quantifier:
        case Quantifier.LATEST:
            time, verdict = (rows.tally(clause, name) for name in ("time", "verdict"))
            # Where there is no latest record, nothing can be true of it.
            return Said(verdict=time.notnull().ifelse(verdict, False), known=fresh)
        case Quantifier.SOME | Quantifier.NONE | Quantifier.EVERY | Quantifier.COUNT:
            test = _test_of_count(clause)
        case _:
            return passes(rows, tallied(rows, clause), _test_of(clause))
    counted = rows.tally(clause, "yes")
    if rows.is_decided(clause) and test.operator is not Operator.PRESENT:
        return Said(verdict=_tested(counted, test), known=fresh, null_as=number_passes(0, test))
    unsure = rows.tally(clause, "maybe").fill_null(0)
    return Said(verdict=_count(test, counted.fill_null(0), unsure), known=fresh)


def _test_of_count(clause: Related) -> Test:
    match clause.quantifier:
        case Quantifier.SOME:
            return Test(operator=Operator.OVER, operand=0)
        case Quantifier.NONE | Quantifier.EVERY:
            return Test(operator=Operator.UNDER, operand=1)
        case _:
            return _test_of(clause)


def tallied(rows: Rows, clause: Related) -> Seen:
    """The sum, average, smallest or largest of related records."""
    if clause.column is None:
        raise TypeError(f"{clause.quantifier} is taken of a field")
    value = rows.tally(clause, "value")
    known = rows.fresh(clause.of.hops, (clause.of.relation.target,))
    if not rows.is_decided(clause):
        known &= rows.tally(clause, "maybe").fill_null(0) == 0
    if has_currency(rows.world, clause):
        known &= rows.tally(clause, "currencies").fill_null(0) <= 1
    if clause.quantifier is Quantifier.SUM:
        value = value.fill_null(0)
    kind = FieldType.NUMBER if clause.quantifier is Quantifier.AVG else clause.column.type
    nothing = _NONE_PASSES.get(clause.quantifier, _NO_TIME_PASSES)
    return Seen(found=value, type=kind, known=known, nothing_passes=nothing)


def _count(test: Test, counted: ir.Value, unsure: ir.Value) -> ir.BooleanValue:
    """Decided where counting the unsure ones makes no difference."""
    if test.operator in _MONOTONE:
        least, most = _tested(counted, test), _tested(counted + unsure, test)
        return (least == most).ifelse(least, _UNKNOWN)
    if test.operator is Operator.PRESENT:
        return ibis.literal(test.operand)
    passing = _numbers_named(test, counted, counted + unsure)
    all_pass = passing == unsure + 1
    said = (all_pass | (passing == 0)).ifelse(all_pass, _UNKNOWN)
    return ~said if test.operator in {Operator.IS_NOT, Operator.NOT_IN} else said


def _numbers_named(test: Test, least: ir.Value, most: ir.Value) -> ir.Value:
    """How many of the whole numbers between two, both included, a test names."""
    named = test.operand if isinstance(test.operand, tuple) else (test.operand,)
    numbers = sorted({int(str(number)) for number in named})
    if test.operator is Operator.BETWEEN:
        low, high = numbers[0], numbers[-1]
        return ibis.greatest(ibis.least(most, high) - ibis.greatest(least, low) + 1, 0)
    hits = [((least <= number) & (most >= number)).cast("int64") for number in numbers]
    return sum(hits, start=ibis.literal(0))


def _test_of(clause: Related) -> Test:
    if clause.test is None:
        raise TypeError(f"{clause.quantifier} is held against something")
    return clause.test
