"""Facts about tickets, promises and feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.facts.build import (
    declared,
    happened,
    latest,
    never,
    rests_on_each,
    times_of,
    when,
)
from crmsync.model.tables import FieldType

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.plugins.contract import Fact, FactTables

_CLOSED = ("closed", "solved", "resolved", "cancelled", "canceled")


def is_open(tables: FactTables, tickets: ir.Table) -> ir.BooleanValue:
    """Whether a ticket is open at the present instant.

    By its times where it has any: opened by now, and not closed by then; else by its status.
    """
    opened = tickets.opened_at.isnull() | (tickets.opened_at <= tables.now)
    closed = tickets.closed_at.notnull() & (tickets.closed_at <= tables.now)
    by_status = tickets.closed_at.isnull() & tickets.status.lower().isin(_CLOSED).fill_null(False)
    return opened & ~closed & ~by_status


def _of_accounts(tables: FactTables) -> ir.Table:
    tickets = tables.table("ticket")
    return tickets.filter(tickets.account.notnull(), is_open(tables, tickets))


def _open_tickets(tables: FactTables) -> ir.Table:
    tickets = _of_accounts(tables)
    return tickets.group_by(id=tickets.account).aggregate(value=tickets.count())


def _closed(tables: FactTables) -> ir.Table:
    return happened(tables, "ticket", "closed_at")


def _last_ticket_closed(tables: FactTables) -> ir.Table:
    return latest(_closed(tables), "closed_at")


def _ticket_is_open(tables: FactTables) -> ir.Table:
    tickets = tables.table("ticket")
    return tickets.select("id", value=is_open(tables, tickets))


def _open_since(tables: FactTables) -> ir.Table:
    tickets = tables.table("ticket")
    tickets = tickets.filter(is_open(tables, tickets), tickets.opened_at.notnull())
    return tickets.select("id", value=tickets.opened_at)


def _promises(tables: FactTables) -> ir.Table:
    promises = tables.table("promise")
    return promises.filter(
        promises.account.notnull(), promises.state.lower().fill_null("open") == "open"
    )


def _open_promises(tables: FactTables) -> ir.Table:
    promises = _promises(tables)
    return promises.group_by(id=promises.account).aggregate(value=promises.count())


def _latest_answer(tables: FactTables) -> ir.Table:
    answers = happened(tables, "feedback", "at")
    answers = answers.filter(answers.instrument.lower() == "nps", answers.score.notnull())
    order = ibis.window(
        group_by=answers.account, order_by=[ibis.desc(answers["at"]), ibis.desc(answers.id)]
    )
    answers = answers.mutate(place=ibis.row_number().over(order))
    return answers.filter(answers.place == 0)


def _latest_nps(tables: FactTables) -> ir.Table:
    answers = _latest_answer(tables)
    return answers.select(id=answers.account, value=answers.score)


def service_facts() -> tuple[Fact, ...]:
    """Open tickets, promises and the latest answer to a survey."""
    return (
        declared(
            "account",
            "open_tickets",
            FieldType.INTEGER,
            "How many tickets are open.",
            _open_tickets,
            rests_on=("ticket",),
            default=0,
            turns=when("ticket", "opened_at", "closed_at"),
            evidence=rests_on_each("ticket", _of_accounts, "opened_at"),
        ),
        declared(
            "account",
            "last_ticket_closed",
            FieldType.INSTANT,
            "When a ticket was last closed.",
            _last_ticket_closed,
            rests_on=("ticket",),
            turns=when("ticket", "closed_at"),
            values=times_of("ticket", "closed_at"),
            evidence=rests_on_each("ticket", _closed, "closed_at"),
        ),
        declared(
            "ticket",
            "is_open",
            FieldType.BOOLEAN,
            "Whether it is open: by its times, else by its status.",
            _ticket_is_open,
            rests_on=("ticket",),
            turns=when("ticket", "opened_at", "closed_at", owner="id"),
        ),
        declared(
            "ticket",
            "open_since",
            FieldType.INSTANT,
            "When it was opened, if it is open still.",
            _open_since,
            rests_on=("ticket",),
            is_state=True,
            turns=when("ticket", "opened_at", "closed_at", owner="id"),
            values=times_of("ticket", "opened_at", owner="id"),
        ),
        declared(
            "account",
            "open_promises",
            FieldType.INTEGER,
            "How many promises are open.",
            _open_promises,
            rests_on=("promise",),
            default=0,
            turns=never,
            evidence=rests_on_each("promise", _promises, "due"),
        ),
        declared(
            "account",
            "latest_nps",
            FieldType.NUMBER,
            "The latest score that a contact gave, from 0 to 10.",
            _latest_nps,
            rests_on=("feedback",),
            turns=when("feedback", "at"),
            evidence=rests_on_each("feedback", _latest_answer, "at"),
        ),
    )
