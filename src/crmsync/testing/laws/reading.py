"""Laws of reading: oldest change first, at least once, never at most once."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import pytest

from crmsync.errors import ConnectorError
from crmsync.model.pages import RESERVED_COLUMNS
from crmsync.testing.laws.steps import (
    RECORDS,
    assert_known,
    assert_resumable,
    connected,
    minutes,
    need,
    read,
    reader,
    sample_records,
    texts,
)
from crmsync.testing.remote import Feature, SampleRecord
from crmsync.testing.replica import Replica
from crmsync.testing.samples import START, hostile_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crmsync.model.pages import Page
    from crmsync.testing.remote import RemoteUnderTest

_MOST_CURSOR_BYTES = 64 * 1024
_LATER = START + minutes(1000)


class ReadingLaws:
    """What holds for every stream, however its remote lists changes."""

    def test_first_read_brings_every_record_once(self, remote: RemoteUnderTest) -> None:
        """Without a cursor all records come, each with its key, and on several pages."""
        need(remote, Feature.READS)
        records = sample_records()
        remote.put(records)
        pages = read(remote)
        assert_known(Replica(remote, pages), texts(records), "after the first read")
        keys = [str(row[remote.key]) for page in pages for row in page.records.to_pylist()]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        assert not twice, f"nothing changed meanwhile, yet these came twice: {', '.join(twice)}"
        if Feature.PAGES not in remote.absent:
            assert len(pages) > 1, (
                f"{RECORDS} records came on one page; set the remote under test to smaller pages, "
                "or declare Feature.PAGES absent"
            )

    def test_described_fields_cover_what_is_read(self, remote: RemoteUnderTest) -> None:
        """``describe`` names every column that a page carries, so a mapping can be checked."""
        need(remote, Feature.READS)
        remote.put(sample_records(3))
        with connected(remote) as connector:
            described = {field.name for field in reader(connector).describe(remote.stream)}
        for page in read(remote):
            columns = {name for name in page.records.column_names if not name.startswith("_")}
            unknown = sorted(columns - described)
            assert not unknown, f"read but not described: {', '.join(unknown)}"
            reserved = {name for name in page.records.column_names if name.startswith("_")}
            strange = sorted(reserved - set(RESERVED_COLUMNS))
            assert not strange, f"names with an underscore are reserved: {', '.join(strange)}"

    def test_resuming_from_every_checkpoint_loses_nothing(self, remote: RemoteUnderTest) -> None:
        """Whichever page was the last to be committed, a new process goes on from its cursor."""
        need(remote, Feature.READS)
        records = sample_records()
        remote.put(records)
        pages = read(remote)
        assert_resumable(remote, pages, texts(records), "stopped in the first read")
        changes = [
            replace(records[0], changed_at=_LATER, text="changed, an old one"),
            replace(records[-1], changed_at=_LATER + minutes(1), text="changed, a new one"),
            SampleRecord(id="n001", changed_at=_LATER + minutes(2), text="a new record"),
        ]
        remote.put(changes)
        expected = texts([*records, *changes])
        assert_resumable(remote, pages, expected, "stopped, then changed")

    def test_ties_across_pages_lose_nothing(self, remote: RemoteUnderTest) -> None:
        """A bulk import stamps many records with one instant; a page may end among them."""
        need(remote, Feature.READS)
        records = sample_records(minutes_apart=0)
        remote.put(records)
        pages = read(remote)
        assert_known(Replica(remote, pages), texts(records), "after a read of ties")
        assert_resumable(remote, pages, texts(records), "stopped among ties")

    def test_a_change_in_the_instant_of_the_cursor_is_read(self, remote: RemoteUnderTest) -> None:
        """The remote's clock is coarse: a change can share the instant of the last one read."""
        need(remote, Feature.READS)
        records = sample_records(5)
        remote.put(records)
        pages = read(remote)
        last = records[-1].changed_at
        late = [
            SampleRecord(id="a-before", changed_at=last, text="sorts before"),
            SampleRecord(id="z-after", changed_at=last, text="sorts after"),
            replace(records[-1], text="changed within the same second"),
        ]
        remote.put(late)
        replica = Replica(remote, [*pages, *read(remote, pages[-1].cursor)])
        assert_known(replica, texts([*records, *late]), "changed in the instant of the cursor")

    def test_an_unchanged_remote_brings_nothing_new(self, remote: RemoteUnderTest) -> None:
        """At least once allows repeats near the cursor: equal to before, and not of everything."""
        need(remote, Feature.READS)
        records = sample_records(minutes_apart=24 * 60)
        remote.put(records)
        pages = read(remote)
        rows = {str(row[remote.key]): row for page in pages for row in page.records.to_pylist()}
        cursor = pages[-1].cursor
        for _ in range(3):
            again = read(remote, cursor)
            repeated = [row for page in again for row in page.records.to_pylist()]
            assert len(repeated) < RECORDS, "nothing changed, yet everything was read again"
            for row in repeated:
                assert row == rows.get(str(row[remote.key])), (
                    f"nothing changed, yet this came anew: {row}"
                )
            assert_known(Replica(remote, [*pages, *again]), texts(records), "after a repeat")
            cursor = again[-1].cursor if again else cursor

    def test_a_change_during_the_read_is_not_lost(self, remote: RemoteUnderTest) -> None:
        """While pages are read, records move between them; at the latest the next read tells."""
        need(remote, Feature.READS)
        records = sample_records()
        remote.put(records)
        pages: list[Page] = []
        changes = [
            replace(records[0], changed_at=_LATER, text="moved from the first page"),
            replace(records[12], changed_at=_LATER + minutes(1), text="moved from the middle"),
            SampleRecord(id="a001", changed_at=_LATER + minutes(2), text="sorts first"),
        ]
        expected = texts([*records, *changes])
        with connected(remote) as connector:
            reading = iter(reader(connector).read(remote.stream, None))
            pages.append(next(reading))
            remote.put(changes)
            if Feature.DELETIONS not in remote.absent:
                read_first = [key for key in Replica(remote, pages).texts if key != records[0].id]
                for gone in read_first[:1]:
                    remote.delete([gone], _LATER + minutes(3))
                    del expected[gone]
            # A remote that cannot be read while it changes says so; what was yielded stays.
            with suppress(ConnectorError):
                pages.extend(reading)
        for _ in range(2):
            pages += read(remote, pages[-1].cursor)
        assert_known(Replica(remote, pages), expected, "changed during the read")

    def test_an_eventful_day_loses_nothing(self, remote: RemoteUnderTest) -> None:
        """People change, delete and restore records while reads begin, break off and go on."""
        need(remote, Feature.READS)
        day = random.Random(20260302)  # noqa: S311  the same day each time, not a secret
        truth: dict[str, str] = {}
        pages: list[Page] = []
        for hour in range(40):
            now = START + timedelta(seconds=hour // 3)  # so that hours share an instant
            changed = [
                SampleRecord(id=f"d{number:02}", changed_at=now, text=f"{number} at {hour}")
                for number in day.sample(range(30), 4)
            ]
            remote.put(changed)
            truth |= texts(changed)
            if Feature.DELETIONS not in remote.absent:
                gone = day.sample(sorted(truth), day.randrange(3))
                remote.delete(gone, now)
                truth = {key: text for key, text in truth.items() if key not in gone}
            with connected(remote) as connector:
                since = pages[-1].cursor if pages else None
                reading = iter(reader(connector).read(remote.stream, since))
                pages += islice(reading, day.randrange(4))
            if hour % 8 == 7:
                for _ in range(2):
                    pages += read(remote, pages[-1].cursor)
                assert_known(Replica(remote, pages), truth, f"after {hour + 1} eventful hours")

    def test_the_oldest_change_comes_first(self, remote: RemoteUnderTest) -> None:
        """Except in a listing of everything, history is told in the order in which it happened."""
        need(remote, Feature.READS)
        if remote.changed_at is None:
            pytest.skip("the stream has no column that says when a record was changed")
        records = sample_records()
        remote.put([*records[13:], *records[:13]])
        pages = [page for page in read(remote) if page.snapshot is None]
        instants = [row[remote.changed_at] for page in pages for row in page.records.to_pylist()]
        for earlier, later in pairwise(instants):
            assert earlier <= later, f"a change at {later} came after one at {earlier}"

    def test_deletions_are_told(self, remote: RemoteUnderTest) -> None:
        """By a row that says so, or by a listing that ends without the record."""
        need(remote, Feature.READS, Feature.DELETIONS)
        records = sample_records()
        remote.put(records)
        pages = read(remote)
        gone = [records[0].id, records[13].id, records[-1].id]
        remote.delete(gone, _LATER)
        expected = {key: text for key, text in texts(records).items() if key not in gone}
        assert_known(Replica(remote, read(remote)), expected, "read anew after deletions")
        assert_resumable(remote, pages, expected, "stopped, then deleted")
        back = replace(records[0], changed_at=_LATER + minutes(1), text="restored")
        remote.put([back])
        assert_resumable(remote, pages, expected | {back.id: back.text}, "deleted, then restored")

    def test_merges_leave_an_alias(self, remote: RemoteUnderTest) -> None:
        """The record that lost names the one that survived, so its history can follow."""
        need(remote, Feature.READS, Feature.MERGES)
        records = sample_records()
        remote.put(records)
        pages = read(remote)
        loser, survivor = records[3].id, records[17].id
        remote.merge(loser, survivor, _LATER)
        expected = {key: text for key, text in texts(records).items() if key != loser}
        assert_resumable(remote, pages, expected, "stopped, then merged")
        replica = Replica(remote, [*pages, *read(remote, pages[-1].cursor)])
        assert replica.aliases == {loser: survivor}, (
            f"{loser} was merged into {survivor}, but the pages say {replica.aliases}"
        )

    def test_an_unreadable_record_is_told_and_kept(self, remote: RemoteUnderTest) -> None:
        """It stops nothing and vanishes in no silence, and it is not taken for deleted."""
        need(remote, Feature.READS, Feature.UNREADABLE)
        records = sample_records()
        remote.put(records)
        pages = read(remote)
        spoilt, other = records[4], replace(records[9], changed_at=_LATER, text="changed")
        remote.spoil(spoilt.id, _LATER)
        remote.put([other])
        pages += read(remote, pages[-1].cursor)
        replica = Replica(remote, pages)
        assert replica.problems, "a record could not be read, and no row says so"
        assert not [p for p in replica.problems if p.startswith("None")], (
            f"a row that could not be read does not say where it stands: {replica.problems}"
        )
        replica.problems.clear()
        assert_known(replica, texts([*records, other]), "beside a record that cannot be read")
        mended = replace(spoilt, changed_at=_LATER + minutes(1), text="mended")
        remote.put([mended])
        pages += read(remote, pages[-1].cursor)
        replica = Replica(remote, pages)
        replica.problems.clear()
        assert_known(replica, texts([*records, other, mended]), "after the record was mended")

    def test_keys_are_unique_and_present(self, remote: RemoteUnderTest) -> None:
        """A page, and a listing over all its pages, name each record once, and by a key."""
        need(remote, Feature.READS)
        records = sample_records()
        remote.put(records)
        pages = read(remote)
        remote.put([replace(records[5], changed_at=_LATER, text="changed")])
        pages += read(remote, pages[-1].cursor)
        named: dict[str, list[object]] = {}
        for number, page in enumerate(pages):
            keys = page.records.column(remote.key).to_pylist()
            assert all(key not in {None, ""} for key in keys), "a record has no key"
            named.setdefault(f"page {number + 1}", []).extend(keys)
            if page.snapshot is not None:
                named.setdefault(f"listing {page.snapshot.id}", []).extend(keys)
        for where, keys in named.items():
            twice = sorted({str(key) for key in keys if keys.count(key) > 1})
            assert not twice, f"{where} names these more than once: {', '.join(twice)}"

    def test_a_listing_that_ends_names_everything(self, remote: RemoteUnderTest) -> None:
        """What a finished listing did not name is deleted, so only its last page may say so."""
        need(remote, Feature.READS)
        records = sample_records()
        remote.put(records)
        pages = read(remote)
        for count in range(len(pages) + 1):
            since = pages[count - 1].cursor if count else None
            listings: dict[str, list[Page]] = {}
            for page in [*pages[:count], *read(remote, since)]:
                if page.snapshot is not None:
                    listings.setdefault(page.snapshot.id, []).append(page)
            for listing, its_pages in listings.items():
                _assert_sound_listing(remote, listing, its_pages, texts(records).keys())
            if listings:
                newest = list(listings.values())[-1]
                assert any(_is_last(page) for page in newest), (
                    f"resumed after page {count}, the read ended, but not its listing"
                )

    def test_cursors_are_small_text(self, remote: RemoteUnderTest) -> None:
        """A cursor is stored beside the data: text of at most 64 KiB, whatever was read."""
        need(remote, Feature.READS)
        remote.put(sample_records(10))
        few = max(len(page.cursor) for page in read(remote))
        remote.put(sample_records(200, first=100))
        for page in read(remote):
            assert isinstance(page.cursor, str), f"a cursor is text, not {page.cursor!r}"
            assert "\x00" not in page.cursor, "a cursor with a NUL cannot be stored"
            size = len(page.cursor.encode())
            assert size <= _MOST_CURSOR_BYTES, f"a cursor of {size} bytes is too large"
            assert size < few + 200, (
                f"the cursor grew from {few} to {size} bytes with 200 records; "
                "it must not list what was read"
            )

    def test_hostile_text_is_read_as_it_is(self, remote: RemoteUnderTest) -> None:
        """Quotes, line breaks, scripts and formulas are text; nothing is guessed, cut or mended."""
        need(remote, Feature.READS)
        hostile = hostile_texts(remote.longest_text)
        records = [
            SampleRecord(id=f"h{i:03}", changed_at=START + minutes(i), text=text)
            for i, text in enumerate(hostile.values())
        ]
        remote.put(records)
        found = Replica(remote, read(remote)).texts
        for name, record in zip(hostile, records, strict=True):
            text = found.get(record.id)
            assert isinstance(text, str), f"the text “{name}” was read as {text!r}"
            assert text.replace("\r\n", "\n") == record.text.replace("\r\n", "\n"), (
                f"the text “{name}” was read as {text[:200]!r}, not as {record.text[:200]!r}"
            )


def _is_last(page: Page) -> bool:
    return page.snapshot is not None and page.snapshot.last


def _assert_sound_listing(
    remote: RemoteUnderTest, listing: str, pages: Sequence[Page], everything: Iterable[str]
) -> None:
    assert not any(_is_last(page) for page in pages[:-1]), (
        f"the listing “{listing}” goes on after a page that said it was the last"
    )
    if _is_last(pages[-1]):
        keys = [key for page in pages for key in page.records.column(remote.key).to_pylist()]
        named = {remote.sample_id(str(key)) for key in keys}
        missing = sorted(set(everything) - named)
        assert not missing, (
            f"the listing “{listing}” ended without naming {', '.join(missing)}: "
            "they would be taken for deleted"
        )
