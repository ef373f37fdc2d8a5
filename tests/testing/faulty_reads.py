"""Connectors that read with one fault each."""

from __future__ import annotations

import html
import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from crmsync.errors import TransientError
from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, PROBLEM, Page, Snapshot
from crmsync.testing.memory import ID, UPDATED_AT, MemoryConnector
from crmsync.testing.reference import TEXT, MemoryUnderTest
from testing.mutants import killed_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import RemoteField
    from crmsync.testing.memory_remote import StoredRecord

_END = "~"  # sorts after every id


def _with_text(page: Page, column: pa.Array) -> Page:
    place = page.records.column_names.index(TEXT)
    return replace(page, records=page.records.set_column(place, TEXT, column))


class _Edited(MemoryConnector):
    """Yields the reference's pages after an edit."""

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        for page in super().read(stream, since):
            yield self.edited(page)

    def edited(self, page: Page) -> Page:
        raise NotImplementedError


# The first read.


@killed_by("first_read_brings_every_record_once", "these records are lost: ")
class ForgetsTheLastPage(MemoryConnector):
    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        pages = list(super().read(stream, since))
        yield from pages[:-1] if since is None else pages


@killed_by("first_read_brings_every_record_once", "yet these came twice: ")
class OverlapsItsPages(MemoryConnector):
    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        last: pa.Table | None = None
        for page in super().read(stream, since):
            records = page.records if last is None else pa.concat_tables([last, page.records])
            yield replace(page, records=records)
            last = page.records.slice(page.records.num_rows - 1)


@killed_by("first_read_brings_every_record_once", "came on one page")
class OnePage(MemoryUnderTest):
    def connect(self) -> MemoryConnector:
        self.remote.page_size = 100
        connector = super().connect()
        assert isinstance(connector, MemoryConnector)
        return connector


# The description.


@killed_by("described_fields_cover_what_is_read", "read but not described: text")
class DescribesTooLittle(MemoryConnector):
    def describe(self, stream: str) -> Sequence[RemoteField]:
        return [field for field in super().describe(stream) if field.name != TEXT]


@killed_by("described_fields_cover_what_is_read", "are reserved: _source")
class InventsAReservedColumn(_Edited):
    def edited(self, page: Page) -> Page:
        column = pa.array(["memory"] * page.records.num_rows)
        return replace(page, records=page.records.append_column("_source", column))


# Checkpoints.


@killed_by("resuming_from_every_checkpoint_loses_nothing", "these records are lost: ")
class AtMostOnce(MemoryConnector):
    """Hands out with each page the cursor of the one after it."""

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        pages = list(super().read(stream, since))
        for page, following in itertools.pairwise([*pages, *pages[-1:]]):
            yield replace(page, cursor=following.cursor)


@killed_by("resuming_from_every_checkpoint_loses_nothing", "these records are lost: ")
class NewestFirst(MemoryConnector):
    """Lists the newest change first, and remembers how far it has come."""

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        pages = list(super().read(stream, since))
        for page, cursor in zip(reversed(pages), [p.cursor for p in pages], strict=True):
            yield replace(page, cursor=max(page.cursor, cursor))


