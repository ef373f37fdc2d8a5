"""Chance that falls the same on every machine and under every Python."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import MutableSequence, Sequence

_Item = TypeVar("_Item")


class Dice:
    """Draws by a seed.

    Of `random.Random` only ``random()`` is promised to give the same numbers in later versions
    of Python (https://docs.python.org/3/library/random.html#notes-on-reproducibility).
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  a made-up company, no secret

    def between(self, low: int, high: int) -> int:
        """A whole number; both ends are possible."""
        return low + int(self._random.random() * (high - low + 1))

    def one_of(self, items: Sequence[_Item]) -> _Item:
        """One of the items."""
        return items[self.between(0, len(items) - 1)]

    def chance(self, share: float) -> bool:
        """True in that share of the draws."""
        return self._random.random() < share

    def shuffle(self, items: MutableSequence[_Item]) -> None:
        """Bring the items into another order, in place (Fisher and Yates)."""
        for last in range(len(items) - 1, 0, -1):
            other = self.between(0, last)
            items[last], items[other] = items[other], items[last]
