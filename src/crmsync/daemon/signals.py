"""The first SIGTERM or SIGINT lets the daemon finish what it has in hand; the second does not."""

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
    """Whether it is to stop. A pipe, because a lock could be held when a signal comes."""

    def __init__(self) -> None:
        self.by: signal.Signals | None = None
        self._read, self._write = os.pipe()

    def __call__(self) -> bool:
        """Whether it is to stop."""
        return self.by is not None

    def sleep(self, length: timedelta) -> None:
        """For so long, or until it is to stop."""
        select.select([self._read], [], [], max(0.0, length.total_seconds()))

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """What a signal calls."""
        if self.by is not None:
            os.write(2, b"Stopped at once. What was being sent is found out by the next run.\n")
            os._exit(128 + number)
        self.by = signal.Signals(number)
        os.write(self._write, b".")

    def cut_off_after(self, grace: timedelta) -> None:
        """In a thread: end the process where it takes longer than that once it is to stop."""

        def watch() -> None:
            select.select([self._read], [], [])
            time.sleep(grace.total_seconds())
            os.write(2, b"The grace is over. What was being sent is found out by the next run.\n")
            os._exit(CUT_OFF)

        threading.Thread(target=watch, daemon=True, name="grace").start()


@contextmanager
def stopping() -> Iterator[Stopping]:
    """Answer to the signals until the end of the block."""
    asked = Stopping()
    before = {number: signal.signal(number, asked.handle) for number in _SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
