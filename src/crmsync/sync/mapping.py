"""Turns pages in a remote's words into rows of a canonical table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from crmsync.config.mapping import OTHERWISE
from crmsync.config.yaml import nearest
from crmsync.errors import RejectedError
from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, PROBLEM, RESERVED_COLUMNS, ROW
from crmsync.model.tables import ID_SEPARATOR, FieldType
from crmsync.sync.parsing import Way, clean_text, read
from crmsync.warehouse.batch import POSITION
from crmsync.warehouse.types import DATA_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from crmsync.config.mapping import FieldMapping, StreamSettings
    from crmsync.model.tables import Table

_PAGE = "page"
_LONGEST_SHOWN = 60  # characters of a value in a sentence
_KEY_SEPARATOR = "-"

_NOT_A = {
    FieldType.NUMBER: "is not a number",
    FieldType.INTEGER: "is not a whole number",
    FieldType.BOOLEAN: "is neither yes nor no; translate it under “values” in the mapping",
    FieldType.DATE: "is not a date; declare its format in the mapping",
    FieldType.INSTANT: "is not a time; declare its format in the mapping",
}


class StreamMapper:
    """The mapping of one stream, run in a DuckDB of its own in memory.

    A row with a value that cannot be read is answered with a sentence in ``_problem``.
    """

    def __init__(
        self,
        *,
        connection: str,
        stream: str,
        settings: StreamSettings,
        table: Table,
        company_zone: str,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._settings = settings
        self._table = table
        self._zone = company_zone
        self._backend = ibis.duckdb.connect()
        self._columns = set(settings.columns)

    def close(self) -> None:
        """Give the memory back."""
        self._backend.disconnect()

    def map(self, pages: Sequence[pa.Table]) -> pa.Table:
        """Rows of pages, in order, as a batch wants them.

        Raises:
            RejectedError: a column that the mapping reads is missing.
        """
        mapped = []
        position = 0
        for records in _alike(pages):
            mapped.append(self._map(records, position))
            position += records.num_rows
        return pa.concat_tables(mapped)

    def _map(self, records: pa.Table, first: int) -> pa.Table:
        self._refuse_missing(records)
        positions = pa.array(np.arange(first, first + records.num_rows, dtype=np.int64))
        read_columns = [
            name for name in records.column_names if name in self._columns | {*RESERVED_COLUMNS}
        ]
        given = records.select(read_columns).append_column(POSITION, positions)
        self._backend.con.register(_PAGE, given)
        try:
            expression = self._expression(self._backend.table(_PAGE))
            return self._backend.to_pyarrow(expression)
        finally:
            self._backend.con.unregister(_PAGE)

    def _refuse_missing(self, records: pa.Table) -> None:
        """A page that only says what is gone, or what could not be read, needs no more columns."""
        missing = [c for c in self._settings.columns if c not in records.column_names]
        if not missing or not _needs_columns(records):
            return
        there = (name for name in records.column_names if name not in RESERVED_COLUMNS)
        raise RejectedError(
            f"{self._connection}, stream {self._stream}: there is no column "
            f"“{missing[0]}”{nearest(missing[0], there)}"
        )

    def _expression(self, page: ir.Table) -> ir.Table:
        fields: dict[str, ir.Value] = {}
        problems: list[tuple[ir.BooleanValue, ir.StringValue]] = []
        for field in self._table.fields:
            mapping = self._settings.fields.get(field.name)
            fields[field.name] = (
                ibis.null(DATA_TYPES[field.type])
                if mapping is None
                else self._field(page, mapping, field.type, problems)
            )
        key = self._key(page)
        fields["id"] = ibis.literal(self._connection + ID_SEPARATOR) + key[0]
        fields["connection"] = ibis.literal(self._connection)
        merged_into = self._merged_into(page)
        deleted = fields["deleted_at"].notnull() | merged_into.notnull()
        if DELETED in page.columns:
            deleted |= _surely(page[DELETED])
        if self._settings.deleted is not None:
            said = self._field(page, self._settings.deleted, FieldType.BOOLEAN, problems)
            deleted |= _surely(said)
        types = {field.name: DATA_TYPES[field.type] for field in self._table.fields}
        return page.select(
            **{name: value.cast(types[name]) for name, value in fields.items()},
            **{
                POSITION: page[POSITION],
                DELETED: deleted,
                MERGED_INTO: merged_into,
                ORIGIN: _optional(page, ORIGIN, "string"),
                ROW: _optional(page, ROW, "int64"),
                PROBLEM: self._problem(page, deleted, key, problems),
            },
        )

    def _key(self, page: ir.Table) -> tuple[ir.StringValue, ir.BooleanValue]:
        parts = [self._text(page, column) for column in self._settings.key]
        missing = parts[0].isnull()
        key = parts[0]
        for part in parts[1:]:
            missing |= part.isnull()
            key = key + _KEY_SEPARATOR + part
        return key, missing

    def _no_key_sentence(self) -> str:
        columns = " and ".join(f"“{column}”" for column in self._settings.key)
        return f"there is nothing in {columns}, which is the key of the record"

    def _merged_into(self, page: ir.Table) -> ir.StringValue:
        remote = _optional(page, MERGED_INTO, "string")
        if self._settings.merged_into is not None:
            remote = ibis.coalesce(remote, self._text(page, self._settings.merged_into))
        return ibis.literal(self._connection + ID_SEPARATOR) + clean_text(remote)

    def _text(self, page: ir.Table, column: str) -> ir.StringValue:
        return clean_text(_optional(page, column, "string"))

    def _field(
        self,
        page: ir.Table,
        mapping: FieldMapping,
        to: FieldType,
        problems: list[tuple[ir.BooleanValue, ir.StringValue]],
    ) -> ir.Value:
        """A field's value; what cannot be read is added to the problems."""
        way = Way(
            formats=tuple(mapping.format),
            zone=mapping.time_zone or self._zone,
            decimal=mapping.decimal,
            connection=self._connection,
        )
        if not mapping.columns:
            return _constant(mapping.value, to, way)
        source = self._source(page, mapping)
        value = read(source, to, way)
        text = clean_text(source) if not source.type().is_string() else source
        bad = text.notnull() & value.isnull()
        if mapping.values:
            value, translated = _translated(mapping, text, value, to, way)
            bad &= ~translated
        if to in _NOT_A:
            shown = text.left(_LONGEST_SHOWN).re_replace(r"\s+", " ")
            problems.append((bad, "“" + shown + f"” in {'/'.join(mapping.columns)} {_NOT_A[to]}"))
        return value

    def _source(self, page: ir.Table, mapping: FieldMapping) -> ir.Value:
        """The column as it is, or trimmed text where it is text or made of several."""
        columns = [_optional(page, name, "string") for name in mapping.columns]
        if len(columns) == 1 and not columns[0].type().is_string() and not mapping.values:
            return columns[0]
        texts = [clean_text(column) for column in columns]
        if mapping.join:
            return ibis.literal(mapping.separator).join(texts).nullif("")
        return texts[0] if len(texts) == 1 else ibis.coalesce(*texts)

    def _problem(
        self,
        page: ir.Table,
        deleted: ir.BooleanValue,
        key: tuple[ir.StringValue, ir.BooleanValue],
        problems: list[tuple[ir.BooleanValue, ir.StringValue]],
    ) -> ir.StringValue:
        """The sentence for a row that cannot be used; a tombstone needs nothing but its key."""
        text, no_key = key
        bad = ibis.literal(value=False)
        for wrong, _ in problems:
            bad |= wrong
        bad = no_key | (bad & ~deleted)
        details = [(no_key, ibis.literal(self._no_key_sentence())), *problems]
        detail = ibis.cases(*details) if details else ibis.null("string")
        origin = ibis.coalesce(_optional(page, ORIGIN, "string"), ibis.literal(self._stream))
        row = _optional(page, ROW, "int64").cast("string")
        place = origin + ibis.coalesce(" row " + row, " record “" + text + "”", ibis.literal(""))
        told = _optional(page, PROBLEM, "string")
        return ibis.coalesce(told, ibis.ifelse(bad, place + ": " + detail, ibis.null("string")))