@killed_by("resuming_from_every_checkpoint_loses_nothing", "these records are lost: ")
class RemembersInTheProcess(MemoryConnector):
    """Its cursor is a number of its own; a new process takes it for the end."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._cursors: list[Cursor] = []

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        if since is not None and int(since) >= len(self._cursors):
            return
        for page in super().read(stream, None if since is None else self._cursors[int(since)]):
            self._cursors.append(page.cursor)
            yield replace(page, cursor=str(len(self._cursors) - 1))


@killed_by("resuming_from_every_checkpoint_loses_nothing", "are lost|out of date", lists=True)
class NumbersAfterTheListing(MemoryConnector):
    """Takes the number of the last change when a listing ends, not when it begins."""

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        if since is not None:
            state = json.loads(since)
            since = json.dumps(state | {"revision": self._remote.revision(stream)})
        yield from super().read(stream, since)


# Ties.


@killed_by("ties_across_pages_lose_nothing", "these records are lost: ")
class DropsTies(MemoryConnector):
    """Asks for what was changed after the instant of the last record on the page."""

    def _batches(
        self, stream: str, after: tuple[datetime, str] | None
    ) -> Iterator[list[StoredRecord]]:
        while batch := self._remote.changes(self._token, stream, after):
            yield batch
            after = (batch[-1].updated_at, _END)


@killed_by("ties_across_pages_lose_nothing", "stopped among ties and resumed")
@killed_by("an_eventful_day_loses_nothing", "after .* eventful hours")
class DropsTiesWhenResumed(MemoryConnector):
    def _start(
        self, stream: str, since: Cursor | None
    ) -> tuple[tuple[datetime, str] | None, list[StoredRecord]]:
        start, handed = super()._start(stream, since)
        return start and (start[0], _END), handed


@killed_by("a_change_in_the_instant_of_the_cursor_is_read", "are lost: a-before|out of date")
class GoesOnAfterTheLastId(MemoryConnector):
    """A position of instant and id: whatever joins that instant later is passed over."""

    def _start(
        self, stream: str, since: Cursor | None
    ) -> tuple[tuple[datetime, str] | None, list[StoredRecord]]:
        start, handed = super()._start(stream, since)
        if start is not None and not handed:
            tied = self._remote.changes(self._token, stream, start)
            start = max(r.position for r in tied if r.updated_at == start[0])
        return start, handed


# Rest.


@killed_by("an_unchanged_remote_brings_nothing_new", "yet everything was read again")
class StartsFromTheBeginning(MemoryConnector):
    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        yield from super().read(stream, None)


@killed_by("an_unchanged_remote_brings_nothing_new", "yet this came anew")
class StampsEachRead(MemoryConnector):
    """Says when it read a record, so that every record is always new."""

    reads = 0

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        type(self).reads += 1
        state = None if since is None else json.dumps(json.loads(since) | {"seen": ""})
        for page in super().read(stream, state):
            column = pa.array([self.reads] * page.records.num_rows)
            yield replace(page, records=page.records.append_column("read_number", column))


@killed_by("an_unchanged_remote_brings_nothing_new", "the read does not end")
class WaitsForMore(MemoryConnector):
    """Ends only when something new has come."""

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        pages = list(super().read(stream, since))
        yield from pages
        while since is not None:
            yield Page(records=pa.table({ID: pa.array([], pa.string())}), cursor=since)


# Change while reading.


@killed_by("a_change_during_the_read_is_not_lost", "these records are lost: ", lists=True)
class PagesByOffset(MemoryConnector):
    """Counts how many records it has had; one that is deleted moves the next out of sight."""

    def _listing(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        revision = str(self._remote.revision(stream))
        if since == revision:
            return
        taken = 0
        while True:
            whole = list(super()._listing(stream, None))
            records = pa.concat_tables(page.records for page in whole).slice(taken, 3)
            taken += 3
            last = records.num_rows < 3
            # The number is that of the end, so nothing brings the lost record back.
            cursor = str(self._remote.revision(stream)) if last else "going on"
            yield Page(records=records, cursor=cursor, snapshot=Snapshot(id=revision, last=last))
            if last:
                return


@killed_by("a_change_during_the_read_is_not_lost", "are lost|out of date")
class ClosesTheBooksAtTheEnd(MemoryConnector):
    """Reads from one copy, and ends with a cursor taken when it is through."""

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        pages = list(super().read(stream, since))
        for page in pages[:-1]:
            yield page
        for page in pages[-1:]:
            newest = list(super().read(stream, since))[-1]
            yield replace(page, cursor=newest.cursor)


@killed_by("an_eventful_day_loses_nothing", "after .* eventful hours", lists=True)
class GoesOnWithAnOldListing(MemoryConnector):
    """Resumes a listing whatever happened meanwhile, and takes its end for the present."""

    def _listing(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        revision = self._remote.revision(stream)
        if since is not None:
            state = json.loads(since)
            if state["after"] is not None:
                since = json.dumps(state | {"revision": revision})
        yield from super()._listing(stream, since)


# Order.


@killed_by("the_oldest_change_comes_first", "came after one at")
class MixesUpAPage(_Edited):
    def edited(self, page: Page) -> Page:
        return replace(page, records=page.records.sort_by([(UPDATED_AT, "descending")]))


# Deletions and merges.


@killed_by("deletions_are_told", "should not be there")
@killed_by("an_eventful_day_loses_nothing", "after .* eventful hours, .* should not be there")
class ForgetsTombstones(_Edited):
    def edited(self, page: Page) -> Page:
        return replace(page, records=page.records.filter(pc.invert(page.records.column(DELETED))))


@killed_by("deletions_are_told", "not true or false")
class WritesDeletionsAsText(_Edited):
    def edited(self, page: Page) -> Page:
        values = ["true" if gone else "false" for gone in page.records.column(DELETED).to_pylist()]
        place = page.records.column_names.index(DELETED)
        return replace(page, records=page.records.set_column(place, DELETED, pa.array(values)))


@killed_by("deletions_are_told", "should not be there", lists=True)
class ListsWithoutSayingSo(_Edited):
    def edited(self, page: Page) -> Page:
        return replace(page, snapshot=None)


@killed_by("merges_leave_an_alias", "but the pages say")
class ForgetsTheSurvivor(_Edited):
    def edited(self, page: Page) -> Page:
        return replace(page, records=page.records.drop_columns([MERGED_INTO]))


# Records that cannot be read.


@killed_by("an_unreadable_record_is_told_and_kept", "and no row says so")
class SkipsWhatItCannotRead(_Edited):
    def edited(self, page: Page) -> Page:
        return replace(page, records=page.records.filter(pc.is_valid(page.records.column(ID))))


@killed_by("an_unreadable_record_is_told_and_kept", "does not say where it stands")
class DoesNotSayWhere(_Edited):
    def edited(self, page: Page) -> Page:
        places = [name for name in page.records.column_names if name == ORIGIN]
        return replace(page, records=page.records.drop_columns(places))


@killed_by("an_unreadable_record_is_told_and_kept", "these records are lost: ", lists=True)
class TakesUnreadableForDeleted(_Edited):
    def edited(self, page: Page) -> Page:
        assert page.snapshot is not None
        last = page.snapshot.last or json.loads(page.cursor)["after"] is None
        return replace(page, snapshot=replace(page.snapshot, last=last))


@killed_by("an_unreadable_record_is_told_and_kept", "beside .* out of date")
class StopsAtWhatItCannotRead(MemoryConnector):
    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        for page in super().read(stream, since):
            if PROBLEM in page.records.column_names:
                problems = page.records.filter(pc.is_valid(page.records.column(PROBLEM)))
                yield replace(page, records=problems)
                return
            yield page


# Keys.


@killed_by("keys_are_unique_and_present", "a record has no key")
class LosesAKey(_Edited):
    def edited(self, page: Page) -> Page:
        keys = page.records.column(ID).to_pylist()
        column = pa.array([None, *keys[1:]], pa.string())
        return replace(page, records=page.records.set_column(0, ID, column))


@killed_by("keys_are_unique_and_present", "page 1 names these more than once")
class RepeatsWithinAPage(_Edited):
    def edited(self, page: Page) -> Page:
        return replace(page, records=pa.concat_tables([page.records, page.records.slice(0, 1)]))


@killed_by("keys_are_unique_and_present", "names these more than once", lists=True)
class RepeatsWithinAListing(MemoryConnector):
    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        for page in super().read(stream, since):
            snapshot = page.snapshot and replace(page.snapshot, last=False)
            yield replace(page, snapshot=snapshot)
            yield page


# Listings.


@killed_by("a_listing_that_ends_names_everything", "goes on after a page", lists=True)
class EndsOnEveryPage(_Edited):
    def edited(self, page: Page) -> Page:
        assert page.snapshot is not None
        return replace(page, snapshot=replace(page.snapshot, last=True))


@killed_by("a_listing_that_ends_names_everything", "but not its listing", lists=True)
class NeverEnds(_Edited):
    def edited(self, page: Page) -> Page:
        assert page.snapshot is not None
        return replace(page, snapshot=replace(page.snapshot, last=False))


@killed_by("a_listing_that_ends_names_everything", "ended without naming", lists=True)
class RenamesAResumedListing(MemoryConnector):
    """Goes on in the middle, under a new name."""

    count: ClassVar[int] = 0

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        type(self).count += 1
        for page in super().read(stream, since):
            assert page.snapshot is not None
            yield replace(page, snapshot=replace(page.snapshot, id=f"listing {self.count}"))


# Cursors.


@killed_by("cursors_are_small_text", "it must not list what was read")
class ListsWhatItRead(MemoryConnector):
    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        read: list[str] = [] if since is None else json.loads(since)["read"]
        for page in super().read(stream, since):
            read += page.records.column(ID).to_pylist()
            yield replace(page, cursor=json.dumps(json.loads(page.cursor) | {"read": read}))


@killed_by("cursors_are_small_text", "a cursor is text")
class CursorOfBytes(_Edited):
    def edited(self, page: Page) -> Page:
        return replace(page, cursor=page.cursor.encode())  # type: ignore[arg-type]  # the fault


@killed_by("cursors_are_small_text", "a cursor with a NUL")
class CursorWithANul(_Edited):
    def edited(self, page: Page) -> Page:
        return replace(page, cursor=page.cursor + "\x00")


@killed_by("cursors_are_small_text", "bytes is too large")
class BigCursor(_Edited):
    def edited(self, page: Page) -> Page:
        return replace(page, cursor=page.cursor + " " * 65_536)


# Text.


class _Mended(_Edited):
    def edited(self, page: Page) -> Page:
        values = page.records.column(TEXT).to_pylist()
        return _with_text(page, pa.array([self.mended(text) for text in values], pa.string()))

    def mended(self, text: str) -> str | None:
        raise NotImplementedError


@killed_by("hostile_text_is_read_as_it_is", "“line breaks” was read as")
class FlattensLines(_Mended):
    def mended(self, text: str) -> str | None:
        return text.replace("\n", " ")


@killed_by("hostile_text_is_read_as_it_is", "“markup” was read as")
class UnescapesMarkup(_Mended):
    def mended(self, text: str) -> str | None:
        return html.unescape(text)


@killed_by("hostile_text_is_read_as_it_is", "“nothing in disguise” was read as None")
class TakesNullForNothing(_Mended):
    def mended(self, text: str) -> str | None:
        return None if text == "NULL" else text


@killed_by("hostile_text_is_read_as_it_is", "“number in disguise” was read as")
class TakesDigitsForANumber(_Mended):
    def mended(self, text: str) -> str | None:
        return str(int(text)) if text.isdigit() else text


@killed_by("hostile_text_is_read_as_it_is", "“very long” was read as")
class CutsLongText(_Mended):
    def mended(self, text: str) -> str | None:
        return text[:32_000]


# Errors between pages.


@killed_by("pages_before_an_error_stay_valid", "behind page 1, these records are lost")
class EndsQuietlyOnAnError(MemoryConnector):
    """Takes an outage for the end of the stream."""

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        try:
            yield from super().read(stream, since)
        except TransientError:
            return


@killed_by("pages_before_an_error_stay_valid", "behind page 1, these records are lost")
class CursorOfTheWholeRead(MemoryConnector):
    """Hands out the position of the newest record with every page."""

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        end = [page.cursor for page in super().read(stream, since)]
        for page in super().read(stream, since):
            yield replace(page, cursor=end[-1])


@killed_by("pages_before_an_error_stay_valid", "and no read broke off")
class ReadsAllInAdvance(MemoryConnector):
    """Holds a whole stream in memory before it yields the first page."""

    def read(self, stream: str, since: Cursor | None) -> Iterator[Page]:
        yield from list(super().read(stream, since))
