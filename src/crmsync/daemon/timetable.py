"""Which schedules have come. What was missed is one time, however often it would have come."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.schedules import Schedule

_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=1)
_MOST_DOUBLINGS = 10


@dataclass(kw_only=True)
class BackOff:
    """How often something has failed in a row, and when it is tried again."""

    failures: int = 0
    until: datetime | None = None

    def failed(self, now: datetime) -> datetime:
        """Wait for a minute, doubled with each failure up to an hour; answers until when."""
        wait = _FIRST_WAIT * 2 ** min(self.failures, _MOST_DOUBLINGS)
        self.failures += 1
        self.until = now + min(wait, _LONGEST_WAIT)
        return self.until

    def succeeded(self) -> None:
        """Nothing is waited for any more."""
        self.failures, self.until = 0, None

    def allows(self, now: datetime) -> bool:
        """Whether it may be tried now. A clock that jumped back does not make it wait longer."""
        return self.until is None or not now < self.until <= now + _LONGEST_WAIT


@dataclass(kw_only=True)
class Timetable:
    """Schedules by name, and when each was last answered.

    Attributes:
        company_zone: whose clock on the wall is meant where a schedule names no zone.
        answered: by name, the instant (UTC) of the last time that was answered.
    """

    schedules: Mapping[str, Schedule]
    company_zone: str
    answered: dict[str, datetime] = field(default_factory=dict)
    back_offs: dict[str, BackOff] = field(default_factory=dict)

    def due(self, now: datetime) -> list[str]:
        """What has come since it was last answered; who was never answered is due at once."""
        return [name for name in self.schedules if self._has_come(name, now)]

    def _has_come(self, name: str, now: datetime) -> bool:
        back_off = self.back_offs.get(name)
        if back_off is not None and not back_off.allows(now):
            return False
        coming = self._coming(name, now)
        return coming is not None and coming <= now

    def _coming(self, name: str, now: datetime) -> datetime | None:
        last = self.answered.get(name)
        if last is None:
            return now
        if last > now:  # the clock has jumped back since
            self.answered[name] = last = now
        return self.schedules[name].next_after(last, company_zone=self.company_zone)

    def next(self, now: datetime) -> datetime | None:
        """The instant (UTC) at which the first of them comes; None where none ever does."""
        return min((at for name in self.schedules if (at := self.next_of(name, now))), default=None)

    def next_of(self, name: str, now: datetime) -> datetime | None:
        """The instant (UTC) at which one comes; at the earliest when its back-off allows."""
        coming, back_off = self._coming(name, now), self.back_offs.get(name)
        if coming is None or back_off is None or back_off.allows(now) or back_off.until is None:
            return coming
        return max(coming, back_off.until)

    def succeeded(self, name: str, now: datetime) -> None:
        """It was answered."""
        self.answered[name] = now
        self.back_offs.pop(name, None)

    def failed(self, name: str, now: datetime) -> datetime:
        """It was not; answers when it is tried again."""
        return self.back_offs.setdefault(name, BackOff()).failed(now)
