"""What a reader sees: live records, and how far they can be trusted."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa
import sqlglot.expressions as sge

from crmsync.model.records import NOTHING, Given, StreamState
from crmsync.model.tables import split_global_id
from crmsync.warehouse.associations import indirect_of
from crmsync.warehouse.batch import MappingDigest
from crmsync.warehouse.changes import read_changes, read_mark, read_token
from crmsync.warehouse.database import BOOKS, RECORDS, equals, is_one_of, named
from crmsync.warehouse.history import History
from crmsync.warehouse.past import PastRecords
from crmsync.warehouse.quarantine import read_missing, read_quarantine, read_unread
from crmsync.warehouse.references import count_astray
from crmsync.warehouse.schema import STREAM_STATE
from crmsync.warehouse.twins import read_twin_state, with_first
from crmsync.warehouse.types import STREAM, record_columns, shape_of
from crmsync.warehouse.variables import given_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    import ibis.expr.types as ir
    from ibis.backends import BaseBackend

    from crmsync.model.pages import Cursor
    from crmsync.model.records import Answers, Compiled, Kept
    from crmsync.model.tables import Table
    from crmsync.warehouse.changes import Changes, Mark
    from crmsync.warehouse.database import Database
    from crmsync.warehouse.quarantine import QuarantineReport
    from crmsync.warehouse.references import Astray
    from crmsync.warehouse.twins import TwinState
    from crmsync.warehouse.types import StreamTables

_LIVE = sge.column("deleted_at").is_(sge.null())
_WANTED = "wanted"

# Activities and the records they belong to indirectly, as queries are given them.
_PAIRS = {"activity": "string", "record": "string"}


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a stream was read, and with which mapping."""

    cursor: Cursor | None
    mapping: MappingDigest


