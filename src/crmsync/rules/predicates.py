"""Conditions as Ibis expressions over the wide table; SQL's three values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from crmsync.model.tables import FieldType
from crmsync.rules import history
from crmsync.rules.asked import fresh
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
)
from crmsync.rules.rows import CONNECTION, has_currency
from crmsync.warehouse.variables import variable

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.rules.rows import Hops, Rows

# Numbers in records have four decimal places.
_NUMBER_TYPE = "decimal(18, 4)"
_NEVER_PASSES = frozenset({Operator.OLDER_THAN, Operator.FURTHER_THAN, Operator.IS_NOT})
_MONOTONE = frozenset({Operator.OVER, Operator.UNDER, Operator.AT_LEAST, Operator.AT_MOST})
_UNKNOWN = ibis.null("boolean")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A value as a clause sees it.

    Attributes:
        known: never null; where it is false nothing can be said. None for a plain field, of which
            everything is said by its value: empty is unknown.
    """

    value: ir.Value
    type: FieldType
    known: ir.BooleanValue | None = None


def predicate(rows: Rows, condition: Condition) -> ir.BooleanValue:
    """True, false, or null where it is unknown."""
    match condition:
        case Comparison() | Related():
            verdict = clause_verdict(rows, condition)
            if condition.unknown_as is None:
                return verdict
            return verdict.fill_null(condition.unknown_as)
        case All():
            return reduce(and_, [predicate(rows, c) for c in condition.conditions])
        case AnyOf():
            return reduce(or_, [predicate(rows, c) for c in condition.conditions])
        case Not():
            return negated(predicate(rows, condition.condition))
        case InSegment():
            return predicate(rows, condition.condition)


def holds(rows: Rows, condition: Condition) -> ir.BooleanValue:
    """True where `predicate` is, else false or null: enough for a filter, and plainer."""
    match condition:
        case Comparison() | Related():
            verdict = clause_verdict(rows, condition)
            return verdict.fill_null(True) if condition.unknown_as else verdict
        case All():
            return reduce(and_, [holds(rows, c) for c in condition.conditions])
        case AnyOf():
            return reduce(or_, [holds(rows, c) for c in condition.conditions])
        case InSegment():
            return holds(rows, condition.condition)
        case Not():
            return predicate(rows, condition)


def negated(verdict: ir.BooleanValue) -> ir.BooleanValue:
    """Not."""
    # Within a function call: Ibis 12 writes (~x).isnull() as NOT x IS NULL, which is another thing.
    return ibis.coalesce(~verdict, _UNKNOWN)


def clause_verdict(rows: Rows, clause: Comparison | Related) -> ir.BooleanValue:
    """What a clause says of itself, before ``if_unknown``."""
    if isinstance(clause, Comparison):
        if clause.test.operator in HISTORY:
            return history.verdict(rows, clause.column, clause.test)
        return passes(rows, seen(rows, clause.column), clause.test)
    return _related(rows, clause)


def seen(rows: Rows, column: Column) -> Seen:
    """The value at the end of a path."""
    if column.fact is None:
        return Seen(value=rows.field(column.hops, column.name), type=column.type)
    found, value = rows.fact(column)
    if not column.fact.rests_on and column.fact.default is None:
        # It says no more than the record's own fields: where they are empty, so is it.
        return Seen(value=value, type=column.type)
    known = is_fresh(rows, column.hops, column.fact.rests_on)
    # A row without a value says that it cannot be computed; no row, that there is nothing.
    known &= ~(found & value.isnull())
    if column.fact.default is not None:
        value = value.fill_null(column.fact.default)
    value = known.ifelse(value, ibis.null(value.type()))
    return Seen(value=value, type=column.type, known=known)


