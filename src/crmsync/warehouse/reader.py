"""What a reader sees: live records, and how far they can be trusted."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
import sqlglot.expressions as sge

from crmsync.model.records import NOTHING, Given, StreamState
from crmsync.warehouse.associations import indirect_of
from crmsync.warehouse.batch import MappingDigest
from crmsync.warehouse.changes import read_changes, read_mark, read_token
from crmsync.warehouse.database import BOOKS, RECORDS, equals, is_one_of, named
from crmsync.warehouse.history import changes_of, elders_of, known_of
from crmsync.warehouse.meanings import since_when
from crmsync.warehouse.past import PastRecords
from crmsync.warehouse.schema import ALIAS, HISTORY, QUARANTINE, STREAM_STATE
from crmsync.warehouse.types import INSTANT, KNOWN_SINCE, STREAM, record_columns, shape_of
from crmsync.warehouse.variables import given_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

    from crmsync.model.pages import Cursor
    from crmsync.model.records import Answers, Compiled, Kept
    from crmsync.model.tables import Table
    from crmsync.warehouse.changes import Changes, Mark
    from crmsync.warehouse.database import Database

    StreamTables = Mapping[tuple[str, str], str]

_LIVE = sge.column("deleted_at").is_(sge.null())
_WANTED = "wanted"

# Activities and the records they belong to indirectly, as queries are given them.
_PAIRS = {"activity": "string", "record": "string"}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class QuarantinedRow:
    """A row that could not be used. ``at`` is the instant (UTC) of the sync that met it."""

    connection: str
    stream: str
    sentence: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class QuarantineReport:
    """How many rows are in quarantine, by connection and stream, and the newest of them."""

    counts: Mapping[tuple[str, str], int]
    newest: tuple[QuarantinedRow, ...]


@dataclass(frozen=True, kw_only=True)
class Astray:
    """References that lead nowhere.

    Attributes:
        references: how many records name one at all.
        example: the global id that one of them names; None where none is lost.
    """

    references: int
    lost: int
    example: str | None


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a stream was read, and with which mapping."""

    cursor: Cursor | None
    mapping: MappingDigest


