"""What the ends of a time test sweep over while the clock goes on, and when they meet a value.

A time passes a test by where it lies between ends that `crmsync.rules.evaluation.calendar`
computes for each instant. So the passing of time changes its verdict only when an end reaches it.
Between two instants that are the values between the end's first place and its last one, whatever
the ends are made of: business days, midnights, zones or days on which clocks change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from crmsync.model.durations import Duration
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import HISTORY, Past

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.rules.conditions import Test
    from crmsync.rules.evaluation.calendar import Bound, Bounds, Calendar

_MOMENT = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_HALF_HOUR = timedelta(minutes=30)
_JUMP = timedelta(hours=1)  # the most by which clocks are put forward or back
# With these, a value that lies on the end passes: it is met when the end leaves it.
_LEAVES = ("least", "below")
_REACHES = ("most", "above")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Values that an end has met.

    Attributes:
        leaves: whether ``low`` belongs to them and ``high`` does not; else it is the other way.
    """

    low: Bound
    high: Bound
    leaves: bool


def sweeps(test: Test, kind: FieldType, start: Calendar, until: datetime) -> frozenset[Sweep]:
    """What a test's ends sweep over from an instant (left out) until another one.

    A value outside of them passes the test at both instants, and at all between them, or at none.
    """
    found = swept(test, kind, start, until).values()
    return frozenset(sweep for sweep in found if sweep.low != sweep.high)


def swept(test: Test, kind: FieldType, start: Calendar, until: datetime) -> dict[str, Sweep]:
    """The same by what each sweep is called; those that have not begun yet are as long as nothing.

    A test's sweeps have the same names at all times.
    """
    if not _goes_with_time(test, kind, start):
        return {}
    bounds = [_bounds(test, kind, start, instant) for instant in _corners(test, kind, start, until)]
    found: dict[str, Sweep] = {}
    for names, leaves in ((_LEAVES, True), (_REACHES, False)):
        for name in names:
            places = [place for at in bounds if (place := getattr(at, name)) is not None]
            if not places:
                continue
            low, high = min(places), max(places)
            if low != high and _goes_back(test, kind):
                # Where an end goes by local time, a day on which clocks change lets it jump.
                low, high = low - _JUMP, high + _JUMP
            found[name] = Sweep(low=low, high=high, leaves=leaves)
            if test.operator in HISTORY:  # what is known is held against the end both ways
                found[f"{name}, back"] = Sweep(low=low, high=high, leaves=not leaves)
    return found


def meetings(
    value: Bound, test: Test, kind: FieldType, start: Calendar, until: datetime
) -> Iterator[datetime]:
    """The instants (UTC) after ``start`` and up to ``until`` at which a value's verdict turns."""
    if not _goes_with_time(test, kind, start):
        return
    passes = _passes(value, _bounds(test, kind, start, start.now))
    for instant in _candidates(value, test, kind, start, until):
        now = _passes(value, _bounds(test, kind, start, instant))
        if now != passes:
            yield instant.astimezone(UTC)
        passes = now


def midnights(start: Calendar, until: datetime) -> Iterator[datetime]:
    """The instants after ``start``, up to ``until``, at which a day begins in its zone."""
    day = start.today + _DAY
    while (instant := start.midnight(day)) <= until:
        if instant > start.now:
            yield instant
        day += _DAY


@lru_cache(maxsize=4096)
def _goes_with_time(test: Test, kind: FieldType, start: Calendar) -> bool:
    """Whether the ends are not the same at all times."""
    if isinstance(test.operand, bool):
        return False
    at = test.operand.at if isinstance(test.operand, Past) else None
    if isinstance(at, date) and not isinstance(at, datetime):
        # As long as that day is not over, which is so in some zones and no longer in others.
        return True
    far = replace(start, now=start.now + timedelta(days=10))
    return far.bounds(test, kind) != start.bounds(test, kind)


