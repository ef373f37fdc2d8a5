"""What of the past is assumed, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.cli.reports.words import count, listed

if TYPE_CHECKING:
    from crmsync.rules.explaining.assumptions import AssumedClause


def told(clause: AssumedClause, of: str) -> str:
    """What is assumed of a clause, in a sentence; ``of`` is “rule” or “outcome”."""
    fields = listed(
        [
            f"{field.table}.{field.field} "
            + (
                f"is not known before {field.before:%Y-%m-%d}"
                if field.tracked
                else f"has no history, and is taken as it is now before {field.before:%Y-%m-%d}"
            )
            for field in clause.fields
        ]
    )
    sentence = (
        f"{clause.text} ({clause.place}): {fields}; that touches {count(clause.subjects, 'record')}"
    )
    if of == "outcome":
        return f"outcome, {sentence}"
    rests = "rests" if clause.firings == 1 else "rest"
    return f"{sentence}, and {count(clause.firings, 'firing')} {rests} on it"
