"""Where what a clause said in the past rests on values that nobody knows to have been so then.

Each record has spans of time in which a field's value is assumed (`PastRecords.assumed`). They are
followed along what the clause looks at: references, related records, and what facts read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa

from crmsync.model.records import Given
from crmsync.rules.conditions import (
    HISTORY,
    Clause,
    Column,
    Comparison,
    Condition,
    Related,
    clauses,
)
from crmsync.rules.evaluation.reads import fields_read
from crmsync.warehouse.types import INSTANT
from crmsync.warehouse.variables import given_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import ibis.expr.types as ir

    from crmsync.model.catalog import FactSpec, Relation
    from crmsync.model.records import Kept
    from crmsync.model.tables import Table
    from crmsync.rules.evaluation.world import World
    from crmsync.warehouse.past import PastRecords

_FIRED = "fired"  # subjects and instants, as queries are given them
_SPAN = ("id", "field", "since", "until")


@dataclass(frozen=True, kw_only=True)
class AssumedField:
    """A field that a clause rests on and that was assumed for some time.

    Attributes:
        tracked: whether its changes are kept; if not, it is taken as it is now.
        before: the latest instant before which it is assumed for some subject.
        subjects: of how many subjects something of it is assumed.
    """

    table: str
    field: str
    tracked: bool
    before: datetime
    subjects: int


@dataclass(frozen=True, kw_only=True)
class AssumedClause:
    """A clause that rests on assumptions.

    Attributes:
        place: ``file:line:column``.
        subjects: how many of the subjects that touches.
        firings: how many of the firings rest on it.
    """

    text: str
    place: str
    fields: tuple[AssumedField, ...]
    subjects: int
    firings: int


class Assumptions:
    """What of the past is assumed, clause by clause.

    Args:
        past: the records of the world.
        tables: all tables of the installation.
    """

    def __init__(self, past: PastRecords, world: World, tables: Mapping[str, Table]) -> None:
        self._past = past
        self._world = world
        self._tables = tables

    def of(
        self,
        condition: Condition,
        *,
        start: datetime,
        end: datetime,
        firings: Sequence[tuple[str, datetime]] = (),
    ) -> tuple[AssumedClause, ...]:
        """The clauses of a condition that rest on assumptions between two instants.

        Args:
            end: part of the time.
            firings: subjects and instants; those that rest on a clause are counted.
        """
        given = Given(tables={_FIRED: self._kept(firings)})
        found = (self._clause(clause, start, end, given) for clause in clauses(condition))
        return tuple(clause for clause in found if clause is not None)

    def of_subject(self, clause: Clause, subject: str, at: datetime) -> tuple[AssumedField, ...]:
        """What of a clause is assumed of one subject at one instant; empty where all is known."""
        spans = self._spans(clause)
        if spans is None:
            return ()
        then = ibis.literal(at, INSTANT)
        spans = spans.filter(spans.id == subject, spans.since <= then, spans.until > then)
        by_field = spans.group_by("field").aggregate(
            before=spans.until.max(), subjects=spans.id.nunique()
        )
        rows = self._past.query(by_field.order_by("field")).to_pylist()
        return tuple(self._field(row["field"], row) for row in rows)

    def _kept(self, firings: Sequence[tuple[str, datetime]]) -> Kept:
        ids, instants = zip(*firings, strict=True) if firings else ((), ())
        columns = {
            "fired_id": pa.array(ids, pa.string()),
            "fired_at": pa.array(instants, INSTANT.to_pyarrow()),
        }
        return self._past.keep(pa.table(columns))

    def _clause(
        self, clause: Clause, start: datetime, end: datetime, given: Given
    ) -> AssumedClause | None:
        spans = self._spans(clause)
        if spans is None:
            return None
        first, last = (ibis.literal(at, INSTANT) for at in (start, end))
        spans = spans.filter(spans.since <= last, spans.until > first, spans.id.notnull())
        by_field = spans.group_by("field").aggregate(
            before=spans.until.max(), subjects=spans.id.nunique()
        )
        fields = self._past.query(by_field.order_by("field")).to_pylist()
        if not fields:
            return None
        fired = given_table(_FIRED, {"fired_id": "string", "fired_at": INSTANT})
        resting = fired.join(spans, [("fired_id", "id")])
        resting = resting.filter(
            resting.since <= resting.fired_at, resting.fired_at < resting.until
        )
        firings = resting.select("fired_id", "fired_at").distinct().count()
        counts = spans.aggregate(subjects=spans.id.nunique(), firings=firings.as_scalar())
        (count,) = self._past.query(counts, given).to_pylist()
        return AssumedClause(
            text=clause.text,
            place=str(clause.place),
            fields=tuple(self._field(row["field"], row) for row in fields),
            subjects=count["subjects"],
            firings=count["firings"],
        )

    def _field(self, path: str, row: Mapping[str, Any]) -> AssumedField:
        table, _, name = path.partition(".")
        field = self._tables[table].field(name)
        assert field is not None  # noqa: S101  it came from there
        return AssumedField(
            table=table,
            field=name,
            tracked=field.tracked,
            before=row["before"],
            subjects=row["subjects"],
        )

    # -- spans: id, field (with its table), since, until; None where nothing is assumed

    def _spans(self, condition: Condition) -> ir.Table | None:
        return _union(self._of_clause(clause) for clause in clauses(condition))

    def _of_clause(self, clause: Clause) -> ir.Table | None:
        if isinstance(clause, Comparison):
            columns = [clause.column]
            if clause.test.operator in HISTORY:
                # Of the past that such a clause asks about it says itself what is not known.
                return self._through(clause.column.table, clause.column.hops, None)
            if clause.test is not None and isinstance(clause.test.operand, Column):
                columns.append(clause.test.operand)
            return _union(self._of_column(column) for column in columns)
        return self._of_related(clause)

    def _of_related(self, clause: Related) -> ir.Table | None:
        target, back = clause.of.relation.target, clause.of.relation.column
        inner = [c for c in (clause.of.where, clause.each) if c is not None]
        spans = [self._spans(condition) for condition in inner]
        if clause.column is not None:
            spans.append(self._of_column(clause.column))
        spans.append(self._assumed(target, [back]))
        return self._through(clause.of.table, clause.of.hops, self._back(target, back, spans))

    def _of_column(self, column: Column) -> ir.Table | None:
        if column.fact is None:
            spans = self._assumed(column.owner, [column.name])
        else:
            spans = self._of_fact(column.fact)
        return self._through(column.table, column.hops, spans)

    def _of_fact(self, spec: FactSpec) -> ir.Table | None:
        records = {name: self._past.table(name) for name in self._tables}
        read: dict[str, list[str]] = {}
        for table, field in sorted(fields_read(self._world.fact(spec), ["id", "value"], records)):
            read.setdefault(table, []).append(field)
        spans = []
        for table, fields in read.items():
            found = self._assumed(table, fields)
            if table != spec.table and found is not None:
                back = self._reference(table, spec.table)
                if back is not None:
                    found = self._back(table, back, [found])
                else:
                    found = self._everybody(spec.table, found)
            spans.append(found)
        return _union(spans)

    def _reference(self, table: str, target: str) -> str | None:
        """The field with which records of a table belong to those of another."""
        fields = [f.name for f in self._tables[table].fields if f.references == target]
        return target if target in fields else next(iter(fields), None)

    def _assumed(self, table: str, fields: Iterable[str]) -> ir.Table | None:
        found = self._past.assumed(table, fields)
        if found is None:
            return None
        return found.mutate(field=ibis.literal(f"{table}.") + found.field)

    def _back(
        self, table: str, reference: str, spans: Iterable[ir.Table | None]
    ) -> ir.Table | None:
        """What is assumed of records is assumed of those that they refer to."""
        found = _union(spans)
        if found is None:
            return None
        records = self._past.every(table)
        near = records.select(near_id="id", record=records[reference])
        joined = found.join(near.filter(near.record.notnull()), [("id", "near_id")])
        return joined.select("field", "since", "until", id="record").select(*_SPAN)

    def _everybody(self, table: str, spans: ir.Table) -> ir.Table:
        """What is assumed of some records may be assumed of any of a table's."""
        whole = spans.group_by("field").aggregate(since=spans.since.min(), until=spans.until.max())
        return self._past.every(table).select("id").cross_join(whole).select(*_SPAN)

    def _through(
        self, table: str, hops: Sequence[Relation], spans: ir.Table | None
    ) -> ir.Table | None:
        """What is assumed of records is assumed of those that lead to them, and the way as well."""
        for i, hop in reversed(list(enumerate(hops))):
            near = hops[i - 1].target if i else table
            found = []
            if spans is not None:
                records = self._past.every(near)
                ways = records.select(near_id="id", far_id=records[hop.column])
                joined = spans.join(ways, [("id", "far_id")])
                found.append(joined.select("field", "since", "until", id="near_id").select(*_SPAN))
            found.append(self._assumed(near, [hop.column]))
            spans = _union(found)
        return spans


def _union(spans: Iterable[ir.Table | None] | Iterator[ir.Table | None]) -> ir.Table | None:
    found = [one.select(*_SPAN) for one in spans if one is not None]
    if not found:
        return None
    return ibis.union(*found) if len(found) > 1 else found[0]
