"""The past of tracked fields, as readers see it: typed, and through merges.

A merged record's past belongs to the one that survived, for the time before the survivor itself
was known: some CRMs give the result of a merge a new id. Where several were merged into it, the
one that is known the longest stands for all. A merge itself is no change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.warehouse.types import DATA_TYPES, KNOWN_SINCE

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.model.tables import Field


def changes_of(
    field: Field, history: ir.Table, elders: ir.Table | None, aliases: ir.Table | None
) -> ir.Table:
    """The changes of a tracked field, as `RecordSource.changes` promises them.

    Args:
        history: that of the field, with ``place``, the order in which it was told.
        elders: what `elders_of` says; None where nothing was merged.
        aliases: ``old_id`` and ``survivor`` of the table that a reference leads to; None for
            other fields, and where nothing was merged there.
    """
    kind = DATA_TYPES[field.type]
    old, new = history.old.cast(kind), history.new.cast(kind)
    rows = history.select("id", "at", "place", old=old, new=new)
    if elders is not None:
        inherited = rows.inner_join(elders, [("id", "elder")])
        inherited = inherited.filter(inherited["at"] < inherited.until)
        columns = {name: name for name in rows.columns} | {"id": "survivor"}
        rows = rows.union(inherited.select(**columns))
    if aliases is not None:
        rows = _with_survivors(_with_survivors(rows, "old", aliases), "new", aliases)
        rows = rows.filter(~rows.old.identical_to(rows.new))
    return rows


def known_of(records: ir.Table, elders: ir.Table | None) -> ir.Table:
    """How far back records are known, as `RecordSource.known_since` promises it.

    Args:
        records: all of a table, tombstones too, with ``known_since``.
    """
    own = records.select("id", since=KNOWN_SINCE, created="created_at")
    if elders is None:
        return own
    rows = own.left_join(elders, [("id", "survivor")])
    return rows.select(
        "id",
        since=rows.elder_since.coalesce(rows.since),
        created=ibis.least(rows.elder_created, rows.created),
    )


def elders_of(records: ir.Table, aliases: ir.Table) -> ir.Table:
    """Those merged records whose past continues a survivor's.

    Returns:
        ``survivor``, ``elder`` (its id), ``elder_since``, ``elder_created``, and ``until``, the
        instant from which on the survivor itself is known; one row for each survivor at most.
    """
    merged = records.select(elder="id", elder_since=KNOWN_SINCE, elder_created="created_at")
    own = records.select(own_id="id", until=KNOWN_SINCE)
    rows = merged.inner_join(aliases, [("elder", "old_id")])
    rows = rows.inner_join(own, [("survivor", "own_id")])
    rows = rows.filter(rows.elder_since < rows.until)
    oldest = ibis.window(group_by=rows.survivor, order_by=[rows.elder_since, rows.elder])
    rows = rows.mutate(place=ibis.row_number().over(oldest))
    rows = rows.filter(rows.place == 0)
    return rows.select("survivor", "elder", "elder_since", "elder_created", "until")


def _with_survivors(rows: ir.Table, name: str, aliases: ir.Table) -> ir.Table:
    joined = rows.left_join(aliases, [(name, "old_id")])
    return joined.select(
        **{column: joined[column] for column in rows.columns}
        | {name: joined.survivor.coalesce(joined[name])}
    )