class Records:
    """A `RecordSource` over an open file; valid until its ``with`` ends.

    Attributes:
        history: what the records were before.
    """

    def __init__(
        self, database: Database, tables: Mapping[str, Table], streams: StreamTables
    ) -> None:
        self._database = database
        self._tables = tables
        self._streams = streams
        self.history = History(database, tables, streams)
        self._indirect: dict[str, Kept | None] = {}
        self._filled: dict[tuple[str, str], bool] = {}
        # By table and id, those that were asked for; None where there is none.
        self._rows: dict[str, dict[str, dict[str, Any] | None]] = {}
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
        records = self.history.records(name)
        fields = [field.name for field in self._tables[name].fields]
        return records.filter(records.deleted_at.isnull()).select(*fields)

    def all_records(self, name: str) -> ir.Table:
        """Every record of a table, tombstones too; see `History.records`."""
        return self.history.records(name)

    def is_filled(self, table: str, field: str) -> bool:
        """Whether every live record has a value in a field; looked for once in an opening."""
        if (table, field) not in self._filled:
            # Answered from what DuckDB knows of each block of rows, mostly without reading any.
            empty = sge.column(field, quoted=True).is_(sge.null())
            found = sge.select(sge.Literal.number(1)).from_(self._seen(table)).where(_LIVE, empty)
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
        """The changes of a tracked field, as in `RecordSource`."""
        return self.history.changes(table, field)

    def known_since(self, table: str, field: str) -> ir.Table:
        """Columns ``id``, ``since`` and ``created``, as in `RecordSource`."""
        return self.history.known_since(table, field)

    def as_of(self, at: datetime) -> PastRecords:
        """The records as they were at a past instant (aware)."""
        return PastRecords(self, self._database, self._tables, at)

    @cached_property
    def shape(self) -> str:
        """Differs where tables have other columns or merged records, or fields another mapping."""
        self.history.twins.prepare()
        meanings = sorted(self.history.meanings.items())
        merged = f"{sorted(self.history.aliases)} {sorted(self.history.twins.pairs)}"
        return f"live {shape_of(self._tables)} {merged} {meanings}"

    def _seen(self, table: str) -> sge.Table:
        return self.history.twins.seen(table)

    def apart(self, name: str) -> ir.Table:
        """The live records of a table as each system has them, none joined with another's."""
        table = self._tables[name]
        rows = ibis.table(record_columns(table), name=name, database=RECORDS)
        return rows.filter(rows.deleted_at.isnull()).select(*(f.name for f in table.fields))

    def remote_id(self, table: str, record: str, connection: str) -> str | None:
        """What the remote of a connection calls a record; None where it does not have it."""
        group = self.history.twins.groups.get(table, {}).get(record, {})
        where, remote = split_global_id(group.get(connection, record))
        return remote if where == connection else None

    def twins(self) -> Mapping[str, Mapping[str, str]]:
        """By table, the records for which another one stands, each with that one."""
        return self.history.twins.pairs

    def twin_state(self) -> TwinState:
        """What was found when customers of several systems were last held against each other."""
        return read_twin_state(self._database)

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
        states_of = sge.select(
            "connection", "stream", "read_at", "written_at", "really_at", "error"
        )
        rows = self._database.fetch(states_of.from_(named(STREAM_STATE, BOOKS))).to_pylist()
        kept = {(row["connection"], row["stream"]): row for row in rows}
        states = []
        for (connection, stream), table in self._streams.items():
            row = kept.get((connection, stream), {})
            again = self._read_again.get((connection, stream))
            missing, rows_in_all = self._missing.get((connection, stream), (0, 0))
            states.append(
                StreamState(
                    connection=connection,
                    stream=stream,
                    table=table,
                    read_at=again or row.get("read_at"),
                    written_at=None if again else row.get("written_at"),
                    really_at=None if again else row.get("really_at"),
                    error=row.get("error"),
                    missing=missing,
                    rows=rows_in_all,
                    together=self.history.twins.together.get(connection, frozenset()),
                )
            )
        return states

    @cached_property
    def _missing(self) -> dict[tuple[str, str], tuple[int, int]]:
        return read_missing(self._database, self._streams)

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

    def rows(self, table: str, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The live records of these ids, each as its fields by name; absent where there is none.

        Numbers are decimals, dates dates, instants aware datetimes in UTC.
        """
        known = self._rows.setdefault(table, {})
        wanted = set(ids)
        missing = wanted - known.keys()
        if missing:
            known |= dict.fromkeys(missing) | self._fetched(table, missing)
        return {
            record_id: row for record_id in sorted(wanted) if (row := known[record_id]) is not None
        }

    def _fetched(self, table: str, ids: Iterable[str]) -> dict[str, dict[str, Any] | None]:
        fields = [sge.column(field.name, quoted=True) for field in self._tables[table].fields]
        live = sge.select(*fields).from_(self._seen(table)).where(_LIVE)
        with self._database.given(_WANTED, pa.table({"id": pa.array(list(ids), pa.string())})):
            rows = self._database.fetch(live.where(is_one_of("id", _WANTED))).to_pylist()
        return {row["id"]: row for row in rows}

    def gone(self, table: str, ids: Iterable[str]) -> set[str]:
        """Those of these records that were read once, and are deleted."""
        deleted = sge.select("id").from_(self._seen(table)).where(_LIVE.not_())
        with self._database.given(_WANTED, pa.table({"id": pa.array(list(ids), pa.string())})):
            rows = self._database.fetch(deleted.where(is_one_of("id", _WANTED)))
        return set(rows["id"].to_pylist())

    def streams_of(self, table: str, ids: Iterable[str]) -> dict[str, str]:
        """Which stream each of these live records came from; absent where there is no record."""
        live = sge.select("id", "stream").from_(named(table, RECORDS)).where(_LIVE)
        with self._database.given(_WANTED, pa.table({"id": pa.array(list(ids), pa.string())})):
            rows = self._database.fetch(live.where(is_one_of("id", _WANTED))).to_pylist()
        return {row["id"]: row["stream"] for row in rows}

    def aliases(self) -> dict[str, dict[str, str]]:
        """By table, the ids of merged records, each with the one that survived in the end."""
        return self.history.aliases

    def mark(self) -> Mark | None:
        """The present point in the history of the warehouse; None where nothing was written."""
        return read_mark(self._database)

    def has_written(self, mark: Mark) -> bool:
        """Whether a point lies in the history of this warehouse; an older file has another."""
        return mark.token is not None and read_token(self._database, mark.number) == mark.token

    def changed_since(self, number: int) -> Changes:
        """What the writes after that of a number have changed."""
        found = read_changes(self._database, number)
        with_first(found.records, self.history.twins.pairs)
        return found

    def counts(self) -> dict[tuple[str, str], int]:
        """How many live records each stream has brought; absent where it is none."""
        origin = [sge.column("connection"), sge.column(STREAM)]
        found = {}
        for name in self._tables:
            live = sge.select(*origin, sge.alias_(sge.Count(this=sge.Star()), "records"))
            live = live.from_(named(name, RECORDS)).where(_LIVE).group_by(*origin)
            for row in self._database.fetch(live).to_pylist():
                found[row["connection"], row[STREAM]] = row["records"]
        return found

    def count(self, table: str) -> int:
        """How many live records a table has."""
        live = sge.select(sge.Count(this=sge.Star())).from_(self._seen(table)).where(_LIVE)
        return int(self._database.fetch(live)[0][0].as_py())

    def quarantine(self, newest: int = 10) -> QuarantineReport:
        """The rows that could not be used, and the sentences of the newest."""
        return read_quarantine(self._database, newest)

    def unread(self, table: str, ids: Iterable[str]) -> dict[str, str]:
        """Those of these records of which a row could not be used, each with the sentence why.

        What is kept of such a record is older than what its CRM says.
        """
        streams = [stream for stream, target in self._streams.items() if target == table]
        return read_unread(self._database, streams, ids)

    def astray(self, connection: str, table: str, field: str, target: str) -> Astray:
        """How many of a connection's live records name a record of ``target`` that is not there."""
        return count_astray(self._database, connection, table, field, target)


def _indirect(table: str) -> str:
    return f"indirect activities of {table}"
