"""A process of its own that delivers into a folder, and may be killed at a given moment.

Run as: delivering_process.py LEDGER FOLDER HANDLING BATCH_SIZE [KILL_AFTER]
With the environment variable RACERS it begins when so many processes are ready to begin.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from crmsync.clock import FixedClock
from crmsync.delivery.deliver import Target, deliver
from crmsync.ledger.store import Ledger
from crmsync.model.actions import KeyHandling, Receipt
from delivery.outbox_world import NOON, spec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.actions import Action


class FolderRemote:
    """A remote that outlives its callers: one line per action that landed.

    Kills its own process when so many have landed; with 0 before the first one lands.
    """

    def __init__(self, folder: Path, *, native: bool, kill_after: int | None = None) -> None:
        self._log = folder / "landed"
        self._native = native
        self._kill_after = kill_after

    def keys(self) -> list[str]:
        return self._log.read_text().split() if self._log.exists() else []

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt]:
        self._maybe_die()
        time.sleep(0.005)  # a remote takes its time, and a racer gets its turn
        return [self._land(action) for action in actions]

    def _land(self, action: Action) -> Receipt:
        already = self._native and action.key in self.keys()
        if not already:
            with self._log.open("a") as log:
                log.write(f"{action.key}\n")
        self._maybe_die()
        return Receipt(key=action.key, remote_id=action.key, already=already)

    def _maybe_die(self) -> None:
        if self._kill_after is not None and len(self.keys()) >= self._kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        landed = set(self.keys())
        return {key: Receipt(key=key, remote_id=key, already=True) for key in keys if key in landed}


def wait_for_racers(folder: Path, count: int) -> None:
    (folder / f"ready-{os.getpid()}").touch()
    deadline = time.monotonic() + 30
    while len(list(folder.glob("ready-*"))) < count and time.monotonic() < deadline:
        time.sleep(0.001)


def main() -> None:
    ledger_at, folder, handling_name, batch_size, *kill = sys.argv[1:]
    wait_for_racers(Path(folder), int(os.environ.get("RACERS", "1")))
    handling = KeyHandling(handling_name)
    remote = FolderRemote(
        Path(folder),
        native=handling is KeyHandling.NATIVE,
        kill_after=int(kill[0]) if kill else None,
    )
    target = Target(writes=remote, spec=spec(handling, batch_size=int(batch_size)))
    with Ledger(ledger_at if "://" in ledger_at else Path(ledger_at)) as ledger:
        deliver(ledger, {"crm": target}, clock=FixedClock(instant=NOON))


if __name__ == "__main__":
    main()
