"""Inhibition: while one rule is at work for an account, others are silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.policy.drafts import PASS, Ruling, hold

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Draft


def inhibition(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """Nothing for an account that is in a rule which inhibits this one."""
    if not draft.inhibited_by:
        return PASS
    names = ", ".join(f"“{name}”" for name in draft.inhibited_by)
    return hold("inhibition", f"the account is in {names}, which inhibits this rule")
