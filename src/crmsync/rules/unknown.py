"""What an unknown clause counts as.

Verdicts are SQL's three values, and every clause has an ``if_unknown``.
Written out, it is taken literally: ``no`` and ``yes`` stand in the clause's place, ``hold`` leaves
it unknown. Where it is not written:

* a clause that *becomes true through missing records* holds: ``older_than``, ``further_than``,
  ``present: false`` of a fact, ``none``, ``every``, and any count, sum or counting fact whose
  test nothing at all would pass (``count … at_most: 2``, ``open_tickets: 0``);
* any other unknown clause never makes a rule match. It is replaced by the value that works
  against the match: ``no`` as a rule, ``yes`` where an odd number of negations stands around it
  (``not``, ``none_of``, the ``where`` of ``none``, of a ``count`` with ``at_most`` or ``under``);
* inside the ``where`` of an exact count, a sum, an average, a smallest, largest or latest, neither
  value is safe; there it stays unknown;
* so it does inside a clause about related records that has a written ``if_unknown`` itself.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from crmsync.rules.conditions import (
    All,
    AnyOf,
    Column,
    Comparison,
    Condition,
    IfUnknown,
    InSegment,
    Not,
    Operator,
    Quantifier,
    Related,
    Test,
)

# With the match, against it, or neither.
_MIXED = 0
_MORE = frozenset({Operator.AT_LEAST, Operator.OVER})
_FEWER = frozenset({Operator.AT_MOST, Operator.UNDER})


def settle(condition: Condition, polarity: int = 1) -> Condition:
    """The same tree with ``unknown_as`` decided for every clause."""
    match condition:
        case Comparison():
            return replace(condition, unknown_as=_unknown_as(condition, polarity))
        case Related():
            return _settle_related(condition, polarity)
        case All() | AnyOf():
            settled = tuple(settle(part, polarity) for part in condition.conditions)
            return replace(condition, conditions=settled)
        case Not():
            return replace(condition, condition=settle(condition.condition, -polarity))
        case InSegment():
            return replace(condition, condition=settle(condition.condition, polarity))


def settle_asked(condition: Condition, polarity: int = 1) -> Condition:
    """The same for what is asked of an enrolment: what rests on other records is not guessed.

    An empty field counts as in `settle`. A fact or related records that cannot be trusted just now
    leave it unknown, so that nothing is sent, and nothing ended, on their account.
    """
    match condition:
        case Comparison() if condition.column.fact is None:
            return settle(condition, polarity)
        case Comparison():
            return settle(condition, _MIXED)
        case Related():
            settled = _settle_related(condition, polarity)
            return replace(settled, unknown_as=_unknown_as(condition, _MIXED))
        case All() | AnyOf():
            parts = tuple(settle_asked(part, polarity) for part in condition.conditions)
            return replace(condition, conditions=parts)
        case Not():
            return replace(condition, condition=settle_asked(condition.condition, -polarity))
        case InSegment():
            return replace(condition, condition=settle_asked(condition.condition, polarity))


def _settle_related(clause: Related, polarity: int) -> Related:
    where = clause.of.where
    if clause.if_unknown is None:
        inside, each = _polarity_of_where(clause, polarity), polarity
    else:  # it says itself what counts where something of its records is unknown
        inside = each = _MIXED
    return replace(
        clause,
        of=replace(clause.of, where=None if where is None else settle(where, inside)),
        each=None if clause.each is None else settle(clause.each, each),
        unknown_as=_unknown_as(clause, polarity),
    )


def _polarity_of_where(clause: Related, polarity: int) -> int:
    match clause.quantifier:
        case Quantifier.SOME:
            return polarity
        case Quantifier.NONE | Quantifier.EVERY:
            return -polarity
        case Quantifier.COUNT if clause.test is not None and clause.test.operator in _MORE:
            return polarity
        case Quantifier.COUNT if clause.test is not None and clause.test.operator in _FEWER:
            return -polarity
        case _:
            return _MIXED


def _unknown_as(clause: Comparison | Related, polarity: int) -> bool | None:
    match clause.if_unknown:
        case IfUnknown.HOLD:
            return None
        case IfUnknown.YES:
            return True
        case IfUnknown.NO:
            return False
    if polarity == _MIXED or is_absence(clause):
        return None
    return polarity < 0


def is_absence(clause: Comparison | Related) -> bool:
    """Whether the clause becomes true through missing records."""
    if isinstance(clause, Comparison):
        return _is_absent_value(clause)
    match clause.quantifier:
        case Quantifier.NONE | Quantifier.EVERY:
            return True
        case Quantifier.COUNT | Quantifier.SUM if clause.test is not None:
            return passes(0, clause.test)
        case Quantifier.MIN if clause.test is not None:
            return clause.test.operator is Operator.FURTHER_THAN
        case Quantifier.MAX if clause.test is not None:
            return clause.test.operator is Operator.OLDER_THAN
        case _:
            return False


def _is_absent_value(clause: Comparison) -> bool:
    test, fact = clause.test, clause.column.fact
    if test.operator in {Operator.OLDER_THAN, Operator.FURTHER_THAN}:
        return True
    if test.operator is Operator.PRESENT:
        return test.operand is False and fact is not None
    if isinstance(test.operand, Column):
        other = test.operand.fact
        if test.operator in _FEWER:
            return fact is not None and fact.default is not None
        return test.operator in _MORE and other is not None and other.default is not None
    return fact is not None and fact.default is not None and passes(fact.default, test)


def passes(number: int, test: Test) -> bool:
    """Whether a number passes a test against literals."""
    operand = test.operand
    if isinstance(operand, tuple):
        numbers = [_number(item) for item in operand]
        match test.operator:
            case Operator.BETWEEN:
                return numbers[0] <= number <= numbers[1]
            case Operator.IN:
                return number in numbers
            case _:
                return number not in numbers
    bound = _number(operand)
    return {
        Operator.IS: number == bound,
        Operator.IS_NOT: number != bound,
        Operator.OVER: number > bound,
        Operator.UNDER: number < bound,
        Operator.AT_LEAST: number >= bound,
        Operator.AT_MOST: number <= bound,
    }[test.operator]


def _number(operand: object) -> Decimal:
    if isinstance(operand, int | Decimal):
        return Decimal(operand)
    raise TypeError(f"{operand!r} is not a number")


def is_decided(clause: Related) -> bool:
    """Whether of each related record it can be said whether it counts."""
    inside = (clause.of.where, clause.each)
    return all(condition is None or is_never_unknown(condition) for condition in inside)


def is_never_unknown(condition: Condition) -> bool:
    """Whether a condition is yes or no of each record."""
    match condition:
        case Comparison():
            plain = condition.column.fact is None and condition.test.operator is Operator.PRESENT
            return plain or condition.unknown_as is not None
        case Related():
            return condition.unknown_as is not None
        case All() | AnyOf():
            return all(is_never_unknown(part) for part in condition.conditions)
        case Not() | InSegment():
            return is_never_unknown(condition.condition)
