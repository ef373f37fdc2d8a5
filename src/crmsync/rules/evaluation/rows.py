"""The rows of one table, widened by every column that conditions ask of them.

All conditions about a table share one wide table: a field, path, fact or count that several of
them name is joined and computed once. Names in it: ``h0`` is the record's id and ``h0_field`` its
fields, ``h1`` a record that it refers to, ``f0`` a fact, ``r0`` related records, ``k0`` since when
a field is known, ``p0`` what it was in the past. An end in time that depends on the record's zone
is called as its variable is (`crmsync.rules.evaluation.asked`).
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from crmsync.model.catalog import Relation
from crmsync.model.tables import FieldType, natural_time
from crmsync.rules.conditions import (
    HISTORY,
    All,
    AnyOf,
    Change,
    Column,
    Comparison,
    Condition,
    InSegment,
    Not,
    Quantifier,
    Related,
    Test,
    clauses,
    is_plain,
)
from crmsync.rules.evaluation import history
from crmsync.rules.evaluation.asked import ENDS, Between, between, fresh
from crmsync.rules.evaluation.horizons import window_of_fact
from crmsync.rules.evaluation.passes import can_share, computed, passes
from crmsync.rules.evaluation.world import CLOCK_ZONE, WANTED, ZONE, clock, wanted
from crmsync.rules.unknown import is_decided
from crmsync.warehouse.associations import ACTIVITY, LINKED_TABLES, reached_by
from crmsync.warehouse.variables import given_table, variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import ibis.expr.types as ir

    from crmsync.model.catalog import FactSpec
    from crmsync.rules.evaluation.horizons import Window
    from crmsync.rules.evaluation.passes import Pass
    from crmsync.rules.evaluation.world import World

Hops = tuple[Relation, ...]
ID = "h0"
CONNECTION = "connection"
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


def sure(world: World, condition: Condition) -> Condition:
    """The same where nothing is unknown of fields that every record has a value in.

    Conditions that differ only in what an unknown would count as are then the same.
    """
    match condition:
        case Comparison():
            column = condition.column
            if is_plain(condition) and world.is_filled(column.table, column.name):
                return replace(condition, if_unknown=None, unknown_as=False)
            return condition
        case All() | AnyOf():
            inside = tuple(sure(world, part) for part in condition.conditions)
            return replace(condition, conditions=inside)
        case Not() | InSegment():
            return replace(condition, condition=sure(world, condition.condition))
        case _:
            return condition


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
        only_wanted: only the records that the query is given in its table ``wanted_ids``.
        carried: that table also has their own fields, and they are read nowhere else.
        only_verdicts: a fact need say no more than what the conditions' verdicts depend on.
        zone: also the record's time zone, where records live in several.
    """

    def __init__(
        self,
        world: World,
        table: str,
        conditions: Iterable[Condition],
        columns: Iterable[Column] = (),
        *,
        only_wanted: bool = False,
        carried: bool = False,
        only_verdicts: bool = False,
        zone: bool = False,
    ) -> None:
        self.world = world
        self.table = table
        self.zone = zone_column(world, table)
        self._only_wanted = only_wanted
        self._carried = carried
        self._only_verdicts = only_verdicts
        self._fields: dict[Hops, dict[str, None]] = {(): {CONNECTION: None}}
        self._facts: dict[Column, str] = {}
        self._tests: dict[Column, list[Test | None]] = {}  # of facts; None where all is asked
        self._related: dict[Related, str] = {}
        self._known: dict[Column, str] = {}
        self._past: dict[tuple[Column, Test], str] = {}
        self._fresh: dict[tuple[Hops, tuple[str, ...]], str] = {}
        self._zoned: dict[Between, None] = {}  # whose ends differ between zones
        for condition in conditions:
            for clause in clauses(condition):
                self._need_clause(clause)
        for column in columns:
            self.need(column)
        if self.zone is not None and (self._zoned or (zone and world.calendars)):
            self.need(self.zone)

    def need(self, column: Column, test: Test | None = None) -> None:
        """The wide table shall have this column; or say as much of it as a test asks."""
        if column.fact is not None:
            self._need_record(column.hops)
            self._tests.setdefault(column, []).append(test)
            self._facts.setdefault(column, f"f{len(self._facts)}")
            self._need_fresh(column.hops, column.fact.rests_on)
        else:
            self._need_record(column.hops)[column.name] = None

    def _need_record(self, hops: Hops) -> dict[str, None]:
        if hops not in self._fields:
            self._need_record(hops[:-1])[hops[-1].column] = None
            self._fields[hops] = {CONNECTION: None}
        return self._fields[hops]

    def _need_fresh(self, hops: Hops, tables: tuple[str, ...]) -> None:
        self._fresh.setdefault((hops, tables), f"fresh{len(self._fresh)}")

    def _need_clause(self, clause: Comparison | Related) -> None:
        if isinstance(clause, Comparison):
            self.need(clause.column, clause.test)
            if clause.test.operator in HISTORY:
                self._known.setdefault(clause.column, f"k{len(self._known)}")
                self._past.setdefault(past_key(clause.column, clause.test), f"p{len(self._past)}")
                self._need_ends(clause.test, FieldType.INSTANT)
                self._need_fresh(clause.column.hops, (clause.column.owner,))
            elif isinstance(clause.test.operand, Column):
                self.need(clause.test.operand)
            else:
                self._need_ends(clause.test, clause.column.type)
            return
        self._need_record(clause.of.hops)
        self._related.setdefault(self._key(clause), f"r{len(self._related)}")
        self._need_fresh(clause.of.hops, (clause.of.relation.target,))
        if clause.test is not None and clause.column is not None:
            self._need_ends(clause.test, clause.column.type)

    def _need_ends(self, test: Test, kind: FieldType) -> None:
        ends = between(test, kind)
        if ends is None or not ends.depends_on_zone or self.zone is None:
            return
        if self.world.calendars:
            self._zoned[ends] = None

    # -- the wide table

    def among(self, wide: ir.Table) -> Rows:
        """The same of some of the rows, or of rows that were computed before."""
        rows = copy(self)
        rows.wide = wide
        return rows

    def only_wanted(self) -> Rows:
        """The same of the records that the query is given in its table ``wanted_ids``."""
        return self.among(self.wide.semi_join(wanted(), [(ID, "id")]))

    @cached_property
    def wide(self) -> ir.Table:
        """The wide table, one row for each record."""
        names = {hops: f"h{i}" for i, hops in enumerate(self._fields)}
        wide = self._records((), names)
        for hops in list(self._fields)[1:]:
            near = f"{names[hops[:-1]]}_{hops[-1].column}"
            wide = wide.left_join(self._records(hops, names), [(near, names[hops])])
        shared = {name: clause for clause, name in self._related.items() if can_share(clause)}
        facts = {name: (column, self._window(column)) for column, name in self._facts.items()}
        for one in passes(self.world, shared, facts):
            wide = self._with_pass(wide, names, one)
        for column, name in self._facts.items():
            if column.fact is not None and self.world.measure(column.fact) is None:
                fact = self.world.fact(column.fact)
                fact = fact.select(**{f"{name}_id": fact.id, f"{name}_value": fact.value})
                wide = wide.left_join(fact, [(names[column.hops], f"{name}_id")])
        for clause, name in self._related.items():
            if can_share(clause):
                continue
            tallied = latest_table(self.world, clause)
            tallied = tallied.rename({f"{name}_{column}": column for column in tallied.columns})
            wide = wide.left_join(tallied, [(names[clause.of.hops], f"{name}_record")])
        if self._zoned and self.zone is not None:
            zone = f"{names[self.zone.hops]}_{ZONE}"
            columns = [
                (name, ends.data_type)
                for ends in self._zoned
                for name in ends.ends(self.world.company)
            ]
            wide = wide.left_join(clock(*columns), [(zone, CLOCK_ZONE)])
        wide = self._with_past(wide, names)
        fresh = {
            name: _is_fresh(wide, names[hops], key) for (hops, key), name in self._fresh.items()
        }
        if fresh or len(self._fields) > 1:
            wide = wide.select(*wide.columns, **fresh)
        return wide

    def _window(self, column: Column) -> Window | None:
        """How far back a fact has to look."""
        if not self._only_verdicts:
            return None
        return window_of_fact(self.world, column, self._tests[column])

    def _with_pass(self, wide: ir.Table, names: dict[Hops, str], one: Pass) -> ir.Table:
        """Joined to what was found in one scan of related records."""
        found = computed(self.world, one, only_wanted=self._only_wanted and not one.near)
        number = "_".join(("p", *one.clauses, *one.facts))
        found = found.rename({number: "record"})
        joined = wide.left_join(found, [(names[one.near], number)])
        return joined.drop(number)

    def _with_past(self, wide: ir.Table, names: dict[Hops, str]) -> ir.Table:
        """Joined to what is known of fields in the past."""
        for column, name in self._known.items():
            known = self.world.known_since(column.owner, column.name)
            known = known.rename({f"{name}_{of}": of for of in known.columns})
            wide = wide.left_join(known, [(names[column.hops], f"{name}_id")])
        for (column, test), name in self._past.items():
            changes = self.world.changes(column.owner, column.name)
            if isinstance(test.operand, Change):
                past = history.latest_change(changes, test.operand, self.now)
                past = past.rename({f"{name}_{of}": of for of in past.columns})
                wide = wide.left_join(past, [(names[column.hops], f"{name}_id")])
            else:
                wide = self._with_value_then(wide, names[column.hops], test, changes, name)
        return wide

    def _with_value_then(
        self, wide: ir.Table, near: str, test: Test, changes: ir.Table, name: str
    ) -> ir.Table:
        asked = Between(test=test, kind=FieldType.INSTANT)
        wide = wide.mutate(**{f"{name}_then": self._end(wide, asked, "most")})
        on = [(near, f"{name}_id")]
        if asked in self._zoned:
            pairs = wide.select(id=near, then=f"{name}_then").distinct()
            changes = changes.inner_join(pairs.filter(pairs.id.notnull()), "id")
            on.append((f"{name}_then", f"{name}_at"))
        else:
            changes = changes.mutate(then=self._end(wide, asked, "most"))
        past = history.value_then(changes)
        past = past.select(**{f"{name}_id": "id", f"{name}_at": "then", f"{name}_value": "value"})
        return wide.left_join(past, on)

    @property
    def own_fields(self) -> Sequence[str]:
        """The fields of the record itself that are asked for."""
        return tuple(self._fields[()])

    def _records(self, hops: Hops, names: dict[Hops, str]) -> ir.Table:
        table = self.world.table(hops[-1].target if hops else self.table)
        if not hops and self._carried:
            schema = table.schema()
            table = given_table(WANTED, {name: schema[name] for name in ("id", *self.own_fields)})
        elif not hops and self._only_wanted:
            table = table.semi_join(wanted(), "id")
        prefix = names[hops]
        # Of related records that are only counted a source need not have the ids.
        ids = {prefix: table.id} if "id" in table.columns else {}
        # In order, since Ibis 12 takes two selections for the same that differ in order alone.
        return table.select(
            **ids,
            **{f"{prefix}_{field}": table[field] for field in sorted(self._fields[hops])},
        )

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

    def fresh(self, hops: Hops, tables: tuple[str, ...]) -> ir.BooleanValue:
        """Whether there is a record, and these tables can be trusted for its connection."""
        return self.wide[self._fresh[hops, tables]]

    def fact(self, column: Column) -> tuple[ir.BooleanValue | None, ir.Value]:
        """Whether a fact has a row for the record, and its value.

        None where each of its rows has a value.
        """
        name = self._facts[column]
        value = self.wide[f"{name}_value"]
        if column.fact is not None and self.world.measure(column.fact) is not None:
            return None, value
        return self.wide[f"{name}_id"].notnull(), value

    def own_facts(self) -> Iterator[tuple[FactSpec, str, str]]:
        """The facts about the record itself, each with its columns: the record's id, the value."""
        for column, name in self._facts.items():
            if column.fact is not None and not column.hops:
                measured = self.world.measure(column.fact) is not None
                yield column.fact, ID if measured else f"{name}_id", f"{name}_value"

    def tally(self, clause: Related, name: str) -> ir.Value:
        """A column of what was found of related records."""
        if name == "maybe" and can_share(clause) and self.is_decided(clause):
            return ibis.literal(0)
        return self.wide[f"{self._related[self._key(clause)]}_{name}"]

    def is_decided(self, clause: Related) -> bool:
        """Whether of each related record it can be said whether it counts."""
        return is_decided(self._key(clause))

    def _key(self, clause: Related) -> Related:
        """What of a clause decides its columns."""
        where, each = clause.of.where, clause.each
        certain = replace(
            clause,
            of=replace(clause.of, where=None if where is None else sure(self.world, where)),
            each=None if each is None else sure(self.world, each),
        )
        return tally_key(certain)

    def known(self, column: Column, name: str) -> ir.Value:
        """Since when a field's value is known (``since``), and when its record was ``created``."""
        return self.wide[f"{self._known[column]}_{name}"]

    def past(self, column: Column, test: Test, name: str) -> ir.Value:
        """A column of what was found of a field's past."""
        return self.wide[f"{self._past[past_key(column, test)]}_{name}"]

    @property
    def now(self) -> ir.TimestampScalar:
        """The present instant."""
        return self.world.tables.now

    def interval(self, test: Test, kind: FieldType) -> Interval:
        """The ends in time that a test compares with."""
        asked = Between(test=test, kind=kind)
        there = asked.ends(self.world.company)
        ends = {
            end: self._end(self.wide, asked, end) if asked.name(end) in there else None
            for end in ENDS
        }
        return Interval(**ends)

    def _end(self, wide: ir.Table, asked: Between, end: str) -> ir.Value:
        company = variable(asked.name(end), asked.data_type)
        return wide[asked.name(end)].fill_null(company) if asked in self._zoned else company


