"""crmsync is killed at every instant that has a name; the remote has everything once."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from crmsync.model.actions import KeyHandling
from crmsync.observe.failpoints import NAMES
from support.chaos import ENGINES, LONG, assert_sound, chaos

if TYPE_CHECKING:
    from pathlib import Path

    from support.chaos import Mother

_ALL = [*product(ENGINES, KeyHandling)]


@pytest.mark.parametrize(
    ("ledger_at", "handling"),
    _ALL if LONG else [("sqlite", KeyHandling.LOOKUP)],
    indirect=["ledger_at"],
)
def test_killed_at_every_named_instant(
    mother: Mother, tmp_path: Path, ledger_at: Path | str, handling: KeyHandling
) -> None:
    with chaos(mother, tmp_path, handling, ledger_at, seed=1) as world:
        for name in NAMES:
            world.die_at(name)
        assert_sound(world, handling)
        assert world.lives["killed"] >= len(NAMES)
