from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from crmsync.warehouse.batch import Batch, Merged
from crmsync.warehouse.schema import ALIAS, HISTORY, QUARANTINE
from crmsync.warehouse.types import DATA_TYPES

if TYPE_CHECKING:
    from crmsync.model.pages import Snapshot
    from crmsync.warehouse.store import Warehouse

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


@dataclass
class Store:
    """A warehouse, with short ways to merge rows and to look at all that it keeps."""

    warehouse: Warehouse
    connection: str = "crm"
    stream: str = "accounts"
    cursors: int = field(default=0)

    def batch(
        self,
        *rows: dict[str, Any],
        table: str = "account",
        stream: str | None = None,
        snapshot: Snapshot | None = None,
        confirmed: bool = False,
    ) -> Batch:
        self.cursors += 1
        fields = self.warehouse.tables[table].fields
        types = {f.name: DATA_TYPES[f.type].to_pyarrow() for f in fields}
        types |= {"_position": pa.int64(), "_deleted": pa.bool_(), "_merged_into": pa.string()}
        types |= {"_origin": pa.string(), "_row": pa.int64(), "_problem": pa.string()}
        base = {"connection": self.connection, "_deleted": False, "_origin": "accounts.csv"}
        full = [
            base
            | row
            | {"_position": i, "id": row.get("id") and f"{self.connection}:{row['id']}"}
            | {
                f.name: f"{self.connection}:{row[f.name]}"
                for f in fields
                if f.references and row.get(f.name)
            }
            | (
                {"_merged_into": f"{self.connection}:{row['_merged_into']}", "_deleted": True}
                if row.get("_merged_into")
                else {}
            )
            for i, row in enumerate(rows)
        ]
        return Batch(
            connection=self.connection,
            stream=stream or self.stream,
            table=table,
            rows=pa.Table.from_pylist(full, schema=pa.schema(types)),
            cursor=str(self.cursors),
            snapshot=snapshot,
            deletions_confirmed=confirmed,
        )

    def merge(self, *rows: dict[str, Any], now: datetime = NOW, **options: Any) -> Merged:
        with self.warehouse.writing() as writer:
            return writer.merge(self.batch(*rows, **options), now=now)

    def live(self, table: str = "account") -> dict[str, dict[str, Any]]:
        with self.warehouse.reading() as records:
            rows = records.backend.to_pyarrow(records.table(table)).to_pylist()
        return {row["id"].removeprefix(f"{self.connection}:"): row for row in rows}

    def kept(self, table: str = "account") -> dict[str, dict[str, Any]]:
        """Every record, tombstones too."""
        with self.warehouse.reading() as records:
            rows = records.backend.to_pyarrow(records.all_records(table)).to_pylist()
        return {row["id"].removeprefix(f"{self.connection}:"): row for row in rows}

    def book(self, name: str) -> list[dict[str, Any]]:
        with self.warehouse.reading() as records:
            table = records.backend.table(name, database="books")
            rows = records.backend.to_pyarrow(table).to_pylist()
        return sorted(rows, key=lambda row: [str(value) for value in row.values()])

    def history(self) -> list[tuple[str, str, str | None, str | None, datetime]]:
        return [
            (row["id"], row["field"], row["old"], row["new"], row["at"])
            for row in self.book(HISTORY)
        ]

    def aliases(self) -> dict[str, str]:
        return {row["old_id"]: row["survivor"] for row in self.book(ALIAS)}

    def sentences(self) -> list[str]:
        return [row["sentence"] for row in self.book(QUARANTINE)]
