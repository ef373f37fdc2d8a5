"""The rows of one table, widened by every column that conditions ask of them.

All conditions about a table share one wide table: a field, path, fact or count that several of
them name is joined and computed once. Names in it: ``h0`` is the record's id and ``h0_field`` its
fields, ``h1`` a record that it refers to, ``f0`` a fact, ``r0`` related records, ``k0`` since when
a field is known, ``p0`` what it was in the past, ``b0`` an end in time that depends on the
record's zone.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa

from crmsync.model.catalog import Relation
from crmsync.model.tables import FieldType, natural_time
from crmsync.rules import history
from crmsync.rules.conditions import (
    HISTORY,
    TIMES,
    Change,
    Column,
    Comparison,
    Condition,
    Quantifier,
    Related,
    Test,
    clauses,
)
from crmsync.rules.world import ZONE
from crmsync.warehouse.associations import ACTIVITY, LINKED_TABLES, reached_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import ibis.expr.types as ir

    from crmsync.model.catalog import FactSpec
    from crmsync.rules.calendar import Bound
    from crmsync.rules.world import World

Hops = tuple[Relation, ...]
ID = "h0"
CONNECTION = "connection"
_ENDS = ("least", "most", "above", "below")
_TALLIES = frozenset({Quantifier.SOME, Quantifier.NONE, Quantifier.COUNT})


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The ends between which a time passes; None where a side is open."""

    least: ir.Value | None
    most: ir.Value | None
    above: ir.Value | None
    below: ir.Value | None


def tally_key(clause: Related) -> Related:
    """What of a clause decides its columns: clauses with the same key share them."""
    quantifier = Quantifier.COUNT if clause.quantifier in _TALLIES else clause.quantifier
    return replace(clause, quantifier=quantifier, test=None, if_unknown=None, unknown_as=None)


def past_key(column: Column, test: Test) -> tuple[Column, Test]:
    """What of a clause about the past decides its columns: a change's window does not."""
    if isinstance(test.operand, Change):
        test = replace(test, operand=replace(test.operand, in_last=None))
    return column, test


def zone_column(world: World, table: str) -> Column | None:
    """The path to the time zone that a record lives in: its account's."""
    columns = world.table(table).columns
    if table in {"account", "user"}:
        return Column(table=table, hops=(), name=ZONE, type=FieldType.TEXT)
    if "account" not in columns:
        return None
    hop = Relation(name="account", source=table, target="account", column="account", many=False)
    return Column(table=table, hops=(hop,), name=ZONE, type=FieldType.TEXT)