def _constant(value: object, to: FieldType, way: Way) -> ir.Value:
    """What the mapping itself says, as a field's type; written the plain way."""
    if value is None:
        return ibis.null(DATA_TYPES[to])
    text = str(value).lower() if isinstance(value, bool) else str(value)
    plain = Way(zone=way.zone, connection=way.connection)
    return read(ibis.literal(text), to, plain)


def _translated(
    mapping: FieldMapping, text: ir.StringValue, value: ir.Value, to: FieldType, way: Way
) -> tuple[ir.Value, ir.BooleanValue]:
    """The value after translation, and whether the text was translated."""
    branches = []
    translated = ibis.literal(value=False)
    for key, meant in mapping.values.items():
        if key == OTHERWISE:
            continue
        matches = _surely(text.isnull() if key == "" else text == key)
        branches.append((matches, _constant(meant, to, way)))
        translated |= matches
    if OTHERWISE in mapping.values:
        # An empty value is not “everything else”: it has a key of its own.
        branches.append((text.notnull(), _constant(mapping.values[OTHERWISE], to, way)))
        translated |= text.notnull()
    return ibis.cases(*branches, else_=value), translated


def _surely(said: ir.BooleanValue) -> ir.BooleanValue:
    """What is said, where unknown counts as no."""
    return ibis.coalesce(said, ibis.literal(value=False))


def _optional(page: ir.Table, name: str, otherwise: str) -> ir.Value:
    if name not in page.columns:
        return ibis.null(otherwise)
    column = page[name]
    return column.cast(otherwise) if column.type().is_null() else column


def _needs_columns(records: pa.Table) -> bool:
    """Whether a row is neither a tombstone nor unreadable."""
    exempt = pa.array(np.zeros(records.num_rows, dtype=bool))
    if DELETED in records.column_names:
        exempt = pc.or_(exempt, records[DELETED].fill_null(fill_value=False))
    for name in (MERGED_INTO, PROBLEM):
        if name in records.column_names:
            exempt = pc.or_(exempt, records[name].is_valid())
    return not pc.all(exempt, min_count=0).as_py()


def _alike(pages: Sequence[pa.Table]) -> list[pa.Table]:
    """Pages put together where they have the same columns, in order."""
    groups: list[list[pa.Table]] = []
    for page in pages:
        records = _without_dictionaries(page)
        if groups and groups[-1][0].schema.equals(records.schema):
            groups[-1].append(records)
        else:
            groups.append([records])
    return [pa.concat_tables(group) for group in groups]


def _without_dictionaries(records: pa.Table) -> pa.Table:
    for index, field in enumerate(records.schema):
        if pa.types.is_dictionary(field.type):
            column = records.column(index).cast(field.type.value_type)
            records = records.set_column(index, field.name, column)
    return records
