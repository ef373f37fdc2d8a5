"""Staleness: what comes too late is not said at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.policy.drafts import PASS, Ruling, drop

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Draft


def staleness(draft: Draft, policy: Policy, now: datetime) -> Ruling:
    """A mail to a customer that has waited for too long is not sent any more."""
    bound, since = policy.stale_after, draft.due_since
    if bound is None or since is None or draft.mail_to_customer is None:
        return PASS
    if now - since <= bound.length:
        return PASS
    return drop(
        "staleness",
        f"it has been due since {since:%Y-%m-%d %H:%M} UTC, which is longer than the {bound} of "
        "policy.stale_after",
    )