class Rows:
    """Collects what conditions need, then builds the wide table.

    Args:
        conditions: all that will be asked of these rows.
        columns: further columns that are wanted.
        ids: only these records; None for all.
        zone: also the record's time zone, where records live in several.
    """

    def __init__(  # noqa: PLR0913  one private kind of object
        self,
        world: World,
        table: str,
        conditions: Iterable[Condition],
        columns: Iterable[Column] = (),
        *,
        ids: Iterable[str] | None = None,
        zone: bool = False,
    ) -> None:
        self.world = world
        self.table = table
        self.zone = zone_column(world, table)
        self._ids = ids
        self._fields: dict[Hops, dict[str, None]] = {(): {CONNECTION: None}}
        self._facts: dict[Column, str] = {}
        self._related: dict[Related, str] = {}
        self._known: dict[Column, str] = {}
        self._past: dict[tuple[Column, Test], str] = {}
        self._ends: dict[tuple[Test, FieldType], str] = {}
        self._literals: dict[tuple[Test, FieldType], dict[str, Bound | None]] = {}
        for condition in conditions:
            for clause in clauses(condition):
                self._need_clause(clause)
        for column in columns:
            self.need(column)
        if self.zone is not None and (self._ends or (zone and world.calendars)):
            self.need(self.zone)

    def need(self, column: Column) -> None:
        """The wide table shall have this column."""
        if column.fact is not None:
            self._need_record(column.hops)
            self._facts.setdefault(column, f"f{len(self._facts)}")
        else:
            self._need_record(column.hops)[column.name] = None

    def _need_record(self, hops: Hops) -> dict[str, None]:
        if hops not in self._fields:
            self._need_record(hops[:-1])[hops[-1].column] = None
            self._fields[hops] = {CONNECTION: None}
        return self._fields[hops]

    def _need_clause(self, clause: Comparison | Related) -> None:
        if isinstance(clause, Comparison):
            self.need(clause.column)
            if clause.test.operator in HISTORY:
                self._known.setdefault(clause.column, f"k{len(self._known)}")
                self._past.setdefault(past_key(clause.column, clause.test), f"p{len(self._past)}")
                self._need_ends(clause.test, FieldType.INSTANT)
            elif isinstance(clause.test.operand, Column):
                self.need(clause.test.operand)
            else:
                self._need_ends(clause.test, clause.column.type)
            return
        self._need_record(clause.of.hops)
        self._related.setdefault(tally_key(clause), f"r{len(self._related)}")
        if clause.test is not None and clause.column is not None:
            self._need_ends(clause.test, clause.column.type)

    def _need_ends(self, test: Test, kind: FieldType) -> None:
        key = (test, kind)
        if kind not in TIMES or key in self._literals or isinstance(test.operand, bool):
            return
        here = self.world.company.bounds(test, kind)
        self._literals[key] = {end: getattr(here, end) for end in _ENDS}
        if self.zone is not None and any(
            calendar.bounds(test, kind) != here for calendar in self.world.calendars.values()
        ):
            self._ends[key] = f"b{len(self._ends)}"

    # -- the wide table

    def among(self, wide: ir.Table) -> Rows:
        """The same of some of the rows, or of rows that were computed before."""
        rows = copy(self)
        rows.wide = wide
        return rows

    def only(self, ids: Iterable[str]) -> Rows:
        """The same of the records of these global ids."""
        return self.among(self.wide.semi_join(self.world.ids(ids), [(ID, "id")]))

    @cached_property
    def wide(self) -> ir.Table:
        """The wide table, one row for each record."""
        names = {hops: f"h{i}" for i, hops in enumerate(self._fields)}
        wide = self._records((), names)
        for hops in list(self._fields)[1:]:
            near = f"{names[hops[:-1]]}_{hops[-1].column}"
            wide = wide.left_join(self._records(hops, names), [(near, names[hops])])
        for column, name in self._facts.items():
            fact = self.world.fact(column.fact) if column.fact is not None else None
            if fact is not None:
                fact = fact.select(**{f"{name}_id": fact.id, f"{name}_value": fact.value})
                wide = wide.left_join(fact, [(names[column.hops], f"{name}_id")])
        for clause, name in self._related.items():
            tallied = related_table(self.world, clause)
            tallied = tallied.rename({f"{name}_{column}": column for column in tallied.columns})
            wide = wide.left_join(tallied, [(names[clause.of.hops], f"{name}_record")])
        if self._ends and self.zone is not None:
            zone = f"{names[self.zone.hops]}_{ZONE}"
            wide = wide.left_join(self._clock(), [(zone, "clock_zone")])
        wide = self._with_past(wide, names)
        return wide.select(*wide.columns) if len(self._fields) + len(self._facts) > 1 else wide

    def _with_past(self, wide: ir.Table, names: dict[Hops, str]) -> ir.Table:
        """Joined to what is known of fields in the past."""
        for column, name in self._known.items():
            known = self.world.known_since(column.owner, column.name)
            known = known.rename({f"{name}_{of}": of for of in known.columns})
            wide = wide.left_join(known, [(names[column.hops], f"{name}_id")])
        for (column, test), name in self._past.items():
            changes = self.world.changes(column.owner, column.name)
            if isinstance(test.operand, Change):
                past = history.latest_change(changes, test.operand, self.now(changes["at"]))
                past = past.rename({f"{name}_{of}": of for of in past.columns})
                wide = wide.left_join(past, [(names[column.hops], f"{name}_id")])
            else:
                wide = self._with_value_then(wide, names[column.hops], test, changes, name)
        return wide

    def _with_value_then(
        self, wide: ir.Table, near: str, test: Test, changes: ir.Table, name: str
    ) -> ir.Table:
        key = (test, FieldType.INSTANT)
        wide = wide.mutate(**{f"{name}_then": self._end(wide, key, "most", changes["at"])})
        on = [(near, f"{name}_id")]
        if key in self._ends:
            wanted = wide.select(id=near, then=f"{name}_then").distinct()
            changes = changes.inner_join(wanted.filter(wanted.id.notnull()), "id")
            on.append((f"{name}_then", f"{name}_at"))
        else:
            changes = changes.mutate(then=self._end(wide, key, "most", changes["at"]))
        past = history.value_then(changes)
        past = past.select(**{f"{name}_id": "id", f"{name}_at": "then", f"{name}_value": "value"})
        return wide.left_join(past, on)

    def _records(self, hops: Hops, names: dict[Hops, str]) -> ir.Table:
        table = self.world.table(hops[-1].target if hops else self.table)
        if not hops and self._ids is not None:
            table = table.semi_join(self.world.ids(self._ids), "id")
        prefix = names[hops]
        return table.select(
            **{prefix: table.id},
            **{f"{prefix}_{field}": table[field] for field in self._fields[hops]},
        )

    def _clock(self) -> ir.Table:
        """One row for each zone, with the ends in time that differ between zones."""
        data = {"clock_zone": pa.array(self.world.calendars, pa.string())}
        for (test, kind), name in self._ends.items():
            for end, literal in self._literals[test, kind].items():
                if literal is not None:
                    data[f"{name}_{end}"] = pa.array(
                        [
                            getattr(calendar.bounds(test, kind), end)
                            for calendar in self.world.calendars.values()
                        ],
                        pa.date32() if kind is FieldType.DATE else pa.timestamp("us", "UTC"),
                    )
        return self.world.source.keep(pa.table(data))

    # -- what stands where in the wide table

    def id_of(self, hops: Hops) -> ir.StringValue:
        """The id of the record itself, or of one that it refers to; null where there is none."""
        return self.wide[f"h{list(self._fields).index(hops)}"]

    def field(self, hops: Hops, name: str) -> ir.Value:
        """A field of the record itself, or of one that it refers to."""
        return self.wide[f"h{list(self._fields).index(hops)}_{name}"]

    def own_zone(self) -> ir.StringValue:
        """The time zone that the record itself lives in; null where it is the company's."""
        if self.zone is None or ZONE not in self._fields.get(self.zone.hops, ()):
            return ibis.null("string")
        return self.field(self.zone.hops, ZONE)

    def fact(self, column: Column) -> tuple[ir.BooleanValue, ir.Value]:
        """Whether a fact has a row for the record, and its value."""
        name = self._facts[column]
        return self.wide[f"{name}_id"].notnull(), self.wide[f"{name}_value"]

    def own_facts(self) -> Iterator[tuple[FactSpec, ir.Table]]:
        """The facts about the record itself, each with columns ``id`` and ``value``."""
        for column, name in self._facts.items():
            if column.fact is not None and not column.hops:
                found = self.wide.filter(self.wide[f"{name}_id"].notnull())
                yield column.fact, found.select(id=f"{name}_id", value=f"{name}_value")

    def tally(self, clause: Related, name: str) -> ir.Value:
        """A column of what was found of related records."""
        return self.wide[f"{self._related[tally_key(clause)]}_{name}"]

    def known(self, column: Column, name: str) -> ir.Value:
        """Since when a field's value is known (``since``), and when its record was ``created``."""
        return self.wide[f"{self._known[column]}_{name}"]

    def past(self, column: Column, test: Test, name: str) -> ir.Value:
        """A column of what was found of a field's past."""
        return self.wide[f"{self._past[past_key(column, test)]}_{name}"]

    def now(self, like: ir.Value) -> ir.Value:
        """The present instant, in the type of a column."""
        return time_literal(self.world.now, like)

    def interval(self, test: Test, value: ir.Value, kind: FieldType) -> Interval:
        """The ends in time that a test compares with, typed like the value."""
        key = (test, kind)
        ends: dict[str, ir.Value | None] = {}
        for end, literal in self._literals[key].items():
            if literal is None:
                ends[end] = None
                continue
            ends[end] = self._end(self.wide, key, end, value)
        return Interval(**ends)

    def _end(
        self, wide: ir.Table, key: tuple[Test, FieldType], end: str, like: ir.Value
    ) -> ir.Value:
        bound = self._literals[key][end]
        if bound is None:
            raise TypeError(f"{key[0].operator} has no such end")
        literal = time_literal(bound, like)
        if key not in self._ends:
            return literal
        return wide[f"{self._ends[key]}_{end}"].cast(like.type()).fill_null(literal)


