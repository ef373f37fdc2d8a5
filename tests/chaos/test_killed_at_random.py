"""crmsync is killed at random instants; the remote has everything once. And it could fail.

``make chaos`` kills it 500 times on either engine, ``make test`` a few times.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from crmsync.model.actions import KeyHandling
from support.chaos import KILLS, LONG, assert_sound, chaos
from support.companies import OneRule, Sample

if TYPE_CHECKING:
    from pathlib import Path

    from support.chaos import Mother

_ALL = [*product(("sqlite", "postgresql"), KeyHandling)]
_OF_EACH = -(-KILLS // len(KeyHandling)) if LONG else 6
_ALONE, _TOGETHER = ("run",), ("run", "deliver")


@pytest.mark.parametrize(
    ("ledger_at", "handling"),
    _ALL if LONG else [("postgresql", KeyHandling.NATIVE)],
    indirect=["ledger_at"],
)
def test_killed_at_random(
    mother: Mother, tmp_path: Path, ledger_at: Path | str, handling: KeyHandling
) -> None:
    """Every other time a second worker delivers beside the one that decides, and dies too."""
    company = Sample() if LONG and handling is KeyHandling.LOOKUP else OneRule()
    with chaos(mother, tmp_path, handling, ledger_at, seed=2, company=company) as world:
        world.grow(3)
        for _ in range(2):  # the first takes longer than any other
            assert world.live({}) == [0], world.log
        while world.lives["killed"] < _OF_EACH:
            world.die_at_random(_TOGETHER if world.cycles % 2 else _ALONE)
        assert_sound(world, f"{handling}")


@pytest.mark.parametrize("ledger_at", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("mutant", "words"),
    [("nobody looks", "is there 2 times"), ("nobody takes over", "nothing is left to be done")],
)
def test_without_recovery_this_would_fail(
    mother: Mother, tmp_path: Path, ledger_at: Path | str, mutant: str, words: str
) -> None:
    with chaos(
        mother, tmp_path, KeyHandling.LOOKUP, ledger_at, seed=4, faults=0, mutant=mutant
    ) as world:
        world.die_at("delivery.applied")
        world.settle()
        mistakes = world.mistakes()
    assert mistakes
    assert all(words in mistake for mistake in mistakes)
