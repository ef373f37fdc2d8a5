"""What waits for a person's word, and what they have said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

    from crmsync.app.results.outbox import EffectShown


@dataclass(frozen=True, kw_only=True)
class Awaiting:
    """An action that a person must approve.

    Attributes:
        reason: who must approve it.
        edited_by: whose words it has; None where it stands as the template has it.
        edited_in_vain_by: whose words it has lost, since it would go to somebody else by now.
    """

    action: EffectShown
    reason: str
    edited_by: str | None = None
    edited_in_vain_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExistingMatches:
    """Who matched a rule already when it was new, and is not contacted until a person says so.

    Attributes:
        subjects: global ids, with what a person would call them.
    """

    rule: str
    description: str
    subjects: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ReviewResult:
    """What waits for a person's word."""

    at: datetime
    awaiting: tuple[Awaiting, ...]
    existing: tuple[ExistingMatches, ...]


@dataclass(frozen=True, kw_only=True)
class ReviewShown:
    """An action exactly as it would go out.

    Attributes:
        sender: of a mail, its From line.
        html: of a mail, its HTML part; None where it has none.
        changes: of an update, the remote's field to its new value.
        edited_by, edited_in_vain_by: as of `Awaiting`.
        history: a sentence for each move and each word about it, the first one first.
    """

    action: EffectShown
    sender: str
    text: str
    html: str | None
    due: date | None
    changes: dict[str, object]
    edited_by: str | None
    edited_in_vain_by: str | None
    history: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReviewedResult:
    """What a person has said about actions, or about existing matches of a rule.

    Attributes:
        verdict: approved, rejected, edited, enrolled or ignored.
        subjects: for existing matches, their names by global id.
    """

    verdict: str
    by: str
    reason: str
    actions: tuple[EffectShown, ...] = ()
    rule: str | None = None
    subjects: dict[str, str] = field(default_factory=dict)
