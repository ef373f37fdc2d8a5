from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ibis
import pytest

from crmsync.model.pages import Snapshot
from crmsync.rules.evaluation.history import value_then
from crmsync.warehouse.types import INSTANT
from warehouse.warehouse_world import day

if TYPE_CHECKING:
    from datetime import datetime

    from warehouse.warehouse_world import Store


def changes(store: Store, field: str) -> set[tuple[Any, ...]]:
    with store.warehouse.reading() as records:
        rows = records.query(records.changes("account", field)).to_pylist()
    return {(row["id"], row["old"], row["new"], row["at"]) for row in rows}


def known(store: Store) -> dict[str, tuple[Any, Any]]:
    with store.warehouse.reading() as records:
        rows = records.query(records.known_since("account", "tier")).to_pylist()
    return {row["id"]: (row["since"], row["created"]) for row in rows}


def then(store: Store, at: datetime) -> str | None:
    """The tier of the first record as it was."""
    with store.warehouse.reading() as records:
        past = records.as_of(at)
        found = {row["id"]: row["tier"] for row in past.query(past.table("account")).to_pylist()}
    tier: str | None = found["crm:1"]
    return tier


def test_changes_have_the_type_of_their_field(store: Store) -> None:
    first = {
        "id": "1",
        "tier": "gold",
        "recurring_revenue": Decimal("10.5"),
        "renewal_date": day(3).date(),
        "do_not_contact": False,
    }
    later = {
        "id": "1",
        "tier": "",
        "recurring_revenue": Decimal("-0.0001"),
        "renewal_date": None,
        "do_not_contact": True,
    }
    store.merge(first | {"created_at": day(1), "updated_at": day(2)})
    store.merge(later | {"created_at": day(1), "updated_at": day(5)})
    assert changes(store, "tier") == {("crm:1", "gold", "", day(5))}
    revenue = (Decimal("10.5000"), Decimal("-0.0001"))
    assert changes(store, "recurring_revenue") == {("crm:1", *revenue, day(5))}
    assert changes(store, "renewal_date") == {("crm:1", day(3).date(), None, day(5))}
    assert changes(store, "do_not_contact") == {("crm:1", False, True, day(5))}
    assert known(store) == {"crm:1": (day(2), day(1))}


def test_the_past_of_a_merged_record_is_that_of_the_survivor(store: Store) -> None:
    """Some CRMs give the result of a merge a new id, which then has no past of its own."""
    for key, since in (("young", 3), ("old", 2)):
        record = {"id": key, "created_at": day(since)}
        store.merge(record | {"tier": "gold", "updated_at": day(since)})
        store.merge(record | {"tier": f"{key} 4", "updated_at": day(4)})
    store.merge({"id": "new", "tier": "silver", "created_at": day(6), "updated_at": day(6)})
    store.merge({"id": "new", "tier": "basic", "updated_at": day(8)})
    for key in ("young", "old"):
        store.merge({"id": key, "_merged_into": "new", "updated_at": day(7)})
    told = {row for row in changes(store, "tier") if row[0] == "crm:new"}
    # Of the oldest, until the survivor itself is known; a merge is no change.
    assert told == {
        ("crm:new", "gold", "old 4", day(4)),
        ("crm:new", "silver", "basic", day(8)),
    }
    assert known(store)["crm:new"] == (day(2), day(2))


def test_a_survivor_that_was_known_longer_keeps_its_own_past(store: Store) -> None:
    store.merge({"id": "a", "tier": "gold", "updated_at": day(1)})
    store.merge({"id": "b", "tier": "gold", "updated_at": day(2)})
    store.merge({"id": "b", "tier": "silver", "updated_at": day(3)})
    store.merge({"id": "b", "_merged_into": "a", "updated_at": day(4)})
    assert not [row for row in changes(store, "tier") if row[0] == "crm:a"]
    assert known(store)["crm:a"] == (day(1), None)


