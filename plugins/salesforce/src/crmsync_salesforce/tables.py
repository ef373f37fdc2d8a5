"""Answers of the org as Arrow tables: text, as the org wrote it, whichever way it came."""

from __future__ import annotations

import csv
import io
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from crmsync.model.pages import DELETED, MERGED_INTO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync_salesforce.describing import Plan

_BLOCK_BYTES = 8 * 2**20  # more than the longest record
_CHUNK = 2**20


def rows_as_table(records: Sequence[dict[str, Any]], selected: Sequence[str]) -> pa.Table:
    """Records of a query, a column for each path."""
    columns = {}
    for path in selected:
        names = path.split(".")
        columns[path] = pa.array([_text(record, names) for record in records], pa.string())
    return pa.table(columns)


def _text(record: dict[str, Any], names: Sequence[str]) -> str | None:
    value: Any = record
    for name in names:
        if value is None:
            return None
        value = value.get(name)
    if value is None or isinstance(value, str):
        return value
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def csv_as_tables(source: IO[bytes], selected: Sequence[str]) -> Iterator[pa.Table]:
    """A page of a bulk job's results, in parts; its first line may be the header, or not."""
    first = source.readline()
    head = next(csv.reader([first.decode()]), [])
    named = sorted(head) == sorted(selected)
    rest: IO[bytes] = source if named else io.BufferedReader(_Chained(first, source), _CHUNK)
    if not _has_more(rest):
        return
    reader = arrow_csv.open_csv(
        rest,
        read_options=arrow_csv.ReadOptions(
            column_names=head if named else list(selected),
            block_size=_BLOCK_BYTES,
            use_threads=False,  # they read far ahead, and hold it all
        ),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(selected, pa.string()),
            # The org has no empty texts: what is empty is null. “NA” and “NULL” are names.
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    for batch in reader:
        yield pa.Table.from_batches([batch]).select(list(selected))


def _has_more(source: IO[bytes]) -> bool:
    assert isinstance(source, io.BufferedReader)  # noqa: S101  all that come here are
    return bool(source.peek(1))


class _Chained(io.RawIOBase):
    """Some bytes, and then what a source holds."""

    def __init__(self, head: bytes, source: IO[bytes]) -> None:
        self._parts = chain([head], iter(lambda: source.read(_CHUNK), b""))
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  any buffer
        while not self._left:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._left = part
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def page_table(found: pa.Table, plan: Plan, columns: Sequence[str]) -> pa.Table:
    """What a page carries: the mapping's columns, and what the core knows by its own names."""
    table = found
    for name in plan.instants:
        # JSON and CSV write the same instant in two ways.
        column = pc.replace_substring_regex(table[name], r"\+0000$", "Z")
        table = table.set_column(table.schema.get_field_index(name), name, column)
    for column, prefix in plan.prefixes.items():
        path = column.partition(":")[0]
        matching = pc.starts_with(table[path], prefix)
        table = table.append_column(column, pc.if_else(matching, table[path], None))
    own = [name for name in ("Id", plan.changed) if name is not None]
    wanted = dict.fromkeys((*own, *(c for c in columns if c not in plan.missing)))
    page = table.select(list(wanted))
    for column in columns:
        if column in plan.missing:
            page = page.append_column(column, pa.nulls(page.num_rows, pa.string()))
    if plan.deletable:
        deleted = pc.equal(table["IsDeleted"], "true")
        page = page.append_column(DELETED, deleted)
        if plan.mergeable:
            winner = pc.if_else(deleted, table["MasterRecordId"], None)
            page = page.append_column(MERGED_INTO, winner)
    return page


def tombstones(
    ids: Sequence[str], at: Sequence[str], plan: Plan, columns: Sequence[str]
) -> pa.Table:
    """A page that says of records only that they are gone, and since when."""
    names = dict.fromkeys(("Id", *((plan.changed,) if plan.changed else ()), *columns))
    values: dict[str, Any] = {name: pa.nulls(len(ids), pa.string()) for name in names}
    values["Id"] = pa.array(ids, pa.string())
    if plan.changed is not None:
        values[plan.changed] = pa.array(at, pa.string())
    values[DELETED] = pa.array([True] * len(ids), pa.bool_())
    return pa.table(values)
