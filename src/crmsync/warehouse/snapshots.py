"""Listings of a whole stream: what a finished one did not name is deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot.expressions as sge

from crmsync.errors import RejectedError
from crmsync.model.pages import ORIGIN, ROW
from crmsync.warehouse.batch import POSITION
from crmsync.warehouse.database import BOOKS, RECORDS, equals, is_one_of, named
from crmsync.warehouse.quarantine import SAID
from crmsync.warehouse.schema import SNAPSHOT_SEEN
from crmsync.warehouse.types import INSTANT, arrow_instant

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.model.pages import Snapshot
    from crmsync.warehouse.batch import Batch
    from crmsync.warehouse.changes import ChangeLog
    from crmsync.warehouse.database import Database

# From this many records on, a listing that would delete more than half of them is refused;
# one that would delete all of them is refused whatever their number.
_MANY = 5

_BEFORE_ALL = ibis.literal(datetime(1, 1, 1, tzinfo=UTC), INSTANT)


class Listing:
    """The listing that a batch belongs to.

    Args:
        usable: the rows that can be merged.
        stored: what the warehouse has of the records that the usable rows name.
    """

    def __init__(
        self,
        *,
        database: Database,
        batch: Batch,
        snapshot: Snapshot,
        usable: pa.Table,
        stored: pa.Table,
        now: datetime,
        log: ChangeLog,
    ) -> None:
        self._log = log
        self._database = database
        self._batch = batch
        self._snapshot = snapshot
        self.id = snapshot.id
        self._usable = usable
        self._stored = stored
        self._now = now
        self._of_stream = equals(connection=batch.connection, stream=batch.stream)
        of_listing = sge.and_(self._of_stream, equals(snapshot=snapshot.id))
        self._seen_select = (
            sge.select("id", "origin", "row", "known")
            .from_(named(SNAPSHOT_SEEN, BOOKS))
            .where(of_listing)
        )
        self._has_seen = database.fetch(self._seen_select.limit(1)).num_rows > 0

    def outdone(self) -> pa.Table:
        """Rows whose key another row of the listing has too, and that row counts: what is said.

        The one with the latest ``updated_at`` counts, then the one that was read last.
        Rows without a number come from an API, whose listings overlap: they are left alone.
        """
        if self._usable[ROW].null_count == self._usable.num_rows:
            return SAID.empty_table()
        if not self._has_seen and not len(repeated(self._usable["id"])):
            return SAID.empty_table()
        columns = ["id", "updated_at", POSITION, ORIGIN, ROW]
        before = self._stored.select(["id", "updated_at"])
        with (
            self._database.given("listing_usable", self._usable.select(columns)),
            self._database.given("listing_before", before),
        ):
            return self._database.query(self._outdone())

    def _outdone(self) -> ir.Table:
        usable = self._database.table("listing_usable")
        newest_last = [ibis.coalesce(usable.updated_at, _BEFORE_ALL), usable[POSITION]]
        rank = ibis.row_number().over(
            ibis.window(group_by="id", order_by=[ibis.desc(key) for key in newest_last])
        )
        ranked = usable.select(
            "id", "updated_at", origin=usable[ORIGIN], row=usable[ROW], rank=rank
        ).filter(usable[ROW].notnull())
        self._database.keep("listing_ranked", ranked)
        ranked = self._database.table("listing_ranked")
        counted = ranked.filter(ranked["rank"] == 0)
        here = _pairs(ranked.filter(ranked["rank"] > 0), counted)
        self._database.keep("listing_seen", self._seen_select)
        seen = self._database.table("listing_seen")
        stored = self._database.table("listing_before")
        before = stored.select("id", stored_at=stored.updated_at)
        met = counted.join(seen.select("id"), "id").join(before, "id")
        late = met.filter(met.updated_at < met.stored_at).select("id")
        earlier = _pairs(seen, counted.anti_join(late, "id"))
        later = _pairs(counted.semi_join(late, "id"), seen)
        return self._sentences(ibis.union(here, earlier, later).distinct())

    def _sentences(self, pairs: ir.Table) -> ir.Table:
        origin = ibis.coalesce(pairs.origin, ibis.literal(self._batch.stream))
        other = ibis.ifelse(
            pairs.origin.identical_to(pairs.other_origin),
            ibis.literal("row "),
            pairs.other_origin + ", row ",
        )
        sentence = (
            origin
            + ", row "
            + pairs.row.cast("string")
            + ": the key “"
            + pairs.id.substr(len(self._batch.connection) + 1)
            + "” stands again in "
            + other
            + pairs.other_row.cast("string")
            + ", which counts; give each record a key of its own"
        )
        return pairs.select(origin=origin, row=pairs.row, record=pairs.id, sentence=sentence)

    def note(self) -> None:
        """Remember what the listing has named so far; forget a listing that was given up."""
        given_up = sge.column("snapshot").eq(self._snapshot.id).not_()
        self._database.delete(SNAPSHOT_SEEN, BOOKS, sge.and_(self._of_stream, given_up))
        if self._snapshot.last:
            return  # what this batch names is at hand
        named_rows = self._batch.rows.select(["id", ORIGIN, ROW])
        if named_rows["id"].null_count:
            named_rows = named_rows.filter(named_rows["id"].is_valid())
        count = named_rows.num_rows
        rows = {
            "connection": pa.repeat(self._batch.connection, count),
            "stream": pa.repeat(self._batch.stream, count),
            "snapshot": pa.repeat(self._snapshot.id, count),
            "id": named_rows["id"],
            "origin": named_rows[ORIGIN],
            "row": named_rows[ROW],
            "known": pc.is_in(named_rows["id"], value_set=self._live_ids().combine_chunks()),
        }
        self._database.insert(SNAPSHOT_SEEN, BOOKS, pa.table(rows))

    def delete_absent(self) -> int:
        """Make tombstones of the stream's records that the finished listing did not name.

        Raises:
            RejectedError: it would delete all of them or most of many, and nobody has confirmed.
        """
        arrived = self._batch.rows["id"]
        live = sge.and_(self._of_stream, sge.column("deleted_at").is_(sge.null()))
        absent = sge.select("*").from_(named(self._batch.table, RECORDS)).where(live)
        absent = absent.where(is_one_of("id", "listing_arrived").not_())
        if self._has_seen:
            seen = self._seen_select.select("id", append=False)
            absent = absent.where(sge.column("id").isin(query=seen).not_())
        with self._database.given("listing_arrived", pa.table({"id": arrived.drop_null()})):
            rows = self._database.fetch(absent)
        if not rows.num_rows:
            return 0
        self._refuse_most(rows.num_rows, rows.num_rows + self._known())
        self._log.note(self._batch.table, rows["id"])
        self._database.delete_ids(self._batch.table, RECORDS, rows["id"])
        at = pa.repeat(arrow_instant(self._now), rows.num_rows)
        place = rows.column_names.index("deleted_at")
        rows = rows.set_column(place, "deleted_at", at)
        self._database.insert(self._batch.table, RECORDS, rows)
        return int(rows.num_rows)

    def forget(self) -> None:
        """Forget what the finished listing has named."""
        self._database.delete(SNAPSHOT_SEEN, BOOKS, self._of_stream)

    def _known(self) -> int:
        """How many records that were there before the listing has named."""
        seen = self._database.fetch(self._seen_select.where(sge.column("known")))
        ids = pa.chunked_array([*seen["id"].chunks, *self._live_ids().chunks], pa.string())
        return int(pc.count_distinct(ids).as_py())

    def _live_ids(self) -> pa.ChunkedArray:
        return self._stored["id"].filter(self._stored["deleted_at"].is_null())

    def _refuse_most(self, count: int, of: int) -> None:
        if self._batch.deletions_confirmed:
            return
        if count < of and (of < _MANY or 2 * count <= of):
            return
        how_many = f"all {of}" if count == of else f"{count} of {of}"
        raise RejectedError(
            f"{self._batch.connection}, stream {self._batch.stream}: the listing lacks {how_many} "
            f"records that were there before, so it looks cut off; nothing was deleted. "
            "Export it again, or run crmsync sync --confirm-deletions if they are meant"
        )


def _pairs(losing: ir.Table, counting: ir.Table) -> ir.Table:
    """Rows that lose with the row of the same key that counts; a row read twice is one row."""
    other = counting.select("id", other_origin=counting.origin, other_row=counting.row)
    pairs = losing.select("id", "origin", "row").join(other, "id")
    same = pairs.origin.identical_to(pairs.other_origin) & (pairs.row == pairs.other_row)
    return pairs.filter(pairs.row.notnull() & ~same)


def repeated(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """The ids that occur more than once."""
    if len(pc.unique(ids)) == len(ids):  # three times as fast as count_distinct
        return pa.chunked_array([], pa.string())
    counts = pc.value_counts(ids)
    found = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return pa.chunked_array([found], pa.string())