def test_a_reference_that_changed_names_survivors(store: Store) -> None:
    for user in ("ann", "bob", "eve"):
        store.merge({"id": user, "updated_at": day(1)}, table="user", stream="users")
    for number, owner in enumerate(("ann", "bob", "eve"), 1):
        store.merge({"id": "1", "owner": owner, "updated_at": day(number)})
    merged = {"id": "ann", "_merged_into": "bob", "updated_at": day(5)}
    store.merge(merged, table="user", stream="users")
    # The change from one to the other of the two is none any more.
    assert changes(store, "owner") == {("crm:1", "crm:bob", "crm:eve", day(3))}


def test_changes_of_the_same_time_keep_their_order(store: Store) -> None:
    """Some exports tell the day of a change only."""
    for tier in ("gold", "silver", "basic"):
        store.merge({"id": "1", "tier": tier, "updated_at": day(2)})
    with store.warehouse.reading() as records:
        rows = records.changes("account", "tier")
        found = records.query(rows.order_by("at", "place")).to_pylist()
        was = {}
        for number in (1, 2, 3):
            then = rows.mutate(then=ibis.literal(day(number), INSTANT))
            (line,) = records.query(value_then(then)).to_pylist()
            was[number] = line["value"]
    assert [row["new"] for row in found] == ["silver", "basic"]
    # What was read last is what it became, and what was read first is what it had been.
    assert was == {1: "gold", 2: "basic", 3: "basic"}


@pytest.mark.parametrize("listed", [True, False])
def test_former_versions_that_come_with_a_record_are_its_past(store: Store, listed: bool) -> None:
    """A CRM that keeps former values gives them at first; given again, they are nothing new."""
    record = {"id": "1", "created_at": day(1), "_origin": None}
    rows = [
        record | {"tier": "gold", "updated_at": day(2)},
        record | {"tier": "silver", "updated_at": day(4)},
        record | {"tier": "basic", "updated_at": day(6)},
        record | {"id": "2", "tier": "gold", "updated_at": day(3)},
    ]
    for listing in ("first", "second"):
        store.merge(*rows, snapshot=Snapshot(id=listing, last=True) if listed else None)
        assert changes(store, "tier") == {
            ("crm:1", "gold", "silver", day(4)),
            ("crm:1", "silver", "basic", day(6)),
        }
        assert known(store) == {"crm:1": (day(2), day(1)), "crm:2": (day(3), day(1))}
        assert store.live()["1"]["tier"] == "basic"
        assert store.sentences() == []


def test_former_versions_that_are_asked_for_later_are_its_past(store: Store) -> None:
    """A rule that asks for them may be written after the first reading."""
    record = {"id": "1", "created_at": day(1), "_origin": None}
    store.merge(record | {"tier": "silver", "name": "A", "updated_at": day(6)})
    store.merge(record | {"tier": "basic", "name": "A", "updated_at": day(9)})
    store.merge(record | {"id": "2", "tier": "gold", "updated_at": day(3)})
    rows = [
        record | {"tier": "gold", "updated_at": day(2)},
        record | {"tier": None, "updated_at": day(4)},
        record | {"tier": "basic", "name": "B", "updated_at": day(10)},
        record | {"id": "2", "tier": "gold", "updated_at": day(3)},
    ]
    for _ in range(2):
        store.merge(*rows)
        assert changes(store, "tier") == {
            ("crm:1", "gold", None, day(4)),
            ("crm:1", None, "silver", day(6)),
            ("crm:1", "silver", "basic", day(9)),
        }
        # It is told after the change of day 9, and was before it all the same.
        assert [then(store, day(number)) for number in (3, 5, 7, 9)] == [
            "gold",
            None,
            "silver",
            "basic",
        ]
        assert known(store) == {"crm:1": (day(2), day(1)), "crm:2": (day(3), day(1))}
        assert store.live()["1"]["name"] == "B"
        assert store.sentences() == []


def test_a_late_version_that_comes_alone_is_no_past(store: Store) -> None:
    """What was between it and what is known, nobody has told."""
    store.merge({"id": "1", "tier": "silver", "updated_at": day(6)})
    late = {"id": "1", "tier": "gold", "updated_at": day(2)}
    store.merge(late)
    # Behind the present one it is late, too.
    store.merge({"id": "1", "tier": "silver", "updated_at": day(6), "_origin": None}, late)
    assert changes(store, "tier") == set()
    assert known(store) == {"crm:1": (day(6), None)}
