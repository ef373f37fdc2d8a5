"""What will fall due if nothing changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.app.results.cycle import HeldBack, PlannedAction


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """A subject that will leave a rule, and why.

    Attributes:
        because: a sentence for each clause that holds no longer, with what it saw.
    """

    rule: str
    subject: str
    subject_name: str
    reason: str
    because: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Coming:
    """What a later cycle would bring that the ones before it did not.

    Attributes:
        at: when, in the company's zone; a full hour.
    """

    at: datetime
    actions: tuple[PlannedAction, ...] = ()
    held: tuple[HeldBack, ...] = ()
    leaving: tuple[Leaving, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ForecastResult:
    """What will fall due if nothing changes.

    Attributes:
        due_now: how many actions are due already; ``plan`` shows them.
        rules: the names of those that were looked at.
    """

    at: datetime
    until: datetime
    due_now: int
    rules: tuple[str, ...]
    coming: tuple[Coming, ...]
