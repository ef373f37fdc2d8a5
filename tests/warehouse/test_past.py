"""The records as they were at a past instant."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.warehouse.store import ReadNote, Warehouse
from warehouse.warehouse_world import NOW, Store, day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.warehouse.past import PastRecords

TRACKED = ("tier", "recurring_revenue", "renewal_date", "do_not_contact", "owner")


def _rows(past: PastRecords, table: str = "account") -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in past.query(past.table(table)).to_pylist()}


def _ids(store: Store, at: datetime, table: str) -> set[str]:
    with store.warehouse.reading() as records:
        past = records.as_of(at)
        rows = past.query(past.table(table).select("id")).to_pylist()
        return {row["id"].removeprefix("crm:") for row in rows}


def test_a_record_is_there_from_its_creation_until_its_deletion(store: Store) -> None:
    store.merge({"id": "1", "created_at": day(2), "updated_at": day(3)})
    store.merge({"id": "1", "_deleted": True, "updated_at": day(5)})
    assert _ids(store, day(1), "account") == set()
    assert _ids(store, day(2), "account") == {"1"}
    assert _ids(store, day(5) - timedelta(microseconds=1), "account") == {"1"}
    assert _ids(store, day(5), "account") == set()
    with store.warehouse.reading() as records:
        (row,) = _rows(records.as_of(day(4))).values()
    assert row["deleted_at"] is None


def test_what_tells_its_time_is_there_from_then_on(store: Store) -> None:
    """Without a time of creation; a planned meeting is there from when it was known."""
    store.merge({"id": "past", "at": day(4)}, table="activity", stream="a", now=day(20))
    store.merge({"id": "plan", "at": day(30)}, table="activity", stream="a", now=day(20))
    store.merge({"id": "timeless"}, table="activity", stream="a", now=day(20))
    store.merge(
        {"id": "late", "at": day(4), "created_at": day(6)}, table="activity", stream="a", now=day(9)
    )
    store.merge({"id": "old", "opened_on": day(4).date()}, table="deal", stream="d", now=day(20))
    assert _ids(store, day(3), "activity") == {"timeless"}
    assert _ids(store, day(4), "activity") == {"timeless", "past"}
    assert _ids(store, day(6), "activity") == {"timeless", "past", "late"}
    assert _ids(store, day(20), "activity") == {"timeless", "past", "late", "plan"}
    assert _ids(store, day(4) - timedelta(seconds=1), "deal") == set()
    assert _ids(store, day(4), "deal") == {"old"}


def test_a_merged_record_is_not_there_and_who_named_it_names_the_survivor(store: Store) -> None:
    store.merge({"id": "u1"}, {"id": "u2"}, table="user", stream="users", now=day(1))
    store.merge({"id": "1", "owner": "u1", "updated_at": day(2)})
    store.merge({"id": "1", "owner": "u2", "updated_at": day(4)})
    store.merge({"id": "u1", "_merged_into": "u3"}, table="user", stream="users", now=day(6))
    assert _ids(store, day(3), "user") == {"u2"}
    with store.warehouse.reading() as records:
        past = records.as_of(day(3))
        assert _rows(past)["crm:1"]["owner"] == "crm:u3"
        past.move_to(day(4))
        assert _rows(past)["crm:1"]["owner"] == "crm:u2"


def test_the_past_of_a_merged_record_is_that_of_its_younger_survivor(store: Store) -> None:
    """Some CRMs give the result of a merge a new id."""
    store.merge({"id": "old", "tier": "tin", "created_at": day(2), "updated_at": day(2)})
    store.merge({"id": "old", "tier": "gold", "created_at": day(2), "updated_at": day(4)})
    store.merge(
        {"id": "new", "tier": "gold", "created_at": day(6), "updated_at": day(6)},
        {"id": "old", "_merged_into": "new", "updated_at": day(6)},
    )
    store.merge({"id": "new", "tier": "top", "created_at": day(6), "updated_at": day(8)})
    with store.warehouse.reading() as records:
        past = records.as_of(day(1))
        told = past.table("account")
        tiers = []
        for number in range(1, 10):
            past.move_to(day(number))
            tiers.append([(r["id"], r["tier"]) for r in past.query(told).to_pylist()])
    assert tiers == [
        [],
        *[[("crm:new", "tin")]] * 2,
        *[[("crm:new", "gold")]] * 4,
        *[[("crm:new", "top")]] * 2,
    ]


def test_what_is_assumed_before_which_day(store: Store) -> None:
    store.merge(
        {"id": "1", "name": "Acme", "tier": "gold", "created_at": day(2), "updated_at": day(5)},
        {"id": "2", "name": "Blue", "tier": "tin"},
        now=day(9),
    )
    store.merge({"id": "1", "name": "Acme", "tier": "tin", "created_at": day(2), "updated_at": NOW})
    # Known from its creation on: nothing is assumed of what is tracked.
    store.merge({"id": "3", "created_at": day(4), "updated_at": day(4)}, now=day(9))
    with store.warehouse.writing() as writer:
        writer.note_reads(
            [ReadNote(connection="crm", stream="accounts", table="account", read_at=NOW)]
        )
    warehouse = Warehouse(store.warehouse.path, streams={("crm", "accounts"): "account"})
    with warehouse.reading() as records:
        past = records.as_of(day(3))

        def spans(*fields: str) -> set[tuple[str, datetime | None, datetime]]:
            found = past.assumed("account", fields)
            rows = [] if found is None else past.query(found).to_pylist()
            assert all(row["since"] < row["until"] for row in rows)
            return {
                (row["id"], row["since"] if row["since"].year > 1 else None, row["until"])
                for row in rows
            }

        # A tracked field before it was first known; of no. 2 when it was read, for lack of more.
        assert spans("tier") == {("crm:1", day(2), day(5)), ("crm:2", None, day(9))}
        # Any other before its record last changed; of no. 2 before it was last read.
        assert spans("name") == {("crm:1", day(2), NOW), ("crm:2", None, NOW)}
        assert spans("id", "created_at", "parent") == set()
        assert past.assumed("activity", ["kind", "at"]) is None


def test_a_stream_that_was_read_later_is_fresh_then_and_others_as_they_are(store: Store) -> None:
    streams = {("crm", "accounts"): "account", ("crm", "users"): "user", ("crm", "deals"): "deal"}
    with store.warehouse.writing() as writer:
        writer.note_reads(
            [
                ReadNote(
                    connection="crm", stream="accounts", table="account", read_at=NOW, error=None
                ),
                ReadNote(connection="crm", stream="users", table="user", read_at=day(2)),
            ]
        )
        writer.note_reads(
            [ReadNote(connection="crm", stream="accounts", table="account", error="lost")]
        )
    warehouse = Warehouse(store.warehouse.path, streams=streams)
    with warehouse.reading() as records:
        past = records.as_of(day(5))
        states = {state.stream: (state.read_at, state.error) for state in past.stream_states()}
    assert states == {"accounts": (day(5), None), "users": (day(2), None), "deals": (None, None)}


@dataclass(frozen=True)
class Version:
    """What a CRM says of a record at some hour; several may say something at the same."""

    id: str
    hour: int
    values: dict[str, Any]


VALUES = st.fixed_dictionaries(
    {
        "tier": st.sampled_from([None, "", "gold", "tin", "null"]),
        "recurring_revenue": st.sampled_from([None, Decimal(0), Decimal("-0.0001"), Decimal(10)]),
        "renewal_date": st.sampled_from([None, date(2024, 2, 29), date(2026, 12, 31)]),
        "do_not_contact": st.sampled_from([None, True, False]),
        "owner": st.sampled_from([None, "u1", "u2"]),
    }
)
VERSIONS = st.builds(
    Version,
    id=st.sampled_from(["1", "2"]),
    hour=st.integers(0, 4),
    values=VALUES,
)
BATCHES = st.lists(st.lists(VERSIONS, min_size=1, max_size=4), min_size=1, max_size=4)


def _hour(number: int) -> datetime:
    return day(10) + timedelta(hours=number)


def _timeline(
    batches: Sequence[Sequence[Version]], *, timed: bool
) -> dict[str, list[tuple[datetime, dict[str, Any]]]]:
    """In plain Python: for each record what was accepted, and since when it holds."""
    found: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}
    for number, batch in enumerate(batches):
        told: dict[str, list[tuple[datetime, dict[str, Any]]]] = {}
        for version in batch:
            at = _hour(version.hour if timed else number)
            told.setdefault(f"crm:{version.id}", []).append((at, version.values))
        for record, versions in told.items():
            accepted = found.setdefault(record, [])
            former = _former(accepted, versions)
            for at, values in versions:
                if not accepted or at >= accepted[-1][0]:
                    accepted.append((at, values))
            accepted[:0] = former
    return found


def _former(
    accepted: Sequence[tuple[datetime, dict[str, Any]]],
    versions: Sequence[tuple[datetime, dict[str, Any]]],
) -> list[tuple[datetime, dict[str, Any]]]:
    """What is older than all that is known of a record, and comes before what is not."""
    if not accepted:
        return []
    (first, values), (last, _) = accepted[0], accepted[-1]
    if any(other != values for at, other in accepted if at == first):
        return []  # which of them came last cannot be kept
    present = [place for place, (at, _) in enumerate(versions) if at >= last]
    before = versions[: max(present, default=0)]
    return sorted((one for one in before if one[0] < first), key=lambda one: one[0])


@pytest.mark.parametrize("timed", [True, False])
@settings(max_examples=15, deadline=None)
@given(batches=BATCHES)
def test_the_past_is_what_the_table_said_then(batches: list[list[Version]], *, timed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Warehouse(Path(folder) / "warehouse.duckdb"))
        for number, batch in enumerate(batches):
            times = [{"updated_at": _hour(v.hour)} if timed else {} for v in batch]
            rows = [{"id": v.id, **v.values, **t} for v, t in zip(batch, times, strict=True)]
            store.merge(*rows, now=_hour(number))
        timeline = _timeline(batches, timed=timed)
        with store.warehouse.reading() as records:
            past = records.as_of(_hour(0))
            said = past.table("account")
            for half_hours in range(-1, 10):
                at = _hour(0) + timedelta(minutes=30 * half_hours)
                past.move_to(at)
                there = {row["id"]: row for row in past.query(said).to_pylist()}
                assert there.keys() == timeline.keys()
                for record, versions in timeline.items():
                    # Before the first, what was first known is assumed.
                    _, values = [versions[0], *(v for v in versions if v[0] <= at)][-1]
                    owner = values["owner"] and f"crm:{values['owner']}"
                    expected = {**values, "owner": owner}
                    assert {name: there[record][name] for name in TRACKED} == expected
