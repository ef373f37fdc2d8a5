"""When something is to be done again and again: an interval, or times on the clock on the wall."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from crmsync.model.durations import parse_duration

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_EVERY = re.compile(r"every\s+(?P<length>.+)", re.IGNORECASE)
_AT = re.compile(r"(?P<days>[a-z ]+?)\s+at\s+(?P<hour>\d{1,2}):(?P<minute>\d{2})", re.IGNORECASE)
_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS = {"daily": "*", "every day": "*", "weekdays": "mon-fri"}
_DAYS |= {form: name[:3] for name in _NAMES for form in (name, f"{name}s")}
_FIELDS = 5
_SHORTEST = timedelta(minutes=1)
_MOMENT = timedelta(microseconds=1)
_EXAMPLES = (
    "write for example “every 15 minutes”, “weekdays at 07:00”, “mondays at 08:30”, "
    "or a cron line such as “0 7 * * mon-fri”"
)
# What editors hold a schedule against; what it means is told when it is read.
PATTERN = (
    r"^(?:[Ee]very [0-9]{1,6} ?(?:minutes?|hours?|days?|weeks?|min|m|h|d|w)"
    r"|[A-Za-z]+(?: day)? at [0-9]{1,2}:[0-9]{2}|\S+(?: +\S+){4})$"
)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An interval, or a cron line in a time zone.

    Attributes:
        text: as a person wrote it.
        every: how long from one time to the next; None where ``cron`` says when.
        cron: minute, hour, day of month, month and weekday; both kinds of day must fit.
        zone: whose clock on the wall the cron line follows; None for the company's.
    """

    text: str
    every: timedelta | None = None
    cron: str | None = None
    zone: str | None = None

    def __str__(self) -> str:
        return self.text if self.zone is None else f"{self.text} ({self.zone})"

    def next_after(self, last: datetime, *, company_zone: str) -> datetime | None:
        """The first instant (UTC) after ``last`` at which it is time; None if there is none.

        A time that the clock on the wall skips in spring comes when it has been skipped; one that
        it shows twice in autumn comes twice.
        """
        if self.every is not None:
            return last.astimezone(UTC) + self.every
        return _next_time(str(self.cron), self.zone or company_zone, last)


def parse_schedule(value: object) -> Schedule:
    """Read ``every 15 minutes``, ``weekdays at 07:00``, a cron line, or one of them with a zone.

    With a zone it is a mapping: ``{at: "0 7 * * mon-fri", zone: Europe/Zurich}``.

    Raises:
        ValueError: it is none of these; the sentence shows how one is written.
    """
    zone: str | None = None
    given: Any = value
    if isinstance(given, dict):
        if given.keys() - {"at", "zone"} or "at" not in given:
            raise ValueError("a schedule with a zone is written “{at: TIMES, zone: ZONE}”")
        given, zone = given["at"], _zone(given.get("zone"))
    if not isinstance(given, str):
        raise ValueError(f"“{given}” is no schedule; {_EXAMPLES}")
    text = given.strip()
    every = _EVERY.fullmatch(text)
    times = _AT.fullmatch(text)
    if times is not None and times["days"].lower() in _DAYS:
        days = _DAYS[times["days"].lower()]
        cron = f"{int(times['minute'])} {int(times['hour'])} * * {days}"
    elif every is not None:
        if zone is not None:
            raise ValueError(f"“{text}” goes by no clock on the wall, so it has no zone")
        return Schedule(text=text, every=_interval(text, every["length"]))
    elif len(text.split()) == _FIELDS:
        cron = text
    else:
        raise ValueError(f"“{text}” is no schedule; {_EXAMPLES}")
    _check_cron(text, cron)
    return Schedule(text=text, cron=cron, zone=zone)


def _interval(text: str, length: str) -> timedelta:
    try:
        every = parse_duration(length)
    except ValueError:
        raise ValueError(f"“{text}” is no schedule; {_EXAMPLES}") from None
    if every.business_days:
        raise ValueError(f"“{text}”: business days have no fixed length; write “weekdays at 07:00”")
    if every.length < _SHORTEST:
        raise ValueError(f"“{text}” is too often; once a minute is the most")
    return every.length


def _zone(name: object) -> str | None:
    if name is None:
        return None
    try:
        return ZoneInfo(str(name)).key
    except (KeyError, ValueError, OSError):
        raise ValueError(f"“{name}” is not a time zone; write for example Europe/Zurich") from None


def _check_cron(text: str, cron: str) -> None:
    # For crontab 0 is Sunday, for APScheduler Monday: nobody should have to know.
    if re.search(r"\d", cron.rsplit(maxsplit=1)[-1].partition("/")[0]):
        raise ValueError(f"“{text}”: weekdays are written by name, for example mon-fri or sun")
    try:
        trigger = _trigger(cron, "UTC")
    except ValueError as error:
        raise ValueError(f"“{text}” is no schedule: {error}") from None
    if trigger.get_next_fire_time(None, datetime(2026, 1, 1, tzinfo=UTC)) is None:
        raise ValueError(f"“{text}” never comes: no such day exists")


@lru_cache(maxsize=1000)  # asked again and again until that time has come
def _next_time(cron: str, zone: str, last: datetime) -> datetime | None:
    found: datetime | None = _trigger(cron, zone).get_next_fire_time(None, last + _MOMENT)
    return None if found is None else found.astimezone(UTC)


@lru_cache(maxsize=1000)
def _trigger(cron: str, zone: str) -> CronTrigger:
    # A tenth of a second to import.
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415  most have intervals only

    trigger: Any = CronTrigger.from_crontab(cron, timezone=ZoneInfo(zone))
    return trigger
