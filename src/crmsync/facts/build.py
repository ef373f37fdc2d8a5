"""Shapes that many facts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.model.catalog import FactSpec
from crmsync.plugins.contract import Fact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir

    from crmsync.model.tables import FieldType
    from crmsync.plugins.contract import FactTables, Measure


def declared(
    table: str,
    name: str,
    kind: FieldType,
    description: str,
    build: Callable[[FactTables], ir.Table],
    *,
    rests_on: tuple[str, ...] = (),
    default: int | None = None,
    is_state: bool = False,
    measure: Measure | None = None,
    turns: Callable[[FactTables], Sequence[ir.Table]] | None = None,
    values: Callable[[FactTables], ir.Table] | None = None,
    evidence: Callable[[FactTables], ir.Table] | None = None,
) -> Fact:
    """A fact from its parts."""
    spec = FactSpec(
        name=name,
        table=table,
        type=kind,
        description=description,
        rests_on=rests_on,
        default=default,
        is_state=is_state,
    )
    return Fact(
        spec=spec, build=build, measure=measure, turns=turns, values=values, evidence=evidence
    )


def happened(tables: FactTables, table: str, time: str) -> ir.Table:
    """The records of a table that have an account and whose time is not ahead of the present."""
    records = tables.table(table)
    return records.filter(records.account.notnull(), records[time] <= tables.now)


def total(records: ir.Table, amount: str) -> ir.Table:
    """The sum of an amount for each account; empty (unknown) where it is in several currencies."""
    mixed = records.currency.fill_null("").nunique(where=records[amount].notnull()) > 1
    value = mixed.ifelse(ibis.null(), records[amount].sum().fill_null(0))
    return records.group_by(id=records.account).aggregate(value=value.cast("decimal(38, 4)"))


def latest(records: ir.Table, time: str) -> ir.Table:
    """The latest time for each account."""
    return records.group_by(id=records.account).aggregate(value=records[time].max())


def never(_tables: FactTables) -> Sequence[ir.Table]:
    """When the value changes by the passing of time alone: never."""
    return ()


def when(
    table: str, *times: str, day: str = "company_day", owner: str = "account"
) -> Callable[[FactTables], Sequence[ir.Table]]:
    """The value may change when one of these times of a table's records has come.

    Args:
        day: how a time that is a date is judged.
        owner: the column with the id of the subject.
    """

    def turns(tables: FactTables) -> Sequence[ir.Table]:
        records = tables.table(table)
        records = records.filter(records[owner].notnull())
        found = []
        for time in times:
            dated = records.filter(records[time].notnull())
            name = day if dated[time].type().is_date() else "at"
            found.append(dated.select(**{"id": owner, name: time}))
        return found

    return turns


def times_of(table: str, time: str, owner: str = "account") -> Callable[[FactTables], ir.Table]:
    """The value is one of these times of a table's records."""
    return lambda tables: tables.table(table).select(id=owner, value=time)


def rests_on_each(
    table: str, of: Callable[[FactTables], ir.Table], time: str, owner: str = "account"
) -> Callable[[FactTables], ir.Table]:
    """The value rests on these records of a table, which happened at that time."""
    return lambda tables: named(table, of(tables), owner, time)


def named(table: str, records: ir.Table, owner: str, time: str) -> ir.Table:
    """Records as evidence; ``id`` names each, and another column its subject."""
    return records.select(
        id=records[owner], table=ibis.literal(table), record=records.id, at=records[time]
    )


def days_later(day: ir.DateValue, days: int) -> ir.DateValue:
    """A date that many days later."""
    # DuckDB makes a timestamp of a date and an interval, which Ibis takes for a date.
    return (day.cast("timestamp") + ibis.interval(days=days)).cast("date")
