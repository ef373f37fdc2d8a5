"""What ``check`` found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """Every mistake that was found.

    Attributes:
        checked: how many rules, templates and connections were looked at.
        doubts: what may be a mistake; only a person can tell.
    """

    problems: tuple[str, ...]
    checked: dict[str, int]
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SetUpResult:
    """What was made at the remote of a connection, or would be; a sentence each."""

    connection: str
    dry_run: bool
    made: tuple[str, ...]
