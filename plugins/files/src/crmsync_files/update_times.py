"""When records last changed, as a column says it; and which of them are new enough."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = pa.timestamp("us")
_ZONED_TIME = pa.timestamp("us", "UTC")
_HAS_CLOCK_TIME = "[0-9][T ][0-9]"
_HAS_OFFSET = r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)$"
_CLOCK_CHANGE = timedelta(hours=1)
# What Arrow reads as Python does; the other directives are read value by value.
_DIRECTIVES_OF_ARROW = frozenset("YmdHMS%")


def microseconds(instant: datetime) -> int:
    """An aware instant as microseconds since 1970 UTC."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class UpdateTimes:
    """The update times of some records; null where there is none, or none that can be read.

    A value without an offset is taken as UTC: what it is compared with is of the same clock.

    Attributes:
        times: the instants.
        floors: no record that is written later has a lower time. A clock without an offset runs
            backwards by an hour once a year, so there it is an hour less.
    """

    times: pa.ChunkedArray
    floors: pa.ChunkedArray

    def highest(self, now: datetime) -> int | None:
        """The highest of the floors that is not in the future, in microseconds.

        A wrong date far ahead would otherwise make every later record look old.
        """
        past = pc.less_equal(self.floors, _instant(microseconds(now)))
        value: int | None = pc.max(pc.filter(self.floors, past)).cast(pa.int64()).as_py()
        return value

    def at_or_after(self, mark: int) -> pa.ChunkedArray:
        """Which records may have changed since the mark; those without a time may have."""
        return pc.fill_null(pc.greater_equal(self.times, _instant(mark)), fill_value=True)


def _instant(value: int) -> pa.Scalar:
    return pa.scalar(value, pa.int64()).cast(_TIME)


def read_update_times(column: pa.ChunkedArray, format_: str | None) -> UpdateTimes:
    """The update times in a column: instants, dates, or text in ISO 8601 or the given format."""
    if pa.types.is_date(column.type):
        times = column.cast(_TIME)
        return UpdateTimes(times=times, floors=times)
    if pa.types.is_timestamp(column.type):
        times = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False).cast(_TIME)
        has_offset = column.type.tz is not None
        return UpdateTimes(times=times, floors=times if has_offset else _earlier(times))
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        nothing = pa.chunked_array([pa.nulls(len(column), _TIME)])
        return UpdateTimes(times=nothing, floors=nothing)
    text = pc.utf8_trim_whitespace(column)
    text = pc.if_else(pc.equal(text, ""), None, text)
    return _iso(text) if format_ is None else _formatted(text, format_)


def _earlier(times: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.subtract(times, pa.scalar(_CLOCK_CHANGE, pa.duration("us")))


def _iso(text: pa.ChunkedArray) -> UpdateTimes:
    has_time = pc.match_substring_regex(text, _HAS_CLOCK_TIME)
    has_offset = pc.and_(has_time, pc.match_substring_regex(text, _HAS_OFFSET))
    try:
        zoned = pc.cast(pc.if_else(has_offset, text, None), _ZONED_TIME).cast(_TIME)
        bare = pc.cast(pc.if_else(has_offset, None, text), _TIME)
    except pa.ArrowInvalid:
        return _one_by_one(text, datetime.fromisoformat)
    earlier = pc.if_else(has_time, _earlier(bare), bare)
    return UpdateTimes(times=pc.coalesce(zoned, bare), floors=pc.coalesce(zoned, earlier))


def _formatted(text: pa.ChunkedArray, format_: str) -> UpdateTimes:
    directives = {after[:1] for after in format_.split("%")[1:]}
    if directives <= _DIRECTIVES_OF_ARROW:
        times = pc.strptime(text, format=format_, unit="us", error_is_null=True)
        return UpdateTimes(times=times, floors=_earlier(times) if "H" in directives else times)
    return _one_by_one(
        text,
        lambda value: datetime.strptime(value, format_),  # noqa: DTZ007  without an offset is allowed for
    )


def _one_by_one(text: pa.ChunkedArray, read: Callable[[str], datetime]) -> UpdateTimes:
    pairs = [_pair(value, read) for value in text.to_pylist()]
    return UpdateTimes(
        times=pa.chunked_array([pa.array([time for time, _ in pairs], _TIME)]),
        floors=pa.chunked_array([pa.array([floor for _, floor in pairs], _TIME)]),
    )


def _pair(
    value: str | None, read: Callable[[str], datetime]
) -> tuple[datetime | None, datetime | None]:
    if value is None:
        return None, None
    try:
        instant = read(value)
        if instant.tzinfo is not None:
            utc = instant.astimezone(UTC).replace(tzinfo=None)
            return utc, utc
        return instant, instant - _CLOCK_CHANGE
    except (ValueError, OverflowError):
        return None, None
