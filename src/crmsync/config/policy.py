"""``policy``: what holds for the actions of all rules."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field, field_validator, model_validator

from crmsync.config.base import CalendarDurationField, NamesField, Settings
from crmsync.config.hours import Hours

if TYPE_CHECKING:
    from crmsync.model.durations import Duration


class Per(StrEnum):
    """Whose actions a cap counts together."""

    CONTACT = "contact"
    ACCOUNT = "account"
    OWNER = "owner"


class Capped(StrEnum):
    """The kinds of action that a cap can count."""

    EMAIL = "email"
    TASK = "task"


class Approved(StrEnum):
    """The kinds of action that can need an approval."""

    EMAIL = "email"
    TASK = "task"
    NOTE = "note"
    UPDATE = "update"


class OnFull(StrEnum):
    """What becomes of an action for which a cap leaves no room."""

    DEFER = "defer"
    DROP = "drop"


class Cap(Settings):
    """At most so many within a length of time, which goes along with the present."""

    per: Per
    at_most: int = Field(ge=1, strict=True)
    within: CalendarDurationField
    of: Capped = Capped.EMAIL
    on_full: OnFull = OnFull.DEFER

    @field_validator("within")
    @classmethod
    def _some_time(cls, within: Duration) -> Duration:
        if not within.length:
            raise ValueError("a cap counts within some time; write for example 7 days")
        return within

    @model_validator(mode="after")
    def _countable(self) -> Cap:
        if self.of is Capped.TASK and self.per is Per.CONTACT:
            raise ValueError("tasks go to colleagues: count them per account or per owner")
        return self


class Holdout(Settings):
    """Accounts that get nothing, so that the others can be compared with them.

    ``percent`` of all accounts, always the same ones for a ``seed``; whoever is held out at five
    percent is so at ten, too.
    """

    percent: float = Field(ge=0, le=100)
    seed: str = ""


class Approvals(Settings):
    """What a person must approve before it is done.

    ``by`` are paths to users, the first active one is meant; ``of`` are kinds of action, of which
    mails are those to customers; after ``expires`` what nobody has approved is dropped.
    """

    by: NamesField = Field(default_factory=lambda: ["owner"], min_length=1)
    of: tuple[Approved, ...] = (Approved.EMAIL,)
    expires: CalendarDurationField | None = None

    @field_validator("by")
    @classmethod
    def _one_person(cls, by: list[str]) -> list[str]:
        if any(path.startswith("team.") for path in by):
            raise ValueError("one person approves: write a path to a user, and no team")
        return by


class Policy(Settings):
    """Limits that hold for all rules.

    ``most_share_of_accounts`` is looked at from ``share_counts_from`` accounts on: in a company
    of ten customers, six who match are no accident.
    """

    most_actions_per_run: int = Field(default=500, ge=1, strict=True)
    most_share_of_accounts: float = Field(default=0.5, gt=0, le=1)
    share_counts_from: int = Field(default=20, ge=1)
    hours: Hours | None = None
    caps: tuple[Cap, ...] = ()
    holdout: Holdout | None = None
    stale_after: CalendarDurationField | None = None
    approval: Approvals | None = None
