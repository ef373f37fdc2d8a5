from __future__ import annotations

import pytest

from crmsync.errors import RejectedError
from crmsync.model.pages import Snapshot
from warehouse.warehouse_world import NOW, Store, day

FIRST = Snapshot(id="one", last=True)


def _rows(*ids: str) -> list[dict[str, object]]:
    return [{"id": key, "name": key, "_row": number} for number, key in enumerate(ids, start=1)]


def test_what_a_finished_listing_does_not_name_is_deleted(store: Store) -> None:
    store.merge(*_rows("1", "2", "3"), snapshot=FIRST)
    assert store.merge(*_rows("1"), snapshot=Snapshot(id="two")).deleted == 0
    assert set(store.live()) == {"1", "2", "3"}
    merged = store.merge(*_rows("3"), snapshot=Snapshot(id="two", last=True))
    assert merged.deleted == 1
    assert set(store.live()) == {"1", "3"}
    assert store.kept()["2"]["deleted_at"] == NOW
    assert store.book("snapshot_seen") == []


def test_a_listing_that_was_given_up_says_nothing(store: Store) -> None:
    store.merge(*_rows("1", "2", "3"), snapshot=FIRST)
    store.merge(*_rows("1", "2"), snapshot=Snapshot(id="two"))
    store.merge(*_rows("3"), snapshot=Snapshot(id="three"))
    assert store.merge(*_rows("1"), snapshot=Snapshot(id="three", last=True)).deleted == 1
    assert set(store.live()) == {"1", "3"}


def test_other_streams_of_the_table_are_left_alone(store: Store) -> None:
    store.merge(*_rows("9"), stream="partners")
    store.merge(*_rows("1", "2"), snapshot=FIRST)
    store.merge(*_rows("1"), snapshot=Snapshot(id="two", last=True))
    assert set(store.live()) == {"1", "9"}


def test_an_empty_listing_is_refused_until_somebody_confirms(store: Store) -> None:
    store.merge(*_rows("1", "2"), snapshot=FIRST)
    state = store.book("stream_state")
    empty = Snapshot(id="two", last=True)
    with pytest.raises(RejectedError, match="lacks all 2 records that were there before"):
        store.merge(snapshot=empty)
    assert set(store.live()) == {"1", "2"}
    assert store.book("stream_state") == state  # so that it is read again
    assert store.merge(snapshot=empty, confirmed=True).deleted == 2


def test_a_listing_without_most_of_many_is_refused(store: Store) -> None:
    many = [str(number) for number in range(40)]
    store.merge(*_rows(*many), snapshot=FIRST)
    with pytest.raises(RejectedError, match="lacks 21 of 40 records"):
        store.merge(*_rows(*many[:19]), snapshot=Snapshot(id="two", last=True))
    assert store.merge(*_rows(*many[:20]), snapshot=Snapshot(id="three", last=True)).deleted == 20


def test_a_small_company_is_protected_too(store: Store) -> None:
    seven = [str(number) for number in range(7)]
    store.merge(*_rows(*seven), snapshot=FIRST)
    with pytest.raises(RejectedError, match="lacks 6 of 7 records"):
        store.merge(*_rows("0"), snapshot=Snapshot(id="two", last=True))
    assert set(store.live()) == set(seven)


def test_a_row_that_cannot_be_read_is_named_all_the_same(store: Store) -> None:
    store.merge(*_rows("1", "2", "3"), snapshot=FIRST)
    bad = {"id": "2", "_row": 2, "_problem": "accounts.csv, row 2: no date"}
    merged = store.merge(*_rows("1"), bad, snapshot=Snapshot(id="two", last=True))
    assert (merged.deleted, merged.quarantined) == (1, 1)
    assert set(store.live()) == {"1", "2"}


def test_nothing_is_deleted_while_a_row_has_no_key(store: Store) -> None:
    store.merge(*_rows("1", "2"), snapshot=FIRST)
    bad = {"_row": 2, "_problem": "accounts.csv, row 2: no key"}
    merged = store.merge(*_rows("1"), bad, snapshot=Snapshot(id="two", last=True))
    assert merged.deleted == 0
    assert merged.warning is not None
    assert "1 row has no key" in merged.warning
    assert store.merge(*_rows("1"), snapshot=Snapshot(id="three", last=True)).deleted == 1
    assert store.sentences() == []


def test_of_a_key_that_stands_twice_the_last_row_counts(store: Store) -> None:
    rows = _rows("1", "2", "1")
    rows[2]["name"] = "again"
    assert store.merge(*rows, snapshot=FIRST).quarantined == 1
    assert store.live()["1"]["name"] == "again"
    expected = "accounts.csv, row 1: the key “1” stands again in row 3, which counts"
    assert store.sentences()[0].startswith(expected)


def test_a_key_that_stands_again_in_a_later_batch(store: Store) -> None:
    part = Snapshot(id="one")
    store.merge(*_rows("1", "2"), snapshot=part)
    store.merge(*_rows("1", "2"), snapshot=part)  # read again: not a second row
    assert store.sentences() == []
    late = {"id": "2", "name": "x", "_row": 9, "_origin": "more.csv"}
    store.merge(late, snapshot=FIRST)
    expected = "accounts.csv, row 2: the key “2” stands again in more.csv, row 9, which counts"
    assert store.sentences()[0].startswith(expected)


def test_a_late_row_of_a_listing_is_the_one_that_does_not_count(store: Store) -> None:
    store.merge(
        {"id": "1", "name": "new", "updated_at": day(5), "_row": 1}, snapshot=Snapshot(id="one")
    )
    store.merge({"id": "1", "name": "old", "updated_at": day(2), "_row": 2}, snapshot=FIRST)
    assert store.live()["1"]["name"] == "new"
    assert store.sentences()[0].startswith("accounts.csv, row 2: the key “1” stands again in row 1")


def test_quarantine_is_replaced_when_its_origin_is_read_again(store: Store) -> None:
    def bad(row: int, text: str) -> dict[str, object]:
        return {"id": str(row), "_row": row, "_problem": text}

    store.merge(bad(1, "one"), bad(2, "two"), bad(3, "three"))
    store.merge({"id": "9", "_row": 1, "_origin": "other.csv", "_problem": "other"})
    store.merge({"id": "2", "_row": 2}, bad(3, "still"))  # resumed at row 2
    assert store.sentences() == ["one", "still", "other"]
    with store.warehouse.reading() as records:
        report = records.quarantine(newest=2)
    assert report.counts == {("crm", "accounts"): 3}
    assert len(report.newest) == 2
