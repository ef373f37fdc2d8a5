"""Holdout: some accounts get nothing, so that the others can be compared with them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from crmsync.policy.drafts import PASS, Ruling, drop

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Draft

_BYTES = 6  # as many as a float holds exactly


def held_out(account: str, *, percent: float, seed: str) -> bool:
    """Whether an account (global id) is among the share; a larger share holds the same and more."""
    digest = hashlib.sha256(f"{seed}\n{account}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:_BYTES]) * 100 < percent * (1 << 8 * _BYTES)


def holdout(draft: Draft, policy: Policy, _now: datetime) -> Ruling:
    """Nothing for the accounts that are held out, except the service mails they have asked for."""
    group = policy.holdout
    if group is None or draft.account is None:
        return PASS
    mail = draft.mail_to_customer
    if mail is not None and mail.email_class == "service":
        return PASS
    if not held_out(str(draft.account["id"]), percent=group.percent, seed=group.seed):
        return PASS
    return drop(
        "holdout",
        f"the account is one of the {group.percent:g} % that get nothing, to be compared with "
        "the others (policy.holdout)",
    )