def _is_fresh(wide: ir.Table, near: str, tables: tuple[str, ...]) -> ir.BooleanValue:
    exists: ir.BooleanValue = ibis.literal(True) if near == ID else wide[near].notnull()
    if not tables:
        return exists
    connections = variable(fresh(tables), dt.Array(dt.string))
    trusted = connections.contains(wide[f"{near}_{CONNECTION}"]).fill_null(False)
    return trusted if near == ID else exists & trusted


def latest_table(world: World, clause: Related) -> ir.Table:
    """What the latest related record says: ``record``, ``time`` and ``verdict``."""
    rows = latest_rows(world, related_rows(world, clause))
    verdict = rows.counts.isnull().ifelse(ibis.null("boolean"), rows.each)
    return rows.select("record", "time", verdict=verdict)


def related_rows(world: World, clause: Related) -> ir.Table:
    """The related records that count, or may count.

    Returns:
        ``record`` that they are related to, ``id``, and ``counts`` (null where it cannot be said);
        for every and latest ``each``; for numbers ``value`` and ``currency``; for latest ``time``.
    """
    # Here, since conditions nest in conditions.
    from crmsync.rules.evaluation.predicates import predicate, seen  # noqa: PLC0415  predicates are made of rows

    target, back = clause.of.relation.target, clause.of.relation.column
    where, each = clause.of.where, clause.each
    linked = target == ACTIVITY and back in LINKED_TABLES
    fields = {"record": back} | ({name: name for name in LINKED_TABLES} if linked else {})
    fields |= extra_fields(world, clause)
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


def extra_fields(world: World, clause: Related) -> dict[str, str]:
    """Fields that a clause needs of related records, beside those that it names."""
    if clause.quantifier is Quantifier.LATEST:
        return {"time": natural_time(clause.of.relation.target)}
    return {"currency": "currency"} if has_currency(world, clause) else {}


def has_currency(world: World, clause: Related) -> bool:
    """Whether what is summed is money, each amount in its currency."""
    column, target = clause.column, clause.of.relation.target
    money = column is not None and not column.hops and column.name in _MONEY
    return money and "currency" in world.table(target).columns


def latest_rows(world: World, rows: ir.Table) -> ir.Table:
    """Of related records, the latest of each record that they are related to."""
    # What lies in the future has not happened, and what has no time cannot be the latest.
    tables = world.tables
    present = tables.company_today() if rows.time.type().is_date() else tables.now
    rows = rows.filter(rows.time.notnull())
    rows = rows.filter(rows.time <= present)
    order = ibis.window(group_by=rows.record, order_by=[ibis.desc(rows.time), ibis.desc(rows.id)])
    rows = rows.mutate(place=ibis.row_number().over(order))
    return rows.filter(rows.place == 0)
