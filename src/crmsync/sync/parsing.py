r"""What a remote writes, read as the types of the canonical tables: expressions, no loops.

Text is trimmed and empty text is nothing. Per type:

* number: ``1234.5``, ``1.2e6``, and with thousands in groups of three ``1,234.50``, ``1 234`` or
  ``1'234``; with ``decimal: ","`` comma and point change places. Kept with four decimal places.
* integer: a number without a fraction.
* boolean: true/false, yes/no, y/n, t/f, 1/0, in any case.
* date: ISO 8601, also with a time, whose date part counts as it is written and is never shifted
  by a zone; or the declared formats, tried in order.
* instant: ISO 8601 with an offset, else in the mapping's zone; a date alone is its midnight; or
  the declared formats in order, where ``%z`` is an offset; ``epoch_ms`` and ``epoch_s`` count
  from 1970 UTC. A local time that does not exist, because the clocks went forward over it, is
  moved forward with them (02:30 becomes 03:30); of one that exists twice the later is meant, in
  standard time. What is finer than a microsecond is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

from crmsync.model.tables import ID_SEPARATOR, FieldType
from crmsync.warehouse.types import DATA_TYPES, INSTANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

# Formats that are no strptime formats: microseconds in one unit of the number.
EPOCH_FORMATS = {"epoch_ms": 1_000, "epoch_s": 1_000_000}

NOT_A = {
    FieldType.NUMBER: "is not a number",
    FieldType.INTEGER: "is not a whole number",
    FieldType.BOOLEAN: "is neither yes nor no; translate it under “values” in the mapping",
    FieldType.DATE: "is not a date; declare its format in the mapping",
    FieldType.INSTANT: "is not a time; declare its format in the mapping",
}


def not_a(to: FieldType, formats: Sequence[str]) -> str:
    """What is said of a value that cannot be read as a type, in one of the declared formats."""
    if to not in {FieldType.DATE, FieldType.INSTANT} or not formats:
        return NOT_A[to]
    written = " or ".join(f"“{pattern}”" for pattern in formats)
    return f"{NOT_A[to].partition(';')[0]} in the declared format {written}"


_SPACE = " \t\n\r\v\f\u00a0\u2007\u202f\ufeff"
_GROUPS = "[,' \u00a0\u2009\u202f’]"
_PLAIN_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_GROUPED_NUMBER = rf"^[+-]?\d{{1,3}}({_GROUPS}\d{{3}})+(\.\d*)?$"
_WHOLE_NUMBER = r"^[+-]?\d+$"
_HAS_OFFSET = r":\d{2}.*([Zz]|[+-]\d{2}(:?\d{2})?)$"


_FIRST = ibis.literal(datetime(1, 1, 1, tzinfo=UTC), INSTANT)
_LAST = ibis.literal(datetime(9999, 12, 31, tzinfo=UTC), INSTANT)


def _of_one(_argument: object) -> None:
    """The shape of a function that DuckDB has and Ibis has no word for; never run."""


def _of_two(_first: object, _second: object) -> None:
    """The same, of two arguments."""


_function = ibis.udf.scalar.builtin
_two_texts = (dt.string, dt.string)
_trim = _function(_of_two, name="trim", signature=(_two_texts, dt.string))
_local_strptime = _function(_of_two, name="try_strptime", signature=(_two_texts, dt.timestamp))
_strptime = _function(_of_two, name="try_strptime", signature=(_two_texts, INSTANT))
_in_zone = _function(_of_two, name="timezone", signature=((dt.string, dt.timestamp), INSTANT))
_local_in = _function(_of_two, name="timezone", signature=((dt.string, INSTANT), dt.timestamp))
_from_microseconds = _function(_of_one, name="make_timestamptz", signature=((dt.int64,), INSTANT))


@dataclass(frozen=True, kw_only=True)
class Way:
    """How values are written.

    Attributes:
        zone: of instants without an offset, and of the midnight of dates.
        connection: what references get in front of them.
    """

    formats: tuple[str, ...] = ()
    zone: str = "UTC"
    decimal: str = "."
    connection: str = ""


def clean_text(column: ir.Column, *, trimmed: bool = False) -> ir.StringColumn:
    """Any column as trimmed text, null where that is empty; ``trimmed`` says that it is already."""
    if column.type().is_floating():
        # Keys that a table of numbers has made to 12.0 are 12.
        whole = column.try_cast("int64")
        text = ibis.ifelse(whole == column, whole.cast("string"), column.cast("string"))
    elif column.type().is_string():
        text = column
    else:
        text = column.cast("string")
    return (text if trimmed else _trim(text, _SPACE)).nullif("")


def read(column: ir.Column, to: FieldType, way: Way) -> ir.Column:
    """Trimmed text, or a column of the remote's own type, as a field's type; null where neither."""
    match to:
        case FieldType.TEXT:
            value = _text(column)
        case FieldType.REFERENCE:
            value = ibis.literal(way.connection + ID_SEPARATOR) + _text(column)
        case FieldType.NUMBER:
            value = _number(column, way.decimal)
        case FieldType.INTEGER:
            value = _integer(column, way.decimal)
        case FieldType.BOOLEAN:
            # DuckDB's own cast reads the words above and no others.
            value = _text(column).try_cast("boolean")
        case FieldType.DATE:
            value = _date(column, way)
        case FieldType.INSTANT:
            value = _instant(column, way)
            value = ibis.ifelse(value.between(_FIRST, _LAST), value, ibis.null(INSTANT))
    return value


def constant(value: object, to: FieldType, way: Way) -> ir.Value:
    """What the mapping itself says, as a field's type; written the plain way."""
    if value is None:
        return ibis.null(DATA_TYPES[to])
    text = str(value).lower() if isinstance(value, bool) else str(value)
    plain = Way(zone=way.zone, connection=way.connection)
    return read(ibis.literal(text), to, plain)


