"""Whose activities are whose: the direct references, and the links that arrived apart from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import ibis.expr.types as ir

    TableByName = Callable[[str], ir.Table]

ACTIVITY = "activity"
LINKED_TABLES = ("account", "contact", "deal")


def activities_of(table: str, records: Callable[[str], ir.Table]) -> ir.Table:
    """Which activity belongs to which record of a table, each pair once.

    An activity belongs to a contact or a deal by its own reference or by a link; to an account
    also through a contact or a deal of that account.

    Args:
        table: ``account``, ``contact`` or ``deal``.
        records: answers with the live records of a table.

    Returns:
        Columns ``activity`` and ``record``, both global ids, no nulls.
    """
    pairs = _direct(table, records)
    if table == "account":
        for between in ("contact", "deal"):
            people = records(between)
            near = _direct(between, records)
            pairs = pairs.union(
                near.join(people.select("id", record_account="account"), near.record == people.id)
                .select("activity", record="record_account")
                .filter(lambda pair: pair.record.notnull())
            )
    return pairs.distinct()


def _direct(table: str, records: Callable[[str], ir.Table]) -> ir.Table:
    activity, link = records(ACTIVITY), records("activity_link")
    own = activity.select(activity=activity.id, record=activity[table])
    linked = link.select(activity=link.activity, record=link[table])
    pairs = own.union(linked)
    return pairs.filter(pairs.activity.notnull(), pairs.record.notnull())
