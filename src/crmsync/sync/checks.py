"""Holds a stream's mapping against the canonical table and the remote's own description.

Whatever makes the tables (names of tables and fields, their types) was checked when the config was
read. These checks run before each command, so that they open a database only for what needs one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import duckdb
import ibis

from crmsync.config.yaml import nearest
from crmsync.model.tables import CANONICAL_TABLES, FieldType
from crmsync.sync.parsing import EPOCH_FORMATS, NOT_A, Way, constant
from crmsync.warehouse.types import KNOWN_SINCE, STREAM

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from crmsync.config.mapping import FieldMapping, StreamSettings
    from crmsync.model.actions import Scalar
    from crmsync.plugins.contract import RemoteField

# Fields that a mapping cannot give, and what they are made of.
_OWN = {"id": "the “key” of the stream", "connection": "the connection’s name"}

# Without these fields a table says nothing.
_NEEDED = {"activity": ("kind", "at"), "activity_link": ("activity",), "usage": ("day",)}

Mistake = tuple[tuple[str | int, ...], str]


def check_mapping(
    settings: StreamSettings, described: Sequence[RemoteField] | None = None
) -> list[Mistake]:
    """What is wrong with a mapping: the path of each mistake within the stream, and a sentence.

    ``described`` is the remote's description of its fields; None where it cannot be had.
    """
    mistakes: list[Mistake] = []
    for name, mapping in settings.fields.items():
        mistakes += _check_field(settings, name, mapping)
    for name in _NEEDED.get(settings.table, ()):
        if name not in settings.fields:
            sentence = f"“{name}” is not mapped, and {settings.table} means nothing without it"
            mistakes.append((("fields",), sentence))
    if settings.deleted is not None:
        mistakes += _check_values(("deleted",), settings.deleted, FieldType.BOOLEAN)
    if described is not None:
        mistakes += _check_columns(settings, {field.name for field in described})
    return mistakes


def _check_field(settings: StreamSettings, name: str, mapping: FieldMapping) -> Iterator[Mistake]:
    path = ("fields", name)
    table = CANONICAL_TABLES[settings.table]
    known = table.field(name)
    if name in _OWN:
        yield path, f"“{name}” cannot be mapped: it is made of {_OWN[name]}"
        return
    if known is None:
        yield from _check_custom(settings, name, mapping)
    to = mapping.type if known is None else known.type
    if to is not None:
        yield from _check_values(path, mapping, to)
    if known is not None and known.words:
        for where, value in _said(path, mapping).items():
            if value is not None and str(value).lower() not in known.words:
                hint = nearest(str(value), known.words)
                yield where, f"“{value}” is no {name} of {settings.table}{hint}"


def _check_custom(settings: StreamSettings, name: str, mapping: FieldMapping) -> Iterator[Mistake]:
    path = ("fields", name)
    # DuckDB takes names that differ in case only for one.
    taken = [field.name for field in CANONICAL_TABLES[settings.table].fields]
    taken += [other for other in settings.fields if other != name]
    alike = [other for other in taken if other.lower() == name.lower()]
    if alike:
        yield path, f"“{name}” differs from “{alike[0]}” in case only; choose another name"
    if name.lower() in {STREAM, KNOWN_SINCE} or name.startswith("_"):
        yield path, f"“{name}” is a name that crmsync keeps for itself; choose another"
    if mapping.references is not None and mapping.references not in CANONICAL_TABLES:
        hint = nearest(mapping.references, CANONICAL_TABLES)
        yield (*path, "references"), f"there is no table “{mapping.references}”{hint}"


def _check_values(
    path: tuple[str | int, ...], mapping: FieldMapping, to: FieldType
) -> Iterator[Mistake]:
    zone = mapping.time_zone or "UTC"
    if not _is_zone(zone):
        yield (
            (*path, "time_zone"),
            f"“{zone}” is not a time zone; write for example Europe/Zurich",
        )
        return
    for number, pattern in enumerate(mapping.format):
        wrong = _wrong_format(pattern, to)
        if wrong:
            yield (*path, "format", number), wrong
    for where, value in _said(path, mapping).items():
        if value is not None and to in NOT_A and not _is_one(value, to) and _cannot_be(value, to):
            yield where, f"“{value}” {NOT_A[to].partition(';')[0]}"


def _said(
    path: tuple[str | int, ...], mapping: FieldMapping
) -> dict[tuple[str | int, ...], Scalar]:
    """The values that the mapping itself gives, by their place."""
    said: dict[tuple[str | int, ...], Scalar] = {
        (*path, "values", key): value for key, value in mapping.values.items()
    }
    if not mapping.columns:
        said[*path, "value"] = mapping.value
    return said


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _wrong_format(pattern: str, to: FieldType) -> str | None:
    if to not in {FieldType.DATE, FieldType.INSTANT}:
        return f"a format is for dates and instants; this field is of type {to.value}"
    if pattern in EPOCH_FORMATS:
        return f"“{pattern}” is for instants" if to is FieldType.DATE else None
    if to is FieldType.DATE and ("%z" in pattern or "%Z" in pattern):
        return f"“{pattern}” has a time zone, and a date has none; leave it out"
    try:
        _engine().execute("SELECT try_strptime('', ?)", [pattern]).fetchall()
    except duckdb.Error as error:
        return (
            f"“{pattern}” is not a format: {str(error).strip().splitlines()[0].rpartition(': ')[2]}"
        )
    if "%" not in pattern:
        return f"“{pattern}” is not a format; write for example %d.%m.%Y"
    return None


def _is_one(value: object, to: FieldType) -> bool:
    """Whether YAML has read it as that type already."""
    match to:
        case FieldType.BOOLEAN:
            return isinstance(value, bool)
        case FieldType.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return False


def _cannot_be(value: object, to: FieldType) -> bool:
    expression = constant(value, to, Way()).name("value").as_table()
    backend = ibis.duckdb.from_connection(_engine())
    found: pa.Table = backend.to_pyarrow(expression)
    return bool(found.column("value").null_count)


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def _check_columns(settings: StreamSettings, there: set[str]) -> Iterator[Mistake]:
    read: dict[tuple[str | int, ...], str] = {
        ("key", number): column for number, column in enumerate(settings.key)
    }
    mappings: dict[tuple[str | int, ...], FieldMapping] = {
        ("fields", name): mapping for name, mapping in settings.fields.items()
    }
    if settings.deleted is not None:
        mappings |= {("deleted",): settings.deleted}
    for path, mapping in mappings.items():
        source = "join" if mapping.join else "column"
        read |= {(*path, source, number): name for number, name in enumerate(mapping.columns)}
    if settings.merged_into is not None:
        read[("merged_into",)] = settings.merged_into
    for where, column in read.items():
        if column not in there:
            yield where, f"there is no column “{column}”{nearest(column, there)}"
