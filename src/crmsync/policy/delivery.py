"""What can be delivered at all: by the connection, from somebody, to somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.model.actions import SendEmail
from crmsync.policy.addresses import address_problem
from crmsync.policy.drafts import PASS, Ruling, hold, name_of

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.config.policy import Policy
    from crmsync.policy.drafts import Draft

ABILITY = "ability"
NAME_ANOTHER = "name one that does with “mail” in the config"


def ability(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """The connection must be able to do it."""
    if draft.action.kind in draft.abilities:
        return PASS
    if isinstance(draft.action, SendEmail):
        return hold(ABILITY, f"the connection “{draft.connection}” sends no mail; {NAME_ANOTHER}")
    able = ", ".join(sorted(draft.abilities)) or "nothing"
    return hold(
        ABILITY,
        f"the connection “{draft.connection}” cannot do “{draft.action.kind}”; it can do: {able}",
    )


def recipient(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """There must be somebody at the other end, and an address that reaches them alone."""
    action = draft.action
    if draft.colleague is not None and draft.colleague.get("active") is False:
        return hold("recipient", f"{name_of(draft.colleague)} is no longer active")
    problem = address_problem(action.recipient) if isinstance(action, SendEmail) else None
    return PASS if problem is None else hold("recipient", f"the recipient {problem}")


def sender(draft: Draft, _policy: Policy, _now: datetime) -> Ruling:
    """A mail must be from an address that mail systems accept."""
    action = draft.action
    problem = address_problem(action.sender) if isinstance(action, SendEmail) else None
    return PASS if problem is None else hold("sender", f"the sender {problem}")
