"""A mapping that was changed is applied to what is there already."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crmsync.errors import TransientError
from sync.sync_world import ACCOUNTS, CONTACTS, with_streams

if TYPE_CHECKING:
    import pytest

    from sync.sync_world import Run

_FIELDS: dict[str, Any] = {"name": "Name", "tier": "Tier", "updated_at": "Modified"}


def _mapped(run: Run, zone: str = "UTC", **accounts: Any) -> Run:
    """The same connection with another mapping of its accounts."""
    changed = with_streams(run, accounts=ACCOUNTS | accounts, contacts=CONTACTS)
    return replace(changed, zone=zone)


def _with_two_accounts(run: Run) -> Run:
    run.connector.add(
        "accounts",
        {"Id": "1", "Name": "A", "Tier": "g", "Modified": "2026-01-02", "Code": "x1"},
        {"Id": "2", "Name": "B", "Tier": "s", "Modified": "2026-01-03", "Code": "x2"},
    )
    run.sync()
    return run


def test_values_are_mapped_anew(run: Run) -> None:
    run = _mapped(_with_two_accounts(run), fields=_FIELDS | {"tier": _tier(g="gold", s="silver")})
    accounts, contacts = run.sync()
    assert (accounts.read, accounts.changed, contacts.read) == (2, 2, 0)
    assert {key: row["tier"] for key, row in run.live().items()} == {"1": "gold", "2": "silver"}
    assert run.sync()[0].read == 0


def _tier(**values: str) -> dict[str, object]:
    return {"column": "Tier", "values": values}


def test_rows_in_quarantine_come_back_when_the_mapping_is_mended(run: Run) -> None:
    row = {"Name": "A", "Tier": "g"}
    run.connector.add(
        "accounts",
        row | {"Id": "1", "Modified": "2026-01-02"},
        row | {"Id": "2", "Modified": "03.01.2026"},
    )
    assert run.sync()[0].quarantined == 1
    modified = {"column": "Modified", "format": ["%Y-%m-%d", "%d.%m.%Y"]}
    run = _mapped(run, fields=_FIELDS | {"updated_at": modified})
    run.sync()
    assert run.live()["2"]["updated_at"] == datetime(2026, 1, 3, tzinfo=UTC)
    assert run.sentences() == []


def test_what_is_read_anew_is_not_held_against_times_of_another_zone(run: Run) -> None:
    _mapped(_with_two_accounts(run), "America/New_York").sync()
    east = _mapped(run, "Asia/Tokyo", fields=_FIELDS | {"tier": _tier(g="gold")})
    assert east.sync()[0].changed == 2
    first = east.live()["1"]
    assert first["updated_at"] == datetime(2026, 1, 1, 15, tzinfo=UTC)
    assert first["tier"] == "gold"


def test_an_unchanged_way_of_telling_times_still_leaves_out_what_is_late(run: Run) -> None:
    run = _with_two_accounts(run)
    newer = {"Id": "1", "Name": "A2", "Tier": "s", "Modified": "2026-01-09"}
    run.connector.add("accounts", newer)
    run.sync()
    run = _mapped(run, fields=_FIELDS | {"industry": {"value": "wine"}})
    run.sync()
    assert run.live()["1"]["name"] == "A2"
    with run.warehouse.reading() as records:
        history = records.backend.table("history", database="books").to_pyarrow().to_pylist()
    assert [(row["field"], row["new"]) for row in history] == [("tier", "s")]


def test_another_key_leaves_no_record_under_the_old_one(run: Run) -> None:
    run = _mapped(_with_two_accounts(run), key="Code")
    run.sync()
    assert set(run.live()) == {"x1", "x2"}
    run = _mapped(run, key="Id")
    run.sync()
    assert set(run.live()) == {"1", "2"}


def test_another_table_leaves_no_record_in_the_old_one(run: Run) -> None:
    run = _mapped(_with_two_accounts(run), table="ticket", fields={"topic": "Name"})
    run.sync()
    assert run.live() == {}
    assert {row["topic"] for row in run.live("ticket").values()} == {"A", "B"}


def test_reading_anew_goes_on_where_it_was_broken_off(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmsync.sync.run.BATCH_ROWS", 2)
    run = _with_two_accounts(run)
    run.connector.add("accounts", {"Id": "3", "Name": "C", "Tier": "g", "Modified": "2026-01-05"})
    run.sync()
    pages = run.connector.pages["accounts"]
    west = _mapped(run, "Asia/Tokyo", fields=_FIELDS | {"tier": _tier(g="gold")})
    run.connector.pages["accounts"] = pages[:1]
    run.connector.errors["accounts"] = TransientError("the line is down")
    west.sync()
    run.connector.pages["accounts"] = pages
    run.connector.errors.clear()
    west.sync()
    assert run.connector.reads[-2] == ("accounts", "1")
    assert {key: row["tier"] for key, row in west.live().items()} == {
        "1": "gold",
        "2": "s",
        "3": "gold",
    }


def _past(run: Run, field: str = "tier") -> tuple[set[tuple[Any, ...]], dict[str, Any]]:
    """The changes of a field that count, and since when each account is known."""
    with run.warehouse.reading() as records:
        changes = records.query(records.changes("account", field)).to_pylist()
        known = records.query(records.known_since("account", field)).to_pylist()
    told = {(row["id"].partition(":")[2], row["old"], row["new"]) for row in changes}
    return told, {row["id"].partition(":")[2]: row["since"] for row in known}


def test_what_is_mapped_in_another_way_has_not_changed(run: Run) -> None:
    run = _with_two_accounts(run)
    newer = {"Id": "1", "Name": "A", "Tier": "s", "Modified": "2026-01-09"}
    run.connector.add("accounts", newer)
    run.sync()
    changed, known = _past(run)
    assert changed == {("1", "g", "s")}
    assert known["1"] == datetime(2026, 1, 2, tzinfo=UTC)
    run = _mapped(run, fields=_FIELDS | {"tier": _tier(g="gold", s="silver")})
    run.sync()
    changed, known = _past(run)
    # What it was called before is not to be held against what it is called now.
    assert changed == set()
    assert known == dict.fromkeys(("1", "2"), run.clock.now())
    with run.warehouse.reading() as records:
        then = records.as_of(datetime(2026, 1, 5, tzinfo=UTC))
        found = then.assumed("account", ["tier"])
        assert found is not None
        assert set(then.query(found)["until"].to_pylist()) == {run.clock.now()}
        tiers = {row["id"]: row["tier"] for row in then.query(then.table("account")).to_pylist()}
        assert tiers == {"crm:1": "silver", "crm:2": "silver"}  # for want of better
    later = replace(run, clock=run.clock.advanced(timedelta(days=2)))
    at = (run.clock.now() + timedelta(days=1)).isoformat()
    later.connector.add("accounts", newer | {"Tier": "g", "Modified": at})
    later.sync()
    assert _past(later)[0] == {("1", "silver", "gold")}


def test_a_field_that_is_mapped_for_the_first_time_or_no_more_has_not_changed(run: Run) -> None:
    bare = {name: column for name, column in _FIELDS.items() if name != "tier"}
    run = _with_two_accounts(_mapped(run, fields=bare))
    other = {"owner": "Name"}  # what is mapped as it was keeps its past
    for fields in (_FIELDS, _FIELDS | other, bare | other):
        run = _mapped(run, fields=fields)
        run.sync()
        assert _past(run)[0] == set()
    assert _past(run, "status")[1]["1"] == datetime(2026, 1, 2, tzinfo=UTC)
