"""crmsync is killed at every instant that has a name; the remote has everything once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.model.actions import KeyHandling
from crmsync.observe.failpoints import NAMES
from support.chaos import LONG, assert_sound, chaos

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not LONG, reason="the kill tests take long: run “make chaos”")


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
