from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from crmsync.delivery.commit import commit_plan
from crmsync.errors import StoreBusyError
from crmsync.ledger.stops import StopKind, lift_stop, say_stop
from crmsync.ledger.values.enrolments import Transitions

if TYPE_CHECKING:
    from crmsync.ledger.store import Ledger

_NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_a_run_that_decided_before_the_word_records_nothing(ledger: Ledger) -> None:
    run = ledger.start_run("run", at=_NOW, started_at=_NOW)
    known = ledger.stops(now=_NOW)
    commit_plan(ledger, run, Transitions(at=_NOW), stops=known)
    with ledger.writing() as connection:
        say_stop(connection, StopKind.ACCOUNT, "crm:A1", by="Jo", at=_NOW)
    with pytest.raises(StoreBusyError, match="nothing of this run was recorded; run again"):
        commit_plan(ledger, run, Transitions(at=_NOW), stops=known)
    commit_plan(ledger, run, Transitions(at=_NOW), stops=ledger.stops(now=_NOW))


def test_words_are_kept_after_they_were_taken_back(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        said = say_stop(
            connection, StopKind.ADDRESS, "ann@acme.example", by="Jo\0", at=_NOW, reason="left"
        )
        assert (said.said_by, said.said_at, said.reason) == ("Jo␀", _NOW, "left")
    assert ledger.stops(now=_NOW) == (said,)
    with ledger.writing() as connection:
        lifted = lift_stop(connection, StopKind.ADDRESS, "ann@acme.example", by="Ann", at=_NOW)
    assert [(one.id, one.lifted_by, one.lifted_at) for one in lifted] == [(said.id, "Ann", _NOW)]
    assert ledger.stops(now=_NOW) == ()
