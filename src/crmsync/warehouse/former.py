"""Former versions of records that the warehouse knows already: their past begins earlier then.

A connector that is asked for former values only after the first reading gives them as at first, a
record's former versions before it. What is older than all that was known of a record, and comes in
one batch with a version that is not, is its past; what comes alone is late, and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot.expressions as sge

from crmsync.model.pages import DELETED, MERGED_INTO
from crmsync.warehouse import versions
from crmsync.warehouse.batch import POSITION
from crmsync.warehouse.database import BOOKS, RECORDS, equals, is_one_of
from crmsync.warehouse.schema import HISTORY
from crmsync.warehouse.types import DATA_TYPES, INSTANT, KNOWN_SINCE, record_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from crmsync.model.tables import Field, Table
    from crmsync.warehouse.changes import ChangeLog
    from crmsync.warehouse.database import Database

_PRESENT = 2**62  # the position of what was known, behind everything that is older


def with_past(
    database: Database, log: ChangeLog, table: Table, rows: pa.Table, stored: pa.Table
) -> pa.Table:
    """What is stored, known since as long as the former versions among the rows tell.

    Args:
        rows: those of a batch, with the columns of a record and of service.
        stored: what the warehouse has of their records.
    """
    tracked = [field for field in table.fields if field.tracked]
    if not tracked or not _any_is_older(rows, stored):
        return stored
    with database.given("contested", rows), database.given("stored", stored):
        history = database.table(HISTORY, BOOKS).filter(lambda row: row.table_name == table.name)
        contested, known = database.table("contested"), database.table("stored")
        database.keep("former", _former(contested, known, history))
        former = database.table("former")
        since = former.group_by("id").aggregate(since=former.updated_at.min())
        earlier = database.query(since)
        if not earlier.num_rows:
            return stored
        told = _with_first_known(database, table, tracked, former)
        now = ibis.null(INSTANT)  # each of them bears its time
        _insert_before(database, table, versions.tracked_changes(table, told, tracked, now))
    return _known_earlier(database, log, table, stored, earlier)


def _any_is_older(rows: pa.Table, stored: pa.Table) -> bool:
    """Whether anything is older than what is known of its record; most batches have nothing."""
    if not rows.num_rows or not stored.num_rows:
        return False
    places = pc.index_in(rows["id"], value_set=stored["id"].combine_chunks())
    known = stored[KNOWN_SINCE].combine_chunks().take(places.combine_chunks())
    older = pc.less(rows["updated_at"].combine_chunks(), known)
    return bool(pc.any(older).as_py())


def _former(rows: ir.Table, stored: ir.Table, history: ir.Table) -> ir.Table:
    """Rows older than all that is known of their record, and before one that is not.

    None of a record that changed at the very instant since which it is known: changes at one
    instant are told apart by when they came, and these would come last.
    """
    known = stored.filter(stored.deleted_at.isnull() & stored.updated_at.notnull())
    known = known.select(known_id="id", since=KNOWN_SINCE, last="updated_at")
    changes = history.select(changed_id="id", since="at")
    known = known.anti_join(changes, [("known_id", "changed_id"), "since"])
    live = rows.filter(~rows[DELETED] & rows[MERGED_INTO].isnull() & rows.updated_at.notnull())
    joined = live.inner_join(known, [("id", "known_id")])
    place = ibis.ifelse(joined.updated_at >= joined["last"], joined[POSITION], -1)
    joined = joined.mutate(closed_at=place.max().over(ibis.window(group_by="id")))
    former = joined.filter(
        (joined.updated_at < joined.since) & (joined[POSITION] < joined.closed_at)
    )
    return former.select(*rows.columns)


def _with_first_known(
    database: Database, table: Table, tracked: Sequence[Field], former: ir.Table
) -> ir.Table:
    """Former versions, and behind those of each record what was known of it first."""
    stored = database.table("stored").semi_join(former, "id")
    history = database.table(HISTORY, BOOKS)
    history = history.mutate(place=history.rowid()).filter(history.table_name == table.name)
    first = ibis.window(group_by=["id", "field"], order_by=["at", "place"])
    history = history.mutate(number=ibis.row_number().over(first))
    history = history.filter(history.number == 0)
    known = stored.select("id", *(field.name for field in tracked), updated_at=KNOWN_SINCE)
    for field in tracked:
        change = history.filter(history.field == field.name).select(changed="id", was="old")
        joined = known.left_join(change, [("id", "changed")])
        was = joined.was.cast(DATA_TYPES[field.type])
        value = ibis.ifelse(joined.changed.notnull(), was, joined[field.name])
        known = joined.mutate(**{field.name: value}).drop("changed", "was")
    columns = ("id", "updated_at", *(field.name for field in tracked))
    in_order = ibis.window(group_by="id", order_by=["updated_at", POSITION])
    place = ibis.row_number().over(in_order)
    before = former.mutate(**{POSITION: place}).select(*columns, POSITION)
    known = known.mutate(**{POSITION: ibis.literal(_PRESENT, "int64")})
    return versions.each_of_its_own(before.union(known.select(*columns, POSITION)))


def _insert_before(database: Database, table: Table, changes: ir.Table) -> None:
    """Insert changes into the history of their records before those that stand there.

    What is told later counts as made later, so those that stand are told once more.
    """
    database.keep("changes_before", changes)
    before = database.table("changes_before")
    history = database.table(HISTORY, BOOKS)
    later = history.mutate(place=history.rowid()).filter(history.table_name == table.name)
    later = later.semi_join(before, "id").order_by("place").drop("place")
    database.keep("changes_behind", later)
    of_these = is_one_of("id", "changes_before")
    database.delete(HISTORY, BOOKS, sge.and_(equals(table_name=table.name), of_these))
    for told in ("changes_before", "changes_behind"):
        database.insert(HISTORY, BOOKS, database.table(told))


def _known_earlier(
    database: Database, log: ChangeLog, table: Table, stored: pa.Table, earlier: pa.Table
) -> pa.Table:
    places = pc.index_in(stored["id"], value_set=earlier["id"].combine_chunks())
    since = earlier["since"].combine_chunks().take(places.combine_chunks())
    column = stored.column_names.index(KNOWN_SINCE)
    known = pc.coalesce(since.cast(stored.schema.field(column).type), stored[KNOWN_SINCE])
    told = stored.set_column(column, KNOWN_SINCE, known)
    changed = told.filter(pc.is_valid(places))
    database.delete_ids(table.name, RECORDS, changed["id"])
    database.insert(table.name, RECORDS, changed.select(list(record_columns(table))))
    log.note(table.name, changed["id"])
    return told
