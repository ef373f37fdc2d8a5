"""What a connector answered, as the next state of each effect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.delivery.handing import Unsent
from crmsync.errors import (
    AuthError,
    ChangedError,
    ConnectorError,
    NobodyThereError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.ledger.claims import Settlement
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind, Receipt, SendEmail
from crmsync.model.addresses import bare_address
from crmsync.observe import redact
from crmsync.plugins.calls import HangsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from crmsync.delivery.settings import Patience
    from crmsync.ledger.values.effects import Effect
    from crmsync.plugins.contract import Writes


def call_apply(writes: Writes, effects: Sequence[Effect]) -> list[object]:
    """One answer for each effect, whatever the connector does.

    Anything but receipts and the errors of the contract means that nobody knows what landed. So
    does a refusal that is raised for several: mostly it is of one of them, in the midst of others
    that have landed, and all would be dead letters.
    """
    try:
        answers = list(writes.apply([effect.action for effect in effects]))
    except RejectedError as error:
        refused: ConnectorError = error
        if len(effects) > 1:
            sentence = f"{len(effects)} actions were refused as if they were one: {words(error)}"
            refused = UncertainError(sentence)
        return [refused] * len(effects)
    except Exception as error:  # noqa: BLE001  a stranger's plugin may raise anything
        return [error] * len(effects)
    if len(answers) == len(effects):
        return [*answers]
    wrong = ValueError(f"it answered {len(effects)} actions with {len(answers)} results")
    return [wrong] * len(effects)


# A remote that asks for more has made a mistake. One that asks for nothing at all and refuses again
# would have used up all attempts in a moment.
_LONGEST_ASKED, _SHORTEST_ASKED = timedelta(days=7), timedelta(seconds=10)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Turns answers into settlements at one instant."""

    patience: Patience
    random: Random
    now: datetime

    def settle(self, effect: Effect, answer: object) -> Settlement:
        """What becomes of a claimed effect."""
        match answer:
            case Receipt() if answer.key == effect.key:
                return landed(effect, answer)
            case Unsent():
                return Settlement(
                    effect=effect, after=State.READY, reason=answer.reason, counted=False
                )
            case TransientError():
                return self._try_again(effect, answer)
            case QuotaError() | AuthError():
                later = until_of(answer, self.now) if isinstance(answer, QuotaError) else None
                return Settlement(
                    effect=effect,
                    after=State.READY,
                    reason=words(answer),
                    error=words(answer),
                    counted=False,
                    not_before=later,
                )
            case ChangedError() if effect.action.kind is ActionKind.WITHDRAWAL:
                return _left_alone(effect, words(answer))
            case NobodyThereError() if isinstance(effect.action, SendEmail):
                nobody_at = bare_address(effect.action.recipient)
                return replace(rejected(effect, words(answer)), nobody_at=nobody_at)
            case RejectedError():
                return rejected(effect, words(answer))
            case _:
                under_way = isinstance(answer, HangsError)
                return uncertain(effect, _why_uncertain(answer), under_way=under_way)

    def _try_again(self, effect: Effect, error: TransientError) -> Settlement:
        if effect.attempts >= self.patience.most_attempts:
            return rejected(effect, f"given up after {effect.attempts} attempts: {words(error)}")
        asked: object = error.retry_after  # a stranger's plugin may say anything
        own = self.patience.wait(effect.attempts, self.random)
        wait = own
        if isinstance(asked, timedelta):
            wait = min(max(asked, _SHORTEST_ASKED), _LONGEST_ASKED)
        return Settlement(
            effect=effect,
            after=State.READY,
            reason=words(error),
            error=words(error),
            not_before=self.now + wait,
        )


def landed(effect: Effect, receipt: Receipt) -> Settlement:
    """The remote has it."""
    return Settlement(
        effect=effect,
        after=State.DONE,
        reason="the remote had it already" if receipt.already else "the remote has it",
        already=receipt.already,
        remote_id=str(receipt.remote_id),
        url=receipt.url,
    )


def rejected(effect: Effect, sentence: str) -> Settlement:
    """A dead letter: it is certainly not at the remote."""
    return Settlement(effect=effect, after=State.REJECTED, reason=sentence, error=sentence)


def _left_alone(effect: Effect, sentence: str) -> Settlement:
    """People have made it theirs: it stays, for good."""
    return Settlement(effect=effect, after=State.DROPPED, reason=sentence, error=sentence)


def uncertain(effect: Effect, sentence: str, *, under_way: bool = False) -> Settlement:
    """It may have landed; or may land yet, where the call is still under way."""
    return Settlement(
        effect=effect,
        after=State.UNCERTAIN,
        reason=sentence,
        error=sentence,
        in_doubt=True,
        under_way=under_way,
    )


def words(error: BaseException) -> str:
    """An error's own words, without secrets."""
    return redact(str(error)) or type(error).__name__


def until_of(error: QuotaError, now: datetime) -> datetime:
    """Until when a remote wants to be left alone; an hour where the plugin does not tell."""
    until: object = error.until
    if not isinstance(until, datetime):
        return now + timedelta(hours=1)
    # An instant without a zone is taken for UTC.
    return until if until.tzinfo is not None else until.replace(tzinfo=UTC)


def _why_uncertain(answer: object) -> str:
    match answer:
        case Receipt():
            return f"the connector answered with the receipt of another action, {answer.key}"
        case Exception():
            return words(answer)
        case _:
            return f"the connector answered with {type(answer).__name__}, neither receipt nor error"
