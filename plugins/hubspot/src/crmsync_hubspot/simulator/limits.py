"""The rate limits, in the portal's own time."""

from __future__ import annotations

import uuid
from collections import deque
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from crmsync.clock import Clock
    from crmsync_hubspot.simulator.settings import Settings

_BURST, _SECOND = timedelta(seconds=10), timedelta(seconds=1)
_MESSAGES = {
    "DAILY": "You have reached your daily limit.",
    "TEN_SECONDLY_ROLLING": "You have reached your ten_secondly_rolling limit.",
    "SECONDLY": "You have reached your secondly limit.",
}


class Limits:
    """Counts calls.

    Attributes:
        used: how many calls were made today.
        refused: how often each policy has refused one.
    """

    def __init__(self, clock: Clock, settings: Settings) -> None:
        self._clock, self._settings = clock, settings
        self._burst: deque[datetime] = deque()
        self._searches: deque[datetime] = deque()
        self._day = self._midnight()
        self.used = 0
        self.refused: dict[str, int] = {}

    def admit(self, *, searches: bool, exempt: bool) -> str | None:
        """Count a call; answers with the policy that refuses it, or None.

        Args:
            searches: the call is one to the search API, which has a limit of its own.
            exempt: the limit for ten seconds does not concern it.
        """
        now = self._clock.now()
        if self._midnight() != self._day:
            self._day, self.used = self._midnight(), 0
        policy = None
        if self.used >= self._settings.daily:
            policy = "DAILY"
        elif searches and self._count(self._searches, now, _SECOND) >= self._settings.searches:
            policy = "SECONDLY"
        elif not exempt and self._count(self._burst, now, _BURST) >= self._settings.burst:
            policy = "TEN_SECONDLY_ROLLING"
        if policy is not None:
            self.refused[policy] = self.refused.get(policy, 0) + 1
            return policy
        self.used += 1
        if searches:
            self._searches.append(now)
        if not exempt:
            self._burst.append(now)
        return None

    def headers(self, *, daily: bool) -> dict[str, str]:
        """The headers of an answer; the daily ones are not there with OAuth."""
        burst = self._settings.burst
        left = max(burst - self._count(self._burst, self._clock.now(), _BURST), 0)
        told = {
            "X-HubSpot-RateLimit-Max": str(burst),
            "X-HubSpot-RateLimit-Remaining": str(left),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
        }
        if daily:
            told["X-HubSpot-RateLimit-Daily"] = str(self._settings.daily)
            remaining = max(self._settings.daily - self.used, 0)
            told["X-HubSpot-RateLimit-Daily-Remaining"] = str(remaining)
        return told

    def resets_at(self) -> datetime:
        """When the day ends that calls are counted by."""
        zone = ZoneInfo(self._settings.time_zone)
        tomorrow = self._clock.now().astimezone(zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, time(), zone)

    def retry_after(self, policy: str) -> int:
        """For how many seconds a policy goes on to refuse."""
        now = self._clock.now()
        if policy == "DAILY":
            return int((self.resets_at() - now).total_seconds()) + 1
        return 1 if policy == "SECONDLY" else 10

    def _midnight(self) -> datetime:
        return self.resets_at() - timedelta(days=1)

    def _count(self, calls: deque[datetime], now: datetime, length: timedelta) -> int:
        while calls and now - calls[0] >= length:
            calls.popleft()
        return len(calls)


def refusal(policy: str, *, with_category: bool) -> dict[str, Any]:
    """The body of a 429."""
    body = {
        "status": "error",
        "message": _MESSAGES[policy],
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid.uuid4()),
        "policyName": policy,
    }
    return body | ({"category": "RATE_LIMITS"} if with_category else {})
