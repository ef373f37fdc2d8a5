"""The tables of the file, created and brought up to date when it is opened for writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis.expr.datatypes as dt
import sqlglot.expressions as sge

from crmsync.errors import StoreError
from crmsync.warehouse.database import BOOKS, RECORDS, named, type_name
from crmsync.warehouse.types import INSTANT, record_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crmsync.model.tables import Table
    from crmsync.warehouse.database import Database

    Migration = Callable[[Database], None]

SCHEMA_VERSION = "schema_version"
STREAM_STATE = "stream_state"
QUARANTINE = "quarantine"
ALIAS = "alias"
HISTORY = "history"
SNAPSHOT_SEEN = "snapshot_seen"
CHANGE = "change"
CHANGE_MARK = "change_mark"
WRITE = "write"
TWIN = "twin"
TWIN_STATE = "twin_state"


def _first_books(database: Database) -> None:
    text = dt.string
    tables: dict[str, dict[str, dt.DataType]] = {
        # How far each stream was read; read_at and error as in StreamState.
        STREAM_STATE: {
            "connection": text,
            "stream": text,
            "table_name": text,
            "cursor": text,
            "read_at": INSTANT,
            "error": text,
        },
        # Rows that could not be read; record is the global id where the key could be read.
        QUARANTINE: {
            "connection": text,
            "stream": text,
            "origin": text,
            "row": dt.int64,
            "record": text,
            "sentence": text,
            "at": INSTANT,
            "snapshot": text,
        },
        # target: what the remote said; survivor: the end of the chain.
        ALIAS: {"table_name": text, "old_id": text, "target": text, "survivor": text},
        # Changes of tracked fields, values as text. There is no row for a first sight:
        # the value before the first change is that row's old, and records.known_since
        # says from when on it is known.
        HISTORY: {
            "table_name": text,
            "id": text,
            "field": text,
            "old": text,
            "new": text,
            "at": INSTANT,
        },
        # What an unfinished listing has named so far, with or without mistakes in the row;
        # known: the record was there before.
        SNAPSHOT_SEEN: {
            "connection": text,
            "stream": text,
            "snapshot": text,
            "id": text,
            "origin": text,
            "row": dt.int64,
            "known": dt.boolean,
        },
    }
    for name, columns in tables.items():
        database.create(name, BOOKS, columns)


def _mappings_of_streams(database: Database) -> None:
    # Digests of the mapping with which a stream was read: all of it, and what makes its ids and
    # its updated_at.
    for column in ("mapping", "mapping_of_ids", "mapping_of_times"):
        database.add_column(STREAM_STATE, BOOKS, column, dt.string)


def _meanings_of_fields(database: Database) -> None:
    # JSON: of each field of a stream's mapping a digest of how it is made, and since when it is.
    database.add_column(STREAM_STATE, BOOKS, "meanings", dt.string)


def _changes(database: Database) -> None:
    text, number = dt.string, dt.int64
    # What the write of a number changed: a record, all of a table (without an id), or, with
    # a field, a record that another no longer refers to in it.
    columns = {"number": number, "table_name": text, "id": text, "field": text, "target": text}
    database.create(CHANGE, BOOKS, columns)
    mark: dict[str, dt.DataType] = {"warehouse": text, "number": number, "oldest": number}
    database.create(CHANGE_MARK, BOOKS, mark)


def _tokens_of_writes(database: Database) -> None:
    # Of each write of which the changes are kept, something that no other write has.
    database.create(WRITE, BOOKS, {"number": dt.int64, "token": dt.string})


def _age_of_streams(database: Database) -> None:
    # As in StreamState.
    database.add_column(STREAM_STATE, BOOKS, "written_at", INSTANT)


def _twins(database: Database) -> None:
    text = dt.string
    # Records that another one stands for; and what was found when that was last looked for.
    database.create(TWIN, BOOKS, {"table_name": text, "id": text, "primary_id": text})
    database.create(TWIN_STATE, BOOKS, {"number": dt.int64, "doubts": text})


def _looks_ahead(database: Database) -> None:
    # As in StreamState.
    database.add_column(STREAM_STATE, BOOKS, "really_at", INSTANT)


# Each brings the books from the version before it to its own, counted from 1.
# A released migration is never edited.
MIGRATIONS: tuple[Migration, ...] = (
    _first_books,
    _mappings_of_streams,
    _meanings_of_fields,
    _changes,
    _tokens_of_writes,
    _age_of_streams,
    _twins,
    _looks_ahead,
)


def knows_all_migrations(database: Database) -> bool:
    """Whether a file that had everything still has this version; costs one small query.

    Raises:
        StoreError: a newer crmsync has written it since.
    """
    return _version(database) == len(MIGRATIONS)


def is_current(database: Database, tables: Mapping[str, Table]) -> bool:
    """Whether the file needs nothing before it can be read.

    Raises:
        StoreError: a newer crmsync has written it, or a field has changed its type.
    """
    found = database.columns()
    if (BOOKS, SCHEMA_VERSION) not in found or not knows_all_migrations(database):
        return False
    return not _missing(database, found, tables)


def ensure_schema(database: Database, tables: Mapping[str, Table]) -> None:
    """Create what is missing and bring an older version up to date.

    Raises:
        StoreError: a newer crmsync has written it, or a field has changed its type.
    """
    found = database.columns()
    version = _version(database) if (BOOKS, SCHEMA_VERSION) in found else 0
    if version < len(MIGRATIONS):
        for migrate in MIGRATIONS[version:]:
            migrate(database)
        _write_version(database, len(MIGRATIONS))
    for name, missing in _missing(database, found, tables).items():
        if (RECORDS, name) not in found:
            database.create(name, RECORDS, missing)
            continue
        for column, data_type in missing.items():
            database.add_column(name, RECORDS, column, data_type)


def _version(database: Database) -> int:
    rows = database.fetch(sge.select("version").from_(named(SCHEMA_VERSION, BOOKS))).to_pylist()
    version = int(rows[0]["version"])
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the warehouse {database.path} was written by a newer crmsync (its schema is "
            f"version {version}, this one knows up to {len(MIGRATIONS)}); "
            "install that version again"
        )
    return version


def _write_version(database: Database, version: int) -> None:
    columns: dict[str, dt.DataType] = {"version": dt.int64}
    database.create(SCHEMA_VERSION, BOOKS, columns)
    database.delete(SCHEMA_VERSION, BOOKS, sge.true())
    database.insert_texts(SCHEMA_VERSION, BOOKS, [{"version": str(version)}])


def _missing(
    database: Database,
    found: Mapping[tuple[str, str], Mapping[str, str]],
    tables: Mapping[str, Table],
) -> dict[str, dict[str, dt.DataType]]:
    """The columns that the file lacks, by table."""
    missing: dict[str, dict[str, dt.DataType]] = {}
    for name, table in tables.items():
        there = found.get((RECORDS, name), {})
        for column, data_type in record_columns(table).items():
            if column not in there:
                missing.setdefault(name, {})[column] = data_type
            elif there[column] != (declared := type_name(data_type)):
                raise StoreError(
                    f"the field “{column}” of {name} is kept as {there[column]} in "
                    f"{database.path}, and the mapping now makes it {declared}; "
                    "give it a new name, or move that file away and sync everything anew"
                )
    return missing
