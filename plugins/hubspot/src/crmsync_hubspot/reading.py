"""Reads records: all of them by lists, and then what has changed by the portal's search.

The search tells of a change seconds to minutes late, so a reading begins a look-back before the
time at which the one before it began; what is read twice changes nothing. Within the time that is
read, records come in the order of their ids, each page from behind the last id on: a record that
changes meanwhile leaves that time, but moves no other, and however many share an instant, none is
passed over. No search goes beyond its first page, so its cap of 10,000 records is never met.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from crmsync.errors import TransientError
from crmsync.model.pages import Page, Snapshot
from crmsync.observe import logger
from crmsync_hubspot import objects
from crmsync_hubspot.cursor import (
    ListPlace,
    Types,
    WindowPlace,
    milliseconds,
    progress_of,
    written,
)
from crmsync_hubspot.options import HubSpotStreamOptions
from crmsync_hubspot.records import ROOM, batch_read, following, search
from crmsync_hubspot.tables import archived_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.client import HubSpotClient
    from crmsync_hubspot.cursor import Progress
    from crmsync_hubspot.sharing import Listed

    Results = list[dict[str, Any]]

_LONGEST_ADDRESS = 15_000  # characters of properties' names
# Archived records are kept for 90 days; after that only a complete listing tells.
_A_DAY = 24 * 3600 * 1000
_KEPT = 85 * _A_DAY
_EMPTY_PAGES, _ASKED_AGAIN = 20, 2


class Rows(Protocol):
    """What becomes of the records that are found.

    Attributes:
        properties: those to ask for.
        targets: objects whose associations are wanted; ``listed_targets`` those of a list.
        history: properties whose earlier values come before a record.
        keeps_types: whether it is to be known which properties are times.
        tells_archived: whether archived records are rows too.
    """

    properties: tuple[str, ...]
    targets: tuple[str, ...]
    listed_targets: tuple[str, ...]
    history: tuple[str, ...]
    keeps_types: bool
    tells_archived: bool

    def types(self) -> Types:
        """Ask the portal which properties are times, and whether it has all of them."""
        ...

    def listed(self, results: Results, types: Types, *, history: bool) -> pa.Table:
        """A page of a list."""
        ...

    def changed(self, results: Results, types: Types, since: int) -> pa.Table:
        """Records of a search, which tells no associations."""
        ...

    def begin(self, *, resumed: bool) -> None:
        """A list of all records begins, or goes on."""
        ...

    def end(self, began: int) -> None:
        """It has come to its end."""
        ...

    def known(self, now: int) -> Listed | None:
        """All that a list would bring, where it is known already."""
        ...


class StreamReading:
    """One reading of a stream, from a cursor to the end."""

    def __init__(
        self, client: HubSpotClient, request: StreamRequest, rows: Rows, since: Cursor | None
    ) -> None:
        assert isinstance(request.options, HubSpotStreamOptions)  # noqa: S101  the spec names that model
        self._client, self._rows, self._options = client, rows, request.options
        self._object = request.options.object
        self._path = f"/crm/v3/objects/{self._object}"
        self._columns = tuple(dict.fromkeys((*request.columns, *request.key)))
        self._progress: Progress = progress_of(since, request)
        self._lateness = int(request.options.lateness.total_seconds() * 1000)
        self._log = logger(stream=request.name, object=self._object)
        self._told: Cursor | None = None

    def pages(self) -> Iterator[Page]:
        """The pages; none where nothing has changed.

        Raises:
            ConnectorError: one of the five; the cursor stays before what was not handed out.
        """
        before = self._progress
        resumed = before.listing is not None
        if self._must_list():
            yield from self._listing()
        if before.since is not None or resumed:
            yield from self._changes()
        if self._rows.tells_archived:
            yield from self._archived()
        fresh = replace(self._progress, since=before.since) != before
        if fresh and self._told != self._progress.cursor():
            yield self._page(self._rows.listed([], Types(), history=False))

    def _now(self) -> int:
        """The portal's own time; ours, which may be wrong, only until it has told its."""
        return milliseconds(self._client.portal_time())

    def _must_list(self) -> bool:
        progress = self._progress
        if progress.listing is not None or progress.since is None:
            return True
        if progress.window is not None or progress.archive is not None:
            return False
        now = milliseconds(self._client.clock.now())
        every = int(self._options.reread_every.length.total_seconds() * 1000)
        if now - (progress.listed or 0) >= every or self._lacks_past():
            return True
        return self._rows.tells_archived and now - (progress.archived or 0) > _KEPT

    def _lacks_past(self) -> bool:
        """Whether earlier values are asked for that were not when all was read."""
        return not set(self._rows.history) <= set(self._progress.past)

    def _listing(self) -> Iterator[Page]:
        """All records, so that what is not among them is known to be gone."""
        place = self._progress.listing
        known = self._rows.known(self._now())
        if place is None and known is not None:
            yield from self._known(known)
            return
        self._rows.begin(resumed=place is not None)
        if place is None:
            if self._rows.keeps_types:
                self._progress = replace(self._progress, types=self._rows.types())
            # Earlier values make a record come more than once, so it is no listing then: what was
            # archived, ever, is asked for behind it.
            place = ListPlace(id=uuid4().hex, began=self._now(), history=self._lacks_past())
        for results, after in self._list(place.after, archived=False):
            ended = after is None
            place = replace(place, began=min(place.began, self._now()))
            table = self._rows.listed(results, self._types, history=place.history)
            if ended:
                self._rows.end(place.began)
                told = self._progress.listed_to_the_end(place, self._lateness)
                if place.history:
                    told = told.with_past(self._rows.history, before=self._progress.listed)
                self._progress = told
            else:
                place = replace(place, after=after)
                self._progress = replace(self._progress, listing=place, window=None)
            snapshot = None if place.history else Snapshot(id=place.id, last=ended)
            yield self._page(table, snapshot)

    def _known(self, known: Listed) -> Iterator[Page]:
        """What another stream has listed a moment ago."""
        place = ListPlace(id=uuid4().hex, began=known.began)
        for table, ended in known.tables(self._rows.targets):
            if ended:
                self._progress = self._progress.listed_to_the_end(place, self._lateness)
            # Broken off, it is begun again, by a list of its own.
            yield self._page(table, Snapshot(id=place.id, last=ended))

    @property
    def _types(self) -> Types:
        return self._progress.types or Types()

    def _list(self, after: str | None, *, archived: bool) -> Iterator[tuple[Results, str | None]]:
        """The pages of a list, each with the portal's token for the next."""
        seen: set[str | None] = {after}
        empty = 0
        while True:
            answer = self._asked_list(after, archived=archived)
            more = following(answer)
            for _ in range(_ASKED_AGAIN):
                if more is None or more not in seen:
                    break
                # It leads back to a page that was told already; most of the time not for long.
                answer = self._asked_list(after, archived=archived)
                more = following(answer)
            results: Results = answer["results"]
            after = more
            empty = 0 if results else empty + 1
            if (after is not None and after in seen) or empty > _EMPTY_PAGES:
                raise TransientError(
                    f"HubSpot's list of {self._object} leads back to where it was, and has no "
                    "end; it is read on from there the next time"
                )
            seen.add(after)
            # The token says whether it goes on; a short page says nothing.
            yield results, after
            if after is None:
                return

    def _asked_list(self, after: str | None, *, archived: bool) -> dict[str, Any]:
        wanted = () if archived else self._rows.properties
        first, rest = _fitting(wanted, _LONGEST_ADDRESS)
        query = [("limit", str(objects.LISTED)), ("archived", "true" if archived else "false")]
        query += [("properties", ",".join(first))] if first else []
        if self._rows.listed_targets and not archived:
            query.append(("associations", ",".join(self._rows.listed_targets)))
        query += [] if after is None else [("after", after)]
        answer: dict[str, Any] = self._client.call("GET", self._path, query=query).body
        if rest and answer["results"]:
            self._complete(answer["results"], rest)
        return answer

    def _complete(self, results: Results, names: Sequence[str]) -> None:
        """Ask for the properties that an address or a search has no room for."""
        ids = [str(one["id"]) for one in results]
        found = batch_read(self._client, self._object, {"properties": list(names)}, ids)
        for result in results:
            more = found.get(str(result["id"]))
            # A record that went away meanwhile is told as archived, or comes no more.
            result["properties"] |= {} if more is None else more["properties"]

    def _changes(self) -> Iterator[Page]:
        """What has changed since the last reading, in the order of ids."""
        progress = self._progress
        assert progress.since is not None  # noqa: S101  a listing has set it
        place = progress.window
        if place is None:
            # What the portal's clock says, the first answer tells.
            known = self._client.ahead is not None
            place = WindowPlace(until=self._now() + (0 if known else _A_DAY), last=0)
        # As many as one call for associations takes.
        gathered: Results = []
        for results, place, ended in self._search(progress.since, place):  # noqa: B020  it goes on
            gathered += results
            if ended or len(gathered) >= objects.ASSOCIATIONS:
                if ended:
                    since = max(progress.since, place.until - self._lateness)
                    self._progress = replace(self._progress, since=since, window=None)
                else:
                    self._progress = replace(self._progress, window=place)
                if gathered:
                    yield self._page(self._rows.changed(gathered, self._types, progress.since))
                gathered = []

    def _search(
        self, since: int, place: WindowPlace
    ) -> Iterator[tuple[Results, WindowPlace, bool]]:
        """Pages of changes, each with the place behind it, and whether it is the last page."""
        token: str | None = None
        empty = 0
        while True:
            answer = self._asked_search(since, place, token)
            results: Results = answer["results"]
            more = following(answer)
            highest = max((int(one["id"]) for one in results), default=place.last)
            empty = 0 if results else empty + 1
            if (results and highest <= place.last) or empty > _EMPTY_PAGES:
                raise TransientError(
                    f"HubSpot's search of {self._object} leads back to where it was, and has no end"
                )
            # An empty page that is not the last has no id to go on from.
            token = None if results else more
            # The first answer tells what time it is there.
            place = WindowPlace(until=min(place.until, self._now()), last=highest)
            yield results, place, more is None
            if more is None:
                return

    def _asked_search(self, since: int, place: WindowPlace, token: str | None) -> dict[str, Any]:
        filters: list[dict[str, str]] = [
            {
                "propertyName": objects.change_property(self._object),
                "operator": "BETWEEN",
                "value": str(since),
                "highValue": str(max(since, place.until)),
            }
        ]
        if place.last:
            last = str(place.last)
            filters.append({"propertyName": objects.OBJECT_ID, "operator": "GT", "value": last})
        first, rest = _fitting(self._rows.properties, ROOM)
        answer = search(
            self._client,
            self._object,
            filters,
            properties=first,
            limit=objects.SEARCHED,
            after=token or "0",
        )
        if rest and answer["results"]:
            self._complete(answer["results"], rest)
        return answer

    def _archived(self) -> Iterator[Page]:
        """What was archived: no search tells it, so the archive is listed now and then."""
        progress = self._progress
        if progress.since is None or progress.archived is None:
            return
        place = progress.archive
        if place is None:
            now = self._now()
            every = int(self._options.archived_every.length.total_seconds() * 1000)
            if now - progress.archived < every:
                return
            place = ListPlace(id="archive", began=now)
        floor = written(max(0, progress.archived - self._lateness))
        for results, after in self._list(place.after, archived=True):
            gone = [one for one in results if str(one.get(objects.ARCHIVED_AT) or "~") >= floor]
            if after is None:
                self._progress = replace(self._progress, archived=place.began, archive=None)
            else:
                place = replace(place, after=after)
                self._progress = replace(self._progress, archive=place)
            if gone:
                yield self._page(archived_table(gone, self._columns))

    def _page(self, table: pa.Table, snapshot: Snapshot | None = None) -> Page:
        self._told = self._progress.cursor()
        return Page(records=table, cursor=self._told, snapshot=snapshot)


def _fitting(names: Sequence[str], room: int) -> tuple[list[str], list[str]]:
    """As many names as there is room for, in characters, and the rest."""
    length = 0
    for place, name in enumerate(names):
        # A comma is written as three characters in an address; in a body there are quotes, too.
        length += len(name) + 3
        if length > room:
            return list(names[:place]), list(names[place:])
    return list(names), []
