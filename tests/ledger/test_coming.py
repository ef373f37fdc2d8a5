from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.ledger.coming import Note, next_instant, read_notes, write_notes

if TYPE_CHECKING:
    from crmsync.ledger.store import Ledger

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_notes_are_replaced_and_forgotten(ledger: Ledger) -> None:
    first = {"a": Note(at=AT, text="x"), "b": Note(at=AT)}
    ledger.write(lambda connection: write_notes(connection, first))
    again = {"a": Note(at=AT + timedelta(hours=1), text="é"), "b": None, "c": None}
    ledger.write(lambda connection: write_notes(connection, again))
    with ledger.reading() as connection:
        assert read_notes(connection) == {"a": Note(at=AT + timedelta(hours=1), text="é")}


def test_the_end_of_a_pause_is_something_to_wake_for(ledger: Ledger) -> None:
    ledger.pause_connection("crm", until=AT, reason="quota")
    with ledger.reading() as connection:
        assert next_instant(connection, after=AT - timedelta(seconds=1)) == AT
        assert next_instant(connection, after=AT) is None


def test_one_daemon_for_each_ledger_beside_one_run(ledger: Ledger) -> None:
    assert ledger.daemon(now=AT) is None
    with ledger.serving(since=AT), ledger.evaluating(since=AT):
        told = ledger.daemon(now=AT)
        assert told is not None
        assert ", since " in told
    assert ledger.daemon(now=AT) is None
