"""What is known of a field's past, as columns of the wide table: ``changed`` and ``was``.

A change fits where it leads from one of the values that are asked for to one of those that are
asked for; an empty value is a value here, and none of those that a rule can name.
Of each record the latest fitting change is looked up, and whether it lies in the window is told
from its time, so that clauses that differ only in their windows share the look-up.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import ibis

from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Change, Column, Past, Test

if TYPE_CHECKING:
    from collections.abc import Iterable

    import ibis.expr.types as ir

    from crmsync.rules.conditions import Literal
    from crmsync.rules.evaluation.rows import Rows

# Numbers in records have four decimal places.
_NUMBER_TYPE = "decimal(18, 4)"


def fitting(changes: ir.Table, change: Change) -> ir.Table:
    """The changes that lead from and to what is asked for."""
    if change.before is not None:
        changes = changes.filter(_is_one_of(changes.old, change.before))
    if change.after is not None:
        changes = changes.filter(_is_one_of(changes.new, change.after))
    return changes


def latest_change(changes: ir.Table, change: Change, now: ir.Value) -> ir.Table:
    """Columns ``id`` and ``at``: when a record last changed as is asked for; nothing after now."""
    found = fitting(changes, change)
    return found.filter(found["at"] <= now).group_by("id").aggregate(at=found["at"].max())


def value_then(changes: ir.Table) -> ir.Table:
    """What a field was at an instant, for records that have changed at all.

    Args:
        changes: with ``then``, the instant that is meant, beside each.

    Returns:
        ``id``, ``then`` and ``value``: what the last change up to then made of it, else what the
        first one after it found. Where a record is not in it, its field never changed.
    """
    rows = changes
    gone = rows["at"] <= rows.then
    nearest_first = [
        ibis.desc(gone),
        ibis.desc(gone.ifelse(rows["at"], ibis.null(rows["at"].type()))),
        ibis.desc(gone.ifelse(rows.place, ibis.null(rows.place.type()))),
        rows["at"],
        rows.place,
    ]
    window = ibis.window(group_by=["id", "then"], order_by=nearest_first)
    rows = rows.mutate(value=gone.ifelse(rows.new, rows.old), place=ibis.row_number().over(window))
    return rows.filter(rows.place == 0).select("id", "then", "value")


def verdict(rows: Rows, column: Column, test: Test) -> ir.BooleanValue:
    """What a clause about a field's past says of itself, before ``if_unknown``."""
    if isinstance(test.operand, Change):
        return _changed(rows, column, test)
    if isinstance(test.operand, Past):
        return _was(rows, column, test, test.operand)
    raise TypeError(f"{test.operator} asks nothing of the past")


def seen_of_past(rows: Rows, column: Column, test: Test) -> ir.Value:
    """What a clause about the past saw.

    Returns:
        of ``changed``: when the field last changed as is asked for, be it in the window or before;
        of ``was``: what the field was then. Null where there is nothing, or nothing is known.
    """
    if isinstance(test.operand, Change):
        return rows.past(column, test, "at")
    then, since = rows.past(column, test, "then"), rows.known(column, "since")
    value = _then(rows, column, test)
    return (since <= then).ifelse(value, ibis.null(value.type()))


def _then(rows: Rows, column: Column, test: Test) -> ir.Value:
    found, value = rows.past(column, test, "id").notnull(), rows.past(column, test, "value")
    return found.ifelse(value, rows.field(column.hops, column.name))


def _changed(rows: Rows, column: Column, test: Test) -> ir.BooleanValue:
    at, since, created = (
        rows.past(column, test, "at"),
        rows.known(column, "since"),
        rows.known(column, "created"),
    )
    least = rows.interval(test, FieldType.INSTANT).least
    # A record is born with its values; before that, nothing of it can have changed.
    complete, yes = since <= created, at.notnull()
    if least is not None:
        yes = at >= least
        complete = complete.fill_null(False) | (since <= least)
    # What was not read lately may have changed since.
    complete = complete.fill_null(False) & rows.fresh(column.hops, (column.owner,))
    return ibis.cases((yes.fill_null(False), True), (complete, False), else_=ibis.null("boolean"))


def _was(rows: Rows, column: Column, test: Test, past: Past) -> ir.BooleanValue:
    then, since = rows.past(column, test, "then"), rows.known(column, "since")
    born_later = rows.known(column, "created") > then
    fits = _is_one_of(_then(rows, column, test), past.values).fill_null(False)
    return ibis.cases(
        (then > rows.now, ibis.null("boolean")),
        ((since <= then).fill_null(False), fits),
        (born_later.fill_null(False), False),
        else_=ibis.null("boolean"),
    )


def _is_one_of(value: ir.Value, literals: Iterable[Literal]) -> ir.BooleanValue:
    return value.isin(
        [
            ibis.literal(item, type=_NUMBER_TYPE) if isinstance(item, Decimal) else item
            for item in literals
        ]
    )
