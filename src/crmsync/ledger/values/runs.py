"""Runs and what was decided in them, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Answer(StrEnum):
    """What was decided about a step."""

    PASS = "pass"  # noqa: S105  no password
    HOLD = "hold"
    DROP = "drop"
    DEFER = "defer"
    ASK = "ask"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Why a step was, or was not, taken in a run.

    Attributes:
        step: None where it is about the whole enrolment.
        gate: what decided, for example ``suppression`` or ``composition``.
        until: for DEFER, when it is asked again.
    """

    rule: str
    subject: str
    step: str | None
    answer: Answer
    gate: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run.

    Attributes:
        at: the instant (UTC) that the run took as now; differs from ``started_at`` under ``--at``.
        finished_at: None while it is running, or where its process ended before it did.
        error: the sentence with which it failed.
        undoes: of an undo, the number of the run that was undone; ``said_by`` wanted it.
    """

    id: int
    kind: str
    at: datetime
    started_at: datetime
    finished_at: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    undoes: int | None = None
    said_by: str | None = None
    reason: str | None = None
