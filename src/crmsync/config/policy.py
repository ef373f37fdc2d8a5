"""``policy``: what holds for the actions of all rules."""

from __future__ import annotations

from pydantic import Field

from crmsync.config.base import CalendarDurationField, Settings
from crmsync.config.hours import Hours


class Holdout(Settings):
    """Accounts that get nothing, so that the others can be compared with them.

    ``percent`` of all accounts, always the same ones for a ``seed``; whoever is held out at five
    percent is so at ten, too.
    """

    percent: float = Field(ge=0, le=100)
    seed: str = ""


class Policy(Settings):
    """Limits that hold for all rules.

    ``most_share_of_accounts`` is looked at from ``share_counts_from`` accounts on: in a company
    of ten customers, six who match are no accident.
    """

    most_actions_per_run: int = Field(default=500, ge=1, strict=True)
    most_share_of_accounts: float = Field(default=0.5, gt=0, le=1)
    share_counts_from: int = Field(default=20, ge=1)
    hours: Hours | None = None
    holdout: Holdout | None = None
    stale_after: CalendarDurationField | None = None
