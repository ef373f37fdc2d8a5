"""crmsync is killed at random instants; the remote has everything once. And it could fail.

``make chaos`` kills it 500 times on either engine, ``make test`` a few times.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import pytest

from crmsync.model.actions import KeyHandling
from support.chaos import ENGINES, KILLS, LONG, assert_sound, chaos
from support.companies import OneRule, Sample

if TYPE_CHECKING:
    from pathlib import Path

    from support.chaos import Mother

# On each engine a tenth of the kills hit the sample company, which takes long.
_ALL = [
    *((engine, handling, OneRule) for engine in ENGINES for handling in KeyHandling),
    *((engine, KeyHandling.LOOKUP, Sample) for engine in ENGINES),
]
_SHARES = {Sample: 0.1, OneRule: 0.9 / len(KeyHandling)}


@pytest.mark.parametrize(
    ("ledger_at", "handling", "company"),
    _ALL if LONG else [("postgresql", KeyHandling.NATIVE, OneRule)],
    indirect=["ledger_at"],
)
def test_killed_at_random(
    mother: Mother,
    tmp_path: Path,
    ledger_at: Path | str,
    handling: KeyHandling,
    company: type[OneRule | Sample],
) -> None:
    """A second worker delivers beside the one that decides, and dies too."""
    kills = ceil(KILLS * _SHARES[company]) if LONG else 6
    with chaos(mother, tmp_path, handling, ledger_at, seed=2, company=company()) as world:
        world.grow(3)
        for _ in range(2):  # the first takes longer than any other
            assert world.live({}) == [0], world.log
        world.remote.thinks = 0.12  # so that many die while it does
        while world.lives["killed"] < kills:
            world.die_at_random(("run", "deliver"))
        assert_sound(world, handling)


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
