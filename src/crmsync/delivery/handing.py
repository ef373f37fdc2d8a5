"""Which effects go to the connection by one call, and which do not go after all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from itertools import groupby, islice
from typing import TYPE_CHECKING

from crmsync.errors import TransientError, UncertainError
from crmsync.ledger.stops import StopKind, stops_on
from crmsync.ledger.values.effects import Withheld
from crmsync.model.actions import ActionKind, LogEmail, SendEmail, UpdateFields, WithdrawTask
from crmsync.model.addresses import bare_address
from crmsync.model.tables import global_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

    from crmsync.clock import Clock
    from crmsync.ledger.stops import Stop
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect

_Word = tuple[StopKind, str]  # what was said, and of which address or account

_ATTEMPTS_TOGETHER = 2

# So long a remote that answers nothing but “later” is asked on and on.
_LONGEST_IN_VAIN = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Unsent:
    """Takes the place of an answer where an effect was claimed, and then not handed over.

    Attributes:
        stop: the word of a person because of which.
    """

    reason: str
    stop: Stop


def together(effects: Sequence[Effect], mails_at_once: int) -> Sequence[Effect]:
    """The first of these, and what goes by the same call: few mails, for each is to a person.

    A remote prices tasks, notes and updates by call, and they can be taken back. What came to
    nothing again and again goes alone, for it may be what a whole batch fails by.
    """

    def at_once(one: Effect) -> int:
        if one.action.kind is ActionKind.EMAIL:
            return mails_at_once
        return 1 if one.attempts > _ATTEMPTS_TOGETHER else len(effects)

    for size, group in groupby(effects, at_once):
        return [*islice(group, size)]
    return ()


# Of so many mails in a row it may be unknown what became of them; then the rest waits so long.
_MOST_IN_DOUBT = 2
PAUSE_IN_DOUBT = timedelta(minutes=15)


@dataclass(kw_only=True)
class InVain:
    """For how long, and for how many effects, a remote has answered nothing but “later”.

    Attributes:
        most: so many are tried.
    """

    clock: Clock
    most: int
    _tried: int = 0
    _in_doubt: int = 0
    _since: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.clock.now()

    def is_enough(self, answers: Sequence[object]) -> bool:
        """Whether the rest is to wait, now that these have come, too."""
        sent = [answer for answer in answers if not isinstance(answer, Unsent)]
        if not sent:
            return False
        if not all(isinstance(answer, TransientError) for answer in sent):
            self._tried, self._since = 0, self.clock.now()
            return False
        self._tried += len(sent)
        return self._tried >= self.most or self.clock.now() - self._since >= _LONGEST_IN_VAIN

    def is_in_doubt(self, effects: Sequence[Effect], answers: Sequence[object]) -> bool:
        """Whether one mail after the other may be out or not: each is work for a person."""
        for effect, answer in zip(effects, answers, strict=True):
            if effect.action.kind is ActionKind.EMAIL and not isinstance(answer, Unsent):
                self._in_doubt = self._in_doubt + 1 if isinstance(answer, UncertainError) else 0
        return self._in_doubt >= _MOST_IN_DOUBT


def stopped(ledger: Ledger, effects: Sequence[Effect], now: datetime) -> dict[int, Unsent]:
    """By number, what must stay in, by what people have said until now."""
    asked = {one.id: words_against(one) for one in effects}
    targets = {target for words in asked.values() for _, target in words}
    if not targets:
        return {}
    with ledger.reading() as connection:
        said = stops_on(connection, targets, now=now)
    found = {}
    for number, words in asked.items():
        stop = next((one for one in said if (one.kind, one.target) in words), None)
        if stop is not None:
            found[number] = Unsent(reason=why_stopped(stop, now.tzinfo or UTC), stop=stop)
    return found


def lease_is_short(effects: Sequence[Effect], until: datetime) -> bool:
    """Whether the lease of what was claimed may be over by an instant."""
    return any(one.lease_until is not None and one.lease_until < until for one in effects)


def taken_back(
    effects: Sequence[Effect], answers: Sequence[object]
) -> Mapping[str, Sequence[Withheld]]:
    """By the person who has said so, what is held again until the gates let it pass."""
    held: defaultdict[str, list[Withheld]] = defaultdict(list)
    for effect, answer in zip(effects, answers, strict=True):
        if isinstance(answer, Unsent):
            held[answer.stop.said_by].append(Withheld(key=effect.key, reason=answer.reason))
    return held


NOTHING: Mapping[str, Sequence[Withheld]] = {}


def why_stopped(stop: Stop, zone: tzinfo) -> str:
    """What was said, by whom, when and why."""
    return f"{_VERBS[stop.kind]} {stop.told(zone)}"


_VERBS = {
    StopKind.ADDRESS: "the address was suppressed",
    StopKind.ACCOUNT: "the account was muted",
    StopKind.UNSUBSCRIBED: "commercial mail to the address was declined",
    StopKind.NOBODY_THERE: "mail to the address was refused",
}


def concerns(stop: Stop, effect: Effect) -> bool:
    """Whether an effect that is not out yet must stay in because of a word."""
    return (stop.kind, stop.target) in words_against(effect)


def words_against(effect: Effect) -> frozenset[_Word]:
    """What must not have been said, and of whom, for an effect to go out."""
    action = effect.action
    if effect.in_doubt or isinstance(action, WithdrawTask | LogEmail):
        return frozenset()
    about = (action.record,) if isinstance(action, UpdateFields) else action.about
    words = {
        (StopKind.ACCOUNT, global_id(effect.source, ref.id))
        for ref in about
        if ref.table == "account"
    }
    if isinstance(action, SendEmail):
        address = bare_address(action.recipient)
        words |= {(StopKind.ADDRESS, address), (StopKind.NOBODY_THERE, address)}
        if action.email_class != "service":  # what is not plainly service is commercial
            words.add((StopKind.UNSUBSCRIBED, address))
    return frozenset(words)
