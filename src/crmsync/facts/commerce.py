"""Facts about deals and orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.facts.build import (
    declared,
    happened,
    latest,
    rests_on_each,
    times_of,
    total,
    when,
)
from crmsync.model.tables import FieldType

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.plugins.contract import Fact, FactTables


def _open_deals(tables: FactTables) -> ir.Table:
    deals = tables.table("deal")
    today = tables.company_today()
    return deals.filter(
        deals.account.notnull(), deals.open, deals.opened_on.isnull() | (deals.opened_on <= today)
    )


def _open_pipeline(tables: FactTables) -> ir.Table:
    return total(_open_deals(tables), "amount")


def _count_open_deals(tables: FactTables) -> ir.Table:
    deals = _open_deals(tables)
    return deals.group_by(id=deals.account).aggregate(value=deals.count())


def _last_order(tables: FactTables) -> ir.Table:
    return latest(_orders(tables), "at")


def _orders_total(tables: FactTables) -> ir.Table:
    return total(_orders(tables), "amount")


def _orders(tables: FactTables) -> ir.Table:
    return happened(tables, "order", "at")


def commerce_facts() -> tuple[Fact, ...]:
    """What is being sold to an account, and what was."""
    return (
        declared(
            "account",
            "open_pipeline",
            FieldType.NUMBER,
            "The amount of all open deals; unknown where they are in several currencies.",
            _open_pipeline,
            rests_on=("deal",),
            default=0,
            turns=when("deal", "opened_on"),
            evidence=rests_on_each("deal", _open_deals, "opened_on"),
        ),
        declared(
            "account",
            "open_deals",
            FieldType.INTEGER,
            "How many deals are open.",
            _count_open_deals,
            rests_on=("deal",),
            default=0,
            turns=when("deal", "opened_on"),
            evidence=rests_on_each("deal", _open_deals, "opened_on"),
        ),
        declared(
            "account",
            "last_order",
            FieldType.INSTANT,
            "The latest order.",
            _last_order,
            rests_on=("order",),
            turns=when("order", "at"),
            values=times_of("order", "at"),
            evidence=rests_on_each("order", _orders, "at"),
        ),
        declared(
            "account",
            "orders_total",
            FieldType.NUMBER,
            "The amount of all orders so far; unknown where they are in several currencies.",
            _orders_total,
            rests_on=("order",),
            default=0,
            turns=when("order", "at"),
            evidence=rests_on_each("order", _orders, "at"),
        ),
    )
