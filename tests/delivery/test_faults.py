"""The ledger, the clock or the remote fails in the middle of a delivery."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.errors import StoreBusyError, TransientError
from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger
from crmsync.model.actions import KeyHandling
from delivery.outbox_world import NOON, FakeRemote, new_effect, only, plan, send

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from crmsync.model.actions import Action


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def impatient(file: Path) -> Iterator[Ledger]:
    with Ledger(file, wait_seconds=0.1) as ledger:
        yield ledger


@pytest.mark.parametrize("handling", [KeyHandling.NATIVE, KeyHandling.LOOKUP])
def test_a_ledger_that_is_locked_when_the_answers_come_is_told_and_found_out_later(
    impatient: Ledger, file: Path, handling: KeyHandling
) -> None:
    keys = plan(impatient, [new_effect(n) for n in range(3)])
    remote = FakeRemote()
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    def lands_while_another_writes(actions: Sequence[Action]) -> object:
        other.execute("BEGIN IMMEDIATE")
        return [remote.land(action) for action in actions]

    remote.answers = [lands_while_another_writes]
    with pytest.raises(StoreBusyError, match="another process is writing"):
        send(impatient, remote, handling=handling)
    assert {effect.state for effect in impatient.effects()} == {State.SENDING}
    other.execute("ROLLBACK")
    other.close()

    # The same process goes on, as the daemon does; its lease would last for minutes yet.
    report = send(impatient, remote, handling=handling)
    assert (report.done, report.already) == (3, 3)
    assert remote.keys == keys


def test_a_clock_that_jumps_back_lets_what_waits_wait_and_no_longer(ledger: Ledger) -> None:
    (key,) = plan(ledger, [new_effect(1)])
    remote = FakeRemote(answers=[TransientError("503", retry_after=timedelta(minutes=5))])
    send(ledger, remote)
    before = NOON - timedelta(days=1)
    assert send(ledger, remote, at=before, wall_clock=before).waiting == 1
    assert only(ledger).not_before == NOON + timedelta(minutes=5)
    later = NOON + timedelta(minutes=5)
    assert send(ledger, remote, at=later, wall_clock=later).done == 1
    assert remote.keys == [key]


def test_a_clock_that_jumps_back_during_a_delivery_hands_everything_over_once(
    ledger: Ledger,
) -> None:
    keys = plan(ledger, [new_effect(n) for n in range(4)])
    remote = FakeRemote()
    for day in (0, -3, 1):
        at = NOON + timedelta(days=day)
        send(ledger, remote, at=at, wall_clock=at, batch_size=2)
    assert remote.keys == keys
