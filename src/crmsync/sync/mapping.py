"""Turns pages in a remote's words into rows of a canonical table."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crmsync.config.yaml import nearest
from crmsync.errors import RejectedError
from crmsync.model import own_mail
from crmsync.model.addresses import readable, without_name
from crmsync.model.pages import DELETED, MERGED_INTO, PROBLEM, RESERVED_COLUMNS
from crmsync.sync.columns import put_together, trimmed_columns
from crmsync.sync.expressions import WRONG, PageExpressions
from crmsync.warehouse.batch import POSITION, SERVICE_COLUMNS
from crmsync.warehouse.database import Database
from crmsync.warehouse.types import DATA_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir

    from crmsync.sync.streams import MappedStream
    from crmsync.warehouse.texts import QueryTexts

_PAGE = "page"
# What is compared with addresses and domains of other records, and with those in mails.
_ADDRESSES = frozenset(
    {
        ("account", "domain"),
        ("activity", "addresses"),
        ("activity", "notice_address"),
        ("activity", "sender"),
        ("contact", "email"),
        ("user", "email"),
    }
)


class MappingEngine:
    """A DuckDB in memory in which rows are mapped; begun when it is first needed.

    Args:
        texts: mappings that were compiled before.
    """

    def __init__(self, texts: QueryTexts) -> None:
        self._texts = texts

    @cached_property
    def _database(self) -> Database:
        return Database(Path(":memory:"), read_only=False, texts=self._texts)

    def run(self, rows: pa.Table, key: str, build: Callable[[ir.Table], ir.Table]) -> pa.Table:
        """What a query makes of rows.

        Args:
            key: says the same of the same query over rows with the same columns.
        """
        with self._database.given(_PAGE, rows):
            columns = [(column.name, str(column.type)) for column in rows.schema]
            query = self._database.compiled(
                f"mapping {columns} {key}", lambda: build(self._database.table(_PAGE))
            )
            return self._database.query(query)

    def close(self) -> None:
        """Give the memory back."""
        if "_database" in self.__dict__:
            self._database.close()


class StreamMapper:
    """The mapping of one stream.

    A row with a value that cannot be read is answered with a sentence in ``_problem``.
    """

    def __init__(self, engine: MappingEngine, stream: MappedStream) -> None:
        self._engine = engine
        self._stream = stream

    def map(self, pages: Sequence[pa.Table]) -> pa.Table:
        """Rows of pages, in order, as a batch wants them.

        Raises:
            RejectedError: a column that the mapping reads is missing.
        """
        mapped = []
        position = 0
        for records in put_together(pages):
            mapped.append(self._map(records, position))
            position += records.num_rows
        return pa.concat_tables(mapped)

    def _map(self, records: pa.Table, first: int) -> pa.Table:
        self._refuse_missing(records)
        wanted = {*self._stream.settings.columns, *RESERVED_COLUMNS}
        given = records.select([name for name in records.column_names if name in wanted])
        positions = np.arange(first, first + records.num_rows, dtype=np.int64)
        given = given.append_column(POSITION, pa.array(positions))
        trimmed = trimmed_columns(given)
        mapped = self._run(given, trimmed, sentences=False)
        problems = pa.nulls(mapped.num_rows, pa.string())
        wrong = mapped.filter(mapped[WRONG])[POSITION]
        if len(wrong):
            # Sentences cost more than values, so they are made for the rows that need them.
            rows = given.filter(pc.is_in(given[POSITION], value_set=wrong.combine_chunks()))
            told = self._run(rows, trimmed, sentences=True).combine_chunks()
            at = pc.index_in(mapped[POSITION], value_set=told[POSITION].combine_chunks())
            problems = told[PROBLEM].take(at)
        return self._completed(mapped.append_column(PROBLEM, problems))

    def _completed(self, mapped: pa.Table) -> pa.Table:
        """The columns of a batch: those that were mapped, and the others empty."""
        count = mapped.num_rows
        columns = {}
        for field in self._stream.table.fields:
            if field.name in mapped.column_names:
                value = mapped[field.name]
                is_address = (self._stream.table.name, field.name) in _ADDRESSES
                columns[field.name] = _one_spelling(value) if is_address else value
            else:
                columns[field.name] = pa.nulls(count, DATA_TYPES[field.type].to_pyarrow())
        if "message_id" in mapped.column_names and "automated" in columns:
            columns["message_id"] = _bare(columns["message_id"])
            columns["automated"] = _or_ours(columns["automated"], columns["message_id"])
        columns["connection"] = pa.repeat(self._stream.connection, count)
        return pa.table(columns | {name: mapped[name] for name in SERVICE_COLUMNS})

    def _run(self, rows: pa.Table, trimmed: frozenset[str], *, sentences: bool) -> pa.Table:
        def build(page: ir.Table) -> ir.Table:
            expressions = PageExpressions(page=page, trimmed=trimmed, stream=self._stream)
            return expressions.sentences() if sentences else expressions.values()

        return self._engine.run(rows, f"{sentences} {sorted(trimmed)} {self._key}", build)

    @cached_property
    def _key(self) -> str:
        """Says the stream, its table and all of its mapping."""
        said = repr((self._stream, self._stream.settings.model_dump(mode="json")))
        return hashlib.sha256(said.encode()).hexdigest()

    def _refuse_missing(self, records: pa.Table) -> None:
        """A page that only says what is gone, or what could not be read, needs no more columns."""
        missing = [c for c in self._stream.settings.columns if c not in records.column_names]
        if not missing or not _needs_columns(records):
            return
        there = (name for name in records.column_names if name not in RESERVED_COLUMNS)
        raise RejectedError(
            f"{self._stream.connection}, stream {self._stream.name}: there is no column "
            f"“{missing[0]}”{nearest(missing[0], there)}"
        )


def _bare(message_id: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without the angle brackets that it has on the wire: mail is joined by it."""
    return pc.replace_substring_regex(message_id, r"^\s*<|>\s*$", "")


def _one_spelling(addresses: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without names, and with international domains as people write them."""
    odd = pc.match_substring_regex(addresses, r'(?i)\bxn--|[<("]|[^\x00-\x7f]').fill_null(
        fill_value=False
    )
    if not pc.any(odd).as_py():
        return addresses
    told = addresses.filter(odd).to_pylist()
    spelt = pa.array([readable(without_name(one)) for one in told], pa.string())
    return pc.replace_with_mask(addresses.combine_chunks(), odd.combine_chunks(), spelt)


def _or_ours(automated: pa.ChunkedArray, message_id: pa.ChunkedArray) -> pa.ChunkedArray:
    """Also automated is what crmsync itself has sent, whatever the remote says of it."""
    ours = pc.match_substring_regex(message_id, own_mail.PATTERN)
    return pc.if_else(ours.fill_null(fill_value=False), pa.scalar(value=True), automated)


def _needs_columns(records: pa.Table) -> bool:
    """Whether a row is neither a tombstone nor unreadable."""
    exempt = pa.array(np.zeros(records.num_rows, dtype=bool))
    if DELETED in records.column_names:
        exempt = pc.or_(exempt, records[DELETED].fill_null(fill_value=False))
    for name in (MERGED_INTO, PROBLEM):
        if name in records.column_names:
            exempt = pc.or_(exempt, records[name].is_valid())
    return not pc.all(exempt, min_count=0).as_py()
