"""How many mails may go out in a minute: by a connection, and by it to one domain.

What has gone out stands in the ledger, so the bound holds over restarts, and for all processes.
"""

from __future__ import annotations

from bisect import insort
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.ledger.claims import Settlement
from crmsync.ledger.sent import mails_promised, mails_sent
from crmsync.ledger.states import State
from crmsync.model.actions import SendEmail
from crmsync.model.addresses import bare_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.config.settings import MailRate
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect

_MINUTE = timedelta(minutes=1)
# Turns are promised a little later than the minute is over: whoever comes to one a second too early
# would have to wait for another.
_SPARE = timedelta(seconds=10)
# Below it stands what counts for the connection as a whole; no domain is called so.
_ALL = ""


def in_pace(
    ledger: Ledger, name: str, rate: MailRate, effects: Sequence[Effect], now: datetime
) -> tuple[tuple[Effect, ...], tuple[Settlement, ...]]:
    """Of what was claimed: what may go out now, and what waits for a turn of its own.

    What is no mail goes out at any rate.
    """
    claimed = [effect.id for effect in effects]
    with ledger.reading() as connection:
        sent = mails_sent(connection, name, since=now - _MINUTE, until=now, but=claimed)
        promised = mails_promised(connection, name, after=now)
    turns = _Turns(rate, now)
    for at, recipient in (*sent, *promised):
        turns.take(at, recipient)
    going, waiting = [], []
    for effect in effects:
        action = effect.action
        turn = turns.next(action.recipient) if isinstance(action, SendEmail) else None
        if turn is None:
            going.append(effect)
            continue
        at, reason = turn
        waiting.append(
            Settlement(
                effect=effect, after=State.READY, reason=reason, counted=False, not_before=at
            )
        )
    return tuple(going), tuple(waiting)


class _Turns:
    """What has had its turn within the last minute, and what has one to come."""

    def __init__(self, rate: MailRate, now: datetime) -> None:
        self._rate, self._now = rate, now
        self._by: dict[str, list[datetime]] = defaultdict(list)

    def take(self, at: datetime, recipient: str) -> None:
        """A mail that was sent at that instant, or is to go then."""
        for whose in self._bounds(recipient):
            insort(self._by[whose], at)

    def next(self, recipient: str) -> tuple[datetime, str] | None:
        """When a mail may go, and what it waits for; None for now. It takes that turn."""
        full: list[tuple[datetime, str]] = []
        for whose, limit in self._bounds(recipient).items():
            turns = self._by[whose]
            # Turns that are promised do not keep back what can go now: who comes to a turn and
            # finds the minute full gets another one.
            if sum(at <= self._now for at in turns) >= limit:
                told = "went out" if whose == _ALL else f"went to {whose}"
                noun = "mail" if limit == 1 else "mails"
                free = max(self._now, turns[len(turns) - limit] + _MINUTE + _SPARE)
                full.append((free, f"{limit} {noun} {told} within a minute, as rate allows"))
        if not full:
            self.take(self._now, recipient)
            return None
        at, reason = max(full)
        self.take(at, recipient)
        return at, reason

    def _bounds(self, recipient: str) -> Mapping[str, int]:
        rate = self._rate
        bounds = {} if rate.per_minute is None else {_ALL: rate.per_minute}
        if rate.per_minute_and_domain is not None:
            domain = bare_address(recipient).rpartition("@")[2]
            bounds[domain] = rate.per_minute_and_domain
        return bounds
