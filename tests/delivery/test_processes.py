"""Real processes over one ledger file: killed in the middle, and racing each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crmsync.ledger.states import State
from crmsync.model.actions import KeyHandling
from delivery.delivering_process import LONGEST
from delivery.outbox_world import new_effect, path_of, plan

if TYPE_CHECKING:
    from crmsync.ledger.store import Ledger

SCRIPT = Path(__file__).with_name("delivering_process.py")
PYTHONPATH = os.pathsep.join([str(SCRIPT.parent.parent), os.environ.get("PYTHONPATH", "")])


def start(
    ledger_at: Path | str, folder: Path, handling: KeyHandling, *rest: int
) -> subprocess.Popen[str]:
    return start_one_of(1, ledger_at, folder, handling, *rest)


def start_one_of(
    racers: int,
    ledger_at: Path | str,
    folder: Path,
    handling: KeyHandling,
    *rest: int,
    outlives: int = 0,
) -> subprocess.Popen[str]:
    race = {"PYTHONPATH": PYTHONPATH, "RACERS": str(racers), "OUTLIVES": str(outlives)}
    command = [sys.executable, str(SCRIPT), str(ledger_at), str(folder), handling]
    return subprocess.Popen(
        [*command, *map(str, rest)],
        env=os.environ | race,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> int:
    _, errors = process.communicate(timeout=2 * LONGEST)
    assert process.returncode in {0, -signal.SIGKILL}, errors
    return process.returncode


def landed(folder: Path) -> list[str]:
    log = folder / "landed"
    return log.read_text().split() if log.exists() else []


@pytest.mark.parametrize("kill_after", [0, 2, 5])
@pytest.mark.parametrize("handling", [KeyHandling.NATIVE, KeyHandling.LOOKUP])
def test_a_process_killed_while_it_sends_leaves_each_effect_exactly_once(
    ledger: Ledger, ledger_at: Path | str, tmp_path: Path, handling: KeyHandling, kill_after: int
) -> None:
    keys = plan(ledger, [new_effect(n) for n in range(12)])

    assert finish(start(ledger_at, tmp_path, handling, 5, kill_after)) == -signal.SIGKILL
    assert len(landed(tmp_path)) == kill_after
    in_hand = ledger.effects(states=[State.SENDING])
    assert [effect.key for effect in in_hand] == keys[:5]

    # The lease still runs; but its holder is dead, and that can be seen.
    assert finish(start(ledger_at, tmp_path, handling, 5)) == 0
    assert sorted(landed(tmp_path)) == sorted(keys)
    assert {effect.state for effect in ledger.effects()} == {State.DONE}
    assert State.UNCERTAIN in path_of(ledger, in_hand[0])


def test_a_killed_process_leaves_unsafe_effects_to_a_person(
    ledger: Ledger, ledger_at: Path | str, tmp_path: Path
) -> None:
    keys = plan(ledger, [new_effect(n) for n in range(4)])
    finish(start(ledger_at, tmp_path, KeyHandling.UNSAFE, 2, 1))
    finish(start(ledger_at, tmp_path, KeyHandling.UNSAFE, 2))
    assert [effect.state for effect in ledger.effects()] == [
        State.UNCERTAIN,
        State.UNCERTAIN,
        State.DONE,
        State.DONE,
    ]
    assert landed(tmp_path) == [keys[0], keys[2], keys[3]]


def test_two_processes_at_once_deliver_nothing_twice(
    ledger: Ledger, ledger_at: Path | str, tmp_path: Path
) -> None:
    keys = plan(ledger, [new_effect(n) for n in range(120)])
    racing = [start_one_of(2, ledger_at, tmp_path, KeyHandling.UNSAFE, 3) for _ in range(2)]
    assert [finish(process) for process in racing] == [0, 0]
    assert sorted(landed(tmp_path)) == sorted(keys)
    workers = {ledger.history_of(effect.id)[-1].actor for effect in ledger.effects()}
    assert len(workers) == 2


@pytest.mark.parametrize("handling", [KeyHandling.NATIVE, KeyHandling.LOOKUP])
def test_of_three_processes_at_once_one_is_killed_and_each_effect_lands_once(
    ledger: Ledger, ledger_at: Path | str, tmp_path: Path, handling: KeyHandling
) -> None:
    keys = plan(ledger, [new_effect(n) for n in range(120)])
    doomed = start_one_of(3, ledger_at, tmp_path, handling, 3, 40)
    others = [start_one_of(3, ledger_at, tmp_path, handling, 3, outlives=40) for _ in range(2)]
    assert finish(doomed) == -signal.SIGKILL
    assert [finish(process) for process in others] == [0, 0]
    left = [effect for effect in ledger.effects() if effect.state is not State.DONE]
    assert {effect.state for effect in left} == {State.SENDING}, "nobody else may take them up"
    assert 1 <= len(left) <= 3

    assert finish(start(ledger_at, tmp_path, handling, 3)) == 0
    assert sorted(landed(tmp_path)) == sorted(keys)
    assert {effect.state for effect in ledger.effects()} == {State.DONE}
    assert all(State.UNCERTAIN in path_of(ledger, effect) for effect in left)
