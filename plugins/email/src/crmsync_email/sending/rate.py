"""How many mails may go out in a minute, at all and to one domain."""

from __future__ import annotations

from collections import defaultdict, deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.errors import QuotaError, TransientError

if TYPE_CHECKING:
    from crmsync.clock import Clock
    from crmsync_email.options import Rate

_MINUTE = timedelta(minutes=1)


class Pace:
    """What went out within the last minute, by this connection."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._all: deque[datetime] = deque()
        self._by_domain: dict[str, deque[datetime]] = defaultdict(deque)
        self._promised: dict[str, datetime] = {}  # by key, when it is a mail's turn

    def admit(self, key: str, domain: str) -> QuotaError | TransientError | None:
        """Whether a mail to that domain may go out now; then it counts.

        What is too much for all rests with the whole connection; what is too much for one domain
        comes again alone, when it is its turn: each that waits has a minute's slot of its own.
        """
        now = self._clock.now()
        limit = self._rate.per_minute
        if limit is not None:
            free = _free_at(self._all, limit, now)
            if free > now:
                return QuotaError(f"{limit} mails went out within a minute", until=free)
        turns, bound = self._by_domain[domain], self._rate.per_minute_and_domain
        if bound is not None and self._promised.pop(key, now + _MINUTE) > now:
            free = _free_at(turns, bound, now)
            if free > now:
                turns.append(free)
                self._promised[key] = free
                return TransientError(
                    f"{bound} mails went to {domain} within a minute", retry_after=free - now
                )
            turns.append(now)
        if limit is not None:
            self._all.append(now)
        return None


def _free_at(turns: deque[datetime], limit: int, now: datetime) -> datetime:
    """When the next may go: a minute after the one that is `limit` before it."""
    while turns and turns[0] + _MINUTE <= now:
        turns.popleft()
    return now if len(turns) < limit else max(now, turns[len(turns) - limit] + _MINUTE)
