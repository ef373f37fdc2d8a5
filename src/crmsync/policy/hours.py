"""Hours: mails go out while it is day, and no holiday, where they are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from crmsync.config.hours import UnknownZone
from crmsync.model.actions import CreateTask
from crmsync.model.business_days import public_holidays
from crmsync.model.zones import zone_or_none
from crmsync.policy.drafts import PASS, Ruling, defer, hold, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date
    from zoneinfo import ZoneInfo

    from crmsync.config.hours import Hours, Span
    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Draft

    Row = Mapping[str, Any]

# Two years: who writes quiet dates for longer than that means never.
_LOOKS_AHEAD = timedelta(days=731)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_CLOCK = "%A %Y-%m-%d %H:%M"


@dataclass(frozen=True, kw_only=True)
class Openings:
    """Hours as they are at one place.

    Attributes:
        country: whose public holidays count; an ISO 3166 code, or None for none.
    """

    hours: Hours
    zone: ZoneInfo
    country: str | None

    def spans(self, day: date) -> tuple[Span, ...]:
        """When it is open on a day."""
        return () if self.closed_for(day) else self.hours.by_weekday[day.weekday()]

    def closed_for(self, day: date) -> str:
        """What closes it all day, whatever the day of the week; empty where nothing does."""
        if any(day in quiet for quiet in self.hours.quiet_dates):
            return "one of the quiet_dates"
        region = self.hours.regions.get(self.country or "")
        holidays = public_holidays(self.country, region)
        if not self.hours.on_holidays and day in holidays:
            return f"a public holiday in {self.country} ({holidays[day]})"
        return ""

    def is_open(self, instant: datetime) -> bool:
        """Whether the clock on the wall there is within the hours."""
        local = instant.astimezone(self.zone)
        minutes = local.hour * 60 + local.minute
        return any(span.opens <= minutes < span.closes for span in self.spans(local.date()))

    def next_open(self, instant: datetime) -> datetime | None:
        """The first instant (UTC) from this one on at which it is open; None for two years.

        It is this instant, or one at which the clock there comes to an opening time, or one at
        which the clock is put forward or back: nowhere else can it begin to be open.
        """
        if self.is_open(instant):
            return instant.astimezone(UTC)
        begin = instant.astimezone(UTC)
        while begin < instant + _LOOKS_AHEAD:
            # A day there begins at most a day before or after it does in UTC.
            end = begin + _DAY
            found = {begin, *(at for at in self._beginnings(begin, end) if begin < at < end)}
            opening = next((at for at in sorted(found) if self.is_open(at)), None)
            if opening is not None:
                return opening
            begin = end
        return None

    def closes(self, instant: datetime) -> datetime | None:
        """Until when (UTC) it is surely open, where it is open then; None where it is closed."""
        local = instant.astimezone(self.zone)
        minutes = local.hour * 60 + local.minute
        for span in self.spans(local.date()):
            if span.opens <= minutes < span.closes:
                midnight = datetime.combine(local.date(), time(), tzinfo=self.zone)
                wall = midnight + timedelta(minutes=span.closes)  # on the wall, as in `_beginnings`
                ends = [wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)]
                changed = self._clock_change(instant, instant + _DAY)
                later = [end for end in (*ends, changed) if end is not None and end > instant]
                return min(later, default=None)
        return None

    def _beginnings(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """Whenever it may begin to be open, and perhaps other instants."""
        first, last = begin.astimezone(self.zone).date(), end.astimezone(self.zone).date()
        day = first
        while day <= last:
            for span in self.spans(day):
                wall = datetime.combine(day, time(*divmod(span.opens, 60)), tzinfo=self.zone)
                yield wall.astimezone(UTC)
                yield wall.replace(fold=1).astimezone(UTC)
            day += _DAY
        changed = self._clock_change(begin, end)
        if changed is not None:
            yield changed

    def _clock_change(self, begin: datetime, end: datetime) -> datetime | None:
        """When the clocks there are changed between two instants of one day, to the second."""
        before = begin.astimezone(self.zone).utcoffset()
        if end.astimezone(self.zone).utcoffset() == before:
            return None
        while end - begin > _SECOND:
            middle = begin + (end - begin) // 2
            if middle.astimezone(self.zone).utcoffset() == before:
                begin = middle
            else:
                end = middle
        return end.replace(microsecond=0)


def hours(draft: Draft, policy: Policy, now: datetime) -> Ruling:
    """A mail to a customer waits until it is day, and no holiday, where the customer is.

    A task waits likewise for its colleague where the policy says so.
    """
    place = None if policy.hours is None else _place(draft, policy.hours)
    if policy.hours is None or place is None:
        return PASS
    if place.zone is None:
        return hold(
            "hours",
            f"no time zone is known of {place.who}, nor of the account or its owner; fill in "
            "time_zone in the CRM, or write “unknown_zone: company” into policy.hours",
        )
    openings = Openings(hours=policy.hours, zone=place.zone, country=place.country)
    opening = openings.next_open(now)
    if opening is None:
        return hold("hours", "policy.hours leaves no time for it within two years")
    if opening <= now:
        return PASS
    here, then = now.astimezone(place.zone), opening.astimezone(place.zone)
    # Where the clocks are changed in between, their hours alone say too little.
    written = _CLOCK if here.utcoffset() == then.utcoffset() else f"{_CLOCK} %Z"
    closed = openings.closed_for(here.date())
    return defer(
        "hours",
        opening,
        f"it is {here:{written}}{closed and f', {closed},'} where {place.who} is "
        f"({place.zone.key}), and the next hours there begin on {then:{written}}",
    )


def open_until(draft: Draft, policy: Policy, now: datetime) -> datetime | None:
    """Until when an action that the hours let pass may go out; None where they do not matter."""
    place = None if policy.hours is None else _place(draft, policy.hours)
    if policy.hours is None or place is None or place.zone is None:
        return None
    return Openings(hours=policy.hours, zone=place.zone, country=place.country).closes(now)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where an action is read: whose clock decides."""

    who: str
    zone: ZoneInfo | None
    country: str | None


def _place(draft: Draft, settings: Hours) -> _Place | None:
    """None where the hours do not matter for the action."""
    company_zone = zone_or_none(draft.company.time_zone)
    if draft.mail_to_customer is not None and draft.contact is not None:
        # What is not plainly service counts as commercial, as for suppression.
        is_service = draft.mail_to_customer.email_class == "service"
        if ("service" if is_service else "commercial") in settings.any_time_for:
            return None
        customer = (draft.contact, draft.account or {})
        otherwise = company_zone if settings.unknown_zone is UnknownZone.COMPANY else None
        country = next((row["country"] for row in customer if row.get("country")), None)
        return _Place(
            who=name_of(draft.contact),
            zone=_zone((*customer, draft.owner or {})) or otherwise,
            country=str(country).upper() if country else draft.company.country,
        )
    if isinstance(draft.action, CreateTask) and settings.tasks and draft.colleague is not None:
        return _Place(
            who=name_of(draft.colleague),
            zone=_zone((draft.colleague,)) or company_zone,
            country=draft.company.country,
        )
    return None


def _zone(rows: Iterable[Row]) -> ZoneInfo | None:
    zones = (zone_or_none(row.get("time_zone")) for row in rows)
    return next((zone for zone in zones if zone is not None), None)
