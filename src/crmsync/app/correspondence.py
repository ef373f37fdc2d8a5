"""What mail has told of the addresses of customers, read from the activities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from crmsync.model.addresses import bare_address
from crmsync.model.notices import NoticeKind
from crmsync.model.records import Given
from crmsync.policy.correspondence import NOTHING_TOLD, Correspondence, Notice
from crmsync.rules.evaluation.asked import PRESENT
from crmsync.rules.evaluation.world import wanted
from crmsync.warehouse.addresses import mails_from, notices_in
from crmsync.warehouse.types import INSTANT
from crmsync.warehouse.variables import variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ibis.expr.types as ir

    from crmsync.app.suppression import Stops
    from crmsync.journeys.book import RecordBook
    from crmsync.model.records import LiveRecords
    from crmsync.rules.evaluation.world import World

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Correspondences:
    """By address. Nothing is asked of the warehouse before the first mail to a customer."""

    def __init__(self, records: LiveRecords, world: World, book: RecordBook, stops: Stops) -> None:
        self._records = records
        self._world = world
        self._book = book
        self._stops = stops

    def of(self, address: str) -> Correspondence:
        """What is known of an address, with or without a name."""
        bare = bare_address(address)
        notices = self._notices.get(bare)
        if notices is None:
            return NOTHING_TOLD
        heard_at, wrote_at = self._heard.get(bare, (None, None))
        return Correspondence(
            notices=notices,
            heard_at=heard_at,
            wrote_at=wrote_at,
            trusted_at=self._stops.trusted_at(bare),
        )

    @cached_property
    def _notices(self) -> Mapping[str, Sequence[Notice]]:
        """Of the contacts in the book, by address."""
        contacts = self._book.rows.get("contact", {}).values()
        addresses = {bare_address(str(row.get("email") or "")) for row in contacts}
        query = self._records.compiled("notices", self._told)
        rows = self._records.query(query, self._given(addresses))
        return by_address(rows)

    @cached_property
    def _heard(self) -> Mapping[str, tuple[datetime, datetime | None]]:
        """Of the addresses with notices: when mail came from them, and when a person wrote."""
        query = self._records.compiled("heard of", self._came)
        rows = self._records.query(query, self._given(self._notices.keys()))
        both = zip(instants(rows["heard"]), instants(rows["wrote"]), strict=True)
        return dict(zip(rows["address"].to_pylist(), both, strict=True))

    def _given(self, addresses: Iterable[str]) -> Given:
        return Given(values={PRESENT: self._world.now}) | self._world.ids(addresses)

    def _told(self) -> ir.Table:
        return notices_in(self._past()).semi_join(wanted(), [("address", "id")])

    def _came(self) -> ir.Table:
        mails = mails_from(self._past())
        mails = mails.semi_join(wanted(), [("address", "id")])
        return mails.group_by("address").aggregate(
            heard=mails["at"].max(), wrote=mails["at"].max(where=mails.by_person)
        )

    def _past(self) -> ir.Table:
        activity = self._records.table("activity")
        present = variable(PRESENT, INSTANT).cast(activity["at"].type())
        return activity.filter(activity["at"] <= present)


def correspondence_of(
    records: LiveRecords, address: str, *, now: datetime, trusted_at: datetime | None
) -> Correspondence:
    """What is known of one address, in the spelling of `bare_address`, at an instant (UTC)."""
    activity = records.table("activity")
    told = notices_in(activity)
    notices = by_address(records.query(told.filter(told.address == address))).get(address, [])
    mails = mails_from(activity)
    rows = records.query(mails.filter(mails.address == address).select("at"))
    heard = [at for at in instants(rows["at"]) if at is not None and at <= now]
    return Correspondence(
        notices=[one for one in notices if one.at <= now],
        heard_at=max(heard, default=None),
        trusted_at=trusted_at,
    )


def what_became_of(
    records: LiveRecords, message_ids: Sequence[str], *, now: datetime
) -> Mapping[str, Notice]:
    """Of those of these mails that came back or were called spam by an instant, the first notice.

    Args:
        message_ids: of mails of ours.
    """
    activity = records.table("activity")
    activity = activity.filter(activity["at"] <= now)
    told = notices_in(activity)
    told = told.filter(told.notice != NoticeKind.OUT_OF_OFFICE.value)
    named = activity.select("id", mail=activity.answers.strip().split(" ")[0])
    found = told.join(named.filter(named.mail.isin(message_ids)), "id")
    rows = records.query(found.order_by(found["at"].desc()))
    return dict(zip(rows["mail"].to_pylist(), _notices(rows), strict=True))


def by_address(rows: pa.Table) -> dict[str, list[Notice]]:
    """The rows of `notices_in` as notices, by the address that each is about."""
    found: dict[str, list[Notice]] = {}
    for address, notice in zip(rows["address"].to_pylist(), _notices(rows), strict=True):
        found.setdefault(address, []).append(notice)
    return found


def _notices(rows: pa.Table) -> list[Notice]:
    columns = [rows[name].to_pylist() for name in ("notice", "reason", "until")]
    return [
        Notice(kind=NoticeKind(kind), at=at, reason=reason or "", until=until)
        for kind, reason, until, at in zip(*columns, instants(rows["at"]), strict=True)
        if at is not None  # notices without an instant are not told
    ]


def instants(column: pa.ChunkedArray) -> list[datetime | None]:
    """A column of instants as Python's (UTC); Arrow's own way loads pandas."""
    microseconds = column.cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
    return [None if one is None else _EPOCH + timedelta(microseconds=one) for one in microseconds]
