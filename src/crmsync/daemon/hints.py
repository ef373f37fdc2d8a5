"""What others want the loop to do soon: read a connection, or run a cycle.

A hint is never the truth, and may come in any number: it is remembered once, until it is taken.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class Hints:
    """Given from any thread, taken by the loop's.

    Args:
        wake: ends the loop's sleep; called once for all hints that come before it looks.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._connections: set[str] = set()
        self._cycle = False
        self._woken = False

    def read(self, connection: str) -> None:
        """Something may have changed there."""
        with self._lock:
            self._connections.add(connection)
            self._call()

    def act(self) -> None:
        """Something was recorded that a cycle goes on with."""
        with self._lock:
            self._cycle = True
            self._call()

    def _call(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake()

    def take(self) -> tuple[Collection[str], bool]:
        """The connections to be read, and whether a cycle is wanted; both are forgotten here."""
        with self._lock:
            taken = frozenset(self._connections), self._cycle
            self._connections.clear()
            self._cycle = self._woken = False
            return taken
