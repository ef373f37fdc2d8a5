"""Reads connections side by side, each in a thread of its own, none for longer than it may take.

A thread cannot be ended from outside: one that hangs is left behind, is told, and its connection is
not read again until it has come back. The others are not touched by it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.app.syncing import sync_all
from crmsync.errors import CrmsyncError
from crmsync.observe import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from crmsync.app.workspace import Workspace
    from crmsync.daemon.board import Board

_LOOK = 0.05  # seconds between two looks at whether it is to stop
_GRACE = 5.0  # seconds that reading gets to end when it is; what it loses is read again

_log = logger()


@dataclass(kw_only=True)
class _Reading:
    """One connection being read."""

    workspace: Workspace
    name: str
    begun: float = field(default_factory=time.monotonic)
    problem: str | None = None
    rows: int = 0

    def run(self) -> None:
        try:
            result = sync_all(self.workspace, [self.name], advance=self._count)
        except CrmsyncError as error:
            self.problem = str(error)
        except Exception as error:  # noqa: BLE001  a connector can raise anything; the others go on
            self.problem = f"{type(error).__name__} in crmsync or in the connector"
            _log.exception("daemon.sync_broke", connection=self.name)
        else:
            errors = [f"{s.stream}: {s.error}" for s in result.streams if s.error]
            self.problem = "; ".join([*result.problems, *errors]) or None

    def _count(self, _stream: str, rows: int) -> None:
        self.rows += rows

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun


class Reader:
    """Keeps an eye on the threads."""

    def __init__(self, board: Board, stop: Callable[[], bool]) -> None:
        self._board = board
        self._stop = stop
        self._threads: dict[str, threading.Thread] = {}

    @property
    def hanging(self) -> list[str]:
        """The connections whose threads have not come back."""
        return [name for name, thread in self._threads.items() if thread.is_alive()]

    def read(
        self, workspace: Workspace, names: Sequence[str], time_out: timedelta
    ) -> dict[str, str | None]:
        """By name, why a connection could not be read to its end; None where it was."""
        outcome: dict[str, str | None] = dict.fromkeys(
            self.hanging, "an earlier reading of it still hangs; restart the daemon to end that"
        )
        readings = {
            name: _Reading(workspace=workspace, name=name) for name in names if name not in outcome
        }
        for name, reading in readings.items():
            # As a daemon of Python's, so that one which hangs does not keep the process alive.
            thread = threading.Thread(target=reading.run, daemon=True, name=f"reading {name}")
            self._threads[name] = thread
            thread.start()
        self._wait(readings, time_out.total_seconds())
        for name, reading in readings.items():
            if self._threads[name].is_alive():
                outcome[name] = f"it was given up after {reading.seconds:.0f} seconds"
            else:
                outcome[name] = reading.problem
            self._board.synced(name, reading.seconds, outcome[name])
            _log.info(
                "daemon.synced",
                connection=name,
                rows=reading.rows,
                seconds=round(reading.seconds, 2),
                complete=outcome[name] is None,
            )
        return {name: outcome[name] for name in names}

    def _wait(self, readings: dict[str, _Reading], seconds: float) -> None:
        until = time.monotonic() + seconds
        while any(self._threads[name].is_alive() for name in readings):
            if self._stop():
                until = min(until, time.monotonic() + _GRACE)
            if time.monotonic() >= until:
                return
            for name in readings:
                self._threads[name].join(_LOOK)
