"""Small words that several reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from crmsync.model.tables import CANONICAL_TABLES
from crmsync.observe import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

# Of records that a person has to decide about; behind how many there are.
WAIT_FOR_A_WORD = (
    "matched a rule when it was new or changed, or may have; whom to contact: crmsync review"
)
_NOUNS = {"email": "mail", "update": "field update", "log": "logged mail"}


def safe(text: str) -> str:
    """Words from outside, for print: no secret shows, and no bracket is taken for a style."""
    return escape(redact(text))


def noun_of(kind: str) -> str:
    """What people call a kind of action."""
    return _NOUNS.get(kind, kind)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 task``, ``1,200 tasks``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def actions(number: int, kind: str) -> str:
    """``1 mail``, ``1,200 tasks``, ``3 tasks taken back``."""
    if kind == "withdrawal":
        return count(number, "task taken back", "tasks taken back")
    return count(number, noun_of(kind))


def records(number: int, table: str) -> str:
    """``1 account``, ``1,200 accounts``."""
    return count(number, table, CANONICAL_TABLES[table].plural)


def listed(parts: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def print_reminders(out: Console, reminders: Sequence[str]) -> None:
    """What nobody may forget of the connections."""
    for reminder in reminders:
        out.print(f"[yellow]{safe(reminder)}[/]", soft_wrap=True)
