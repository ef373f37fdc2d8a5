from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.errors import AuthError, RejectedError, TransientError
from crmsync.model.pages import DELETED, PROBLEM, Snapshot
from crmsync.sync import run as sync_run
from crmsync.warehouse.store import Writer
from sync.sync_world import ACCOUNTS, NOW, with_streams

if TYPE_CHECKING:
    from datetime import datetime

    import pytest

    from crmsync.warehouse.batch import Batch, Merged
    from sync.sync_world import Run


def _account(key: str, name: str, modified: str = "2026-01-01") -> dict[str, str]:
    return {"Id": key, "Name": name, "Tier": "gold", "Modified": modified}


def test_streams_are_read_from_where_they_were_left(run: Run) -> None:
    run.connector.add("accounts", _account("1", "A"), _account("2", "B"))
    run.connector.add("contacts", {"Id": "1", "Name": "C", "Account": "2"})
    accounts, contacts = run.sync()
    assert (accounts.read, accounts.changed, contacts.changed) == (2, 2, 1)
    assert run.live("contact")["1"]["account"] == "crm:2"
    run.connector.add("accounts", _account("2", "B2", "2026-01-02"))
    accounts, contacts = run.sync()
    assert (accounts.read, accounts.changed, contacts.read) == (1, 1, 0)
    assert run.connector.reads == [
        ("accounts", None),
        ("contacts", None),
        ("accounts", "1"),
        ("contacts", "1"),
    ]


def test_an_error_keeps_what_came_before_it_and_the_other_streams(run: Run) -> None:
    run.connector.add("accounts", _account("1", "A"))
    run.connector.add("contacts", {"Id": "1", "Name": "C", "Account": "1"})
    run.connector.errors["accounts"] = TransientError("the line is down")
    accounts, contacts = run.sync()
    assert (accounts.error, accounts.changed) == ("the line is down", 1)
    assert contacts.error is None
    with run.warehouse.reading() as records:
        states = {state.stream: state for state in records.stream_states()}
    assert run.cursors() == {"accounts": "1", "contacts": "1"}
    assert (states["accounts"].read_at, states["accounts"].error) == (None, "the line is down")
    assert (states["contacts"].read_at, states["contacts"].error) == (NOW, None)
    del run.connector.errors["accounts"]
    run.sync()
    with run.warehouse.reading() as records:
        assert all(s.read_at == NOW and s.error is None for s in records.stream_states())


def test_refused_credentials_end_the_connection(run: Run) -> None:
    run.connector.add("contacts", {"Id": "1", "Name": "C", "Account": "1"})
    run.connector.errors["accounts"] = AuthError("the key is refused")
    assert [stream.error for stream in run.sync()] == ["the key is refused"] * 2
    assert run.connector.reads == [("accounts", None)]


def test_a_broken_connector_is_reported(run: Run) -> None:
    run.connector.errors["accounts"] = KeyError("boom")
    accounts, contacts = run.sync()
    assert accounts.error == "the connector of crm broke while it read accounts: KeyError: 'boom'"
    assert contacts.error is None


def test_a_missing_column_is_told_with_the_nearest(run: Run) -> None:
    run.connector.add("accounts", {"Id": "1", "Names": "A", "Tier": "x", "Modified": ""})
    accounts = run.sync()[0]
    assert accounts.error == (
        "crm, stream accounts: there is no column “Name”; did you mean “Names”?"
    )
    assert run.live() == {}


def test_unreadable_rows_wait_in_quarantine_until_they_are_mended(run: Run) -> None:
    run.connector.add("accounts", _account("1", "A"), _account("2", "B", "soon"))
    told = {"Id": None, "Name": None, "Tier": None, "Modified": None}
    run.connector.add("accounts", told | {PROBLEM: "accounts.csv, row 3: it has 2 values"})
    report = run.sync()[0]
    assert (report.changed, report.quarantined) == (1, 2)
    assert set(run.sentences()) == {
        "accounts.csv, row 2: “soon” in Modified is not a time; declare its format in the mapping",
        "accounts.csv, row 3: it has 2 values",
    }


def test_a_page_of_tombstones_needs_only_keys(run: Run) -> None:
    run.connector.add("accounts", _account("1", "A"), _account("2", "B"))
    run.connector.add("accounts", {"Id": "1", DELETED: True})
    run.sync()
    assert set(run.live()) == {"2"}


