"""Time is an argument: everything that needs the present instant is given a clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

# What calendars, time zones and holidays can still answer for.
_FIRST_YEAR, _LAST_YEAR = 1950, 2150


class Clock(Protocol):
    """Tells the present instant, aware and in UTC."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class FixedClock:
    """A clock that stands still: ``--at``, tests and backtests."""

    instant: datetime

    def __post_init__(self) -> None:
        if self.instant.tzinfo is None:
            raise ValueError("a fixed clock needs an aware instant")

    def now(self) -> datetime:
        """The instant it was given, in UTC."""
        return self.instant.astimezone(UTC)

    def advanced(self, by: timedelta) -> FixedClock:
        """A clock that stands still ``by`` later."""
        return FixedClock(instant=self.instant + by)


@dataclass(frozen=True, kw_only=True)
class NeverBefore:
    """A clock that shows ``earliest`` until another one has come that far."""

    clock: Clock
    earliest: datetime

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return max(self.clock.now(), self.earliest.astimezone(UTC))


def parse_instant(text: str, *, default_zone: str = "UTC") -> datetime:
    """Read ``2026-03-01``, ``2026-03-01T09:30`` or ``2026-03-01T09:30:00+01:00``.

    A date alone means its midnight; a time without an offset is in ``default_zone``.

    Raises:
        ValueError: the text is none of these, or too far away for calendars.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"“{text}” is not a time; write for example 2026-03-01 or 2026-03-01T09:30+01:00"
        ) from None
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise ValueError(f"“{text}” is not between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=ZoneInfo(default_zone))
    return instant.astimezone(UTC)


def readable(instant: datetime, zone: tzinfo | None = None) -> str:
    """An instant as a person reads it: ``2026-03-02 09:00 CET``; in its own zone, or in another."""
    local = instant if zone is None else instant.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M %Z}"
