"""Finds out about effects that may have landed, before anything is sent again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crmsync.delivery.outcomes import landed, rejected, words
from crmsync.delivery.worker import is_gone
from crmsync.errors import ConnectorError
from crmsync.ledger.claims import (
    Settlement,
    claim_uncertain,
    release_uncertain,
    settle_effects,
)
from crmsync.ledger.states import State
from crmsync.model.actions import KeyHandling, Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from crmsync.delivery.settings import Patience
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values import Effect
    from crmsync.plugins.contract import ConnectorSpec, Writes


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """What was found out.

    Attributes:
        error: why the remote could not be asked; None where it could.
    """

    settlements: tuple[Settlement, ...] = ()
    problems: tuple[str, ...] = ()
    error: Exception | None = None


def reconcile(  # noqa: PLR0913  a private step of deliver
    ledger: Ledger,
    name: str,
    writes: Writes,
    spec: ConnectorSpec,
    *,
    worker: str,
    patience: Patience,
    now: datetime,
    wall_clock: datetime,
) -> Reconciled:
    """Settle a connection's uncertain effects by how it honours keys.

    NATIVE is made ready: applying again is harmless. LOOKUP is looked up: found is done,
    not found is made ready. UNSAFE stays uncertain, for a person.
    """
    effects = ledger.write(
        lambda connection: claim_uncertain(
            connection,
            name,
            worker=worker,
            wall_clock=wall_clock,
            lease_until=wall_clock + patience.lease,
            is_gone=is_gone,
        )
    )
    if not effects:
        return Reconciled()
    try:
        found, error = _look_up(writes, _lookups(effects, spec), spec.rate.batch_size)
        settlements = [
            settlement
            for effect in effects
            if (settlement := _settlement(effect, spec, found, patience)) is not None
        ]
        ledger.write(
            lambda connection: settle_effects(connection, settlements, worker=worker, at=now)
        )
    finally:
        ledger.write(lambda connection: release_uncertain(connection, worker))
    return Reconciled(
        settlements=tuple(settlements),
        problems=_problems(name, effects, settlements, error),
        error=error,
    )


def _lookups(effects: Sequence[Effect], spec: ConnectorSpec) -> list[str]:
    return [
        effect.key
        for effect in effects
        if spec.actions.get(effect.action.kind) is KeyHandling.LOOKUP
    ]


def _look_up(
    writes: Writes, keys: Sequence[str], size: int
) -> tuple[Mapping[str, Receipt | None], Exception | None]:
    """For each key that could be asked about, its receipt, or None where it did not land."""
    known: dict[str, Receipt | None] = {}
    for start in range(0, len(keys), size):
        portion = keys[start : start + size]
        try:
            found = writes.find(portion)
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
    effect: Effect,
    spec: ConnectorSpec,
    found: Mapping[str, Receipt | None],
    patience: Patience,
) -> Settlement | None:
    """What becomes of an uncertain effect; None leaves it as it is."""
    handling = spec.actions.get(effect.action.kind)
    spent = effect.attempts >= patience.most_attempts
    if handling is KeyHandling.NATIVE:
        reason = "the remote knows its key, so it is applied again"
        return None if spent else _ready(effect, reason, in_doubt=True)
    if handling is KeyHandling.LOOKUP and effect.key in found:
        receipt = found[effect.key]
        if receipt is not None:
            return landed(effect, receipt)
        if spent:
            sentence = f"given up after {effect.attempts} attempts; it is not at the remote"
            return rejected(replace(effect, in_doubt=False), f"{sentence}: {effect.error}")
        return _ready(effect, "it was looked for, and is not at the remote", in_doubt=False)
    return None


def _ready(effect: Effect, reason: str, *, in_doubt: bool) -> Settlement:
    return Settlement(
        effect=effect, after=State.READY, reason=reason, error=effect.error, in_doubt=in_doubt
    )


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
            f"{left} effects on the connection “{name}” may have landed, or not, and it cannot "
            "tell: look there, and settle them by hand"
        )
    return tuple(problems)