class Records:
    """A `RecordSource` over an open file; valid until its ``with`` ends."""

    def __init__(
        self, database: Database, tables: Mapping[str, Table], streams: StreamTables
    ) -> None:
        self._database = database
        self._tables = tables
        self._streams = streams
        self._indirect: dict[str, Kept | None] = {}
        self._filled: dict[tuple[str, str], bool] = {}
        self._read_again: dict[tuple[str, str], datetime] = {}

    def read_again(self, streams: Iterable[tuple[str, str]], at: datetime) -> Records:
        """The same records, as if these streams had been read then and nothing had changed."""
        later = copy(self)
        later._read_again = dict.fromkeys(streams, at)  # noqa: SLF001  it is one of us
        return later

    @property
    def backend(self) -> BaseBackend:
        """The Ibis backend that the tables live in; temporary tables may be made there."""
        return self._database.backend

    def table(self, name: str) -> ir.Table:
        """The live records of a table: its fields, no tombstones, references resolved."""
        records = self._records(name)
        fields = [field.name for field in self._tables[name].fields]
        return records.filter(records.deleted_at.isnull()).select(*fields)

    def _records(self, name: str) -> ir.Table:
        # Named, not looked up: to ask the file for its columns costs more than a small query.
        return ibis.table(record_columns(self._tables[name]), name=name, database=RECORDS)

    def all_records(self, name: str) -> ir.Table:
        """Every record of a table, tombstones too, with ``stream`` and ``known_since``.

        ``known_since`` is the instant from which on the record's values are known: what a
        tracked field was before its first row of history is that row's ``old``.
        """
        return self._records(name)

    def history(self) -> ir.Table:
        """Changes of tracked fields: table_name, id, field, old and new as text, at (UTC)."""
        return self._database.table(HISTORY, BOOKS)

    def is_filled(self, table: str, field: str) -> bool:
        """Whether every live record has a value in a field; looked for once in an opening."""
        if (table, field) not in self._filled:
            # Answered from what DuckDB knows of each block of rows, mostly without reading any.
            empty = sge.column(field, quoted=True).is_(sge.null())
            found = (
                sge.select(sge.Literal.number(1)).from_(named(table, RECORDS)).where(_LIVE, empty)
            )
            self._filled[table, field] = not self._database.fetch(found.limit(1)).num_rows
        return self._filled[table, field]

    def has_indirect(self, table: str) -> bool:
        """Whether there are any, as in `RecordSource`; looked for once in an opening."""
        if table not in self._indirect:
            pairs = self.compiled(f"indirect {table}", lambda: indirect_of(table, self.table))
            kept = self.keep(pairs)
            rows = self._database.fetch(sge.select("*").from_(named(kept.name)).limit(1)).num_rows
            self._indirect[table] = kept if rows else None
        return self._indirect[table] is not None

    def indirect(self, table: str) -> ir.Table:
        """Columns ``activity`` and ``record``, as in `RecordSource`; given to every query."""
        return given_table(_indirect(table), _PAIRS)

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field: ``id``, ``old`` and ``new`` of its type, ``at`` (UTC)."""
        definition = self._tables[table].field(field)
        if definition is None:
            raise LookupError(f"{table} has no field {field}")
        far, history = definition.references, self.history_of(table)
        return changes_of(
            definition,
            history.filter(history.field == field),
            self.elders(table, field),
            None if far is None else self.merged(far),
        )

    def known_since(self, table: str, field: str) -> ir.Table:
        """Columns ``id``, ``since`` and ``created``, as in `RecordSource`."""
        return known_of(self._records_of(table, field), self.elders(table, field))

    def elders(self, table: str, field: str | None = None) -> ir.Table | None:
        """The merged records whose past is a survivor's, as `elders_of` has them."""
        merged = self.merged(table)
        return None if merged is None else elders_of(self._records_of(table, field), merged)

    def _records_of(self, table: str, field: str | None) -> ir.Table:
        """All records of a table; ``known_since`` is that of a field, where one is named."""
        records = self.all_records(table)
        mapped_at = None if field is None else self.mapped_at(records, table, field)
        if mapped_at is None:
            return records
        return records.mutate(**{KNOWN_SINCE: ibis.greatest(records[KNOWN_SINCE], mapped_at)})

    def mapped_at(self, records: ir.Table, table: str, field: str) -> ir.Value | None:
        """For each record since when a field is mapped as it is, null where it always was.

        Args:
            records: with ``connection`` and ``stream``.

        Returns:
            None where it always was for all.
        """
        anew = {
            stream: since
            for stream, meanings in self._meanings.items()
            if self._streams.get(stream) == table
            and (since := since_when(meanings, field)) is not None
        }
        return _of_stream(records, anew) if anew else None

    def history_of(self, table: str) -> ir.Table:
        """The history of a table, without what became of fields when they were mapped anew.

        Beside its columns: ``place``, the order in which it was told.
        """
        history = self.history()
        history = history.mutate(place=history.rowid())
        history = history.filter(history.table_name == table)
        records = self.all_records(table).select("connection", "stream", record="id")
        rows = history.left_join(records, [("id", "record")])
        mapped = {
            field.name: mapped_at
            for field in self._tables[table].fields
            if field.tracked and (mapped_at := self.mapped_at(rows, table, field.name)) is not None
        }
        if not mapped:
            return history
        for name, mapped_at in mapped.items():
            late = mapped_at.isnull() | (rows["at"] > mapped_at)
            rows = rows.filter((rows.field != name) | late)
        return rows.select(*history.columns)

    @cached_property
    def _meanings(self) -> dict[tuple[str, str], str | None]:
        select = sge.select("connection", "stream", "meanings").from_(named(STREAM_STATE, BOOKS))
        rows = self._database.fetch(select).to_pylist()
        return {(row["connection"], row["stream"]): row["meanings"] for row in rows}

    def merged(self, table: str) -> ir.Table | None:
        """Columns ``old_id`` and ``survivor`` of a table; None where nothing was merged."""
        if table not in self._aliases:
            return None
        aliases = self._database.table(ALIAS, BOOKS)
        return aliases.filter(aliases.table_name == table).select("old_id", "survivor")

    @cached_property
    def _aliases(self) -> dict[str, dict[str, str]]:
        return self.aliases()

    def as_of(self, at: datetime) -> PastRecords:
        """The records as they were at a past instant (aware)."""
        return PastRecords(self, self._database, self._tables, at)

    @cached_property
    def shape(self) -> str:
        """Differs where tables have other columns or merged records, or fields another mapping."""
        meanings = sorted(self._meanings.items())
        return f"live {shape_of(self._tables)} {sorted(self._aliases)} {meanings}"

    def compiled(self, key: str, build: Callable[[], ir.Table | Answers]) -> Compiled:
        """The text of a query; ``build`` is called where nobody has asked with this key before."""
        return self._database.compiled(f"{self.shape} {key}", build)

    def query(self, query: ir.Table | Compiled, given: Given = NOTHING) -> pa.Table:
        """The rows of a query over these tables."""
        return self._database.query(query, self._given | given)

    def keep(self, rows: ir.Table | Compiled | pa.Table, given: Given = NOTHING) -> Kept:
        """The rows of a query, or rows at hand, as a table that queries can be given."""
        return self._database.kept(rows, self._given | given)

    @property
    def _given(self) -> Given:
        tables = {_indirect(name): kept for name, kept in self._indirect.items() if kept}
        return Given(tables=tables)

    def stream_states(self) -> Sequence[StreamState]:
        """One for each stream of the config, also those that were never read."""
        states_of = sge.select("connection", "stream", "read_at", "error")
        rows = self._database.fetch(states_of.from_(named(STREAM_STATE, BOOKS))).to_pylist()
        kept = {(row["connection"], row["stream"]): row for row in rows}
        states = []
        for (connection, stream), table in self._streams.items():
            row = kept.get((connection, stream), {})
            states.append(
                StreamState(
                    connection=connection,
                    stream=stream,
                    table=table,
                    read_at=self._read_again.get((connection, stream), row.get("read_at")),
                    error=row.get("error"),
                )
            )
        return states

    def positions(self, connection: str) -> dict[str, Position]:
        """How far each stream of a connection was read, where it was begun."""
        columns = ("stream", "cursor", "mapping", "mapping_of_ids", "mapping_of_times")
        select = sge.select(*columns).from_(named(STREAM_STATE, BOOKS))
        rows = self._database.fetch(select.where(equals(connection=connection))).to_pylist()
        return {
            row["stream"]: Position(
                cursor=row["cursor"],
                mapping=MappingDigest(
                    whole=row["mapping"] or "",
                    ids=row["mapping_of_ids"] or "",
                    times=row["mapping_of_times"] or "",
                ),
            )
            for row in rows
        }

    def rows(self, table: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The live records of these ids, each as its fields by name; absent where there is none.

        Numbers are decimals, dates dates, instants aware datetimes in UTC.
        """
        fields = [sge.column(field.name, quoted=True) for field in self._tables[table].fields]
        live = sge.select(*fields).from_(named(table, RECORDS)).where(_LIVE)
        with self._database.given(_WANTED, pa.table({"id": pa.array(list(set(ids)), pa.string())})):
            rows = self._database.fetch(live.where(is_one_of("id", _WANTED))).to_pylist()
        return {row["id"]: row for row in rows}

    def quarantine(self, newest: int = 10) -> QuarantineReport:
        """The rows that could not be used, and the sentences of the newest."""
        entries = named(QUARANTINE, BOOKS)
        stream = [sge.column("connection"), sge.column("stream")]
        counts = sge.select(*stream, sge.alias_(sge.Count(this=sge.Star()), "rows")).from_(entries)
        latest = sge.select(*stream, sge.column("sentence"), sge.column("at")).from_(entries)
        latest = latest.order_by(
            sge.Ordered(this=sge.column("at"), desc=True),
            *stream,
            sge.column("origin"),
            sge.column("row"),
        )
        counted = self._database.fetch(counts.group_by(*stream).order_by(*stream)).to_pylist()
        rows = self._database.fetch(latest.limit(newest))
        # Arrow would load pandas to make datetimes of them.
        instants = [_EPOCH + timedelta(microseconds=n) for n in _integers(rows["at"])]
        return QuarantineReport(
            counts={(row["connection"], row["stream"]): row["rows"] for row in counted},
            newest=tuple(
                QuarantinedRow(**row, at=at)
                for row, at in zip(rows.drop_columns("at").to_pylist(), instants, strict=True)
            ),
        )

    def unread(self, table: str, ids: Iterable[str]) -> dict[str, str]:
        """Those of these records of which a row could not be used, each with the sentence why.

        What is kept of such a record is older than what its CRM says.
        """
        entries = sge.select("connection", "stream", "record", "sentence")
        entries = entries.from_(named(QUARANTINE, BOOKS)).where(is_one_of("record", _WANTED))
        with self._database.given(_WANTED, pa.table({"id": pa.array(list(set(ids)), pa.string())})):
            rows = self._database.fetch(entries).to_pylist()
        return {
            row["record"]: row["sentence"]
            for row in rows
            if self._streams.get((row["connection"], row["stream"])) == table
        }

    def aliases(self) -> dict[str, dict[str, str]]:
        """By table, the ids of merged records, each with the one that survived in the end."""
        select = sge.select("table_name", "old_id", "survivor").from_(named(ALIAS, BOOKS))
        found: dict[str, dict[str, str]] = {}
        for row in self._database.fetch(select).to_pylist():
            found.setdefault(row["table_name"], {})[row["old_id"]] = row["survivor"]
        return found

    def mark(self) -> Mark | None:
        """The present point in the history of the warehouse; None where nothing was written."""
        return read_mark(self._database)

    def has_written(self, mark: Mark) -> bool:
        """Whether a point lies in the history of this warehouse; an older file has another."""
        return mark.token is not None and read_token(self._database, mark.number) == mark.token

    def changed_since(self, number: int) -> Changes:
        """What the writes after that of a number have changed."""
        return read_changes(self._database, number)

    def counts(self) -> dict[str, int]:
        """How many live records each table has."""
        return {name: self.count(name) for name in self._tables}

    def count(self, table: str) -> int:
        """How many live records a table has."""
        live = sge.select(sge.Count(this=sge.Star())).from_(named(table, RECORDS)).where(_LIVE)
        return int(self._database.fetch(live)[0][0].as_py())

    def astray(self, connection: str, table: str, field: str, target: str) -> Astray:
        """How many of a connection's live records name a record of ``target`` that is not there.

        A tombstone is there: it was known once.
        """
        mine, theirs = "mine", "theirs"
        reference = sge.column(field, table=mine)
        lost = sge.column("id", table=theirs).is_(sge.null())
        select = (
            sge.select(
                sge.Count(this=sge.Star()),
                sge.Filter(this=sge.Count(this=sge.Star()), expression=sge.Where(this=lost)),
                sge.Filter(this=sge.Min(this=reference), expression=sge.Where(this=lost)),
            )
            .from_(sge.alias_(named(table, RECORDS), mine, table=True))
            .join(
                sge.alias_(named(target, RECORDS), theirs, table=True),
                on=sge.EQ(this=reference, expression=sge.column("id", table=theirs)),
                join_type="left",
            )
            .where(sge.column("deleted_at", table=mine).is_(sge.null()))
            .where(sge.Not(this=reference.copy().is_(sge.null())))
            .where(sge.column("connection", table=mine).eq(connection))
        )
        named_ones, lost_ones, example = (
            c[0].as_py() for c in self._database.fetch(select).columns
        )
        return Astray(references=named_ones, lost=lost_ones, example=example)


def _indirect(table: str) -> str:
    return f"indirect activities of {table}"


def _of_stream(records: ir.Table, instants: Mapping[tuple[str, str], datetime]) -> ir.Value:
    """For each record the instant that belongs to its stream; null where none does."""
    return ibis.cases(
        *(
            (
                (records.connection == connection) & (records[STREAM] == stream),
                ibis.literal(instant, INSTANT),
            )
            for (connection, stream), instant in instants.items()
        ),
        else_=ibis.null(INSTANT),
    )


def _integers(instants: pa.ChunkedArray) -> list[int]:
    return list(instants.cast(pa.int64()).to_pylist())
