"""Days and instants that clauses compare with: resolved here, in Python, for each time zone.

DuckDB is never asked what day it is somewhere; it only compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from crmsync.model.business_days import add_business_days, is_business_day
from crmsync.model.durations import Duration
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Change, Enrolled, Operator, Past, Test, Today

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_BACKWARD = frozenset({Operator.IN_LAST, Operator.OLDER_THAN})

_DAY = timedelta(days=1)

Bound = date | datetime
# A year on each side is left free, since converting between zones must not overflow.
_FIRST_DAY, _LAST_DAY = date(2, 1, 1), date(9998, 12, 31)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The ends between which a time passes a test; both inclusive, except ``above`` and ``below``.

    None where that side is open.
    """

    least: Bound | None = None
    most: Bound | None = None
    above: Bound | None = None
    below: Bound | None = None


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """One instant as it is seen in one time zone.

    Attributes:
        now: aware.
        country: whose public holidays are no business days.
        enrolled: the instant that ``enrolled`` stands for; None where nobody asks for it.
    """

    now: datetime
    zone: ZoneInfo
    country: str | None
    enrolled: datetime | None = None

    @cached_property
    def local(self) -> datetime:
        """The instant on a clock on the wall there."""
        return self.now.astimezone(self.zone)

    @property
    def today(self) -> date:
        """The date there."""
        return self.local.date()

    def shifted(self, duration: Duration, kind: FieldType, *, back: bool) -> Bound:
        """Today (for dates) or now (for instants), a duration later or back.

        Business days keep the time of day. Where nobody works, time stands still: it is the end of
        the working day before and the begin of the next one. So the answer never goes back.
        """
        sign = -1 if back else 1
        try:
            if not duration.business_days:
                if kind is FieldType.DATE:
                    return self.today + sign * duration.length
                return (self.now + sign * duration.length).astimezone(UTC)
            day = add_business_days(self.today, sign * duration.business_days, self.country)
            if kind is FieldType.DATE:
                return day
            if is_business_day(self.today, self.country):
                return self._at_this_time(day)
            return self.midnight(day if back else day + timedelta(days=1))
        except OverflowError:
            return self._end_of_time(kind, back=back)

    def instant_after(self, duration: Duration) -> datetime:
        """Now, a duration later: days keep the time of day, also when clocks are changed.

        Business days do so from any day on.
        """
        try:
            if duration.business_days:
                day = add_business_days(self.today, duration.business_days, self.country)
            elif duration.length % _DAY:
                return (self.now + duration.length).astimezone(UTC)
            else:
                day = self.today + duration.length
            return self._at_this_time(day)
        except OverflowError:
            return datetime.combine(_LAST_DAY, time(), tzinfo=UTC)

    def _at_this_time(self, day: date) -> datetime:
        local = datetime.combine(day, self.local.timetz().replace(fold=0))
        return local.astimezone(UTC)

    @staticmethod
    def _end_of_time(kind: FieldType, *, back: bool) -> Bound:
        day = _FIRST_DAY if back else _LAST_DAY
        return day if kind is FieldType.DATE else datetime.combine(day, time(), tzinfo=UTC)

    def midnight(self, day: date) -> datetime:
        """When a day begins there, in UTC."""
        return datetime.combine(day, time(), tzinfo=self.zone).astimezone(UTC)

    def bounds(self, test: Test, kind: FieldType) -> Bounds:
        """Between which ends a time must lie to pass; the operand is no other field.

        A day that an instant is compared with is that whole day: *before* it, *after* it,
        from its midnight, until the next one.
        """
        operand = test.operand
        if isinstance(operand, Change):
            since = operand.in_last
            return Bounds() if since is None else Bounds(least=self.shifted(since, kind, back=True))
        if isinstance(operand, Past):
            return Bounds(most=self._then(operand.at))
        if isinstance(operand, Duration):
            end = self.shifted(operand, kind, back=test.operator in _BACKWARD)
            start = self.today if kind is FieldType.DATE else self.now.astimezone(UTC)
            match test.operator:
                case Operator.IN_NEXT:
                    return Bounds(least=start, most=end)
                case Operator.IN_LAST:
                    return Bounds(least=end, most=start)
                case Operator.OLDER_THAN:
                    return Bounds(most=end)
                case _:
                    return Bounds(least=end)
        if isinstance(operand, Enrolled):
            operand = self._enrolment(kind)
        low, high = operand if isinstance(operand, tuple) else (operand, operand)
        match test.operator:
            case Operator.BEFORE:
                return Bounds(below=self._begin(low, kind))
            case Operator.AFTER:
                return self._after(low, kind)
            case _:
                return Bounds(least=self._begin(low, kind), **self._until(high, kind))

    def _enrolment(self, kind: FieldType) -> date | datetime:
        if self.enrolled is None:
            raise TypeError("“enrolled” was asked of no enrolment")
        return (
            self.enrolled.astimezone(self.zone).date() if kind is FieldType.DATE else self.enrolled
        )

    def _then(self, at: Duration | date | datetime) -> Bound:
        """That long ago, that instant, or the end of that day; of today, as much as has passed."""
        if isinstance(at, Duration):
            return self.shifted(at, FieldType.INSTANT, back=True)
        if isinstance(at, datetime):
            return self._instant(at)
        if at == self.today:
            return self.now.astimezone(UTC)
        return self._next_midnight(at) - timedelta(microseconds=1)

    def day(self, literal: object) -> date:
        """A literal date, or today."""
        if isinstance(literal, Today):
            return self.today
        if isinstance(literal, date):
            return literal
        raise TypeError(f"{literal!r} is not a date")

    def _begin(self, literal: object, kind: FieldType) -> Bound:
        if kind is FieldType.DATE:
            return self.day(literal)
        if isinstance(literal, datetime):
            return self._instant(literal)
        return self.midnight(self.day(literal))

    def _after(self, literal: object, kind: FieldType) -> Bounds:
        if kind is FieldType.DATE:
            return Bounds(above=self.day(literal))
        if isinstance(literal, datetime):
            return Bounds(above=self._instant(literal))
        return Bounds(least=self._next_midnight(literal))

    def _until(self, literal: object, kind: FieldType) -> dict[str, Bound]:
        if kind is FieldType.DATE:
            return {"most": self.day(literal)}
        if isinstance(literal, datetime):
            return {"most": self._instant(literal)}
        return {"below": self._next_midnight(literal)}

    def _next_midnight(self, literal: object) -> datetime:
        day = self.day(literal)
        if day >= date(9999, 12, 30):
            return datetime(9999, 12, 30, tzinfo=UTC)
        return self.midnight(day + timedelta(days=1))

    def _instant(self, literal: datetime) -> datetime:
        if literal.tzinfo is None:
            literal = literal.replace(tzinfo=self.zone)
        return literal.astimezone(UTC)