def is_fresh(rows: Rows, hops: Hops, tables: tuple[str, ...]) -> ir.BooleanValue:
    """Whether there is a record, and these tables can be trusted for its connection."""
    exists: ir.BooleanValue = rows.id_of(hops).notnull()
    if not tables:
        return exists
    connections = variable(fresh(tables), dt.Array(dt.string))
    return exists & connections.contains(rows.field(hops, CONNECTION)).fill_null(False)


def passes(rows: Rows, subject: Seen, test: Test) -> ir.BooleanValue:
    """Whether a value passes a test."""
    value, known = subject.value, subject.known
    if test.operator is Operator.PRESENT:
        verdict = value.notnull() if test.operand else value.isnull()
    elif isinstance(test.operand, Column):
        other = seen(rows, test.operand).value
        verdict = _compared(value, test.operator, other)
    elif subject.type in TIMES:
        verdict = _within(rows, subject, test)
    else:
        verdict = _tested(value, test)
    if known is None:
        return verdict
    if subject.type in TIMES and test.operator is not Operator.PRESENT:
        never = ibis.literal(test.operator in _NEVER_PASSES)
        verdict = value.isnull().ifelse(never, verdict)
    return known.ifelse(verdict, _UNKNOWN)


def _within(rows: Rows, subject: Seen, test: Test) -> ir.BooleanValue:
    value = subject.value
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


def _tested(value: ir.Value, test: Test) -> ir.BooleanValue:  # noqa: PLR0911  one per operator
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


def _related(rows: Rows, clause: Related) -> ir.BooleanValue:
    fresh = is_fresh(rows, clause.of.hops, (clause.of.relation.target,))
    if clause.quantifier is Quantifier.LATEST:
        time, verdict = (rows.tally(clause, name) for name in ("time", "verdict"))
        # Where there is no latest record, nothing can be true of it.
        return fresh.ifelse(time.notnull().ifelse(verdict, False), _UNKNOWN)
    counted = rows.tally(clause, "yes").fill_null(0)
    unsure = rows.tally(clause, "maybe").fill_null(0)
    match clause.quantifier:
        case Quantifier.SOME:
            verdict = (counted > 0) | (unsure > 0).ifelse(_UNKNOWN, False)
        case Quantifier.NONE | Quantifier.EVERY:
            verdict = (counted == 0) & (unsure > 0).ifelse(_UNKNOWN, True)
        case Quantifier.COUNT:
            verdict = _count(clause.test, counted, unsure)
        case _:
            return passes(rows, tallied(rows, clause), _test_of(clause))
    return fresh.ifelse(verdict, _UNKNOWN)


def tallied(rows: Rows, clause: Related) -> Seen:
    """The sum, average, smallest or largest of related records."""
    if clause.column is None:
        raise TypeError(f"{clause.quantifier} is taken of a field")
    value = rows.tally(clause, "value")
    known = is_fresh(rows, clause.of.hops, (clause.of.relation.target,))
    known &= rows.tally(clause, "maybe").fill_null(0) == 0
    if has_currency(rows.world, clause):
        known &= rows.tally(clause, "currencies").fill_null(0) <= 1
    if clause.quantifier is Quantifier.SUM:
        value = value.fill_null(0)
    kind = FieldType.NUMBER if clause.quantifier is Quantifier.AVG else clause.column.type
    value = known.ifelse(value, ibis.null(value.type()))
    return Seen(value=value, type=kind, known=known)


def _count(test: Test | None, counted: ir.Value, unsure: ir.Value) -> ir.BooleanValue:
    if test is None:
        raise TypeError("a count is held against something")
    least = _tested(counted, test)
    if test.operator in _MONOTONE:
        # Decided where counting the unsure ones makes no difference.
        most = _tested(counted + unsure, test)
        return (least == most).ifelse(least, _UNKNOWN)
    if test.operator is Operator.PRESENT:
        return ibis.literal(test.operand)
    return (unsure == 0).ifelse(least, _UNKNOWN)


def _test_of(clause: Related) -> Test:
    if clause.test is None:
        raise TypeError(f"{clause.quantifier} is held against something")
    return clause.test
