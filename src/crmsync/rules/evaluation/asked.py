"""What conditions ask of the time: names of variables, and their values at one instant.

A name says all that its value depends on beside the instant, so the same name stands for the same
thing in every rule. ``present`` and ``today`` are always there; ``date in_next 30 days: most`` is
an end between which a time must lie; ``fresh activity`` is the list of connections whose
activities can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import ibis.expr.datatypes as dt

from crmsync.model.durations import Duration
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import (
    HISTORY,
    TIMES,
    Change,
    Column,
    Comparison,
    Condition,
    Enrolled,
    Past,
    Related,
    Test,
    Today,
    clauses,
    is_plain,
)
from crmsync.warehouse.associations import ACTIVITY, LINKED_TABLES
from crmsync.warehouse.types import INSTANT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmsync.rules.evaluation.calendar import Bound, Calendar

PRESENT = "present"
TODAY = "today"
ENDS = ("least", "most", "above", "below")


@dataclass(frozen=True, kw_only=True)
class Between:
    """A test of a time: what its ends are, and what they depend on."""

    test: Test
    kind: FieldType

    def name(self, end: str) -> str:
        """What one of its ends is called."""
        return f"{self.kind} {self.test.operator} {' and '.join(map(str, self._words))}: {end}"

    @property
    def _words(self) -> tuple[object, ...]:
        """What of the operand its ends depend on."""
        operand = self.test.operand
        match operand:
            case Change():
                return (operand.in_last,)
            case Past():
                return (operand.at,)
            case tuple():
                return operand
            case _:
                return (operand,)

    @property
    def data_type(self) -> dt.DataType:
        """The type of its ends."""
        return dt.date if self.kind is FieldType.DATE else INSTANT

    @property
    def depends_on_zone(self) -> bool:
        """Whether its ends can differ between zones: days can, lengths of time cannot."""
        return any(self._differs(word) for word in self._words if word is not None)

    def _differs(self, word: object) -> bool:
        if isinstance(word, Duration):
            return self.kind is FieldType.DATE or bool(word.business_days)
        if isinstance(word, Enrolled):
            return self.kind is FieldType.DATE
        if isinstance(word, datetime):
            return word.tzinfo is None
        return isinstance(word, Today) or self.kind is FieldType.INSTANT

    def ends(self, calendar: Calendar) -> dict[str, Bound]:
        """Its ends as they are in a zone, by name; those that are open are left out."""
        bounds = calendar.bounds(self.test, self.kind)
        found = {self.name(end): getattr(bounds, end) for end in ENDS}
        return {name: bound for name, bound in found.items() if bound is not None}


def fresh(tables: tuple[str, ...]) -> str:
    """The name of the list of connections in which all these tables can be trusted."""
    return f"fresh {' '.join(tables)}"


def between(test: Test, kind: FieldType) -> Between | None:
    """The ends that a test compares with; None where it compares with none of its own."""
    if kind not in TIMES or isinstance(test.operand, bool | Column):
        return None
    return Between(test=test, kind=kind)


@dataclass(kw_only=True)
class Asked:
    """All that some conditions and columns ask, in the order in which they do.

    Attributes:
        tables: whose freshness is asked for, together.
        reaching: the tables of records whose activities are asked for.
        fields: tables and fields by which related records are chosen.
        histories: tables and fields whose past is asked for.
    """

    betweens: dict[Between, None] = field(default_factory=dict)
    tables: dict[tuple[str, ...], None] = field(default_factory=dict)
    reaching: dict[str, None] = field(default_factory=dict)
    fields: dict[tuple[str, str], None] = field(default_factory=dict)
    histories: dict[tuple[str, str], None] = field(default_factory=dict)

    @classmethod
    def by(cls, conditions: Iterable[Condition], columns: Iterable[Column] = ()) -> Asked:
        """What these conditions ask, with those inside them, and these columns."""
        asked = cls()
        for condition in conditions:
            asked.add(condition)
        for column in columns:
            asked.add_column(column)
        return asked

    def add(self, condition: Condition) -> None:
        """Also what this condition asks."""
        for clause in clauses(condition):
            if isinstance(clause, Comparison):
                self.add_column(clause.column)
                if clause.test.operator in HISTORY:
                    self.tables[clause.column.owner,] = None
                    self.histories[clause.column.owner, clause.column.name] = None
                    self._add_test(clause.test, FieldType.INSTANT)
                else:
                    self._add_test(clause.test, clause.column.type)
            else:
                self._add_related(clause)

    def add_column(self, column: Column) -> None:
        """Also what this column asks."""
        if column.fact is not None:
            self.tables[column.fact.rests_on] = None
            if ACTIVITY in column.fact.rests_on:
                self._add_reaching(column.fact.table)

    def _add_reaching(self, table: str) -> None:
        if table in LINKED_TABLES:
            self.reaching[table] = None

    def _add_test(self, test: Test, kind: FieldType) -> None:
        if isinstance(test.operand, Column):
            self.add_column(test.operand)
        ends = between(test, kind)
        if ends is not None:
            self.betweens[ends] = None

    def _add_related(self, clause: Related) -> None:
        self.tables[clause.of.relation.target,] = None
        if clause.of.relation.target == ACTIVITY:
            self._add_reaching(clause.of.relation.column)
        if clause.column is not None:
            self.add_column(clause.column)
            if clause.test is not None:
                self._add_test(clause.test, clause.column.type)
        for inside in (clause.of.where, clause.each):
            if inside is not None:
                self.add(inside)
                for part in clauses(inside):
                    if isinstance(part, Comparison) and is_plain(part):
                        self.fields[part.column.table, part.column.name] = None
