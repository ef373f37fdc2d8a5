"""The gates that every action passes, in order: small pure functions over one draft.

A new gate is a function in `GATES`; its place there is its place in the order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.ledger.values.runs import Answer, Decision
from crmsync.policy.approval import approval
from crmsync.policy.caps import caps
from crmsync.policy.delivery import ability, recipient, sender
from crmsync.policy.drafts import PASS, Draft, Ruling
from crmsync.policy.holdout import holdout
from crmsync.policy.hours import hours
from crmsync.policy.inhibition import inhibition
from crmsync.policy.notices import absence, notices
from crmsync.policy.staleness import staleness
from crmsync.policy.suppression import freshness, suppression

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Gate

# What drops an action comes before what holds it, and what waits for a time comes last: a person
# who has to do something learns of it at once.
GATES: tuple[Gate, ...] = (
    ability,
    suppression,
    notices,
    inhibition,
    holdout,
    staleness,
    freshness,
    recipient,
    sender,
    approval,
    absence,
    hours,
    caps,
)


def ask_gates(
    draft: Draft, policy: Policy, now: datetime, *, gates: Sequence[Gate] = GATES
) -> Ruling:
    """The first answer that is not *pass*; *pass* where all gates let it through."""
    for gate in gates:
        ruling = gate(draft, policy, now)
        if ruling.answer is not Answer.PASS:
            return ruling
    return PASS


def as_decision(draft: Draft, ruling: Ruling) -> Decision:
    """The ruling as the ledger keeps it."""
    return Decision(
        rule=draft.rule,
        subject=draft.subject,
        step=draft.step,
        answer=ruling.answer,
        gate=ruling.gate,
        reason=ruling.reason,
        until=ruling.until,
    )
