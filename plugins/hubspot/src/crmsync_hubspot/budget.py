"""Keeps to the portal's limits: calls in ten seconds, searches in one, and calls in a day.

Searches have a limit of their own, for the whole portal, and their answers tell no limits.
The others' answers do, in each: how many calls an interval may have and how many are left, to
which other users of the same app count too. Where changes are read there are searches alone, so
after some of them a call is made that tells.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.errors import QuotaError
from crmsync.observe import logger
from crmsync_hubspot import waiting
from crmsync_hubspot.errors import REST_AFTER_QUOTA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.clock import Clock

_log = logger()
_PREFIX = "x-hubspot-ratelimit-"
# Until a portal has told its own: those of the smallest subscription.
_CALLS, _SECONDS = 100, 10.0
_SEARCHES, _SEARCH_SECONDS = 5, 1.0
_SPARE = 0.05  # of an interval: the portal's clock and ways are not ours
_FEWEST = 5
# After so many calls whose answers told nothing of the day one is made that does.
UNTOLD = 50


class Window:
    """At most so many calls in so many seconds, by whichever thread; those that wait, in order."""

    def __init__(self, calls: int, seconds: float) -> None:
        self.calls, self.seconds = calls, seconds
        self._turns: deque[float] = deque()

    def turn(self) -> float:
        """How many seconds to wait for the next call, which then counts as made."""
        now = waiting.now()
        length = self.seconds * (1 + _SPARE)
        while self._turns and self._turns[0] <= now - length:
            self._turns.popleft()
        due = now
        if len(self._turns) >= self.calls:
            due = max(now, self._turns[len(self._turns) - self.calls] + length)
        # The second half of a window is spread over it, so that nobody stands still for all of it.
        if len(self._turns) * 2 >= self.calls:
            due = max(due, self._turns[-1] + self.seconds / self.calls)
        self._turns.append(due)
        return due - now

    def made(self) -> int:
        """The calls of the last interval."""
        begin = waiting.now() - self.seconds
        return sum(turn > begin for turn in self._turns)


class Budget:
    """The limits of one portal, as its answers tell them.

    Attributes:
        made: calls of this connection.
        used, allowed: the portal's calls of today, and how many it may get; None where it has not
            told, as it does not tell apps that log in by OAuth.
    """

    def __init__(self, daily_share: float, clock: Clock) -> None:
        self._daily_share, self._clock = daily_share, clock
        self._lock = threading.Lock()
        self._calls = Window(_CALLS, _SECONDS)
        self._searches = Window(_SEARCHES, _SEARCH_SECONDS)
        self._told_at: float | None = None
        self._untold = 0
        self.made = 0
        self.used: int | None = None
        self.allowed: int | None = None

    def wait(self, *, search: bool) -> None:
        """Wait for the turn of a call.

        Raises:
            QuotaError: this connection's share of a day's calls is used up.
        """
        self._keep_to_day()
        with self._lock:
            seconds = (self._searches if search else self._calls).turn()
            self.made += 1
            self._untold += 1
            if self.used is not None:
                self.used += 1
        waiting.sleep(seconds)

    @property
    def must_ask(self) -> bool:
        """Whether it is time for a call whose answer tells what of the day is used."""
        with self._lock:
            due = self._untold >= UNTOLD
            # Of an app that logs in by OAuth no answer tells it; nobody asks at every call.
            self._untold = 0 if due else self._untold
            return due

    def note(self, headers: Mapping[str, str]) -> None:
        """Learn from an answer."""
        with self._lock:
            most, left = _number(headers, "max"), _number(headers, "remaining")
            interval = _number(headers, "interval-milliseconds")
            if most and interval:
                self._calls.seconds = interval / 1000
                # What others have used of it, they will use again.
                others = 0 if left is None else max(0, most - left - self._calls.made())
                self._calls.calls = max(_FEWEST, most - others)
            allowed, remaining = _number(headers, "daily"), _number(headers, "daily-remaining")
            if allowed and remaining is not None:
                self.allowed, self.used = allowed, allowed - remaining
                self._told_at, self._untold = waiting.now(), 0

    def _keep_to_day(self) -> None:
        if self.used is None or not self.allowed or self._told_at is None:
            return
        if waiting.now() - self._told_at >= REST_AFTER_QUOTA.total_seconds():
            return  # it may have been renewed; the next answer tells
        if self.used >= self._daily_share * self.allowed:
            share = f"{self._daily_share:g}"
            _log.warning("calls_used_up", used=self.used, allowed=self.allowed, share=share)
            raise QuotaError(
                f"{self.used:,} of the portal's {self.allowed:,} calls of today are used, by "
                f"whomever; with daily_share: {share}, this connection makes no more",
                until=self._clock.now() + REST_AFTER_QUOTA + timedelta(seconds=1),
            )


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(_PREFIX + name, "")
    return int(text) if text.isdigit() else None
