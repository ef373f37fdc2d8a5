"""The expressions that make a canonical row of a remote's row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.config.mapping import OTHERWISE
from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, PROBLEM, ROW
from crmsync.model.tables import ID_SEPARATOR, FieldType
from crmsync.sync.parsing import NOT_A, Way, clean_text, constant, not_a, read
from crmsync.warehouse.batch import POSITION
from crmsync.warehouse.types import DATA_TYPES

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.config.mapping import FieldMapping
    from crmsync.model.tables import Field
    from crmsync.sync.streams import MappedStream

WRONG = "_wrong"  # boolean: the row has a value that cannot be read, or no key

_LONGEST_SHOWN = 60  # characters of a value in a sentence
_KEY_SEPARATOR = "-"


class PageExpressions:
    """What becomes of the rows of a page.

    Args:
        page: the rows, in the remote's words.
        trimmed: text columns without white space at the edges.
    """

    def __init__(
        self,
        *,
        page: ir.Table,
        trimmed: frozenset[str],
        stream: MappedStream,
    ) -> None:
        self._page = page
        self._trimmed = trimmed
        self._stream = stream
        self._settings = stream.settings
        # Each a condition, and what is then to be said.
        self._problems: list[tuple[ir.BooleanValue, ir.StringValue]] = []
        self._key, self._no_key = self._read_key()
        # Fields that are not mapped are left out: the longer an expression, the dearer it is.
        self._fields = {
            field.name: self._read_field(self._settings.fields[field.name], field)
            for field in stream.table.fields
            if field.name in self._settings.fields
        }
        self._fields["id"] = ibis.literal(stream.connection + ID_SEPARATOR) + self._key
        self._merged_into = self._read_merged_into()
        self._deleted = self._read_deleted()

    def values(self) -> ir.Table:
        """The mapped fields, ``id`` and the service columns but the sentence, and ``_wrong``."""
        types = {field.name: DATA_TYPES[field.type] for field in self._stream.table.fields}
        return self._page.select(
            **{name: value.cast(types[name]) for name, value in self._fields.items()},
            **{
                POSITION: self._page[POSITION],
                DELETED: self._deleted,
                MERGED_INTO: self._merged_into,
                ORIGIN: self._optional(ORIGIN, "string"),
                ROW: self._optional(ROW, "int64"),
                WRONG: self._wrong() | self._optional(PROBLEM, "string").notnull(),
            },
        )

    def sentences(self) -> ir.Table:
        """For each row its position and, where something is wrong with it, what."""
        in_detail = ibis.cases((self._no_key, self._no_key_sentence()), *self._problems)
        origin = ibis.coalesce(self._optional(ORIGIN, "string"), ibis.literal(self._stream.name))
        place = ibis.coalesce(
            ", row " + self._optional(ROW, "int64").cast("string"),
            ", record “" + self._key + "”",
            ibis.literal(""),
        )
        said = ibis.ifelse(self._wrong(), origin + place + ": " + in_detail, ibis.null("string"))
        told = self._optional(PROBLEM, "string")
        return self._page.select(
            **{POSITION: self._page[POSITION], PROBLEM: ibis.coalesce(told, said)}
        )

    def _wrong(self) -> ir.BooleanValue:
        """A tombstone needs nothing but its key."""
        bad = ibis.literal(value=False)
        for condition, _ in self._problems:
            bad |= condition
        return self._no_key | (bad & ~self._deleted)

    def _read_key(self) -> tuple[ir.StringValue, ir.BooleanValue]:
        parts = [self._text(column) for column in self._settings.key]
        key, missing = parts[0], parts[0].isnull()
        for part in parts[1:]:
            key, missing = key + _KEY_SEPARATOR + part, missing | part.isnull()
        return key, missing

    def _no_key_sentence(self) -> str:
        columns = " or ".join(f"“{column}”" for column in self._settings.key)
        return f"there is nothing in {columns}, which is the key of the record"

    def _read_merged_into(self) -> ir.StringValue:
        remote = clean_text(self._optional(MERGED_INTO, "string"))
        if self._settings.merged_into is not None:
            remote = ibis.coalesce(remote, self._text(self._settings.merged_into))
        return ibis.literal(self._stream.connection + ID_SEPARATOR) + remote

    def _read_deleted(self) -> ir.BooleanValue:
        deleted = self._merged_into.notnull() | _surely(self._optional(DELETED, "boolean"))
        if "deleted_at" in self._fields:
            deleted |= self._fields["deleted_at"].notnull()
        if self._settings.deleted is not None:
            deleted |= _surely(self._read(self._settings.deleted, FieldType.BOOLEAN))
        return deleted

    def _read_field(self, mapping: FieldMapping, field: Field) -> ir.Value:
        """A field's value; where only some words are allowed, one of these, whatever its case."""
        value = self._read(mapping, field.type)
        if not field.words:
            return value
        word = value.lower()
        known = _surely(ibis.or_(*(word == allowed for allowed in field.words)))
        wanted = (
            f" is none of: {', '.join(field.words)}; translate it under “values” in the mapping"
        )
        shown = value.left(_LONGEST_SHOWN).re_replace(r"\s+", " ")
        told = f"” in {'/'.join(mapping.columns) or field.name}{wanted}"
        self._problems.append((value.notnull() & ~known, "“" + shown + told))
        return ibis.ifelse(known, word, ibis.null("string"))

    def _read(self, mapping: FieldMapping, to: FieldType) -> ir.Value:
        """A field's value; what cannot be read is added to the problems."""
        way = Way(
            formats=tuple(mapping.format),
            zone=mapping.time_zone or self._stream.company_zone,
            decimal=mapping.decimal,
            connection=self._stream.connection,
        )
        if not mapping.columns:
            return constant(mapping.value, to, way)
        source = self._source(mapping)
        value = read(source, to, way)
        text = clean_text(source) if not source.type().is_string() else source
        bad = text.notnull() & value.isnull()
        if mapping.values:
            value, translated = _translated(mapping, text, value, to, way)
            bad &= ~translated
        if to in NOT_A:
            shown = text.left(_LONGEST_SHOWN).re_replace(r"\s+", " ")
            wrong = not_a(to, mapping.format)
            self._problems.append((bad, "“" + shown + f"” in {'/'.join(mapping.columns)} {wrong}"))
        return value

    def _source(self, mapping: FieldMapping) -> ir.Value:
        """The column as it is, or trimmed text where it is text or made of several."""
        columns = [self._optional(name, "string") for name in mapping.columns]
        if len(columns) == 1 and not columns[0].type().is_string() and not mapping.values:
            return columns[0]
        texts = [self._text(name) for name in mapping.columns]
        if mapping.join:
            return ibis.literal(mapping.separator).join(texts).nullif("")
        return texts[0] if len(texts) == 1 else ibis.coalesce(*texts)

    def _text(self, column: str) -> ir.StringValue:
        return clean_text(self._optional(column, "string"), trimmed=column in self._trimmed)

    def _optional(self, name: str, otherwise: str) -> ir.Value:
        """A column, or nothing of that type where the page does not have it."""
        if name not in self._page.columns:
            return ibis.null(otherwise)
        column = self._page[name]
        return column.cast(otherwise) if column.type().is_null() else column


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
        branches.append((matches, constant(meant, to, way)))
        translated |= matches
    if OTHERWISE in mapping.values:
        # An empty value is not “everything else”: it has a key of its own.
        branches.append((text.notnull(), constant(mapping.values[OTHERWISE], to, way)))
        translated |= text.notnull()
    return ibis.cases(*branches, else_=value), translated


def _surely(said: ir.BooleanValue) -> ir.BooleanValue:
    """What is said, where unknown counts as no."""
    return ibis.coalesce(said, ibis.literal(value=False))
