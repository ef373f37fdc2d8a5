"""The circuit breaker: asked once for all that a run would do, before the first of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Draft

_WHAT_TO_DO = (
    "nothing of it is recorded or delivered; look at `crmsync plan`, then narrow the rule, "
    "or raise {setting} in the config"
)


def circuit_breaker(drafts: Sequence[Draft], *, accounts: int, policy: Policy) -> str | None:
    """Why nothing of a run may be delivered; None where it may.

    Args:
        drafts: what every gate let pass.
        accounts: how many accounts there are.
        policy: its limits by count and by share.
    """
    if len(drafts) > policy.most_actions_per_run:
        rule, count = Counter(draft.rule for draft in drafts).most_common(1)[0]
        return (
            f"this run would take {len(drafts)} actions, {count} of them by the rule “{rule}”, and "
            f"policy.most_actions_per_run is {policy.most_actions_per_run}: "
            + _WHAT_TO_DO.format(setting="policy.most_actions_per_run")
        )
    touched = {draft.account["id"] for draft in drafts if draft.account is not None}
    if len(touched) < policy.share_counts_from or accounts == 0:
        return None
    share = len(touched) / accounts
    if share <= policy.most_share_of_accounts:
        return None
    return (
        f"this run would touch {len(touched)} of {accounts} accounts ({share:.0%}), and "
        f"policy.most_share_of_accounts is {policy.most_share_of_accounts:.0%}: "
        + _WHAT_TO_DO.format(setting="policy.most_share_of_accounts")
    )
