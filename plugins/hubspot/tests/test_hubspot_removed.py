"""What was archived, restored, removed or merged."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from portal_reading import HOUR, first_load, many, read, rows

from crmsync.model.pages import DELETED, MERGED_INTO
from crmsync_hubspot.simulator.records import record
from crmsync_hubspot.simulator.values import milliseconds

if TYPE_CHECKING:
    from portal_under_test import TestedPortal


def test_what_was_archived_is_told_within_hours(tested: TestedPortal) -> None:
    gone, kept = many(tested, "companies", 2)
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    tested.portal.archive("companies", gone)
    tested.clock.pass_time(timedelta(hours=6))
    told = rows(read(connector, cursor))
    assert [row["id"] for row in told if row[DELETED]] == [str(gone)]
    assert str(kept) not in {row["id"] for row in told if row[DELETED]}
    assert told[-1]["updatedAt"] == "2026-03-02T10:00:00.000Z", "when it was archived"


def test_what_was_restored_is_back(tested: TestedPortal) -> None:
    (gone,) = many(tested, "companies", 1)
    connector = tested.connect()
    cursor = first_load(connector)
    tested.portal.archive("companies", gone)
    tested.clock.pass_time(timedelta(hours=7))
    cursor = read(connector, cursor)[-1].cursor
    tested.portal.restore("companies", gone)
    tested.clock.pass_time(timedelta(hours=7))
    told = rows(read(connector, cursor))
    assert [(row["id"], row[DELETED]) for row in told] == [(str(gone), False)]


def test_what_was_removed_for_good_is_found_missing(tested: TestedPortal) -> None:
    """By a data subject's request, or 90 days after it was archived: no list tells it."""
    gone, kept = many(tested, "contacts", 2)
    connector = tested.connect("contacts", ("lastname",))
    cursor = first_load(connector)
    tested.portal.archive("contacts", gone)
    tested.portal.purge("contacts", gone)
    tested.clock.pass_time(timedelta(days=8))
    pages = read(connector, cursor)
    listing = [page for page in pages if page.snapshot is not None]
    assert listing[-1].snapshot is not None
    assert listing[-1].snapshot.last
    assert [row["id"] for row in rows(listing)] == [str(kept)]


def test_after_a_long_pause_everything_is_read(tested: TestedPortal) -> None:
    """The archive forgets after 90 days."""
    gone, kept = many(tested, "companies", 2)
    connector = tested.connect(reread_every="1000 days")
    cursor = first_load(connector)
    tested.portal.archive("companies", gone)
    tested.clock.pass_time(timedelta(days=100))
    pages = read(connector, cursor)
    assert pages[0].snapshot is not None
    assert {row["id"] for row in rows(pages)} == {str(kept)}, "the archive does not tell it"


def test_both_records_of_a_merge_lead_to_the_new_one(tested: TestedPortal) -> None:
    one, two = (int(tested.make("companies", name=name)) for name in ("one", "two"))
    connector = tested.connect()
    cursor = first_load(connector)
    tested.clock.pass_time(HOUR)
    made = tested.portal.merge("companies", one, two)
    tested.clock.pass_time(HOUR)
    told = rows(read(connector, cursor))
    assert [(row["id"], row[MERGED_INTO]) for row in told] == [
        (str(made.id), None),
        (str(one), str(made.id)),
        (str(two), str(made.id)),
    ]
    assert [row[DELETED] for row in told] == [False, True, True]
    anew = rows(read(tested.connect()))
    assert [(row["id"], row[MERGED_INTO]) for row in anew] == [
        (row["id"], row[MERGED_INTO]) for row in told
    ]


@pytest.mark.parametrize("name", ["hs_merged_object_ids", "hs_calculated_merged_vids"])
def test_a_record_that_names_itself_among_those_it_was_made_of_stays(
    tested: TestedPortal, name: str
) -> None:
    """As contacts did whose merged record kept the id of one of them; with times, too."""
    kept, gone = (tested.portal.minted("contacts") for _ in range(2))
    at = milliseconds(tested.clock.now())
    merged = {name: f"{kept}:{at};{gone}:{at}"}
    tested.portal.load("contacts", [record(kept, at, at, None, merged)])
    told = rows(read(tested.connect("contacts", ("lastname",))))
    assert [(row["id"], row[DELETED], row[MERGED_INTO]) for row in told] == [
        (str(kept), False, None),
        (str(gone), True, str(kept)),
    ]
