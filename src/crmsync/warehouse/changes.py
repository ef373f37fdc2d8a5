"""Which records have changed since when, so that not everybody need be evaluated again.

Each write has a number, greater than those before it, and a token that no other write has: an
older file that is put back and written to again comes to the same numbers. Of a write are noted
the records that it made, changed or deleted, and what they referred to before, where that is
another record now. A write of very many records is noted as one of the whole table.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import sqlglot.expressions as sge

from crmsync.model.tables import FieldType
from crmsync.warehouse.database import BOOKS, named
from crmsync.warehouse.schema import CHANGE, CHANGE_MARK, WRITE

if TYPE_CHECKING:
    from crmsync.model.tables import Table
    from crmsync.warehouse.database import Database

_MOST = 100_000  # records of one write that are noted one by one
_KEPT = 1000  # writes of which they are kept


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A point in the history of a warehouse.

    Attributes:
        number: of the last write.
        token: of that write; None where it was made before writes had any.
        oldest: of the last write of which nothing is kept any more.
    """

    number: int
    token: str | None
    oldest: int


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What has changed since a mark.

    Attributes:
        records: the ids of changed, new and deleted records by table.
        whole: tables of which any record may have changed.
        left: by table and field, the ids that records referred to before and no longer do.
    """

    records: dict[str, set[str]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    left: dict[tuple[str, str], set[str]] = field(default_factory=dict)


class ChangeLog:
    """Notes what one write changes, within its transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def _number(self) -> str:
        mark = read_mark(self._database) or Mark(number=0, token=None, oldest=0)
        number, oldest = mark.number + 1, mark.oldest
        if number - oldest > 2 * _KEPT:
            oldest = number - _KEPT
            old = sge.LTE(this=sge.column("number"), expression=sge.Literal.number(oldest))
            self._database.delete(CHANGE, BOOKS, old)
            self._database.delete(WRITE, BOOKS, old)
        self._database.delete(CHANGE_MARK, BOOKS, sge.true())
        row = {"number": str(number), "oldest": str(oldest)}
        self._database.insert_texts(CHANGE_MARK, BOOKS, [row])
        written = {"number": str(number), "token": uuid.uuid4().hex}
        self._database.insert_texts(WRITE, BOOKS, [written])
        return str(number)

    def note(self, table: str, ids: pa.ChunkedArray) -> None:
        """These records are new, changed or deleted."""
        if not len(ids):
            return
        if len(ids) > _MOST:
            self.note_whole(table)
        else:
            self._insert(table, pa.table({"id": ids}))

    def note_whole(self, table: str) -> None:
        """Any record of the table may have changed, or what is known of its past."""
        row: dict[str, str | None] = {"number": self._number, "table_name": table}
        self._database.insert_texts(CHANGE, BOOKS, [row])

    def note_left(self, table: Table, before: pa.Table, after: pa.Table) -> None:
        """These records were otherwise before; ``after`` may hold others too."""
        if not before.num_rows or not after.num_rows:
            return
        places = pc.index_in(after["id"], value_set=before["id"].combine_chunks())
        old = before.take(places.drop_null())
        new = after.filter(places.is_valid())
        for of in table.fields:
            if of.type is not FieldType.REFERENCE:
                continue
            moved = pc.fill_null(pc.not_equal(old[of.name], new[of.name]), True)
            moved = pc.and_(moved, old[of.name].is_valid())
            targets = pc.unique(old[of.name].filter(moved))
            if len(targets):
                rows = {"field": pa.repeat(of.name, len(targets)), "target": targets}
                self._insert(table.name, pa.table(rows))

    def _insert(self, table: str, rows: pa.Table) -> None:
        number = pa.repeat(int(self._number), rows.num_rows)
        rows = rows.append_column("number", number)
        rows = rows.append_column("table_name", pa.repeat(table, rows.num_rows))
        self._database.insert(CHANGE, BOOKS, rows)


def read_mark(database: Database) -> Mark | None:
    """The present mark; None where nothing was ever written."""
    rows = database.fetch(sge.select("number", "oldest").from_(named(CHANGE_MARK, BOOKS)))
    if not rows:
        return None
    (row,) = rows.to_pylist()
    return Mark(**row, token=read_token(database, row["number"]))


def read_token(database: Database, number: int) -> str | None:
    """The token of the write of a number; None where there is none, or it is not kept."""
    same = sge.EQ(this=sge.column("number"), expression=sge.Literal.number(number))
    rows = database.fetch(sge.select("token").from_(named(WRITE, BOOKS)).where(same))
    return rows["token"][0].as_py() if rows else None


def read_changes(database: Database, since: int) -> Changes:
    """What has changed after the write of a number."""
    later = sge.GT(this=sge.column("number"), expression=sge.Literal.number(since))
    columns = ("table_name", "id", "field", "target")
    rows = database.fetch(sge.select(*columns).distinct().from_(named(CHANGE, BOOKS)).where(later))
    found = Changes()
    for table, record, name, target in zip(*rows.to_pydict().values(), strict=True):
        if name is not None:
            found.left.setdefault((table, name), set()).add(target)
        elif record is not None:
            found.records.setdefault(table, set()).add(record)
        else:
            found.whole.add(table)
    return found
