"""How patient delivery is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tenacity import RetryCallState, Retrying, wait_exponential

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Limits of delivery.

    Attributes:
        call: how long a connector may take to answer; then nobody waits for it any more.
        lease: how long a process may take over one batch before others, who cannot see it, take
            it for gone; longer than ``call``.
        most_attempts: after so many an effect is a dead letter.
        first_wait: the wait after the first attempt that did not get through; doubles each time.
        longest_wait: what it doubles up to.
    """

    call: timedelta = timedelta(minutes=5)
    lease: timedelta = timedelta(minutes=10)
    most_attempts: int = 6
    first_wait: timedelta = timedelta(seconds=30)
    longest_wait: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.most_attempts < 1:
            raise ValueError("most_attempts must be at least 1")
        if self.call >= self.lease:
            raise ValueError("a call must be given up before its lease ends")

    def wait(self, attempts: int, random: Random) -> timedelta:
        """The wait after so many attempts.

        Between half and all of the doubled wait, so that what failed together does not come
        back together. tenacity's own jitter draws from the global generator, which a test
        could not repeat.
        """
        doubling = wait_exponential(
            multiplier=self.first_wait.total_seconds(), max=self.longest_wait.total_seconds()
        )
        state = RetryCallState(Retrying(), fn=None, args=(), kwargs={})
        state.attempt_number = attempts
        return timedelta(seconds=doubling(state) * random.uniform(0.5, 1))