def time_literal(bound: Bound, like: ir.Value) -> ir.Value:
    """A date or instant as a literal of the type of a column."""
    kind = like.type()
    if kind.is_timestamp() and kind.timezone is None:
        # A date has no time zone, and no such argument; it is never held against an instant.
        return ibis.literal(bound.replace(tzinfo=None), type=kind)  # type: ignore[call-arg]  # see above
    return ibis.literal(bound, type=kind)


def related_table(world: World, clause: Related) -> ir.Table:
    """What related records hold, one row for each record that has any.

    Returns:
        ``record``, and for latest: ``verdict`` and ``time``; else ``yes`` and ``maybe`` (how many
        count, and of how many that cannot be said), and for numbers ``value`` and ``currencies``.
    """
    rows = related_rows(world, clause)
    if clause.quantifier is Quantifier.LATEST:
        return _latest(world, rows)
    return _tallied(clause, rows)


def related_rows(world: World, clause: Related) -> ir.Table:
    """The related records that count, or may count.

    Returns:
        ``record`` that they are related to, ``id``, and ``counts`` (null where it cannot be said);
        for every and latest ``each``; for numbers ``value`` and ``currency``; for latest ``time``.
    """
    # Here, since conditions nest in conditions.
    from crmsync.rules.predicates import predicate, seen  # noqa: PLC0415  predicates are made of rows

    target, back = clause.of.relation.target, clause.of.relation.column
    where, each = clause.of.where, clause.each
    linked = target == ACTIVITY and back in LINKED_TABLES
    fields = {"record": back} | ({name: name for name in LINKED_TABLES} if linked else {})
    fields |= _extra_fields(world, clause)
    wanted = [
        Column(table=target, hops=(), name=name, type=FieldType.TEXT) for name in fields.values()
    ]
    if clause.column is not None:
        wanted.append(clause.column)
    inner = Rows(world, target, [c for c in (where, each) if c is not None], wanted)
    columns = {name: inner.field((), field) for name, field in fields.items()}
    columns["id"] = inner.wide[ID]
    columns["counts"] = ibis.literal(True) if where is None else predicate(inner, where)
    if each is not None:
        columns["each"] = predicate(inner, each)
    if clause.column is not None:
        columns["value"] = seen(inner, clause.column).value
    rows = inner.wide.select(**columns)
    rows = rows.filter(rows.counts.isnull() | rows.counts)
    if linked:
        kept = [name for name in columns if name not in {"id", "record", *LINKED_TABLES}]
        rows = reached_by(back, rows.drop("record"), world.table, kept).distinct()
    return rows.filter(rows.record.notnull())


