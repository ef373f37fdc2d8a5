"""What the gates are asked about, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crmsync.ledger.values.runs import Answer
from crmsync.model.actions import SendEmail
from crmsync.policy.correspondence import NOTHING_TOLD, Correspondence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.config.policy import Cap, Policy
    from crmsync.config.settings import Company
    from crmsync.ledger.stops import Stop
    from crmsync.model.actions import Action, ActionKind
    from crmsync.model.durations import Duration

    Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An action that would be taken, and what the gates ask about.

    Attributes:
        due_since: the instant (UTC) from which its step was due.
        company: us.
        account: the record of the subject's account; None where it has none.
        owner: the record of the account's owner.
        contact: the record of the customer who would get it; None where it goes to a colleague.
        colleague: the record of the user who would get it or do it.
        same_address: records of other contacts, of any account, with the contact's address.
        correspondence: what mail has told of the address that a mail goes to.
        doubts: why a mark may be missing on the contact or account; one sentence each.
        stops: what people have said about the account, or about the address that a mail goes to.
        inhibited_by: the rules that inhibit this one, and that the account is in.
        abilities: the kinds of action that the connection can apply.
        approver: who must approve it, in words; None where nobody must.
        approved: whether that was done.
        asked_since: the instant (UTC) from which they have been asked; None before the first time.
        approval_expires: how long they are waited for; None for no bound.
        counts: for each cap that concerns it, when the actions that it counts were taken (UTC).
    """

    rule: str
    subject: str
    step: str
    connection: str
    action: Action
    abilities: Collection[ActionKind]
    company: Company
    due_since: datetime | None = None
    account: Row | None = None
    owner: Row | None = None
    contact: Row | None = None
    colleague: Row | None = None
    same_address: Sequence[Row] = ()
    correspondence: Correspondence = NOTHING_TOLD
    doubts: Sequence[str] = ()
    stops: Sequence[Stop] = ()
    inhibited_by: Sequence[str] = ()
    approver: str | None = None
    approved: bool = False
    asked_since: datetime | None = None
    approval_expires: Duration | None = None
    counts: Mapping[Cap, Collection[datetime]] = field(default_factory=dict)

    @property
    def mail_to_customer(self) -> SendEmail | None:
        """The mail, where it is one and goes to a customer."""
        if isinstance(self.action, SendEmail) and self.contact is not None:
            return self.action
        return None


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """A gate's answer.

    HOLD and ASK leave the step due: until a person has changed something, or has approved it.

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


def drop(gate: str, reason: str) -> Ruling:
    """It is never to be done."""
    return Ruling(answer=Answer.DROP, gate=gate, reason=reason)


def hold(gate: str, reason: str) -> Ruling:
    """Something must be changed by a person first."""
    return Ruling(answer=Answer.HOLD, gate=gate, reason=reason)


def defer(gate: str, until: datetime, reason: str) -> Ruling:
    """It is to be asked about again then."""
    return Ruling(answer=Answer.DEFER, gate=gate, reason=reason, until=until)


def name_of(row: Row) -> str:
    """What a person calls the record."""
    parts = " ".join(str(row[part]) for part in ("first_name", "last_name") if row.get(part))
    return str(row.get("name") or parts or row.get("email") or row.get("id"))
