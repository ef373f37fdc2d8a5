from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crmsync.model.tables import CANONICAL_TABLES
from crmsync.warehouse.store import Warehouse
from warehouse.warehouse_world import NOW, Store, day


def test_values_come_back_as_they_went_in(store: Store) -> None:
    hostile = "Grüße \"; DROP TABLE x; -- '\n\t\0 שלום 🤝"
    store.merge(
        {
            "id": "1",
            "name": hostile,
            "recurring_revenue": Decimal("12345678901234.5678"),
            "renewal_date": day(3).date(),
            "do_not_contact": True,
            "updated_at": day(2),
        }
    )
    with store.warehouse.reading() as records:
        row = records.rows("account", ["crm:1", "crm:2"])["crm:1"]
    assert row["name"] == hostile
    assert row["recurring_revenue"] == Decimal("12345678901234.5678")
    assert row["renewal_date"] == day(3).date()
    assert row["do_not_contact"] is True
    assert row["updated_at"] == day(2)
    assert row["updated_at"].utcoffset() == timedelta(0)


def test_instants_compare_with_aware_datetimes_of_any_zone(store: Store) -> None:
    store.merge({"id": "1", "updated_at": datetime(2026, 1, 1, 9, tzinfo=UTC)})
    east = timezone(timedelta(hours=9))
    with store.warehouse.reading() as records:
        table = records.table("account")
        before = table.filter(table.updated_at < datetime(2026, 1, 1, 18, 0, 1, tzinfo=east))
        after = table.filter(table.updated_at < datetime(2026, 1, 1, 18, 0, 0, tzinfo=east))
        assert records.backend.to_pyarrow(before).num_rows == 1
        assert records.backend.to_pyarrow(after).num_rows == 0


def test_late_and_repeated_rows_change_nothing(store: Store) -> None:
    now = {"id": "1", "name": "new", "tier": "gold", "updated_at": day(5)}
    assert store.merge(now).changed == 1
    assert store.merge(now).changed == 0
    late = {"id": "1", "name": "old", "tier": "silver", "updated_at": day(4)}
    assert store.merge(late).changed == 0
    assert store.live()["1"]["name"] == "new"
    assert store.history() == []


def test_within_a_batch_the_latest_counts_then_the_last(store: Store) -> None:
    store.merge(
        {"id": "1", "name": "second", "updated_at": day(2)},
        {"id": "1", "name": "third", "updated_at": day(3)},
        {"id": "1", "name": "first", "updated_at": day(1)},
        {"id": "2", "name": "a", "updated_at": day(1)},
        {"id": "2", "name": "b", "updated_at": day(1)},
    )
    assert {key: row["name"] for key, row in store.live().items()} == {"1": "third", "2": "b"}


def test_a_change_without_a_time_is_new(store: Store) -> None:
    store.merge({"id": "1", "name": "known", "updated_at": day(5)})
    assert store.merge({"id": "1", "name": "untimed"}).changed == 1
    assert store.merge({"id": "1", "name": "earlier", "updated_at": day(1)}).changed == 1
    assert store.live()["1"]["name"] == "earlier"


def test_a_tombstone_is_kept_with_what_was_known_and_can_come_back(store: Store) -> None:
    store.merge({"id": "1", "name": "Acme", "tier": "gold", "updated_at": day(1)})
    merged = store.merge({"id": "1", "_deleted": True, "updated_at": day(2)})
    assert (merged.changed, merged.deleted) == (0, 1)
    assert store.live() == {}
    kept = store.kept()["1"]
    assert (kept["name"], kept["deleted_at"]) == ("Acme", day(2))
    assert store.merge({"id": "1", "name": "x", "updated_at": day(1)}).changed == 0
    assert store.merge({"id": "1", "_deleted": True, "updated_at": day(2)}).deleted == 0
    store.merge({"id": "1", "name": "Acme", "tier": "gold", "updated_at": day(3)})
    assert store.live()["1"]["deleted_at"] is None
    assert store.history() == []  # the tier is what it was


def test_history_says_what_changed_and_when(store: Store) -> None:
    store.merge({"id": "1", "tier": "silver", "recurring_revenue": 10, "updated_at": day(1)})
    store.merge({"id": "1", "tier": "gold", "recurring_revenue": 10, "updated_at": day(2)})
    store.merge({"id": "1", "recurring_revenue": Decimal("12.5")})
    assert store.history() == [
        ("crm:1", "recurring_revenue", "10.0000", "12.5000", NOW),
        ("crm:1", "tier", "gold", None, NOW),
        ("crm:1", "tier", "silver", "gold", day(2)),
    ]
    assert store.kept()["1"]["known_since"] == day(1)


def test_history_does_not_depend_on_how_pages_are_cut(store: Store) -> None:
    log = [
        {"id": "1", "tier": tier, "updated_at": day(number)}
        for number, tier in enumerate(["a", "b", "b", "c", "a"], start=1)
    ]
    store.merge(*log)
    other = Store(Warehouse(store.warehouse.path.with_name("other.duckdb"), CANONICAL_TABLES))
    for row in log:
        other.merge(row)
    assert store.history() == other.history()
    assert len(store.history()) == 3


def test_a_failed_merge_leaves_nothing_behind(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.merge({"id": "1", "tier": "a", "updated_at": day(1)})
    before = (store.kept(), store.history(), store.book("stream_state"))

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    batch = store.batch({"id": "1", "tier": "b", "updated_at": day(2)}, {"id": "2"})
    with store.warehouse.writing() as writer:
        monkeypatch.setattr(writer, "_keep_states", fail)
        with pytest.raises(RuntimeError):
            writer.merge(batch, now=NOW)
    assert (store.kept(), store.history(), store.book("stream_state")) == before


_CHANGE = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["1", "2", "3"]),
        "tier": st.sampled_from(["a", "b", None]),
        "_deleted": st.booleans(),
    }
)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_order_and_cut_of_a_change_log_ends_in_the_same_records(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    changes = data.draw(st.lists(_CHANGE, min_size=1, max_size=8))
    log = [
        change | {"updated_at": day(1) + timedelta(hours=number)}
        for number, change in enumerate(changes)
    ]
    folder = tmp_path_factory.mktemp("order")
    in_order = Store(Warehouse(folder / "in_order.duckdb", CANONICAL_TABLES))
    in_order.merge(*log)
    shuffled = data.draw(st.permutations(log + data.draw(st.lists(st.sampled_from(log)))))
    cut = data.draw(st.integers(1, max(1, len(shuffled) - 1)))
    other = Store(Warehouse(folder / "other.duckdb", CANONICAL_TABLES))
    with other.warehouse.writing() as writer:
        for page in (shuffled[:cut], shuffled[cut:]):
            writer.merge(other.batch(*page), now=NOW)

    def shown(store: Store) -> object:
        dead = {key: row["deleted_at"] for key, row in store.kept().items()}
        return store.live(), dead

    assert shown(other) == shown(in_order)