def test_a_refused_listing_is_read_again(run: Run) -> None:
    run.connector.add("accounts", _account("1", "A"), snapshot=Snapshot(id="one", last=True))
    run.sync()
    run.connector.add("accounts", _account("2", "B"), snapshot=Snapshot(id="two", last=True))
    assert "lacks all 1 records" in str(run.sync()[0].error)
    assert set(run.live()) == {"1"}
    assert run.sync(deletions_confirmed=True)[0].deleted == 1
    assert set(run.live()) == {"2"}


def test_batches_are_bounded_and_end_in_the_same_state(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_run, "BATCH_ROWS", 2)
    for number in range(5):
        run.connector.add(
            "accounts", _account(str(number % 3), str(number), f"2026-01-0{number + 1}")
        )
    report = run.sync()[0]
    assert (report.read, report.error) == (5, None)
    assert {key: row["name"] for key, row in run.live().items()} == {"0": "3", "1": "4", "2": "2"}
    assert run.cursors() == {"accounts": "5", "contacts": None}


def test_what_the_error_of_a_connector_says_is_kept_for_status(run: Run) -> None:
    run.connector.errors["accounts"] = RejectedError("accounts.csv, row 7 is cut off", row=7)
    run.sync()
    with run.warehouse.reading() as records:
        assert records.stream_states()[0].error == "accounts.csv, row 7 is cut off"


def test_two_streams_that_give_the_same_record_are_told(run: Run) -> None:
    run = with_streams(run, partners=ACCOUNTS)
    run.connector.add("accounts", _account("1", "A"), _account("2", "B"))
    run.connector.add("partners", _account("2", "Other", "2026-01-05"), _account("3", "C"))
    accounts, partners = run.sync()
    assert (accounts.changed, partners.changed, partners.quarantined) == (2, 1, 1)
    (sentence,) = run.sentences()
    assert sentence == (
        "partners.csv, row 1: stream “accounts” of crm gives account “2” already, so the row of "
        "stream “partners” was left out; let one of the two give it, or make them two connections"
    )
    assert {key: row["name"] for key, row in run.live().items()} == {"1": "A", "2": "B", "3": "C"}
    # What one gives no more is the other's to give.
    run.connector.add("accounts", {"Id": "2", DELETED: True})
    run.connector.add("partners", _account("2", "Other", "2026-01-05"))
    run.sync()
    assert run.live()["2"]["name"] == "Other"
    assert run.sentences() == []


def test_a_renamed_stream_goes_on_with_its_records(run: Run) -> None:
    run = with_streams(run)
    run.connector.add("accounts", _account("1", "A"))
    run.sync()
    run.connector.pages["customers"] = run.connector.pages["accounts"]
    run = with_streams(run, accounts=None, customers=ACCOUNTS)
    (report,) = run.sync()
    assert (report.quarantined, set(run.live())) == (0, {"1"})


def test_a_page_that_is_too_large_is_merged_in_parts(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_run, "BATCH_ROWS", 2)
    rows = [_account(str(number), f"A{number}") for number in range(5)]
    run.connector.add("accounts", *rows, snapshot=Snapshot(id="one", last=True))
    sizes: list[int] = []
    merge = Writer.merge

    def noting(self: Writer, batch: Batch, *, now: datetime) -> Merged:
        sizes.append(batch.rows.num_rows)
        return merge(self, batch, now=now)

    monkeypatch.setattr(Writer, "merge", noting)
    assert run.sync()[0].changed == 5
    assert sizes == [2, 2, 1]
    assert set(run.live()) == {"0", "1", "2", "3", "4"}
    run.connector.add("accounts", *rows[:3], snapshot=Snapshot(id="two", last=True))
    assert run.sync()[0].deleted == 2


def test_behind_a_part_that_was_refused_nothing_is_committed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.connector.add("accounts", _account("1", "A"), snapshot=Snapshot(id="one", last=True))
    run.sync()
    monkeypatch.setattr(sync_run, "BATCH_ROWS", 2)
    run.connector.add("accounts", _account("2", "B"), snapshot=Snapshot(id="two", last=True))
    run.connector.add("accounts", *(_account(str(number), "C") for number in range(3, 8)))
    assert "lacks all 1 records" in str(run.sync()[0].error)
    assert set(run.live()) == {"1"}
    assert run.cursors()["accounts"] == "1"
