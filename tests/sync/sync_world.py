from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmsync.clock import FixedClock
from crmsync.config.mapping import StreamSettings
from crmsync.config.settings import ConnectionSettings
from crmsync.model.pages import ORIGIN, ROW, Page, Snapshot
from crmsync.model.tables import CANONICAL_TABLES, Table
from crmsync.plugins.contract import RemoteField
from crmsync.sync.mapping import MappingEngine, StreamMapper
from crmsync.sync.run import sync_connection
from crmsync.sync.streams import MappedStream
from crmsync.warehouse.store import Warehouse
from crmsync.warehouse.texts import QueryTexts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.model.pages import Cursor
    from crmsync.sync.reports import StreamReport

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def table_of(settings: StreamSettings) -> Table:
    return CANONICAL_TABLES[settings.table].with_fields(settings.custom_fields())


def map_rows(
    settings: dict[str, Any],
    rows: Sequence[dict[str, Any]] | pa.Table,
    *,
    zone: str = "UTC",
    origin: str | None = "accounts.csv",
) -> list[dict[str, Any]]:
    """Rows as their mapping makes them, with their place as a connector for files gives it."""
    stream = StreamSettings.model_validate({"table": "account", "key": "Id"} | settings)
    records = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows))
    if origin is not None and ORIGIN not in records.column_names:
        numbers = pa.array(range(1, records.num_rows + 1), pa.int64())
        records = records.append_column(ORIGIN, pa.array([origin] * records.num_rows))
        records = records.append_column(ROW, numbers)
    engine = MappingEngine(QueryTexts())
    accounts = MappedStream(
        connection="crm",
        name="accounts",
        settings=stream,
        table=table_of(stream),
        company_zone=zone,
    )
    mapper = StreamMapper(engine, accounts)
    try:
        mapped: list[dict[str, Any]] = mapper.map([records]).to_pylist()
    finally:
        engine.close()
    return mapped


@dataclass
class Listed:
    """A connector that yields what it was given: pages after the cursor, then an error."""

    pages: dict[str, list[Page]] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    reads: list[tuple[str, Cursor | None]] = field(default_factory=list)

    def add(self, stream: str, *rows: dict[str, Any], snapshot: Snapshot | None = None) -> None:
        there = self.pages.setdefault(stream, [])
        before = sum(page.records.num_rows for page in there)
        numbered = [
            {ORIGIN: f"{stream}.csv", ROW: before + number, **row}
            for number, row in enumerate(rows, start=1)
        ]
        there.append(
            Page(
                records=pa.Table.from_pylist(numbered),
                cursor=str(len(there) + 1),
                snapshot=snapshot,
            )
        )

    def describe(self, stream: str) -> Sequence[RemoteField]:
        names = self.pages[stream][0].records.column_names
        return [RemoteField(name=name) for name in names]

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        self.reads.append((stream, since))
        yield from self.pages.get(stream, [])[int(since or 0) :]
        if stream in self.errors:
            raise self.errors[stream]


ACCOUNTS = {
    "table": "account",
    "key": "Id",
    "fields": {"name": "Name", "tier": "Tier", "updated_at": "Modified"},
}
CONTACTS = {"table": "contact", "key": "Id", "fields": {"name": "Name", "account": "Account"}}


@dataclass
class Run:
    """A connection with its warehouse."""

    warehouse: Warehouse
    settings: ConnectionSettings
    connector: Listed = field(default_factory=Listed)
    clock: FixedClock = field(default_factory=lambda: FixedClock(instant=NOW))
    zone: str = "UTC"

    def sync(self, *, deletions_confirmed: bool = False) -> tuple[StreamReport, ...]:
        return sync_connection(
            connector=self.connector,
            settings=self.settings,
            name="crm",
            warehouse=self.warehouse,
            clock=self.clock,
            company_zone=self.zone,
            deletions_confirmed=deletions_confirmed,
        )

    def cursors(self) -> dict[str, Cursor | None]:
        with self.warehouse.reading() as records:
            return {name: at.cursor for name, at in records.positions("crm").items()}

    def live(self, table: str = "account") -> dict[str, dict[str, Any]]:
        with self.warehouse.reading() as records:
            rows = records.backend.to_pyarrow(records.table(table)).to_pylist()
        return {row["id"].removeprefix("crm:"): row for row in rows}

    def sentences(self) -> list[str]:
        with self.warehouse.reading() as records:
            return [row.sentence for row in records.quarantine().newest]


def with_streams(run: Run, **streams: dict[str, Any] | None) -> Run:
    """The same connection and warehouse with accounts and these streams, None for one less."""
    wanted = {"accounts": ACCOUNTS} | streams
    settings = ConnectionSettings.model_validate(
        {
            "connector": "listed",
            "streams": {name: one for name, one in wanted.items() if one is not None},
        }
    )
    tables = {("crm", name): stream.table for name, stream in settings.streams.items()}
    warehouse = Warehouse(run.warehouse.path, CANONICAL_TABLES, tables)
    return replace(run, settings=settings, warehouse=warehouse)
