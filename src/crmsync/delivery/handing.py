"""Which effects of a batch go to the connection together, and which do not go after all."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from crmsync.errors import AuthError, NobodyThereError, QuotaError, TransientError
from crmsync.ledger.stops import StopKind, stops_on
from crmsync.ledger.values.effects import Withheld
from crmsync.model.actions import ActionKind, LogEmail, SendEmail, UpdateFields, WithdrawTask
from crmsync.model.addresses import bare_address
from crmsync.model.tables import global_id
from crmsync.plugins.calls import HangsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, tzinfo

    from crmsync.clock import Clock
    from crmsync.ledger.stops import Stop
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect

_Word = tuple[StopKind, str]  # what was said, and of which address or account

_ATTEMPTS_TOGETHER = 2

# So long a remote that answers nothing but “later” is asked on and on within a batch.
_LONGEST_IN_VAIN = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Unsent:
    """Takes the place of an answer where an effect was claimed, and then not handed over.

    Attributes:
        stop: the word of a person because of which; None where the next batch may have it.
    """

    reason: str
    stop: Stop | None = None


def portions(effects: Sequence[Effect], mails_at_once: int) -> Iterator[list[Effect]]:
    """What goes by one call: few mails, for each is a message to a person; else all at once.

    A remote prices tasks, notes and updates by call, and they can be taken back. What came to
    nothing again and again goes alone, for it may be what a whole batch fails by.
    """

    def at_once(one: Effect) -> int:
        if one.action.kind is ActionKind.EMAIL:
            return mails_at_once
        return 1 if one.attempts > _ATTEMPTS_TOGETHER else len(effects)

    for size, group in groupby(effects, at_once):
        together = [*group]
        for begun in range(0, len(together), size):
            yield together[begun : begun + size]


@dataclass(kw_only=True)
class Trouble:
    """Whether the rest of a batch is to be tried at all, by the answers before it.

    Attributes:
        instead: what takes the place of an answer for all the rest; None where it is tried.
    """

    clock: Clock
    instead: object = None
    since: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.clock.now()

    def seen(self, answers: list[object]) -> list[object]:
        """The same answers, which are heeded from now on."""
        for answer in answers:
            if isinstance(answer, QuotaError | AuthError):
                self.instead = answer
            elif isinstance(answer, HangsError):
                self.instead = Unsent(reason="an earlier call to its connection hangs")
            elif not isinstance(answer, TransientError):
                self.since = self.clock.now()
            elif self.clock.now() - self.since >= _LONGEST_IN_VAIN:
                self.instead = Unsent(reason=f"its connection did not get on: {answer}")
        return answers


@dataclass(kw_only=True)
class Handing:
    """Hands a batch over, and asks before each call whether all of it is still to go.

    Attributes:
        mails_at_once: how many mails a call takes.
        call: how long a connector may take to answer.
        ends: whether the rest is to be asked about anew.
    """

    ledger: Ledger
    clock: Clock
    lease_clock: Clock
    effects: Sequence[Effect]
    mails_at_once: int
    call: timedelta
    ends: Callable[[], bool]
    _answers: dict[int, object] = field(default_factory=dict)
    _under_way: Sequence[Effect] = ()

    def over(self, apply: Callable[[Sequence[Effect]], list[object]]) -> list[object]:
        """One answer for each effect, in order."""
        trouble = Trouble(clock=self.lease_clock)
        for portion in portions(self.effects, self.mails_at_once):
            instead = trouble.instead or self._why_none(portion)
            if instead is not None:
                self._answers |= dict.fromkeys((one.id for one in portion), instead)
                continue
            self._answers |= self._stopped(portion)
            self._under_way = going = [one for one in portion if one.id not in self._answers]
            if going:
                answers = trouble.seen(apply(going))
                self._answers |= zip((one.id for one in going), answers, strict=True)
        return [self._answers[one.id] for one in self.effects]

    def around(self) -> Iterator[tuple[Effect, object]]:
        """Where it was broken off: what had come before that, and what was not begun."""
        not_begun = Unsent(reason="delivery was interrupted before this was sent")
        for effect in self.effects:
            if effect.id in self._answers or effect not in self._under_way:
                yield effect, self._answers.get(effect.id, not_begun)

    def _why_none(self, portion: Sequence[Effect]) -> Unsent | None:
        """Why nothing more of the batch goes; its first portion always may, so it gets on."""
        if not self._answers:
            return None
        if self.ends():
            return Unsent(reason="what the gates let pass was to be asked about again")
        if lease_is_short(portion, self.lease_clock.now() + self.call):
            return Unsent(reason="the rest of its batch took too long")
        return None

    def _stopped(self, portion: Sequence[Effect]) -> dict[int, Unsent]:
        """By number, what must stay in by now."""
        asked = {one.id: words_against(one) for one in portion}
        targets = {target for words in asked.values() for _, target in words}
        now, nobody_at = self.clock.now(), self._nobody_at()
        with self.ledger.reading() as connection:
            said = stops_on(connection, targets, now=now) if targets else ()
        found = {}
        for number, words in asked.items():
            stop = next((one for one in said if (one.kind, one.target) in words), None)
            if stop is not None:
                found[number] = Unsent(reason=why_stopped(stop, now.tzinfo or UTC), stop=stop)
            elif words & nobody_at:  # which is recorded with the rest of the batch
                why = "another mail to its address was refused a moment ago"
                found[number] = Unsent(reason=why)
        return found

    def _nobody_at(self) -> set[_Word]:
        return {
            (StopKind.NOBODY_THERE, bare_address(effect.action.recipient))
            for effect in self.effects
            if isinstance(effect.action, SendEmail)
            and isinstance(self._answers.get(effect.id), NobodyThereError)
        }


def lease_is_short(effects: Sequence[Effect], until: datetime) -> bool:
    """Whether the lease of what was claimed may be over by an instant."""
    return any(one.lease_until is not None and one.lease_until < until for one in effects)


def taken_back(
    effects: Sequence[Effect], answers: Sequence[object]
) -> Mapping[str, Sequence[Withheld]]:
    """By the person who has said so, what is held again until the gates let it pass."""
    held: defaultdict[str, list[Withheld]] = defaultdict(list)
    for effect, answer in zip(effects, answers, strict=True):
        if isinstance(answer, Unsent) and answer.stop is not None:
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
