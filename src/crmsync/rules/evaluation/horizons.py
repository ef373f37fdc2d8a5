"""How far back clauses and facts look: what lies before that need not be read for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Comparison, Operator, conjuncts
from crmsync.rules.evaluation.asked import Between

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from crmsync.rules.conditions import Column, Condition, Test
    from crmsync.rules.evaluation.world import World

# Which end lies that far back. Of a latest time before it they say what they say of none at all.
_ENDS = {Operator.IN_LAST: "least", Operator.OLDER_THAN: "most"}


@dataclass(frozen=True, kw_only=True)
class Window:
    """How far back a clause or a fact looks.

    Attributes:
        column: a time of the related records.
        length: before the present.
        name: of the variable that is its begin.
        undated: whether a record without a time passes.
    """

    column: str
    length: timedelta
    name: str
    undated: bool


def window_of(world: World, where: Condition | None) -> Window | None:
    """How far back a condition looks, where a record before that fails it."""
    for clause in conjuncts(where):
        if not isinstance(clause, Comparison):
            continue
        column, test = clause.column, clause.test
        if column.hops or column.fact is not None or test.operator is not Operator.IN_LAST:
            continue
        found = _window(world, test, column.type)
        if found is not None:
            name, length = found
            undated = clause.unknown_as is not False
            return Window(column=column.name, length=length, name=name, undated=undated)
    return None


def window_of_fact(world: World, column: Column, tests: Iterable[Test | None]) -> Window | None:
    """How far back a fact has to look for the verdicts of some tests; None for all that there is.

    Where the fact is the latest of some times, a test of its age says of an earlier one what it
    says of none at all.

    Args:
        tests: all that is asked of the fact; None for its value.
    """
    measure = None if column.fact is None else world.measure(column.fact)
    if column.fact is None or measure is None or measure.latest is None:
        return None
    if not column.fact.rests_on or column.fact.is_state:
        return None  # nothing at all would be unknown, or no time, and not never
    longest: Window | None = None
    for test in tests:
        found = None if test is None else _window(world, test, column.type)
        if found is None:
            return None
        name, length = found
        if longest is None or length > longest.length:
            longest = Window(column=measure.latest, length=length, name=name, undated=False)
    return longest


def _window(world: World, test: Test, kind: FieldType) -> tuple[str, timedelta] | None:
    """The variable that is the begin of what a test looks at, and how long ago that is."""
    if kind is not FieldType.INSTANT or test.operator not in _ENDS:
        return None
    ends = Between(test=test, kind=kind)
    if ends.depends_on_zone:
        return None
    name = ends.name(_ENDS[test.operator])
    begin = ends.ends(world.company).get(name)
    return (name, world.now - begin) if isinstance(begin, type(world.now)) else None
