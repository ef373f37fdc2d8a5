"""Which of several versions of a record counts, as expressions over all of them.

Versions of one record are taken in the order in which they were read, the one that the warehouse
has first. A version is *late* when its ``updated_at`` is before that of a version that counted
before it; late versions are left out. One without ``updated_at`` is new, whatever came before.
At equal ``updated_at`` the later read counts: remotes keep time in seconds, and what is read
later is nearer to the truth. A tombstone keeps what was last known of its record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, ROW
from crmsync.warehouse.batch import POSITION
from crmsync.warehouse.types import INSTANT, KNOWN_SINCE, STREAM, arrow_instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import ibis.expr.types as ir

    from crmsync.model.tables import Field, Table

STORED = "_stored"  # boolean: the version that the warehouse has
_ERA = "_era"  # integer: how many live versions without updated_at came up to this one
_TOP = "_top"  # instant: the latest updated_at of its era before it
_BASE = "_base"  # integer: the position of the version whose content counts here
_LATEST = "_latest"  # instant: the latest updated_at of its era up to it
_WINS = "_wins"  # boolean: the last version that is not late
WAS_LIVE = "was_live"  # boolean: the warehouse has the record, and not as a tombstone


def from_store(stored: ir.Table) -> ir.Table:
    """Records of the warehouse as versions."""
    return stored.mutate(
        **{
            STORED: ibis.literal(value=True),
            POSITION: ibis.literal(-1, "int64"),
            DELETED: stored.deleted_at.notnull(),
            MERGED_INTO: ibis.null("string"),
            ORIGIN: ibis.null("string"),
            ROW: ibis.null("int64"),
        }
    )


def from_batch(staged: ir.Table, now: ir.Scalar) -> ir.Table:
    """Rows of a batch as versions; they have the columns of a record and the service columns."""
    return staged.mutate(
        **{
            STORED: ibis.literal(value=False),
            KNOWN_SINCE: ibis.coalesce(staged.updated_at, now).cast(INSTANT),
        }
    )


def accepted(versions: ir.Table) -> ir.Table:
    """The versions that are not late, and for each whose content counts."""
    ordered = {"group_by": "id", "order_by": POSITION}
    opens_era = ~versions[STORED] & ~versions[DELETED] & versions.updated_at.isnull()
    rows = versions.mutate(
        **{_ERA: opens_era.cast("int64").sum().over(ibis.cumulative_window(**ordered))}
    )
    before = ibis.window(group_by=["id", _ERA], order_by=POSITION, preceding=(None, 1))
    rows = rows.mutate(**{_TOP: rows.updated_at.max().over(before)})
    rows = rows.filter(
        rows[STORED]
        | rows.updated_at.isnull()
        | rows[_TOP].isnull()
        | (rows.updated_at >= rows[_TOP])
    )
    first = ibis.row_number().over(ibis.window(**ordered)) == 0
    from_end = ibis.window(group_by="id", order_by=ibis.desc(POSITION))
    has_content = rows[STORED] | ~rows[DELETED] | first
    rows = rows.mutate(_content_at=ibis.ifelse(has_content, rows[POSITION], ibis.null("int64")))
    era = ibis.cumulative_window(group_by=["id", _ERA], order_by=POSITION)
    return rows.mutate(
        **{
            _BASE: rows["_content_at"].max().over(ibis.cumulative_window(**ordered)),
            _LATEST: rows.updated_at.max().over(era),
            _WINS: ibis.row_number().over(from_end) == 0,
            KNOWN_SINCE: rows[KNOWN_SINCE].first().over(ibis.cumulative_window(**ordered)),
        }
    )


def changed_records(table: Table, versions: ir.Table, stored: ir.Table, now: ir.Scalar) -> ir.Table:
    """The records that the accepted versions change, as they are to be kept.

    Beside the record's columns: the service columns of the winning row, and ``was_live``.
    """
    winners = versions.filter(versions[_WINS] & ~versions[STORED])
    bases = versions.view()
    before = stored.view()
    joined = winners.join(
        bases, [winners.id == bases.id, winners[_BASE] == bases[POSITION]]
    ).left_join(before, winners.id == before.id)
    deleted_at = ibis.coalesce(winners.deleted_at, winners.updated_at, before.deleted_at, now)
    own = {"id", "updated_at", "deleted_at"}
    contents = {f.name: bases[f.name] for f in table.fields if f.name not in own}
    record = {
        "id": winners.id,
        **contents,
        "updated_at": winners[_LATEST],
        "deleted_at": ibis.ifelse(winners[DELETED], deleted_at, ibis.null(INSTANT)).cast(INSTANT),
        STREAM: winners[STREAM],
    }
    unchanged = before.id.notnull()
    for name, value in record.items():
        unchanged &= value.identical_to(before[name])
    rest = {name: winners[name] for name in (KNOWN_SINCE, DELETED, MERGED_INTO, ORIGIN, ROW)}
    return joined.select(
        **record,
        **rest,
        was_live=before.id.notnull() & before.deleted_at.isnull(),
        unchanged=unchanged,
    )


def each_of_its_own(rows: ir.Table) -> ir.Table:
    """Versions that count as they are, as `tracked_changes` takes them."""
    return rows.mutate(**{_BASE: rows[POSITION]})


def new_records(staged: pa.Table, now: datetime) -> pa.Table:
    """Rows of a batch whose ids occur once in it and not in the warehouse, as they are kept."""
    at = arrow_instant(now)
    known_since = pc.coalesce(staged["updated_at"], at)
    deleted_at = pc.if_else(
        staged[DELETED], pc.coalesce(staged["deleted_at"], known_since), pa.scalar(None, at.type)
    )
    place = staged.column_names.index("deleted_at")
    kept = staged.set_column(place, "deleted_at", deleted_at)
    return kept.append_column(KNOWN_SINCE, known_since)


def tracked_changes(
    table: Table, versions: ir.Table, fields: Sequence[Field], now: ir.Scalar
) -> ir.Table:
    """The rows of history between consecutive versions, those of a record in their order."""
    rows = versions.filter(versions[_BASE] == versions[POSITION])
    order = ibis.window(group_by="id", order_by=POSITION)
    number = ibis.row_number().over(order)
    steps = []
    for field in fields:
        step = rows.select(
            "id",
            "updated_at",
            number=number,
            new=rows[field.name],
            old=rows[field.name].lag().over(order),
        )
        step = step.filter((step.number > 0) & ~step.new.identical_to(step.old))
        steps.append(
            step.select(
                table_name=ibis.literal(table.name),
                id=step.id,
                field=ibis.literal(field.name),
                old=step.old.cast("string"),
                new=step.new.cast("string"),
                at=ibis.coalesce(step.updated_at, now).cast(INSTANT),
                number=step.number,
            )
        )
    changes = ibis.union(*steps) if len(steps) > 1 else steps[0]
    return changes.order_by("number").drop("number")
