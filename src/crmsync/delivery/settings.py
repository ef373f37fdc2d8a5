"""How patient delivery is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Limits of delivery.

    Attributes:
        lease: how long a process may take over one batch before others take it for hung;
            must be longer than any call of a connector.
        most_attempts: after so many an effect is a dead letter.
        first_wait: the wait after the first attempt that did not get through; doubles each time.
        longest_wait: what it doubles up to.
    """

    lease: timedelta = timedelta(minutes=10)
    most_attempts: int = 6
    first_wait: timedelta = timedelta(seconds=30)
    longest_wait: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.most_attempts < 1:
            raise ValueError("most_attempts must be at least 1")

    def wait(self, attempts: int, random: Random) -> timedelta:
        """The wait after so many attempts.

        Between half and all of the doubled wait, so that what failed together does not come
        back together. (tenacity's waits draw from the global generator, and cannot be repeated.)
        """
        doubled = self.first_wait * (1 << min(attempts - 1, 30))
        share: float = random.uniform(0.5, 1)
        return min(doubled, self.longest_wait) * share
