from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from crmsync.ledger.store import Ledger

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_a_run_is_there_from_its_start_and_complete_at_its_end(ledger: Ledger) -> None:
    started = AT + timedelta(days=40)
    number = ledger.start_run("run", at=AT, started_at=started)
    (running,) = ledger.last_runs()
    assert (running.at, running.started_at) == (AT, started)
    assert (running.finished_at, running.counts) == (None, {})

    ended = started + timedelta(seconds=3)
    ledger.finish_run(number, finished_at=ended, counts={"done": 4}, error="half of it failed")
    (run,) = ledger.last_runs()
    assert (run.id, run.kind, run.finished_at) == (number, "run", ended)
    assert (run.counts, run.error) == ({"done": 4}, "half of it failed")


def test_the_last_runs_come_last_first_and_by_kind(ledger: Ledger) -> None:
    kinds = ["sync", "run", "sync", "run"]
    numbers = [ledger.start_run(kind, at=AT, started_at=AT) for kind in kinds]
    assert [run.id for run in ledger.last_runs(3)] == numbers[:0:-1]
    assert [run.id for run in ledger.last_runs(1, kind="sync")] == [numbers[2]]


def test_instants_come_back_in_utc_whatever_zone_they_had(ledger: Ledger) -> None:
    local = AT.astimezone(timezone(timedelta(hours=-7)))
    ledger.start_run("run", at=local, started_at=AT)
    (run,) = ledger.last_runs()
    assert run.at == AT
    assert run.at.tzinfo is UTC


def test_an_instant_without_a_zone_is_a_defect(ledger: Ledger) -> None:
    naive = AT.replace(tzinfo=None)
    with pytest.raises(Exception, match="aware instants only"):
        ledger.start_run("run", at=naive, started_at=AT)


def test_a_pause_holds_until_its_instant_and_the_last_one_counts(ledger: Ledger) -> None:
    ledger.pause_connection("crm", until=AT + timedelta(hours=9), reason="first")
    ledger.pause_connection("crm", until=AT + timedelta(hours=1), reason="quota")
    assert ledger.pauses(at=AT) == {"crm": (AT + timedelta(hours=1), "quota")}
    assert ledger.pauses(at=AT + timedelta(hours=1)) == {}
