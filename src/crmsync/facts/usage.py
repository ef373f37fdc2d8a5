"""Facts about how a product is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.facts.build import days_later, declared, rests_on_each, times_of, when
from crmsync.model.tables import FieldType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir

    from crmsync.plugins.contract import Fact, FactTables

_WINDOW = 30


def _used(tables: FactTables) -> ir.Table:
    """Days on which something was used, none of them ahead."""
    usage = tables.table("usage")
    return usage.filter(
        usage.account.notnull(), usage["count"] > 0, usage.day <= tables.company_today()
    )


def _in_window(tables: FactTables, windows_ago: int) -> ir.Table:
    """Use within one window of 30 days: the one that ends today, or an earlier one."""
    used = _used(tables)
    last = tables.company_today() - ibis.interval(days=_WINDOW * windows_ago)
    first = tables.company_today() - ibis.interval(days=_WINDOW * (windows_ago + 1))
    return used.filter(used.day <= last, used.day > first)


def _last_usage(tables: FactTables) -> ir.Table:
    used = _used(tables)
    return used.group_by(id=used.account).aggregate(value=used.day.max())


def _count(windows_ago: int) -> Callable[[FactTables], ir.Table]:
    def build(tables: FactTables) -> ir.Table:
        used = _in_window(tables, windows_ago)
        return used.group_by(id=used.account).aggregate(value=used["count"].sum().cast("int64"))

    return build


def _active_users(tables: FactTables) -> ir.Table:
    used = _in_window(tables, 0)
    return used.group_by(id=used.account).aggregate(value=used.contact.nunique())


def _features(tables: FactTables) -> ir.Table:
    used = _in_window(tables, 0)
    return used.group_by(id=used.account).aggregate(value=used.feature.nunique())


def _contact_last_usage(tables: FactTables) -> ir.Table:
    used = _used(tables)
    used = used.filter(used.contact.notnull())
    return used.group_by(id=used.contact).aggregate(value=used.day.max())


def _window_turns(windows_ago: int) -> Callable[[FactTables], Sequence[ir.Table]]:
    """Use comes into a window and leaves it 30 days later."""

    def turns(tables: FactTables) -> Sequence[ir.Table]:
        usage = tables.table("usage")
        usage = usage.filter(usage.account.notnull(), usage["count"] > 0)
        return [
            usage.select(
                id="account", company_day=days_later(usage.day, _WINDOW * (windows_ago + i))
            )
            for i in (0, 1)
        ]

    return turns


def usage_facts() -> tuple[Fact, ...]:
    """Windows are of 30 days and end today, by the company's date."""

    def count(
        name: str,
        description: str,
        build: Callable[[FactTables], ir.Table],
        windows_ago: int = 0,
    ) -> Fact:
        return declared(
            "account",
            name,
            FieldType.INTEGER,
            description,
            build,
            rests_on=("usage",),
            default=0,
            turns=_window_turns(windows_ago),
            evidence=rests_on_each("usage", lambda tables: _in_window(tables, windows_ago), "day"),
        )

    return (
        declared(
            "account",
            "last_usage",
            FieldType.DATE,
            "The latest day on which anything was used.",
            _last_usage,
            rests_on=("usage",),
            turns=when("usage", "day"),
            values=times_of("usage", "day"),
            evidence=rests_on_each("usage", _used, "day"),
        ),
        count("usage_30d", "How often anything was used in the last 30 days.", _count(0)),
        count("usage_previous_30d", "The same for the 30 days before those.", _count(1), 1),
        count(
            "active_users_30d",
            "How many contacts used anything in the last 30 days.",
            _active_users,
        ),
        count("features_30d", "How many features were used in the last 30 days.", _features),
        declared(
            "contact",
            "last_usage",
            FieldType.DATE,
            "The latest day on which the contact used anything.",
            _contact_last_usage,
            rests_on=("usage",),
            turns=when("usage", "day", owner="contact"),
            values=times_of("usage", "day", owner="contact"),
            evidence=rests_on_each("usage", _used, "day", owner="contact"),
        ),
    )
