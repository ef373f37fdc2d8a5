"""Finds out about effects that may have landed, before anything is sent again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.delivery.outcomes import landed, rejected, words
from crmsync.delivery.worker import may_take_over
from crmsync.errors import ConnectorError
from crmsync.ledger.claims import (
    Settlement,
    claim_uncertain,
    release_uncertain,
    settle_effects,
)
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind, KeyHandling, Receipt
from crmsync.observe.failpoints import passing
from crmsync.plugins.calls import call_within

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.delivery.settings import Patience
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect
    from crmsync.plugins.contract import ConnectorSpec, Writes


_FOUND_BY_KEY = {KeyHandling.NATIVE, KeyHandling.LOOKUP}


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """What was found out.

    Attributes:
        error: why the remote could not be asked; None where it could.
    """

    settlements: tuple[Settlement, ...] = ()
    problems: tuple[str, ...] = ()
    error: Exception | None = None


def reconcile(
    ledger: Ledger,
    name: str,
    writes: Writes,
    spec: ConnectorSpec,
    *,
    worker: str,
    patience: Patience,
    now: datetime,
    wall_clock: datetime,
    loggers: Collection[str] = (),
) -> Reconciled:
    """Settle a connection's uncertain effects by how it honours keys.

    NATIVE and LOOKUP are looked for: found is done, not found is made ready, for the gates to be
    asked again. What happened since may speak against it, so not even NATIVE, which could be
    applied again without harm, is applied again unasked. UNSAFE stays uncertain, for a person.
    What takes a task back looks itself, so it is made ready without a search.
    """

    def is_free(holder: str | None, until: datetime | None) -> bool:
        if holder is not None and until is not None:
            return may_take_over(holder, until, wall_clock)
        # Until then, what was broken off may still land. A clock that was set back says nothing.
        return until is None or abs(wall_clock - until) >= spec.lands_within

    effects, early = ledger.write(
        lambda connection: claim_uncertain(
            connection,
            name,
            worker=worker,
            lease_until=wall_clock + patience.lease,
            is_free=is_free,
        )
    )
    problems = []
    if early:
        problems.append(
            f"{_effects(early)} on the connection “{name}” may have landed, or may land yet; "
            + (
                "a later run asks there"
                if _FOUND_BY_KEY & set(spec.actions.values())
                else "it cannot be asked, so a person must say: “crmsync status” names what"
            )
        )
    if not effects:
        return Reconciled(problems=tuple(problems))
    passing("delivery.uncertain_claimed")
    try:
        sought = _lookups(effects, spec)

        def find(keys: Sequence[str]) -> Mapping[str, Receipt]:
            place = (ledger.name, name)
            return call_within(patience.call, lambda: writes.find(keys), place=place)

        found, error = _look_up(find, sought, spec.batch_size)
        passing("delivery.looked_up")
        settlements = [
            settlement
            for effect in effects
            if (settlement := _settlement(effect, found, patience)) is not None
        ]
        ledger.write(
            lambda connection: settle_effects(
                connection, settlements, worker=worker, at=now, loggers=loggers
            )
        )
        passing("delivery.found_out")
    finally:
        ledger.write(lambda connection: release_uncertain(connection, worker))
    return Reconciled(
        settlements=tuple(settlements),
        problems=(*problems, *_problems(name, effects, settlements, error)),
        error=error,
    )


def _lookups(effects: Sequence[Effect], spec: ConnectorSpec) -> list[str]:
    return [
        effect.key
        for effect in effects
        if spec.actions.get(effect.action.kind) in _FOUND_BY_KEY
        and effect.action.kind is not ActionKind.WITHDRAWAL
    ]


def _look_up(
    find: Callable[[Sequence[str]], Mapping[str, Receipt]], keys: Sequence[str], size: int
) -> tuple[Mapping[str, Receipt | None], Exception | None]:
    """For each key that could be asked about, its receipt, or None where it did not land."""
    known: dict[str, Receipt | None] = {}
    for start in range(0, len(keys), size):
        portion = keys[start : start + size]
        try:
            found = find(portion)
            answers = {key: found.get(key) for key in portion}
        except Exception as error:  # noqa: BLE001  a stranger's plugin may raise anything
            return known, error
        for key, answer in answers.items():
            if answer is not None and (not isinstance(answer, Receipt) or answer.key != key):
                wrong = ConnectorError(f"it answered the search for {key} with something else")
                return known, wrong
        known |= answers
    return known, None


def _settlement(
    effect: Effect, found: Mapping[str, Receipt | None], patience: Patience
) -> Settlement | None:
    """What becomes of an uncertain effect; None leaves it as it is."""
    takes_back = effect.action.kind is ActionKind.WITHDRAWAL
    if effect.key not in found and not takes_back:
        return None
    receipt = found.get(effect.key)
    if receipt is not None:
        return landed(effect, receipt)
    if effect.attempts >= patience.most_attempts:
        sentence = f"given up after {effect.attempts} attempts; it is not at the remote"
        return rejected(effect, f"{sentence}: {effect.error}")
    reason = "it was looked for, and is not at the remote"
    if takes_back:
        reason = "to take it back once more does no harm"
    return Settlement(effect=effect, after=State.READY, reason=reason, error=effect.error)


def _effects(number: int) -> str:
    return "1 effect" if number == 1 else f"{number:,} effects"


def _problems(
    name: str,
    effects: Sequence[Effect],
    settlements: Sequence[Settlement],
    error: Exception | None,
) -> tuple[str, ...]:
    problems: list[str] = []
    if error is not None:
        problems.append(
            f"the connection “{name}” could not be asked what has landed: {words(error)}"
        )
    left = len(effects) - len(settlements)
    if left and error is None:
        problems.append(
            f"{_effects(left)} on the connection “{name}” may have landed, or not, and it cannot "
            "tell: look there, and settle by hand what “crmsync status” names"
        )
    return tuple(problems)
