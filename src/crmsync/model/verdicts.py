"""What the evaluation of a rule says of its subjects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Truth(StrEnum):
    """SQL's three values."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class RuleVerdicts:
    """Who matches a rule, and of whom it cannot be said; everybody else does not match.

    Attributes:
        matches: the global ids of the subjects, each with the values of the rule's ``once_per``
            as text (empty where the rule has none).
        unknown: the global ids, each with one sentence per clause that could not be decided.
        subjects: how many subjects were looked at.
    """

    rule: str
    matches: Mapping[str, tuple[str, ...]]
    unknown: Mapping[str, tuple[str, ...]]
    subjects: int
