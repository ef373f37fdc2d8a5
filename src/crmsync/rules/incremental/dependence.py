"""What verdicts depend on: the records that conditions look at, by the paths that lead to them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from crmsync.model.catalog import Relation
from crmsync.rules.conditions import (
    HISTORY,
    Column,
    Comparison,
    Condition,
    Related,
    Test,
    clauses,
)
from crmsync.rules.evaluation.asked import between
from crmsync.rules.evaluation.passes import can_share, fields_of_measure
from crmsync.rules.evaluation.rows import CONNECTION, extra_fields, zone_column
from crmsync.rules.turning.backward import is_linked
from crmsync.warehouse.associations import ACTIVITY, LINKED_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crmsync.model.catalog import FactSpec
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule
    from crmsync.rules.turning.backward import Path

ID = "id"
ACCOUNT = "account"
LINK = "activity_link"
# Activities belong to an account also through these records of its own.
BETWEEN = ("contact", "deal")


@dataclass(kw_only=True)
class Dependence:
    """What some rules about one table depend on.

    Attributes:
        paths: from a subject to the records that are looked at; every path's begin is among them.
        rests: the tables that must be fresh together.
        undeclared: facts that do not say what they depend on.
        fields: by table, those that are read of its records; their ids only where anything asks
            for them, since they are the longest of all to read.
    """

    paths: set[Path] = field(default_factory=lambda: {()})
    rests: set[tuple[str, ...]] = field(default_factory=set)
    undeclared: set[FactSpec] = field(default_factory=set)
    fields: dict[str, set[str]] = field(default_factory=dict)


def dependence(rules: Iterable[Rule], world: World, *, at_present: bool = False) -> Dependence:
    """What the verdicts of rules about one table depend on.

    Args:
        at_present: links of activities only where there are any that lead elsewhere than the
            activities' own references do; not where there may have been some before.
    """
    rules = tuple(rules)
    key = ("dependence", at_present, bool(world.calendars), *(rule.version for rule in rules))
    if key not in world.derived:
        world.derived[key] = _of_rules(rules, world, at_present=at_present)
    found: Dependence = world.derived[key]
    return found


def _of_rules(rules: Sequence[Rule], world: World, *, at_present: bool) -> Dependence:
    found = _Found(world, at_present=at_present)
    for table in dict.fromkeys(rule.subject for rule in rules):
        found.read(table, ID, CONNECTION)
        if world.calendars:
            found.zone(table, ())  # subjects are kept with their zone, whatever asks for it
    for rule in rules:
        found.condition(rule.when, rule.subject, ())
        for column in rule.once_per_columns:
            found.column(column, ())
    return found.dependence


class _Found:
    def __init__(self, world: World, *, at_present: bool) -> None:
        self._world = world
        self._at_present = at_present
        self.dependence = Dependence()

    def condition(self, condition: Condition, table: str, path: Path) -> None:
        for clause in clauses(condition):
            if isinstance(clause, Related):
                self._related(clause, table, path)
            else:
                self._comparison(clause, table, path)

    def _comparison(self, clause: Comparison, table: str, path: Path) -> None:
        self.column(clause.column, path)
        if clause.test.operator in HISTORY:
            self.dependence.rests.add((clause.column.owner,))
            self.read(clause.column.owner, ID)
            self.zone(table, path)
        elif isinstance(clause.test.operand, Column):
            self.column(clause.test.operand, path)
        else:
            self._tested(clause.column, clause.test, table, path)

    def _tested(self, column: Column, test: Test, table: str, path: Path) -> None:
        ends = between(test, column.type)
        if ends is not None and ends.depends_on_zone:
            self.zone(table, path)

    def zone(self, table: str, path: Path) -> None:
        zone = zone_column(self._world, table)
        if zone is not None:
            self._add((*path, *zone.hops))
            self.read(zone.owner, zone.name)

    def column(self, column: Column, path: Path) -> None:
        self._add((*path, *column.hops))
        if column.fact is not None:
            self._fact(column.fact, (*path, *column.hops))
        else:
            self.read(column.owner, column.name)

    def _fact(self, fact: FactSpec, path: Path) -> None:
        if not self._world.declares(fact):
            self.dependence.undeclared.add(fact)
        if fact.rests_on:
            self.dependence.rests.add(fact.rests_on)
        self.zone(fact.table, path)
        measure = self._world.measure(fact)
        if measure is None:
            for table, name in self._world.fact_reads(fact):
                self.read(table, name)
        else:
            self.read(measure.of, measure.by, *fields_of_measure(self._world, measure))
        for name in fact.rests_on:
            if name == fact.table:
                continue
            if fact.table not in self._world.table(name).columns:
                self.dependence.undeclared.add(fact)
                continue
            back = Relation(name=name, source=fact.table, target=name, column=fact.table, many=True)
            self._add((*path, back))

    def _related(self, clause: Related, table: str, path: Path) -> None:
        near = (*path, *clause.of.hops)
        far = (*near, clause.of.relation)
        target = clause.of.relation.target
        self.dependence.rests.add((target,))
        self._add(far)
        for condition in (clause.of.where, clause.each):
            if condition is not None:
                self.condition(condition, target, far)
        self.read(target, *extra_fields(self._world, clause).values())
        if not can_share(clause):
            self.read(target, ID)
            if is_linked(clause.of.relation):
                self._read_links()
        if clause.column is not None:
            self.column(clause.column, far)
            if clause.test is not None:
                self._tested(clause.column, clause.test, table, path)

    def _add(self, path: Path) -> None:
        # However a way is called: it is the same one.
        path = tuple(replace(last, name=last.target) if last.many else last for last in path)
        for length in range(1, len(path) + 1):
            self.dependence.paths.add(path[:length])
            last = path[length - 1]
            if last.many:
                self.read(last.source, ID)
                self.read(last.target, last.column, CONNECTION)
            else:
                self.read(last.source, last.column)
                self.read(last.target, ID, CONNECTION)
        if path and is_linked(path[-1]) and self._has_links(path[-1].column):
            self._linked(path)

    def _has_links(self, table: str) -> bool:
        return not self._at_present or self._world.source.has_indirect(table)

    def _linked(self, path: Path) -> None:
        """Activities belong to an account also through its contacts and deals."""
        last = path[-1]
        self._read_links()
        if last.column != ACCOUNT:
            return
        for name in BETWEEN:
            relation = Relation(
                name=name,
                source=last.source,
                target=name,
                column=ACCOUNT,
                many=True,
            )
            self._add((*path[:-1], relation))
            self.read(name, ID)

    def _read_links(self) -> None:
        self.read(ACTIVITY, ID, *LINKED_TABLES)
        self.read(LINK, ID, ACTIVITY, *LINKED_TABLES)

    def read(self, table: str, *names: str) -> None:
        """These fields of the records of a table are read."""
        self.dependence.fields.setdefault(table, set()).update(names)
