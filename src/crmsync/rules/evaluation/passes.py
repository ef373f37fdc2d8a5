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
from crmsync.rules.conditions import Column, Quantifier, Related
from crmsync.rules.evaluation.horizons import window_of
from crmsync.rules.evaluation.world import wanted
from crmsync.rules.unknown import is_decided
from crmsync.warehouse.associations import ACTIVITY, LINKED_TABLES
from crmsync.warehouse.variables import variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import ibis.expr.types as ir

    from crmsync.plugins.contract import Measure
    from crmsync.rules.evaluation.horizons import Window
    from crmsync.rules.evaluation.rows import Hops, Rows
    from crmsync.rules.evaluation.world import World

# How far back a pass looks at the most; what looks further shares the pass over everything.
_TIERS = (timedelta(days=31), timedelta(days=92), timedelta(days=366))
# With more aggregates, hardly a row is of no use to any.
_FEW = 4
_SHARED = frozenset({Quantifier.SOME, Quantifier.NONE, Quantifier.COUNT, Quantifier.EVERY})
_VALUES = frozenset({Quantifier.SUM, Quantifier.AVG, Quantifier.MIN, Quantifier.MAX})
_RECORD = "record"
_TRUE = ibis.literal(True)


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
        windows: theirs, where all of them have one in the same tier.
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
    world: World,
    clauses: Mapping[str, Related],
    facts: Mapping[str, tuple[Column, Window | None]],
) -> Iterable[Pass]:
    """How clauses and facts are distributed on passes.

    Args:
        facts: each with how far back it has to look.
    """
    found: dict[tuple[object, ...], Pass] = {}

    def pass_of(hops: Hops, target: str, back: str, window: Window | None) -> Pass:
        tier = None if window is None else _tier(window)
        one = found.setdefault(
            (hops, target, back, tier), Pass(near=hops, target=target, back=back)
        )
        if tier is not None and window is not None:
            one.windows.append(window)
        return one

    for name, clause in clauses.items():
        relation = clause.of.relation
        window = window_of(world, clause.of.where)
        one = pass_of(clause.of.hops, relation.target, relation.column, window)
        one.clauses[name] = clause
    for name, (column, window) in facts.items():
        measure = None if column.fact is None else world.measure(column.fact)
        if measure is not None:
            pass_of(column.hops, measure.of, measure.by, window).facts[name] = column
    return found.values()


def _tier(window: Window) -> _Tier | None:
    most = next((tier for tier in _TIERS if window.length <= tier), None)
    return None if most is None else _Tier(column=window.column, most=most)


def computed(world: World, one: Pass, *, only_wanted: bool = False) -> ir.Table:
    """A row for each record that has any related ones that matter.

    Args:
        only_wanted: only for records that the query is given in its table ``wanted_ids``.

    Returns:
        ``record``, and for each clause its columns as `Rows.tally` has them, for each fact its
        ``value``; each after the name of the clause or fact.
    """
    from crmsync.rules.evaluation.rows import Rows, extra_fields  # noqa: PLC0415  conditions nest in conditions

    names = {one.back: None} | dict.fromkeys(window.column for window in one.windows)
    for clause in one.clauses.values():
        names |= dict.fromkeys(extra_fields(world, clause).values())
    if one.facts:
        names |= dict.fromkeys(_read(world, one))
    fields = [Column(table=one.target, hops=(), name=n, type=FieldType.TEXT) for n in names]
    fields += [clause.column for clause in one.clauses.values() if clause.column is not None]
    inside = [
        condition
        for clause in one.clauses.values()
        for condition in (clause.of.where, clause.each)
        if condition is not None
    ]
    inner = _of_records(world, one, Rows(world, one.target, inside, fields))
    if only_wanted:
        inner = inner.among(inner.wide.semi_join(wanted(), [(_RECORD, "id")]))
    measures, matters = _measures(world, one, inner)
    rows = inner.wide
    some = [which for which in matters if which is not None]
    if len(some) == len(matters) <= _FEW:
        rows = rows.filter(reduce(or_, some))
        measures, _ = _measures(world, one, inner.among(rows), filtered=len(matters) == 1)
    return rows.group_by(_RECORD).aggregate(**measures)


def _read(world: World, one: Pass) -> Iterable[str]:
    """The fields of related records that facts are made of."""
    for column in one.facts.values():
        measure = None if column.fact is None else world.measure(column.fact)
        if measure is not None:
            yield from fields_of_measure(world, measure)


def fields_of_measure(world: World, measure: Measure) -> Iterable[str]:
    """The fields of related records that a fact is the aggregate of."""
    noted = _Noted(world.table(measure.of))
    measure.value(noted, measure.where(world.tables, noted))
    return noted.names


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
    world: World, one: Pass, inner: Rows, *, filtered: bool = False
) -> tuple[dict[str, ir.Value], list[ir.BooleanValue | None]]:
    """The aggregates, and of each which rows matter to it; None for all.

    Args:
        filtered: there are no other rows.
    """
    measures: dict[str, ir.Value] = {}
    matters: list[ir.BooleanValue | None] = []
    for name, clause in one.clauses.items():
        found, rows = _of_clause(world, clause, inner, filtered=filtered)
        measures |= {f"{name}_{column}": value for column, value in found.items()}
        matters.append(rows)
    for name, column in one.facts.items():
        measure = None if column.fact is None else world.measure(column.fact)
        if measure is not None:
            fields = Fields(inner)
            where = measure.where(world.tables, fields)
            measures[f"{name}_value"] = measure.value(fields, _TRUE if filtered else where)
            matters.append(where)
    return measures, matters


def _of_clause(
    world: World, clause: Related, inner: Rows, *, filtered: bool
) -> tuple[dict[str, ir.Value], ir.BooleanValue | None]:
    from crmsync.rules.evaluation.predicates import holds, negated, predicate, seen  # noqa: PLC0415  as above
    from crmsync.rules.evaluation.rows import has_currency  # noqa: PLC0415  as above

    where, each = clause.of.where, clause.each
    matters: ir.BooleanValue | None = None if where is None else holds(inner, where)
    yes = _TRUE if matters is None else matters
    measures: dict[str, ir.Value] = {}
    if not is_decided(clause):
        counts = _TRUE if where is None else predicate(inner, where)
        if each is not None:
            counts = counts & negated(predicate(inner, each))
            yes = counts
        measures["maybe"] = inner.wide.count(where=counts.isnull())
        matters = counts.fill_null(True)
    elif each is not None:
        matters = yes = yes & negated(predicate(inner, each))
    if filtered and is_decided(clause):
        yes = _TRUE
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


class _Noted:
    """The fields of a table, which notes those that are asked for."""

    def __init__(self, table: ir.Table) -> None:
        self._table = table
        self.names: dict[str, None] = {}

    def __getitem__(self, name: str) -> ir.Value:
        self.names[name] = None
        return self._table[name]

    @property
    def count(self) -> Callable[[ir.BooleanValue], ir.IntegerScalar]:
        """Counts those of which something holds."""
        return lambda where: self._table.count(where=where)


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
