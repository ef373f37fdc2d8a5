"""Whose clock counts business days: the company's, the account's or the owner's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from crmsync.app.gather import gather
from crmsync.journeys.people import account_of
from crmsync.model.zones import zone_or_none
from crmsync.rules.language import ClockOf

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.journeys.book import RecordBook
    from crmsync.journeys.inside import Inside
    from crmsync.ledger.values.enrolments import EnrolmentRef
    from crmsync.model.catalog import Catalog
    from crmsync.model.durations import Duration
    from crmsync.model.records import LiveRecords
    from crmsync.rules.evaluation.calendar import Calendar
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """The clocks of those who are inside."""

    records: LiveRecords
    world: World
    catalog: Catalog
    inside: Inside

    def later(
        self, rule: Rule, ref: EnrolmentRef, start: datetime, by: Duration, clock: ClockOf
    ) -> datetime:
        """The instant a duration later; business days keep the time of day on the clock."""
        calendar = replace(self.world.company, now=start)
        if clock is not ClockOf.COMPANY and by.business_days:
            calendar = self._of(calendar, rule.subject, ref.subject, clock)
        return calendar.instant_after(by)

    def _of(self, company: Calendar, table: str, subject: str, clock: ClockOf) -> Calendar:
        """The company's where the other has no time zone that exists, or no country."""
        row = self._book.row(table, subject)
        if row is None:
            return company
        account = account_of(self._book, table, row)
        if clock is ClockOf.ACCOUNT:
            country = None if account is None else account.get("country")
            zone = None if account is None else zone_or_none(account.get("time_zone"))
            return replace(company, zone=zone or company.zone, country=country or company.country)
        owner = self._book.follow(table, row, "owner")
        if owner is None and account is not None:
            owner = self._book.follow("account", account, "owner")
        zone = None if owner is None else zone_or_none(owner[1].get("time_zone"))
        return replace(company, zone=zone or company.zone)

    @cached_property
    def _book(self) -> RecordBook:
        wanted: dict[str, set[str]] = {}
        for row in self.inside.rows():
            if any(step.clock is not ClockOf.COMPANY for step in row.rule.way):
                wanted.setdefault(row.rule.subject, set()).add(row.ref.subject)
        return gather(self.records, self.world, self.catalog, wanted, ())
