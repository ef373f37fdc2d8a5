"""Suppression: who wants no mail gets none, and whom a person has stopped is left alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.ledger.stops import StopKind
from crmsync.policy.drafts import PASS, Ruling, defer, drop, hold, name_of

if TYPE_CHECKING:
    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Draft

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


def suppression(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """No mail to a customer who does not want it. Tasks and notes reach colleagues only.

    It is a person who does not want it, so a mark on any contact with the address counts.
    What one of us has said holds for all that is done for an account, or goes to an address.
    """
    if draft.stops:
        return _stopped(draft)
    mail = draft.mail_to_customer
    if mail is None or draft.contact is None:
        return PASS
    people = [(draft.contact, "the contact")]
    people += [(row, f"{name_of(row)}, who has the same address,") for row in draft.same_address]
    marked = [*people] if draft.account is None else [(draft.account, "the account"), *people]
    for row, who in marked:
        if row.get("do_not_contact") is True:
            return drop("suppression", f"{who} is marked do-not-contact")
    for row, who in people:
        # What is not plainly service counts as commercial: the safe side.
        if row.get("unsubscribed") is True and mail.email_class != "service":
            return drop("suppression", f"{who} has unsubscribed, and this mail is commercial")
    for row, who in people:
        if row.get("bounced") is True:
            return hold("suppression", f"mail to {who} bounced; correct the address in the CRM")
    return PASS


def _stopped(draft: Draft) -> Ruling:
    zone = ZoneInfo(draft.company.time_zone)
    for stop in draft.stops:
        if stop.kind is StopKind.ADDRESS:
            return drop("suppression", f"the address was suppressed {stop.told(zone)}")
        if stop.kind is StopKind.UNSUBSCRIBED:
            return drop(
                "suppression", f"commercial mail to the address was declined {stop.told(zone)}"
            )
    for stop in draft.stops:
        if stop.kind is StopKind.NOBODY_THERE:
            return hold(
                "suppression",
                f"mail to {stop.target} was refused on {stop.said_at.astimezone(zone):%Y-%m-%d}: "
                f"{stop.reason}; correct the address in the CRM",
            )
    # Of several mutes, those of merged accounts, the one that lasts longest counts.
    last = max(draft.stops, key=lambda stop: stop.until or _FOR_EVER)
    reason = f"the account was muted {last.told(zone)}"
    if last.until is None:
        return hold("suppression", reason)
    return defer("suppression", last.until, reason)


def freshness(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """No mail to a customer who may have said by now, in the CRM, that they want none."""
    if draft.mail_to_customer is None or not draft.doubts:
        return PASS
    return hold(
        "freshness",
        f"whether the customer wants no mail is not known as of now: {'; '.join(draft.doubts)}",
    )
