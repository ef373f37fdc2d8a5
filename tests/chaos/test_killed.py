"""crmsync is killed at every named instant and at random ones; the remote has everything once.

``make chaos`` kills it more often: CRMSYNC_CHAOS says how often at random instants.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from crmsync.ledger.states import State
from crmsync.model.actions import KeyHandling
from crmsync.observe.failpoints import NAMES
from support.chaos import chaos

if TYPE_CHECKING:
    from pathlib import Path

    from support.chaos import Chaos
    from support.postgres import Schemas

KILLS = int(os.environ.get("CRMSYNC_CHAOS", "0"))
LONG = KILLS > 0


def assert_sound(world: Chaos, handling: KeyHandling) -> None:
    world.settle()
    print(f"{handling}: {world.report()}")  # noqa: T201  make chaos shows it
    assert world.mistakes() == []
    counts = world.counts()
    assert counts[State.DONE] > 0
    if handling is not KeyHandling.UNSAFE:
        assert State.UNCERTAIN not in counts, "the remote could have told"
    # Handed over as often as is allowed, and each time broken off: rare.
    assert counts.get(State.REJECTED, 0) <= world.accounts // 20


@pytest.mark.parametrize(
    "handling", list(KeyHandling) if LONG else [KeyHandling.LOOKUP, KeyHandling.UNSAFE]
)
def test_killed_at_every_named_instant(tmp_path: Path, handling: KeyHandling) -> None:
    ledger_at = tmp_path / "state" / "ledger.sqlite"
    unsafe = handling is KeyHandling.UNSAFE
    with chaos(tmp_path, handling, ledger_at, seed=1) as world:
        for name in NAMES:
            # Where nobody can be asked, only what was under way matters.
            if not unsafe or (name.startswith("delivery.") and "look" not in name):
                world.die_at(name)
        assert_sound(world, handling)
        assert world.lives["killed"] >= (8 if unsafe else len(NAMES))


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
