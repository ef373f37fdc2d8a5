"""Runs, and what came of taking one back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from crmsync.app.results.outbox import EffectShown


@dataclass(frozen=True, kw_only=True)
class RunShown:
    """A run, or the undoing of one.

    Attributes:
        at: what it took for the present.
        told: what it did, or why it ended, as one sentence.
        undone: who has taken it back, when and why; empty where nobody has.
    """

    number: int
    at: datetime
    told: str
    undone: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunsResult:
    """The latest runs, the last one first.

    Attributes:
        left_out: how many of those that were looked at did nothing and are not among them.
        more: there are older ones.
    """

    runs: tuple[RunShown, ...]
    left_out: int
    more: bool


@dataclass(frozen=True, kw_only=True)
class NotUndone:
    """An action that is not taken back, and why."""

    action: EffectShown
    why: str


@dataclass(frozen=True, kw_only=True)
class UndoResult:
    """What became, or would become, of all that a run has left.

    Attributes:
        run: the run in hand.
        before: it is a preview, and nothing was changed.
        taken_back: tasks that are, or will be, closed or deleted.
        already: how many were taken back by an earlier undo.
        changed: tasks that people have worked on since: they stay.
        dropped: what waited, or was refused, and will never be done.
        stopped: how many enrolments go no further.
        cannot: what is at the remote for good, or for a person to take away.
        unsettled: what a person has to look at: it may have landed, or could not be taken back.
        by_others: how much other runs have done for these enrolments, by the run's number.
        problems: sentences for a person.
    """

    run: RunShown
    before: bool
    by: str
    reason: str
    taken_back: tuple[EffectShown, ...] = ()
    already: int = 0
    changed: tuple[NotUndone, ...] = ()
    dropped: tuple[EffectShown, ...] = ()
    stopped: int = 0
    cannot: tuple[NotUndone, ...] = ()
    unsettled: tuple[NotUndone, ...] = ()
    by_others: Mapping[int, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to take back, drop or stop."""
        return not (self.taken_back or self.dropped or self.stopped or self.unsettled)

    @property
    def findings(self) -> bool:
        """Whether something is left for a person."""
        return not self.before and bool(self.unsettled or self.problems)