_MONEY = frozenset({"amount", "recurring_amount", "recurring_revenue"})


def _extra_fields(world: World, clause: Related) -> dict[str, str]:
    """Fields that a clause needs of related records, beside those that it names."""
    if clause.quantifier is Quantifier.LATEST:
        return {"time": natural_time(clause.of.relation.target)}
    return {"currency": "currency"} if has_currency(world, clause) else {}


def has_currency(world: World, clause: Related) -> bool:
    """Whether what is summed is money, each amount in its currency."""
    column, target = clause.column, clause.of.relation.target
    money = column is not None and not column.hops and column.name in _MONEY
    return money and "currency" in world.table(target).columns


def _tallied(clause: Related, rows: ir.Table) -> ir.Table:
    if clause.quantifier is Quantifier.EVERY:
        rows = rows.mutate(counts=rows.counts & ~rows.each)
        rows = rows.filter(rows.counts.isnull() | rows.counts)
    counted = rows.counts.fill_null(False)
    measures = {"yes": counted.sum(), "maybe": rows.counts.isnull().sum()}
    if "currency" in rows.columns:
        # A record without a value adds nothing, so its currency does not matter.
        mixed = rows.currency.fill_null("").nunique(where=counted & rows.value.notnull())
        measures["currencies"] = mixed
    match clause.quantifier:
        case Quantifier.SUM:
            measures["value"] = rows.value.sum(where=counted)
        case Quantifier.AVG:
            measures["value"] = rows.value.mean(where=counted)
        case Quantifier.MIN:
            measures["value"] = rows.value.min(where=counted)
        case Quantifier.MAX:
            measures["value"] = rows.value.max(where=counted)
        case _:
            pass
    return rows.group_by("record").aggregate(**measures)


def _latest(world: World, rows: ir.Table) -> ir.Table:
    rows = latest_rows(world, rows)
    verdict = rows.counts.isnull().ifelse(ibis.null("boolean"), rows.each)
    return rows.select("record", "time", verdict=verdict)


def latest_rows(world: World, rows: ir.Table) -> ir.Table:
    """Of related records, the latest of each record that they are related to."""
    # What lies in the future has not happened, and what has no time cannot be the latest.
    bound: Bound = world.company.today if rows.time.type().is_date() else world.now
    rows = rows.filter(rows.time.notnull())
    rows = rows.filter(rows.time <= time_literal(bound, rows.time))
    order = ibis.window(group_by=rows.record, order_by=[ibis.desc(rows.time), ibis.desc(rows.id)])
    rows = rows.mutate(place=ibis.row_number().over(order))
    return rows.filter(rows.place == 0)
