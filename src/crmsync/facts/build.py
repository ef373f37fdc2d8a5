"""Shapes that many facts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.model.catalog import FactSpec
from crmsync.plugins.contract import Fact

if TYPE_CHECKING:
    from collections.abc import Callable

    import ibis.expr.types as ir

    from crmsync.model.tables import FieldType
    from crmsync.plugins.contract import FactTables


def declared(  # noqa: PLR0913  the parts of a fact
    table: str,
    name: str,
    kind: FieldType,
    description: str,
    build: Callable[[FactTables], ir.Table],
    *,
    rests_on: tuple[str, ...] = (),
    default: int | None = None,
) -> Fact:
    """A fact from its parts."""
    spec = FactSpec(
        name=name,
        table=table,
        type=kind,
        description=description,
        rests_on=rests_on,
        default=default,
    )
    return Fact(spec=spec, build=build)


def instant(tables: FactTables, like: ir.Value) -> ir.Value:
    """The present instant as a literal of a column's type."""
    kind = like.type()
    now = tables.now if kind.timezone is not None else tables.now.replace(tzinfo=None)
    return ibis.literal(now, type=kind)


def happened(tables: FactTables, table: str, time: str) -> ir.Table:
    """The records of a table that have an account and whose time is not ahead of the present."""
    records = tables.table(table)
    return records.filter(
        records.account.notnull(), records[time] <= instant(tables, records[time])
    )


def total(records: ir.Table, amount: str) -> ir.Table:
    """The sum of an amount for each account; empty (unknown) where it is in several currencies."""
    mixed = records.currency.fill_null("").nunique(where=records[amount].notnull()) > 1
    value = mixed.ifelse(ibis.null(), records[amount].sum().fill_null(0))
    return records.group_by(id=records.account).aggregate(value=value.cast("decimal(38, 4)"))


def latest(records: ir.Table, time: str) -> ir.Table:
    """The latest time for each account."""
    return records.group_by(id=records.account).aggregate(value=records[time].max())
