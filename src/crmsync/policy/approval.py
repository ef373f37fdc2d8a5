"""Approval: what a person wants to see first goes out when that person has said so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.ledger.values.runs import Answer
from crmsync.policy.drafts import PASS, Ruling, drop

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Draft


def approval(draft: Draft, _policy: Policy, now: datetime) -> Ruling:
    """Nothing that needs an approval which was not given; nor what nobody approved in time."""
    if draft.approver is None or draft.approved:
        return PASS
    bound, since = draft.approval_expires, draft.asked_since
    if bound is not None and since is not None and now - since > bound.length:
        return drop("approval", f"{draft.approver} had not approved it within {bound}")
    return Ruling(
        answer=Answer.ASK, gate="approval", reason=f"{draft.approver} must approve it first"
    )