def _is_continuous(test: Test, kind: FieldType) -> bool:
    """Whether the ends go with the clock, not with the days."""
    operand = getattr(test.operand, "in_last", None) or getattr(test.operand, "at", test.operand)
    return kind is FieldType.INSTANT and isinstance(operand, Duration) and not operand.business_days


def _goes_back(test: Test, kind: FieldType) -> bool:
    """Whether an end may lie earlier than before: it goes by clocks, which are put back."""
    return kind is FieldType.INSTANT and not _is_continuous(test, kind)


def _corners(test: Test, kind: FieldType, start: Calendar, until: datetime) -> Iterator[datetime]:
    yield start.now
    if _goes_back(test, kind):
        for corner in _breaks(start, until):
            yield corner - _MOMENT
            yield corner
    yield until


def _breaks(start: Calendar, until: datetime) -> Iterator[datetime]:
    """Where local time does not go on evenly, or a day begins."""
    yield from midnights(start, until)
    yield from (change for change in _clock_changes(start, until) if start.now < change <= until)


def _clock_changes(start: Calendar, until: datetime) -> Iterator[datetime]:
    """The instants at which the clocks of the zone are put forward or back."""
    low = start.now.astimezone(UTC)
    while low < until:
        high = min(low + _DAY, until.astimezone(UTC))
        if low.astimezone(start.zone).utcoffset() != high.astimezone(start.zone).utcoffset():
            yield _clock_change(start, low, high)
        low = high


def _clock_change(start: Calendar, low: datetime, high: datetime) -> datetime:
    offset = low.astimezone(start.zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(start.zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def _candidates(
    value: Bound, test: Test, kind: FieldType, start: Calendar, until: datetime
) -> list[datetime]:
    """Instants at which the verdict on a value can turn; between them it does not."""
    found: set[datetime] = set()
    if _is_continuous(test, kind) and isinstance(value, datetime):
        now = _bounds(test, kind, start, start.now)
        for end in (now.least, now.most, now.above, now.below):
            if isinstance(end, datetime):
                met = start.now + (value - end)
                found |= {met, met + _MOMENT}
    else:
        found |= set(midnights(start, until))
        if isinstance(value, datetime):
            days = [start.today, *(m.astimezone(start.zone).date() for m in found)]
            clocks = _clocks(value, start)
            ends = {_at(day, clock, start) for day in days for clock in clocks}
            found |= ends | {instant + _MOMENT for instant in ends}
            found |= set(_clock_changes(start, until))
    return sorted(instant for instant in found if start.now < instant <= until)


def _clocks(value: datetime, start: Calendar) -> list[time]:
    """The times of day at which an end that has the present's time of day can meet a value."""
    clocks = [value.astimezone(start.zone).time()]
    around = {(value + days).astimezone(start.zone).utcoffset() for days in (-_DAY, _DAY)}
    if len(around) > 1:  # clocks change on its day: ends jump there
        clocks += [(datetime.combine(date.min, time()) + i * _HALF_HOUR).time() for i in range(48)]
        moved = [
            datetime.combine(date(2000, 1, 2), clocks[0]) + i * _HALF_HOUR for i in (-2, -1, 1, 2)
        ]
        clocks += [instant.time() for instant in moved]
    return [clock.replace(fold=fold) for clock in clocks for fold in (0, 1)]


def _at(day: date, clock: time, start: Calendar) -> datetime:
    return datetime.combine(day, clock, tzinfo=start.zone).astimezone(UTC)


@lru_cache(maxsize=1 << 16)
def _bounds(test: Test, kind: FieldType, start: Calendar, instant: datetime) -> Bounds:
    return replace(start, now=instant).bounds(test, kind)


def _passes(value: Bound, bounds: Bounds) -> bool:
    # A date is held against dates and an instant against instants.
    return not (
        (bounds.least is not None and value < bounds.least)
        or (bounds.most is not None and value > bounds.most)
        or (bounds.above is not None and value <= bounds.above)
        or (bounds.below is not None and value >= bounds.below)
    )
