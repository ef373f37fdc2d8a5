"""The first SIGTERM or SIGINT lets the daemon finish what it has in hand; the second does not.

SIGHUP makes it look at its files now.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta
    from types import FrameType

CUT_OFF = 3  # the exit code where the grace was over
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Whether it is to stop. Pipes, because a lock could be held when a signal comes."""

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self._woken, self._wake = os.pipe()
        self._stopped, self._stop = os.pipe()

    def __call__(self) -> bool:
        """Whether it is to stop."""
        return self.by is not None

    def sleep(self, length: timedelta) -> None:
        """For so long, or until a signal comes."""
        woken, _, _ = select.select([self._woken], [], [], max(0.0, length.total_seconds()))
        if woken:
            os.read(self._woken, 1)

    def look(self, _number: int, _frame: FrameType | None) -> None:
        """What SIGHUP calls: the files are looked at now."""
        self.wake()

    def wake(self) -> None:
        """End the sleep, or the next one. From any thread."""
        os.write(self._wake, b".")

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """What the signals call by which it is to stop."""
        if self.by is not None:
            os.write(2, b"Stopped at once. What was being sent is found out by the next run.\n")
            os._exit(128 + number)
        self.by = signal.Signals(number)
        os.write(self._stop, b".")
        os.write(self._wake, b".")

    def cut_off_after(self, grace: timedelta) -> None:
        """In a thread: end the process where it takes longer than that once it is to stop."""

        def watch() -> None:
            os.read(self._stopped, 1)
            time.sleep(grace.total_seconds())
            os.write(2, b"The grace is over. What was being sent is found out by the next run.\n")
            os._exit(CUT_OFF)

        threading.Thread(target=watch, daemon=True, name="grace").start()


@contextmanager
def stopping() -> Iterator[Stopping]:
    """Answer to the signals until the end of the block."""
    asked = Stopping()
    before = {number: signal.signal(number, asked.handle) for number in _SIGNALS}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, asked.look)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
