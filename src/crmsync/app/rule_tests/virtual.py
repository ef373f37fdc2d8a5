"""A company in memory, with everything that a run works with: records, a ledger, a connection."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from crmsync.ledger.store import Ledger
from crmsync.model.actions import ActionKind, KeyHandling, Receipt
from crmsync.model.tables import ID_SEPARATOR, FieldType, split_global_id
from crmsync.plugins.contract import ConnectorSpec
from crmsync.rules.unit_tests.memory import MemoryRecords
from crmsync.rules.unit_tests.memory_rows import CONNECTION, HISTORY, arrow_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from crmsync.model.actions import Action
    from crmsync.model.tables import Table
    from crmsync.plugins.contract import ConnectionContext
    from crmsync.rules.unit_tests.virtual_records import RecordsByTable

_OWN = f"{CONNECTION}{ID_SEPARATOR}"


def global_id(record_id: str) -> str:
    """The id of a test's record as the rest of crmsync knows it.

    One that names a connection, as in ``crm:U1``, stands for itself: rules may name such ids.
    """
    return record_id if ID_SEPARATOR in record_id else f"{_OWN}{record_id}"


def local_id(record_id: str) -> str:
    """The id as it is written in the test."""
    return record_id.removeprefix(_OWN)


def global_records(tables: Mapping[str, Table], records: RecordsByTable) -> RecordsByTable:
    """The records with global ids, also in their references and in what these were before."""
    return {
        name: [_global_row(tables[name], row) for row in rows] for name, rows in records.items()
    }


def _global_row(table: Table, row: Mapping[str, object]) -> Mapping[str, object]:
    references = {f.name for f in table.fields if f.type is FieldType.REFERENCE} | {"id"}

    def moved(name: str, value: object) -> object:
        return global_id(value) if name in references and isinstance(value, str) else value

    found = {name: moved(name, value) for name, value in row.items()}
    past = row.get(HISTORY)
    if isinstance(past, dict):
        found[HISTORY] = {
            name: [{**line, "was": moved(name, line["was"])} for line in lines]
            if isinstance(lines, list)
            else lines
            for name, lines in past.items()
        }
    return found


class VirtualRecords(MemoryRecords):
    """The records of a test, as `decide` asks for them."""

    def __init__(
        self,
        tables: Mapping[str, Table],
        records: RecordsByTable,
        *,
        now: datetime,
        unread: Collection[str],
    ) -> None:
        super().__init__(tables, records, now=now, unread=unread)
        self._by_id: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
            name: {row["id"]: row for row in arrow_table(tables[name], rows).to_pylist()}
            for name, rows in records.items()
        }

    def rows(self, table: str, ids: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        """The records of these ids."""
        known = self._by_id.get(table, {})
        return {record_id: known[record_id] for record_id in ids if record_id in known}

    def gone(self, table: str, ids: Iterable[str]) -> Collection[str]:  # noqa: ARG002  none ever
        """None: what is not there was never there."""
        return ()

    def streams_of(self, table: str, ids: Iterable[str]) -> Mapping[str, str]:
        """A test has one stream for each table."""
        return dict.fromkeys(self.rows(table, ids), table)

    def count(self, table: str) -> int:
        """How many records a table has."""
        return len(self._by_id.get(table, ()))

    def unread(self, table: str, ids: Iterable[str]) -> Mapping[str, str]:  # noqa: ARG002  none ever
        """None: every row of a test was used."""
        return {}

    def aliases(self) -> Mapping[str, Mapping[str, str]]:
        """None: in a test nothing was merged."""
        return {}

    def remote_id(self, table: str, record: str, connection: str) -> str | None:  # noqa: ARG002  the same everywhere
        """A test has one CRM, whatever the ids in it name."""
        return split_global_id(record)[1]


class _Options(BaseModel):
    """None."""


class VirtualConnection:
    """A CRM that takes everything, and keeps nothing."""

    def check(self) -> Sequence[Any]:
        """It is there."""
        return ()

    def close(self) -> None:
        """There is nothing to close."""

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt]:
        """All of them land."""
        return [Receipt(key=action.key, remote_id=action.key) for action in actions]

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:  # noqa: ARG002  none is ever lost
        """Nothing is ever in doubt."""
        return {}

    @staticmethod
    def spec() -> ConnectorSpec:
        """It can do everything."""

        def open_it(_context: ConnectionContext) -> VirtualConnection:
            return VirtualConnection()

        return ConnectorSpec(
            name=CONNECTION,
            description="The company of a rule test.",
            options=_Options,
            stream_options=_Options,
            open=open_it,
            actions=dict.fromkeys(ActionKind, KeyHandling.NATIVE),
        )


class Ledgers:
    """Makes an empty ledger for each test: one is made, the others are copies of its file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    @cached_property
    def _first(self) -> Path:
        path = self._folder / "first.sqlite"
        Ledger(path).close()
        return path

    @contextmanager
    def empty(self) -> Iterator[Ledger]:
        """A ledger that lasts until the end of the block."""
        self._number += 1
        path = self._folder / f"{self._number}.sqlite"
        shutil.copyfile(self._first, path)
        with Ledger(path) as ledger:
            yield ledger


@contextmanager
def ledgers() -> Iterator[Ledgers]:
    """Ledgers in a folder that is gone at the end of the block."""
    with TemporaryDirectory(prefix="crmsync-test-") as folder:
        yield Ledgers(Path(folder))
