"""A process of its own that delivers into a folder, and may be killed at a given moment.

Run as: delivering_process.py LEDGER FOLDER HANDLING BATCH_SIZE [KILL_AFTER]
With the environment variable RACERS it sends when so many processes have something to send; with
OUTLIVES it sends no more once so many have landed, until one of the processes is killed. So no
machine is too slow for the race to be one.
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
    from collections.abc import Callable, Mapping, Sequence

    from crmsync.model.actions import Action


LONGEST = 120  # seconds; whoever waits for so long waits for nobody


class FolderRemote:
    """A remote that outlives its callers: one line per action that landed.

    Kills its own process when so many have landed; with 0 before the first one lands.
    """

    def __init__(self, folder: Path, *, native: bool, kill_after: int | None = None) -> None:
        self._folder = folder
        self._log = folder / "landed"
        self._native = native
        self._kill_after = kill_after
        self._racers = int(os.environ.get("RACERS", "1"))
        self._outlives = int(os.environ.get("OUTLIVES", "0"))

    def keys(self) -> list[str]:
        return self._log.read_text().split() if self._log.exists() else []

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt]:
        (self._folder / f"sends-{os.getpid()}").touch()
        wait_for(lambda: len(list(self._folder.glob("sends-*"))) >= self._racers)
        self._maybe_die()
        if self._outlives and len(self.keys()) >= self._outlives:
            wait_for((self._folder / "killed").exists)
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
            (self._folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        landed = set(self.keys())
        return {key: Receipt(key=key, remote_id=key, already=True) for key in keys if key in landed}


def wait_for(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST
    while not come():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{os.getpid()} was left alone")
        time.sleep(0.002)


def main() -> None:
    ledger_at, folder, handling_name, batch_size, *kill = sys.argv[1:]
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
