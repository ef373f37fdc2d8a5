"""Actions in the outbox, and what a person has decided about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class EffectShown:
    """An action in the outbox.

    Attributes:
        subject_name: what a person would call the record; its id where it is no longer there.
        error: the last words that the remote or the engine had about it.
        since: when it came to be so.
    """

    key: str
    rule: str
    subject: str
    subject_name: str
    step: str
    kind: str
    connection: str
    to: str
    title: str
    state: str
    error: str
    attempts: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class SettledResult:
    """What a person has decided about actions in the outbox.

    Attributes:
        now: what they are now: ``planned``, ``done`` or ``dropped``.
        left: a sentence for each of which it could not be.
    """

    now: str
    by: str
    reason: str
    effects: tuple[EffectShown, ...]
    left: tuple[str, ...] = ()

    @property
    def findings(self) -> bool:
        """Whether something is left for a person."""
        return bool(self.left)
