"""crmsync is killed at random instants; the remote has everything once. And it could fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.model.actions import KeyHandling
from support.chaos import KILLS, LONG, assert_sound, chaos

if TYPE_CHECKING:
    from pathlib import Path

    from support.postgres import Schemas

pytestmark = pytest.mark.skipif(not LONG, reason="the kill tests take long: run “make chaos”")


@pytest.mark.parametrize("handling", list(KeyHandling) if LONG else [KeyHandling.NATIVE])
def test_killed_at_random_on_sqlite(tmp_path: Path, handling: KeyHandling) -> None:
    ledger_at = tmp_path / "state" / "ledger.sqlite"
    with chaos(tmp_path, handling, ledger_at, seed=2) as world:
        world.grow(3)
        assert world.live({}) == [0], world.log
        for _ in range(KILLS // 5 if LONG else 10):
            world.die_at_random()
        assert_sound(world, handling)
        assert world.lives["killed"] > 0


@pytest.mark.parametrize(
    "handling", [KeyHandling.NATIVE, KeyHandling.LOOKUP] if LONG else [KeyHandling.LOOKUP]
)
def test_two_workers_killed_at_random_on_postgresql(
    tmp_path: Path, schemas: Schemas, handling: KeyHandling
) -> None:
    with chaos(tmp_path, handling, schemas.empty(), seed=3) as world:
        world.grow(3)
        assert world.live({}) == [0], world.log
        for _ in range(KILLS // 5 if LONG else 8):
            world.die_at_random(("run", "deliver"))
        assert_sound(world, handling)
        assert world.lives["killed"] > 0


@pytest.mark.parametrize(
    ("mutant", "words"),
    [("nobody looks", "is there 2 times"), ("nobody takes over", "nothing is left to be done")],
)
def test_without_recovery_this_would_fail(tmp_path: Path, mutant: str, words: str) -> None:
    ledger_at = tmp_path / "state" / "ledger.sqlite"
    with chaos(tmp_path, KeyHandling.LOOKUP, ledger_at, seed=4, faults=0, mutant=mutant) as world:
        world.die_at("delivery.applied")
        world.settle()
        mistakes = world.mistakes()
    assert mistakes
    assert all(words in mistake for mistake in mistakes)
