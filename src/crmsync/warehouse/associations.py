"""Whose activities are whose: the direct references, and the links that arrived apart from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir

ACTIVITY = "activity"
LINKED_TABLES = ("account", "contact", "deal")


def reached_by(
    table: str,
    activity: ir.Table,
    records: Callable[[str], ir.Table],
    columns: Sequence[str],
) -> ir.Table:
    """The records of a table that some activities belong to; a pair may stand there repeatedly.

    An activity belongs to a contact or a deal by its own reference or by a link; to an account
    also through a contact or a deal of that account. Whoever counts takes the distinct rows; for
    the latest of them repetitions do no harm.

    Args:
        table: ``account``, ``contact`` or ``deal``.
        activity: the activities that are meant, with ``id`` and their references.
        records: answers with the live records of a table.
        columns: which of their columns are wanted.

    Returns:
        ``id``, ``record`` and these columns.
    """
    found = _direct(table, activity, records, columns)
    if table == "account":
        for between in ("contact", "deal"):
            near = records(between)
            near = near.filter(near.account.notnull()).select(between_id="id", owner="account")
            reached = _direct(between, activity, records, columns)
            reached = reached.join(near, [("record", "between_id")])
            found = found.union(reached.select("id", *columns, record="owner"))
    return found


def indirect_of(table: str, records: Callable[[str], ir.Table]) -> ir.Table:
    """The activities that belong to records of a table otherwise than by their own reference.

    Returns:
        ``activity`` and ``record``, each pair once.
    """
    activity = records(ACTIVITY).select("id", *LINKED_TABLES)
    found = reached_by(table, activity.mutate(own=activity[table]), records, ["own"])
    found = found.filter(found.own.isnull() | (found.own != found.record))
    return found.select(activity="id", record="record").distinct()


def _direct(
    table: str,
    activity: ir.Table,
    records: Callable[[str], ir.Table],
    columns: Sequence[str],
) -> ir.Table:
    link = records("activity_link")
    link = link.filter(link[table].notnull())
    link = link.select(link_activity="activity", link_record=table)
    own = activity.filter(activity[table].notnull()).select("id", *columns, record=table)
    linked = activity.join(link, [("id", "link_activity")])
    return own.union(linked.select("id", *columns, record="link_record"))
