"""The gates that every action passes, in order: small pure functions over one draft.

A new gate is a function in `GATES`; its place there is its place in the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crmsync.ledger.values import Answer, Decision
from crmsync.model.actions import SendEmail
from crmsync.policy.addresses import address_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.config.settings import Policy
    from crmsync.model.actions import Action, ActionKind

    Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An action that would be taken, and what the gates ask about.

    Attributes:
        account: the record of the subject's account; None where it has none.
        contact: the record of the customer who would get it; None where it goes to a colleague.
        colleague: the record of the user who would get it or do it.
        same_address: records of other contacts, of any account, with the contact's address.
        doubts: why a mark may be missing on the contact or account; one sentence each.
        abilities: the kinds of action that the connection can apply.
    """

    rule: str
    subject: str
    step: str
    connection: str
    action: Action
    abilities: Collection[ActionKind]
    account: Row | None = None
    contact: Row | None = None
    colleague: Row | None = None
    same_address: Sequence[Row] = ()
    doubts: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """A gate's answer. HOLD asks a person: the step stays due until something is changed.

    Attributes:
        gate: the gate that answered; empty where all let it pass.
        reason: one sentence for a person.
        until: for DEFER, when to ask again.
    """

    answer: Answer
    gate: str = ""
    reason: str = ""
    until: datetime | None = None


PASS = Ruling(answer=Answer.PASS, reason="every gate let it pass")

if TYPE_CHECKING:
    Gate = Callable[[Draft, Policy, datetime], Ruling]


def ability(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """The connection must be able to do it."""
    if draft.action.kind in draft.abilities:
        return PASS
    able = ", ".join(sorted(draft.abilities)) or "nothing"
    return _hold(
        "ability",
        f"the connection “{draft.connection}” cannot do “{draft.action.kind}”; it can do: {able}",
    )


def suppression(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """No mail to a customer who does not want it. Tasks and notes reach colleagues only.

    It is a person who does not want it, so a mark on any contact with the address counts.
    """
    action = draft.action
    if not isinstance(action, SendEmail) or draft.contact is None:
        return PASS
    people = [(draft.contact, "the contact")]
    people += [(row, f"{_name(row)}, who has the same address,") for row in draft.same_address]
    marked = [*people] if draft.account is None else [(draft.account, "the account"), *people]
    for row, who in marked:
        if row.get("do_not_contact") is True:
            return _drop("suppression", f"{who} is marked do-not-contact")
    for row, who in people:
        # What is not plainly service counts as commercial: the safe side.
        if row.get("unsubscribed") is True and action.email_class != "service":
            return _drop("suppression", f"{who} has unsubscribed, and this mail is commercial")
    for row, who in people:
        if row.get("bounced") is True:
            return _hold("suppression", f"mail to {who} bounced; correct the address in the CRM")
    return PASS


def freshness(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """No mail to a customer who may have said by now, in the CRM, that they want none."""
    if not isinstance(draft.action, SendEmail) or draft.contact is None or not draft.doubts:
        return PASS
    return _hold(
        "freshness",
        f"whether the customer wants no mail is not known as of now: {'; '.join(draft.doubts)}",
    )


def recipient(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """There must be somebody at the other end, and an address that reaches them alone."""
    action = draft.action
    if draft.colleague is not None and draft.colleague.get("active") is False:
        return _hold("recipient", f"{_name(draft.colleague)} is no longer active")
    problem = address_problem(action.recipient) if isinstance(action, SendEmail) else None
    return PASS if problem is None else _hold("recipient", f"the recipient {problem}")


def sender(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """A mail must be from an address that mail systems accept."""
    action = draft.action
    problem = address_problem(action.sender) if isinstance(action, SendEmail) else None
    return PASS if problem is None else _hold("sender", f"the sender {problem}")


GATES: tuple[Gate, ...] = (ability, suppression, freshness, recipient, sender)


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


def _drop(gate: str, reason: str) -> Ruling:
    return Ruling(answer=Answer.DROP, gate=gate, reason=reason)


def _hold(gate: str, reason: str) -> Ruling:
    return Ruling(answer=Answer.HOLD, gate=gate, reason=reason)


def _name(row: Row) -> str:
    return str(row.get("name") or row.get("email") or row.get("id"))
