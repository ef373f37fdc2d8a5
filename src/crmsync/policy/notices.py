"""Notices about an address: it complained, it is dead, somebody is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.model.addresses import bare_address
from crmsync.model.zones import zone_or_none
from crmsync.policy.drafts import PASS, Ruling, defer, drop, hold

if TYPE_CHECKING:
    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Draft

# How long somebody counts as away who does not say until when.
AWAY = timedelta(days=3)
# Who says that they are away for longer than this has misspelt the year.
_LONGEST = timedelta(days=366)


def notices(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """No mail to an address that complained, nor to one that does not take mail any more."""
    mail = draft.mail_to_customer
    if mail is None:
        return PASS
    address, zone = bare_address(mail.recipient), ZoneInfo(draft.company.time_zone)
    complaint = draft.correspondence.complaint
    if complaint is not None:
        day = complaint.at.astimezone(zone).date()
        return drop("notices", f"{address} called a mail of ours spam on {day}")
    bounce = draft.correspondence.bounce
    if bounce is not None:
        day = bounce.at.astimezone(zone).date()
        why = f": {bounce.reason}" if bounce.reason else ""
        return hold(
            "notices", f"mail to {address} came back on {day}{why}; correct the address in the CRM"
        )
    return PASS


def absence(draft: Draft, _policy: Policy, now: datetime) -> Ruling:
    """A mail to a customer waits while they are away."""
    away = draft.correspondence.absence
    if draft.mail_to_customer is None or away is None:
        return PASS
    zone = _zone(draft)
    if away.until is None:
        back = away.at + AWAY
        told = f"and did not say until when; that counts for {AWAY.days} days"
    else:
        day = min(away.until, (away.at + _LONGEST).date()) + timedelta(days=1)
        back = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        told = f"until {away.until}"
    if back <= now:
        return PASS
    said = away.at.astimezone(zone).date()
    return defer("absence", back, f"the contact wrote on {said} that they are away, {told}")


def _zone(draft: Draft) -> ZoneInfo:
    rows = (row for row in (draft.contact, draft.account, draft.owner) if row is not None)
    found = (zone_or_none(row.get("time_zone")) for row in rows)
    known = (zone for zone in found if zone is not None)
    return next(known, ZoneInfo(draft.company.time_zone))
