"""Why rules match a record or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.model.verdicts import Truth
    from crmsync.rules.explaining.evidence import Evidence
    from crmsync.rules.explaining.explain import Turn


@dataclass(frozen=True, kw_only=True)
class Clause:
    """A clause of a rule for one record.

    Attributes:
        seen: the value, in words.
        distance: how far from true, or why it cannot be said, in words; empty where that says
            nothing.
        evidence: the records that counted, at most three, the latest first; or the change.
        assumed: a sentence for each field of which nobody knows whether it was so at that time.
        turns: its next turn, if nothing changes but the time; None where none was found.
    """

    text: str
    verdict: Truth
    seen: str
    distance: str
    place: str
    turns: Turn | None = None
    evidence: tuple[Evidence, ...] = ()
    assumed: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RuleExplained:
    """A rule for one record: each clause, and what stands in the way of an action.

    Attributes:
        turns: its next turn, if nothing changes but the time; None where none was found.
        steady_until: how far it was looked for turns; None where it was not.
    """

    rule: str
    description: str
    verdict: Truth
    clauses: tuple[Clause, ...]
    turns: Turn | None = None
    steady_until: datetime | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExplainResult:
    """A record, and every rule that looks at records of its table.

    Attributes:
        as_it_was: whether ``at`` lies before what was last read, so that the records are taken as
            they were then, and not as they are known now.
        stops: what people have said about it: that it is muted, or its address suppressed.
    """

    at: datetime
    subject: str
    subject_name: str
    table: str
    rules: tuple[RuleExplained, ...]
    as_it_was: bool = False
    stops: tuple[str, ...] = ()
