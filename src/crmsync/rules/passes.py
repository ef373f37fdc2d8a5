"""Aggregates of related records, for many clauses and facts in a few passes over them.

Clauses and facts about the same records share a scan: each becomes an aggregate with a filter of
its own. Those that look back only so far share a pass over the records of that time, since an
aggregate that spans everything costs more than all that look at the last weeks together.
A pass with few aggregates filters the rows beforehand, so that one rule alone costs what its own
query would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import ibis

from crmsync.model.tables import FieldType
from crmsync.rules.asked import Between
from crmsync.rules.conditions import (
    Column,
    Comparison,
    Condition,
    Operator,
    Quantifier,
    Related,
    conjuncts,
)
from crmsync.rules.unknown import is_decided
from crmsync.warehouse.associations import ACTIVITY, LINKED_TABLES
from crmsync.warehouse.variables import variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import ibis.expr.types as ir

    from crmsync.rules.rows import Hops, Rows
    from crmsync.rules.world import World

# How far back a pass looks at the most; what looks further shares the pass over everything.
_TIERS = (timedelta(days=31), timedelta(days=92), timedelta(days=366))
# With more aggregates, hardly a row is of no use to any.
_FEW = 4
_SHARED = frozenset({Quantifier.SOME, Quantifier.NONE, Quantifier.COUNT, Quantifier.EVERY})
_VALUES = frozenset({Quantifier.SUM, Quantifier.AVG, Quantifier.MIN, Quantifier.MAX})
_RECORD = "record"


@dataclass(frozen=True, kw_only=True)
class Window:
    """How far back a clause looks.

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


@dataclass(frozen=True, kw_only=True)
class _Tier:
    """A pass over so much time."""

    column: str
    most: timedelta


@dataclass(kw_only=True)
class Pass:
    """Clauses and facts that are computed in one scan of the related records of records.

    Attributes:
        near: from the subject to the records whose related records are meant.
        target: the table of the related records, and ``back``, their reference.
        clauses: by the name that their columns begin with; likewise facts.
        windows: those of the clauses, where all of them have one in the same tier.
    """

    near: Hops
    target: str
    back: str
    clauses: dict[str, Related] = field(default_factory=dict)
    facts: dict[str, Column] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)


def can_share(clause: Related) -> bool:
    """Whether a clause is an aggregate that others can stand beside."""
    return clause.quantifier in _SHARED or clause.quantifier in _VALUES


def passes(
    world: World, clauses: Mapping[str, Related], facts: Mapping[str, Column]
) -> Iterable[Pass]:
    """How clauses and facts are distributed on passes."""
    found: dict[tuple[object, ...], Pass] = {}
    for name, clause in clauses.items():
        relation = clause.of.relation
        window = window_of(world, clause.of.where)
        tier = None if window is None else _tier(window)
        key = (clause.of.hops, relation.target, relation.column, tier)
        new = Pass(near=clause.of.hops, target=relation.target, back=relation.column)
        one = found.setdefault(key, new)
        one.clauses[name] = clause
        if tier is not None and window is not None:
            one.windows.append(window)
    for name, column in facts.items():
        measure = None if column.fact is None else world.measure(column.fact)
        if measure is not None:
            new = Pass(near=column.hops, target=measure.of, back=measure.by)
            found.setdefault((column.hops, measure.of, measure.by, None), new).facts[name] = column
    return found.values()


def _tier(window: Window) -> _Tier | None:
    most = next((tier for tier in _TIERS if window.length <= tier), None)
    return None if most is None else _Tier(column=window.column, most=most)


def window_of(world: World, where: Condition | None) -> Window | None:
    """How far back a condition looks, where a record before that fails it."""
    for clause in conjuncts(where):
        if not isinstance(clause, Comparison):
            continue
        column, test = clause.column, clause.test
        if column.hops or column.fact is not None or test.operator is not Operator.IN_LAST:
            continue
        ends = Between(test=test, kind=column.type)
        if column.type is not FieldType.INSTANT or ends.depends_on_zone:
            continue
        begin = ends.ends(world.company)[ends.name("least")]
        if isinstance(begin, type(world.now)):
            length = world.now - begin
            return Window(
                column=column.name,
                length=length,
                name=ends.name("least"),
                undated=clause.unknown_as is not False,
            )
    return None


