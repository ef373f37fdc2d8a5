"""Listings of a whole stream: what a finished one did not name is deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import ibis

from crmsync.errors import RejectedError
from crmsync.model.pages import ORIGIN, ROW
from crmsync.warehouse.batch import POSITION
from crmsync.warehouse.database import BOOKS, RECORDS
from crmsync.warehouse.schema import SNAPSHOT_SEEN
from crmsync.warehouse.types import INSTANT, STREAM

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from crmsync.model.pages import Snapshot
    from crmsync.warehouse.batch import Batch
    from crmsync.warehouse.database import Database

# From this many records on, a listing that would delete more than half of them is refused;
# one that would delete all of them is refused whatever their number.
_MANY = 20

_BEFORE_ALL = ibis.literal(datetime(1, 1, 1, tzinfo=UTC), INSTANT)


class Listing:
    """The listing that a batch belongs to."""

    def __init__(
        self, database: Database, batch: Batch, snapshot: Snapshot, now: ir.Scalar
    ) -> None:
        self._database = database
        self._batch = batch
        self._snapshot = snapshot
        self.id = snapshot.id
        self._now = now

    def outdone(self, staged: ir.Table, stored: ir.Table) -> ir.Table:
        """Rows whose key another row of the listing has too, and that row counts.

        The one with the latest ``updated_at`` counts, then the one that was read last.
        Rows without a number come from an API, whose listings overlap: they are left alone.
        """
        newest_last = [ibis.coalesce(staged.updated_at, _BEFORE_ALL), staged[POSITION]]
        rank = ibis.row_number().over(
            ibis.window(group_by="id", order_by=[ibis.desc(key) for key in newest_last])
        )
        ranked = self._database.keep(
            "listing_ranked",
            staged.select(
                "id", "updated_at", origin=staged[ORIGIN], row=staged[ROW], rank=rank
            ).filter(staged[ROW].notnull()),
        )
        counted = ranked.filter(ranked["rank"] == 0)
        here = _pairs(ranked.filter(ranked["rank"] > 0), counted)
        seen = self._seen()
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
            pairs.other_origin + " row ",
        )
        sentence = (
            origin
            + " row "
            + pairs.row.cast("string")
            + ": the key “"
            + pairs.id.substr(len(self._batch.connection) + 1)
            + "” stands again in "
            + other
            + pairs.other_row.cast("string")
            + ", which counts; give each record a key of its own"
        )
        return pairs.select(origin=origin, row=pairs.row, record=pairs.id, sentence=sentence)

    def note(self, arrived: ir.Table, stored: ir.Table) -> None:
        """Remember what the listing has named so far; forget a listing that was given up."""
        books = self._database.table(SNAPSHOT_SEEN, BOOKS)
        mine = self._of_stream(books)
        given_up = mine.filter(mine.snapshot != self._snapshot.id)
        given_up = self._database.keep(
            "given_up", given_up.select("connection", "stream", "snapshot").distinct()
        )
        if self._database.scalar(given_up.count()):
            keys = ["connection", "stream", "snapshot"]
            self._database.delete(SNAPSHOT_SEEN, BOOKS, rows=given_up, on=keys)
        if self._snapshot.last:
            return  # what this batch names is at hand
        named = arrived.filter(arrived.id.notnull())
        self._database.insert(
            SNAPSHOT_SEEN,
            BOOKS,
            named.select(
                connection=ibis.literal(self._batch.connection),
                stream=ibis.literal(self._batch.stream),
                snapshot=ibis.literal(self._snapshot.id),
                id=named.id,
                origin=named[ORIGIN],
                row=named[ROW],
                known=named.id.isin(_live(stored).id),
            ),
        )

    def delete_absent(self, arrived: ir.Table, stored: ir.Table) -> int:
        """Make tombstones of the stream's records that the finished listing did not name.

        Raises:
            RejectedError: it would delete all of them or most of many, and nobody has confirmed.
        """
        records = self._database.table(self._batch.table, RECORDS)
        live = records.filter(
            (records.connection == self._batch.connection)
            & (records[STREAM] == self._batch.stream)
            & records.deleted_at.isnull()
        )
        named = ibis.union(self._seen().select("id"), arrived.select("id")).distinct()
        absent = self._database.keep("absent", live.anti_join(named, "id"))
        count = int(self._database.scalar(absent.count()))
        if not count:
            return 0
        seen = self._seen()
        known = ibis.union(
            seen.filter(seen.known).select("id"), _live(stored).select("id")
        ).distinct()
        self._refuse_most(count, count + int(self._database.scalar(known.count())))
        self._database.delete(self._batch.table, RECORDS, rows=absent.select("id"), on=["id"])
        self._database.insert(
            self._batch.table, RECORDS, absent.mutate(deleted_at=self._now.cast(INSTANT))
        )
        return count

    def forget(self) -> None:
        """Forget what the finished listing has named."""
        mine = self._of_stream(self._database.table(SNAPSHOT_SEEN, BOOKS))
        rows = self._database.keep("listing_done", mine.select("connection", "stream").distinct())
        self._database.delete(SNAPSHOT_SEEN, BOOKS, rows=rows, on=["connection", "stream"])

    def _refuse_most(self, count: int, of: int) -> None:
        if self._batch.deletions_confirmed:
            return
        if count < of and (of < _MANY or 2 * count <= of):
            return
        how_many = f"all {of}" if count == of else f"{count} of {of}"
        raise RejectedError(
            f"{self._batch.connection}, stream {self._batch.stream}: the listing lacks {how_many} "
            f"records that were there before, so it looks cut off; nothing was deleted. "
            "Export it again, or confirm the deletions if they are meant"
        )

    def _seen(self) -> ir.Table:
        books = self._of_stream(self._database.table(SNAPSHOT_SEEN, BOOKS))
        return books.filter(books.snapshot == self._snapshot.id).select(
            "id", "origin", "row", "known"
        )

    def _of_stream(self, books: ir.Table) -> ir.Table:
        return books.filter(
            (books.connection == self._batch.connection) & (books.stream == self._batch.stream)
        )


def _pairs(losing: ir.Table, counting: ir.Table) -> ir.Table:
    """Rows that lose with the row of the same key that counts; a row read twice is one row."""
    other = counting.select("id", other_origin=counting.origin, other_row=counting.row)
    pairs = losing.select("id", "origin", "row").join(other, "id")
    same = pairs.origin.identical_to(pairs.other_origin) & (pairs.row == pairs.other_row)
    return pairs.filter(pairs.row.notnull() & ~same)


def _live(stored: ir.Table) -> ir.Table:
    return stored.filter(stored.deleted_at.isnull())
