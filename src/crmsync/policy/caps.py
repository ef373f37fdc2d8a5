"""Caps: nobody gets too much within a time, whoever sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.config.policy import Capped, OnFull, Per
from crmsync.model.actions import CreateTask
from crmsync.model.addresses import bare_address
from crmsync.policy.drafts import PASS, Ruling, defer, drop

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.config.policy import Cap, Policy
    from crmsync.policy.drafts import Draft

_WHO = {
    (Capped.EMAIL, Per.CONTACT): "the contact has",
    (Capped.EMAIL, Per.ACCOUNT): "the account has",
    (Capped.EMAIL, Per.OWNER): "the accounts of this owner have",
    (Capped.TASK, Per.ACCOUNT): "the account has",
    (Capped.TASK, Per.OWNER): "this colleague has",
}


def counted_under(cap: Cap, draft: Draft) -> str | None:
    """Together with whose actions a cap counts one; None where it does not concern it.

    A contact is its address, in the spelling of `bare_address`: a person may be several records.
    An account is its global id. An owner is the global id of a user: for mails the account's
    owner, for tasks the colleague who gets it.
    """
    if cap.of is Capped.EMAIL:
        concerned, owner = draft.mail_to_customer is not None, draft.owner
    else:
        concerned, owner = isinstance(draft.action, CreateTask), draft.colleague
    if not concerned:
        return None
    match cap.per:
        case Per.CONTACT:
            return None if draft.contact is None else bare_address(str(draft.contact.get("email")))
        case Per.ACCOUNT:
            return None if draft.account is None else str(draft.account["id"])
        case Per.OWNER:
            return None if owner is None else str(owner["id"])


def caps(draft: Draft, policy: Policy, now: datetime) -> Ruling:
    """It waits until every cap has room for it, or is dropped."""
    latest: tuple[datetime, str] | None = None
    for cap in policy.caps:
        window = cap.within.length
        times = sorted(at for at in draft.counts.get(cap, ()) if at > now - window)
        if len(times) < cap.at_most:
            continue
        reason = _reason(cap, len(times))
        if cap.on_full is OnFull.DROP:
            return drop("caps", reason)
        # When this one falls out of the window, one less than the cap allows is left in it.
        room = times[-cap.at_most] + window
        if latest is None or room > latest[0]:
            latest = (room, reason)
    return PASS if latest is None else defer("caps", *latest)


def _reason(cap: Cap, count: int) -> str:
    noun, by = ("mail", ", by people or by crmsync") if cap.of is Capped.EMAIL else ("task", "")
    had = f"1 {noun}" if count == 1 else f"{count} {noun}s"
    return (
        f"{_WHO[cap.of, cap.per]} had {had} within {cap.within}{by}, and a cap allows {cap.at_most}"
    )
