"""The condition tree of a rule: typed, frozen, checked against the catalog, without any data.

Every clause is yes, no or unknown, and the tree is SQL's three-valued logic.
``unknown_as`` of a clause says what stands in its place while it is unknown:
True (yes), False (no), or None where it stays unknown and holds the rule.
`crmsync.rules.unknown` decides it where the author did not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from crmsync.model.durations import Duration
from crmsync.model.tables import FieldType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.config.yaml import Place
    from crmsync.model.catalog import FactSpec, Relation

TIMES = frozenset({FieldType.DATE, FieldType.INSTANT})
NUMBERS = frozenset({FieldType.INTEGER, FieldType.NUMBER})


class Operator(StrEnum):
    """What a clause asks of a value."""

    IS = "is"
    IS_NOT = "is_not"
    IN = "in"
    NOT_IN = "not_in"
    OVER = "over"
    UNDER = "under"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    BETWEEN = "between"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    MATCHES = "matches"
    PRESENT = "present"
    IN_NEXT = "in_next"
    IN_LAST = "in_last"
    OLDER_THAN = "older_than"
    FURTHER_THAN = "further_than"
    BEFORE = "before"
    AFTER = "after"
    CHANGED = "changed"
    WAS = "was"


HISTORY = frozenset({Operator.CHANGED, Operator.WAS})


class Quantifier(StrEnum):
    """What a clause asks of related records."""

    SOME = "some"
    NONE = "none"
    EVERY = "every"
    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    LATEST = "latest"


class IfUnknown(StrEnum):
    """What an author says of an unknown clause."""

    HOLD = "hold"
    NO = "no"
    YES = "yes"


@dataclass(frozen=True, kw_only=True)
class Today:
    """The word ``today``: the date in the account's zone, else the company's."""

    def __str__(self) -> str:
        return "today"


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """The word ``enrolled``: the instant at which the subject entered the rule."""

    def __str__(self) -> str:
        return "enrolled"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A path to one value: references to follow, then a field or fact.

    Attributes:
        table: where the path begins.
        hops: the references, in order; each leads from one record to at most one other.
        fact: set where the last name is a fact.
    """

    table: str
    hops: tuple[Relation, ...]
    name: str
    type: FieldType
    fact: FactSpec | None = None
    references: str | None = None

    @property
    def owner(self) -> str:
        """The table that has the field or fact."""
        return self.hops[-1].target if self.hops else self.table

    @property
    def path(self) -> str:
        """As an author writes it: ``account.owner.active``."""
        return ".".join((*(hop.name for hop in self.hops), self.name))


Literal = str | int | Decimal | bool | date | datetime | Today | Enrolled


@dataclass(frozen=True, kw_only=True)
class Change:
    """What ``changed`` asks for: that the field changed, when, from what and to what.

    Attributes:
        in_last: None where any time will do.
        before: the values of which it had one before; None where any will do.
        after: the values of which it had one after; None where any will do.
    """

    in_last: Duration | None = None
    before: tuple[Literal, ...] | None = None
    after: tuple[Literal, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Past:
    """What ``was`` asks for: that the field had one of these values then.

    Attributes:
        at: that long ago, or that instant, or the end of that day.
    """

    values: tuple[Literal, ...]
    at: Duration | date | datetime


Operand = Literal | Duration | Column | Change | Past | tuple[Literal, ...]


@dataclass(frozen=True, kw_only=True)
class Test:
    """An operator and its operand; for ``between`` and ``in``, the operand is a tuple."""

    operator: Operator
    operand: Operand

    __test__ = False  # pytest shall not take it for one


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Related records: references to follow, the way to many, and which of them count.

    Attributes:
        where: what a record must fulfil to count; None for all of them.
    """

    table: str
    hops: tuple[Relation, ...]
    relation: Relation
    where: Condition | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``field: {operator: operand}``."""

    column: Column
    test: Test
    if_unknown: IfUnknown | None = None
    unknown_as: bool | None = None
    text: str = field(compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Related:
    """``some: {of: tickets, where: […]}`` and its like.

    Attributes:
        column: what is summed, averaged, or sought the smallest or largest of.
        test: what the number or time is held against (count, sum, avg, min, max).
        each: what each record must fulfil (every), or the latest one (latest).
    """

    quantifier: Quantifier
    of: Collection
    column: Column | None = None
    test: Test | None = None
    each: Condition | None = None
    if_unknown: IfUnknown | None = None
    unknown_as: bool | None = None
    text: str = field(compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class All:
    """A list, or ``all:``."""

    conditions: tuple[Condition, ...]
    text: str = field(default="all", compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class AnyOf:
    """``any:``."""

    conditions: tuple[Condition, ...]
    text: str = field(default="any", compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Not:
    """``not:`` a list, or ``none_of:`` (not any)."""

    condition: Condition
    text: str = field(default="not", compare=False)
    place: Place = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class InSegment:
    """``segment: NAME``; the segment's conditions stand here as if written out."""

    name: str
    condition: Condition
    text: str = field(compare=False)
    place: Place = field(compare=False)


Clause = Comparison | Related
Condition = Clause | All | AnyOf | Not | InSegment


def parts(condition: Condition) -> tuple[Condition, ...]:
    """The conditions directly under one, about the same record."""
    match condition:
        case All() | AnyOf():
            return condition.conditions
        case Not() | InSegment():
            return (condition.condition,)
        case _:
            return ()


def clauses(condition: Condition) -> Iterator[Clause]:
    """All clauses about the same record, in the order in which they are written."""
    if isinstance(condition, Comparison | Related):
        yield condition
    for part in parts(condition):
        yield from clauses(part)


def every_clause(condition: Condition) -> Iterator[Clause]:
    """The clauses of a condition, those about related records too."""
    for clause in clauses(condition):
        yield clause
        if isinstance(clause, Related):
            for inner in (clause.of.where, clause.each):
                if inner is not None:
                    yield from every_clause(inner)


def is_plain(clause: Comparison) -> bool:
    """Whether a clause only holds a record's own field, as it is, against something written."""
    column, test = clause.column, clause.test
    own = not column.hops and column.fact is None
    return own and test.operator not in HISTORY and not isinstance(test.operand, Column)


def conjuncts(condition: Condition | None) -> Iterator[Condition]:
    """The conditions that must all hold for one to hold; none for None."""
    if isinstance(condition, All):
        for part in condition.conditions:
            yield from conjuncts(part)
    elif isinstance(condition, InSegment):
        yield from conjuncts(condition.condition)
    elif condition is not None:
        yield condition
