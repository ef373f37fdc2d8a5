"""Facts about an account's own dates, told by the date in its time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.facts.build import days_later, declared
from crmsync.model.tables import FieldType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir

    from crmsync.plugins.contract import Fact, FactTables


def _with_today(tables: FactTables, field: str) -> ir.Table:
    accounts = tables.table("account")
    accounts = accounts.filter(accounts[field].notnull()).select("id", day=field)
    today = tables.today("account").rename({"today_id": "id"})
    return accounts.join(today, [("id", "today_id")])


def _days_to_renewal(tables: FactTables) -> ir.Table:
    dated = _with_today(tables, "renewal_date")
    return dated.select("id", value=dated.day.delta(dated.today, unit="day"))


def _days_since_start(tables: FactTables) -> ir.Table:
    dated = _with_today(tables, "customer_since")
    return dated.select("id", value=dated.today.delta(dated.day, unit="day"))


def _next_anniversary(tables: FactTables) -> ir.Table:
    """The first anniversary that is not past; that of 29 February is on the 28th in other years."""
    dated = _with_today(tables, "customer_since")
    this_year = _in_year(dated.day, dated.today.year())
    next_year = _in_year(dated.day, dated.today.year() + 1)
    # The day itself is no anniversary, nor is any before it.
    first = _in_year(dated.day, dated.day.year() + 1)
    coming = (this_year >= dated.today).ifelse(this_year, next_year)
    return dated.select("id", value=ibis.greatest(coming, first))


def _in_year(day: ir.DateValue, year: ir.IntegerValue) -> ir.DateValue:
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    on_leap_day = (day.month() == 2) & (day.day() == 29)  # noqa: PLR2004  29 February
    number = (on_leap_day & ~leap).ifelse(28, day.day())
    return ibis.date(year, day.month(), number)


def _counts(**field: str) -> Callable[[FactTables], Sequence[ir.Table]]:
    """It counts the days since the date in a field, or until it."""

    def turns(tables: FactTables) -> Sequence[ir.Table]:
        accounts = tables.table("account")
        (name,) = field.values()
        return [accounts.filter(accounts[name].notnull()).select("id", **field)]

    return turns


def _after_anniversary(tables: FactTables) -> Sequence[ir.Table]:
    """The next one, and the one after it: nobody looks ahead for longer than a year."""
    days = _next_anniversary(tables)
    following = _in_year(days.value, days.value.year() + 1)
    return [days.select("id", own_day=days_later(day, 1)) for day in (days.value, following)]


def calendar_facts() -> tuple[Fact, ...]:
    """Renewal, and the time since a customer began."""
    return (
        declared(
            "account",
            "days_to_renewal",
            FieldType.INTEGER,
            "Days until the renewal date; negative when it is past.",
            _days_to_renewal,
            turns=_counts(days_until="renewal_date"),
        ),
        declared(
            "account",
            "days_since_start",
            FieldType.INTEGER,
            "Days since the account became a customer.",
            _days_since_start,
            turns=_counts(days_since="customer_since"),
        ),
        declared(
            "account",
            "next_anniversary",
            FieldType.DATE,
            "The next anniversary of becoming a customer, today included.",
            _next_anniversary,
            turns=_after_anniversary,
        ),
    )
