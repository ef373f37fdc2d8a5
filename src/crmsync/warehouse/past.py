"""The records as they were at a past instant, as far as anybody can know.

A record is there from its ``created_at`` on, and until it was found deleted. One without
``created_at`` is there from the time that it tells of (an order from its ``at``), or from when it
was known, whichever was first; one that tells no time is taken to have been there all along.
One that was merged into another is not there: what referred to it refers to the other, and its past
before the other was known is the other's.

Tracked fields are rolled back through the history. Other fields are as they are now, and tracked
ones are, before anything is known of the record, as they were first known:
`PastRecords.assumed` says of which records that is so, and until when.

The instant is given to a query, and no part of it: what was compiled for one instant answers for
any other after `PastRecords.move_to`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import sqlglot.expressions as sge

from crmsync.model.records import NOTHING, Given
from crmsync.model.tables import FieldType, natural_time
from crmsync.warehouse.associations import indirect_of
from crmsync.warehouse.database import BOOKS, named
from crmsync.warehouse.schema import HISTORY
from crmsync.warehouse.types import DATA_TYPES, INSTANT, KNOWN_SINCE, record_columns
from crmsync.warehouse.variables import given_table, variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import ibis.expr.types as ir
    import pyarrow as pa

    from crmsync.model.records import Answers, Compiled, Kept, StreamState
    from crmsync.model.tables import Field, Table
    from crmsync.warehouse.database import Database
    from crmsync.warehouse.reader import Records

# Tables whose records say what happened at a time, and do not change: they are their own history.
EVENTS = frozenset({"activity", "activity_link", "order", "feedback", "usage"})
# Fields that say who the record is and when it began, and not how it stands.
_LASTING = frozenset({"id", "connection", "created_at", "deleted_at"})

_PAST = "past_instant"
_PAST_DAY = "past_day"
_FIRST = datetime(1, 1, 1, tzinfo=UTC)


# Former values of a table's fields, as queries are given them.
_SPANS = {"id": "string", "field": "string", "value": "string", "since": INSTANT, "until": INSTANT}


def _spans_of(table: str) -> str:
    return f"past spans of {table}"


def _merged_of(table: str) -> str:
    return f"past {table} without the merged"


def _past() -> ir.TimestampScalar:
    return variable(_PAST, INSTANT)


def can_be_assumed(table: str, field: Field) -> bool:
    """Whether a field's value in the past may have been another than the one we know.

    What happened at a time did not change, and an instant says itself when it came to be.
    To whom a record belongs is taken to last, unless its changes are kept.
    """
    if table in EVENTS or field.name in _LASTING or field.name == natural_time(table):
        return False
    lasts = field.type in {FieldType.INSTANT, FieldType.REFERENCE} and field.name != "updated_at"
    return field.tracked or not lasts


class PastRecords:
    """A `RecordSource` of an open file as of a past instant.

    Args:
        records: the same as they are now.
        at: the first instant; aware.
    """

    def __init__(
        self, records: Records, database: Database, tables: Mapping[str, Table], at: datetime
    ) -> None:
        self._records = records
        self._history = records.history
        self._database = database
        self._tables = tables
        self._states = tuple(records.stream_states())
        self._expressions: dict[str, ir.Table] = {}
        self.move_to(at)

    def move_to(self, at: datetime) -> None:
        """Let another instant (aware) be the one that every query is about."""
        self.at = at.astimezone(UTC)

    @property
    def shape(self) -> str:
        """Differs from that of the same records as they are now, and where other fields changed."""
        return f"past {self._records.shape} {sorted(self._with_history)}"

    def compiled(self, key: str, build: Callable[[], ir.Table | Answers]) -> Compiled:
        """The text of a query; ``build`` is called where nobody has asked with this key before."""
        return self._database.compiled(f"{self.shape} {key}", build)

    def ids(self, name: str) -> frozenset[str]:
        """The global ids of a table's records that were there then."""
        query = self.compiled(f"ids {name}", lambda: self.table(name).select("id"))
        return frozenset(self.query(query)["id"].to_pylist())

    def first(self, name: str) -> datetime | None:
        """Since when there are records of a table; None where nobody knows."""
        began = self.every(name).began
        began = began.nullif(ibis.literal(_FIRST, INSTANT))
        found = self.query(began.min().name("first").as_table())["first"].to_pylist()
        return found[0] if found else None

    def query(self, query: ir.Table | Compiled, given: Given = NOTHING) -> pa.Table:
        """The rows of a query over these tables."""
        return self._database.query(query, self._given | given)

    def keep(self, rows: ir.Table | Compiled | pa.Table, given: Given = NOTHING) -> Kept:
        """The rows of a query, or rows at hand, as a table that queries can be given."""
        return self._database.kept(rows, self._given | given)

    @property
    def _given(self) -> Given:
        values = {_PAST: self.at, _PAST_DAY: self.at.date()}
        return Given(values=values, tables=self._kept)

    @cached_property
    def _kept(self) -> dict[str, Kept]:
        """Former values, for each table of which a field has changed; and records with merges."""
        tables = sorted({table for table, _ in self._with_history if table in self._tables})
        kept = {_spans_of(name): self._database.kept(self._spans(name)) for name in tables}
        merged = [name for name in self._tables if self._history.merged(name) is not None]
        return kept | {_merged_of(name): self._database.kept(self._every(name)) for name in merged}

    def stream_states(self) -> Sequence[StreamState]:
        """One for each stream of the config.

        A stream that was read to its end once, later than the instant, is fresh: what it gave
        holds all that was.
        """
        return [
            replace(state, read_at=self.at, written_at=None, error=None)
            if state.known_at is not None and state.known_at >= self.at
            else state
            for state in self._states
        ]

    @cached_property
    def latest_read(self) -> datetime | None:
        """As of when a stream is known at the latest; None where none was read to its end."""
        return max((s.known_at for s in self._states if s.known_at is not None), default=None)

    def is_filled(self, table: str, field: str) -> bool:  # noqa: ARG002  it is not looked for
        """Whether it is known that there are no empty ones; see `RecordSource`."""
        return False

    def has_indirect(self, table: str) -> bool:  # noqa: ARG002  it is not looked for
        """Whether there may be any; see `RecordSource`."""
        return True

    def indirect(self, table: str) -> ir.Table:
        """Columns ``activity`` and ``record``, as in `RecordSource`."""
        return indirect_of(table, self.table)

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field up to the instant, as in `RecordSource`."""
        found = self._history.changes(table, field)
        return found.filter(found["at"] <= _past())

    def known_since(self, table: str, field: str) -> ir.Table:
        """Columns ``id``, ``since`` and ``created``, as in `RecordSource`."""
        return self._history.known_since(table, field)

    def every(self, name: str) -> ir.Table:
        """Every record of a table that was there at some time, as it is now, or was at its end.

        Beside its fields: ``began``, since when it is there (never null), and ``known_since``.
        """
        if self._history.merged(name) is None:
            return self._every(name)
        columns = record_columns(self._tables[name])
        return given_table(_merged_of(name), {**columns, "began": INSTANT})

    def _every(self, name: str) -> ir.Table:
        table, records = self._tables[name], self._history.records(name)
        merged, elders = self._history.merged(name), self._history.elders(name)
        if merged is not None:
            records = records.anti_join(merged, [("id", "old_id")])
        if elders is not None:
            columns = records.columns
            rows = records.left_join(elders, [("id", "survivor")])
            values = {column: rows[column] for column in columns}
            values["created_at"] = ibis.least(rows.elder_created, rows.created_at)
            values[KNOWN_SINCE] = ibis.coalesce(rows.elder_since, rows[KNOWN_SINCE])
            records = rows.select(**values)
        return records.mutate(began=_began(table, records))

    def assumed(self, name: str, fields: Iterable[str]) -> ir.Table | None:
        """From when until when the values of some fields of a table are assumed.

        Tracked fields before they were first known; other fields before the record last changed,
        or, where its connection does not say when that was, before everything was last read.

        Returns:
            ``id``, ``field``, ``since`` and ``until`` (both never null; until is not part of the
            time), one row for each record and field of which something is assumed; None where
            nothing can be.
        """
        table, records = self._tables[name], self.every(name)
        latest = ibis.literal(self.latest_read or self.at, INSTANT)
        wanted = [field for field in table.fields if field.name in set(fields)]
        spans = []
        for field in wanted:
            if not can_be_assumed(name, field):
                continue
            known = records[KNOWN_SINCE] if field.tracked else records.updated_at
            if field.tracked:
                mapped_at = self._history.mapped_at(records, name, field.name)
                known = known if mapped_at is None else ibis.greatest(known, mapped_at)
            until = ibis.coalesce(known, latest)
            until = ibis.least(until, ibis.coalesce(records.deleted_at, until))
            spans.append(
                records.select("id", field=ibis.literal(field.name), since="began", until=until)
            )
        if not spans:
            return None
        found = ibis.union(*spans) if len(spans) > 1 else spans[0]
        return found.filter(found.since < found.until)

    def table(self, name: str) -> ir.Table:
        """The records of a table that were there then, their tracked fields as they were then."""
        if name not in self._expressions:
            self._expressions[name] = self._table(name)
        return self._expressions[name]

    def _table(self, name: str) -> ir.Table:
        table, records = self._tables[name], self.every(name)
        past, day = _past(), variable(_PAST_DAY, dt.date)
        records = records.filter(
            _has_begun(table, records, past, day),
            records.deleted_at.isnull() | (records.deleted_at > past),
        )
        changed = [f for f in table.fields if f.tracked and (name, f.name) in self._with_history]
        if changed:
            records = self._with_values_then(records, name, changed)
        values: dict[str, ir.Value] = {field.name: records[field.name] for field in table.fields}
        for field in changed:
            then = records[f"then_{field.name}"].cast(DATA_TYPES[field.type])
            differed = records[f"differed_{field.name}"].fill_null(False)
            values[field.name] = differed.ifelse(then, records[field.name])
        values["deleted_at"] = ibis.null(INSTANT)
        return records.select(**values)

    def _with_values_then(self, records: ir.Table, name: str, changed: Sequence[Field]) -> ir.Table:
        """The records beside what was in fields that have changed since."""
        spans, past = given_table(_spans_of(name), _SPANS), _past()
        spans = spans.filter(spans.until > past, spans.since.isnull() | (spans.since <= past))
        columns: dict[str, ir.Value] = {}
        for field in changed:
            mine = spans.field == field.name
            columns[f"differed_{field.name}"] = mine.any()
            columns[f"then_{field.name}"] = spans.value.max(where=mine)
        values = spans.group_by(changed_id=spans.id).aggregate(**columns)
        return records.left_join(values, [("id", "changed_id")])

    def _spans(self, name: str) -> ir.Table:
        """Former values of a table's fields, as text, each with the time in which it stood.

        A change that is told after another counts as made no earlier than that.
        """
        # In the order in which they were told: two changes may bear the same time.
        rows = self._history.of(name).mutate(own=ibis.literal(value=True))
        elders = self._history.elders(name)
        if elders is not None:
            inherited = rows.inner_join(elders, [("id", "elder")])
            inherited = inherited.filter(inherited["at"] < inherited.until)
            inherited = inherited.mutate(id=inherited.survivor, own=ibis.literal(value=False))
            rows = rows.union(inherited.select(*rows.columns))
        order = {"group_by": ["id", "field"], "order_by": ["own", "place"]}
        rows = rows.mutate(until=rows["at"].max().over(ibis.cumulative_window(**order)))
        rows = rows.mutate(since=rows.until.lag().over(ibis.window(**order)))
        return self._with_survivors(name, rows).select("id", "field", "value", "since", "until")

    def _with_survivors(self, name: str, rows: ir.Table) -> ir.Table:
        """References to records that were merged since name their survivors."""
        rows = rows.mutate(value=rows.old)
        for field in self._tables[name].fields:
            merged = self._history.merged(field.references) if field.references else None
            if merged is None or not field.tracked:
                continue
            columns = rows.columns
            joined = rows.left_join(merged, [("value", "old_id")])
            mine = joined.field == field.name
            survivor = ibis.coalesce(joined.survivor, joined.value)
            values = {column: joined[column] for column in columns}
            rows = joined.select(**values | {"value": mine.ifelse(survivor, joined.value)})
        return rows

    @cached_property
    def _with_history(self) -> frozenset[tuple[str, str]]:
        """The tables and fields of which there is a change."""
        pairs = sge.select("table_name", "field").distinct().from_(named(HISTORY, BOOKS))
        rows = self._database.fetch(pairs).to_pylist()
        return frozenset((row["table_name"], row["field"]) for row in rows)


def _has_begun(table: Table, records: ir.Table, past: ir.Value, day: ir.Value) -> ir.BooleanValue:
    """Whether a record was there already."""
    created = records.created_at
    time = natural_time(table.name)
    if time == "created_at":
        return created.isnull() | (created <= past)
    told = records[time]
    happened = told <= (day if told.type().is_date() else past)
    known = happened | told.isnull() | (records[KNOWN_SINCE] <= past)
    return created.notnull().ifelse(created <= past, known)


def _began(table: Table, records: ir.Table) -> ir.Value:
    """When a record began to be there; before all time where it was always there."""
    told = records[natural_time(table.name)]
    if natural_time(table.name) != "created_at":
        told = ibis.least(told.cast(INSTANT), records[KNOWN_SINCE])
        told = ibis.ifelse(records[natural_time(table.name)].isnull(), ibis.null(INSTANT), told)
    return ibis.coalesce(records.created_at, told, ibis.literal(_FIRST, INSTANT)).cast(INSTANT)