def computed(world: World, one: Pass) -> ir.Table:
    """A row for each record that has any related ones that matter.

    Returns:
        ``record``, and for each clause its columns as `crmsync.rules.rows.Rows.tally` has them,
        for each fact its ``value``; each after the name of the clause or fact.
    """
    from crmsync.rules.rows import Rows, extra_fields  # noqa: PLC0415  conditions nest in conditions

    names = {one.back: None} | dict.fromkeys(window.column for window in one.windows)
    for clause in one.clauses.values():
        names |= dict.fromkeys(extra_fields(world, clause).values())
    if one.facts:
        names |= dict.fromkeys(world.table(one.target).columns)
    wanted = [Column(table=one.target, hops=(), name=n, type=FieldType.TEXT) for n in names]
    wanted += [clause.column for clause in one.clauses.values() if clause.column is not None]
    inside = [
        condition
        for clause in one.clauses.values()
        for condition in (clause.of.where, clause.each)
        if condition is not None
    ]
    inner = _of_records(world, one, Rows(world, one.target, inside, wanted))
    measures, matters = _measures(world, one, inner)
    rows = inner.wide.filter(reduce(or_, matters)) if len(matters) <= _FEW else inner.wide
    if rows is not inner.wide:
        measures, _ = _measures(world, one, inner.among(rows))
    return rows.group_by(_RECORD).aggregate(**measures)


def _of_records(world: World, one: Pass, inner: Rows) -> Rows:
    """The related records that are in time, each beside the ``record`` that it is related to."""
    wide = inner.wide
    if one.windows:
        longest = max(one.windows, key=lambda window: window.length)
        time = inner.field((), longest.column)
        late = time >= variable(longest.name, time.type())
        undated = any(window.undated for window in one.windows)
        wide = wide.filter(late | time.isnull() if undated else late)
        inner = inner.among(wide)
    own = inner.field((), one.back)
    direct = wide.filter(own.notnull()).mutate(**{_RECORD: own})
    linked = one.target == ACTIVITY and one.back in LINKED_TABLES
    indirect = world.indirect(one.back) if linked else None
    if indirect is None:
        return inner.among(direct)
    others = wide.join(indirect, [(inner.id_of(()).get_name(), "activity")])
    return inner.among(direct.union(others.select(*direct.columns)))


def _measures(
    world: World, one: Pass, inner: Rows
) -> tuple[dict[str, ir.Value], list[ir.BooleanValue]]:
    """The aggregates, and of each which rows matter to it."""
    measures: dict[str, ir.Value] = {}
    matters: list[ir.BooleanValue] = []
    for name, clause in one.clauses.items():
        found, rows = _of_clause(world, clause, inner)
        measures |= {f"{name}_{column}": value for column, value in found.items()}
        matters.append(rows)
    for name, column in one.facts.items():
        measure = None if column.fact is None else world.measure(column.fact)
        if measure is not None:
            fields = Fields(inner)
            where = measure.where(world.tables, fields)
            measures[f"{name}_value"] = measure.value(fields, where)
            matters.append(where)
    return measures, matters


def _of_clause(
    world: World, clause: Related, inner: Rows
) -> tuple[dict[str, ir.Value], ir.BooleanValue]:
    from crmsync.rules.predicates import holds, negated, predicate, seen  # noqa: PLC0415  as above
    from crmsync.rules.rows import has_currency  # noqa: PLC0415  as above

    where, yes = clause.of.where, ibis.literal(True)
    if where is not None:
        yes = holds(inner, where)
    matters = yes
    measures: dict[str, ir.Value] = {}
    if not is_decided(clause):
        counts = ibis.literal(True) if where is None else predicate(inner, where)
        if clause.each is not None:
            counts = counts & negated(predicate(inner, clause.each))
            yes = counts
        measures["maybe"] = inner.wide.count(where=counts.isnull())
        matters = counts.fill_null(True)
    elif clause.each is not None:
        yes = yes & negated(predicate(inner, clause.each))
    measures["yes"] = inner.wide.count(where=yes)
    if clause.column is not None:
        value = seen(inner, clause.column).value
        if has_currency(world, clause):
            # A record without a value adds nothing, so its currency does not matter.
            currency = inner.field((), "currency").fill_null("")
            measures["currencies"] = currency.nunique(where=yes & value.notnull())
        if clause.quantifier in _VALUES:
            measures["value"] = _AGGREGATES[clause.quantifier](value, yes)
    return measures, matters


_AGGREGATES = {
    Quantifier.SUM: lambda value, where: value.sum(where=where),
    Quantifier.AVG: lambda value, where: value.mean(where=where),
    Quantifier.MIN: lambda value, where: value.min(where=where),
    Quantifier.MAX: lambda value, where: value.max(where=where),
}


class Fields:
    """The fields of related records, by their names, where they stand among other columns."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __getitem__(self, name: str) -> ir.Value:
        return self._rows.field((), name)

    @property
    def count(self) -> Callable[[ir.BooleanValue], ir.IntegerScalar]:
        """Counts those of which something holds."""
        return lambda where: self._rows.wide.count(where=where)