def _number(column: ir.Column, decimal: str) -> ir.DecimalColumn:
    exact = DATA_TYPES[FieldType.NUMBER]
    if column.type().is_numeric():
        return column.try_cast(exact)
    return _number_text(_text(column), decimal).try_cast(exact)


def _number_text(text: ir.StringColumn, decimal: str) -> ir.StringColumn:
    """A number as the cast reads it, else null."""
    if decimal == ",":
        text = text.translate(",.", ".,")
    grouped = ibis.ifelse(
        text.re_search(_GROUPED_NUMBER), text.re_replace(_GROUPS, ""), ibis.null("string")
    )
    return ibis.ifelse(text.re_search(_PLAIN_NUMBER), text, grouped)


def _integer(column: ir.Column, decimal: str) -> ir.IntegerColumn:
    if column.type().is_integer():
        return column.try_cast("int64")
    if column.type().is_numeric():
        whole = column.try_cast("int64")
        return ibis.ifelse(whole == column, whole, ibis.null("int64"))
    text = _number_text(_text(column), decimal)
    number = text.try_cast(DATA_TYPES[FieldType.NUMBER])
    rounded = number.try_cast("int64")
    return ibis.ifelse(
        text.re_search(_WHOLE_NUMBER),
        text.try_cast("int64"),
        ibis.ifelse(rounded == number, rounded, ibis.null("int64")),
    )


def _date(column: ir.Column, way: Way) -> ir.DateColumn:
    kind = column.type()
    if kind.is_date():
        return column
    if kind.is_timestamp():
        return (_local_in(kind.timezone, column) if kind.timezone else column).date()
    text = _text(column)
    if way.formats:
        value = ibis.coalesce(
            *(_local_strptime(text, pattern) for pattern in way.formats)
        ).try_cast("date")
    else:
        with_time = text.like("____-__-__T__:%") | text.like("____-__-__ __:%")
        whole = (text.length() == len("2026-01-31")) & text.like("____-__-__")
        valid_time = with_time & text.upper().try_cast(INSTANT).notnull()
        value = ibis.ifelse(whole | valid_time, text.left(10), ibis.null("string")).try_cast("date")
    in_range = value.between(ibis.literal(date(1, 1, 1)), ibis.literal(date(9999, 12, 31)))
    return ibis.ifelse(in_range, value, ibis.null("date"))


def _instant(column: ir.Column, way: Way) -> ir.TimestampColumn:
    kind = column.type()
    if kind.is_date():
        return _in_zone(way.zone, column.cast("timestamp"))
    if kind.is_timestamp():
        return (
            column.cast(INSTANT)
            if kind.timezone
            else _in_zone(way.zone, column.cast("timestamp(6)"))
        )
    text = _text(column)
    if way.formats:
        return ibis.coalesce(*(_formatted(text, pattern, way.zone) for pattern in way.formats))
    iso = ibis.ifelse(text.like("____-__-__%"), text, ibis.null("string"))
    # In small letters, as RFC 3339 allows, DuckDB does not read it.
    instant = ibis.coalesce(iso.try_cast(INSTANT), iso.upper().try_cast(INSTANT))
    if way.zone == "UTC":
        return instant
    local = _in_zone(way.zone, iso.upper().try_cast("timestamp"))
    return ibis.ifelse(iso.re_search(_HAS_OFFSET), instant, local)


def _formatted(text: ir.StringColumn, pattern: str, zone: str) -> ir.TimestampColumn:
    if pattern in EPOCH_FORMATS:
        number = text.try_cast("decimal(38, 6)") * EPOCH_FORMATS[pattern]
        return _from_microseconds(number.try_cast("int64"))
    if "%z" in pattern or "%Z" in pattern:
        return _strptime(text, pattern)
    return _in_zone(zone, _local_strptime(text, pattern))


def _text(column: ir.Column) -> ir.StringColumn:
    return column if column.type().is_string() else clean_text(column)
