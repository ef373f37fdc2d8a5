"""Time that passes between calls. Tests put another in its place, in which nobody waits."""

from __future__ import annotations

import time
from typing import Protocol


class Time(Protocol):
    """Seconds that pass."""

    def now(self) -> float:
        """Seconds since some beginning."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        ...


class RealTime:
    """The machine's."""

    def now(self) -> float:
        """Seconds since the machine was started."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


TIME: Time = RealTime()


def now() -> float:
    """Seconds since some beginning."""
    return TIME.now()


def sleep(seconds: float) -> None:
    """Let so many seconds pass."""
    if seconds > 0:
        TIME.sleep(seconds)
