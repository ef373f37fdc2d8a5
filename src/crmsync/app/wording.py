"""The texts of a rule, and what they can name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.rules.language import CustomStep, EmailStep, NoteStep, TaskStep, UpdateStep, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.config.yaml import Place
    from crmsync.rules.language import Rule


def variables_of(rule: Rule) -> dict[str, str | None]:
    """What the texts of a rule can name, with the table of each record."""
    return {
        "account": "account",
        "contact": "contact",
        "owner": "user",
        "today": None,
        "now": None,
        "rule": None,
        rule.subject: rule.subject,
    }


def texts_of(rule: Rule) -> Iterator[tuple[str, Place]]:
    """The texts that stand in a rule itself, each with its place."""
    for step in rule.then:
        match step:
            case TaskStep():
                yield step.subject, place_of(step, "subject")
                yield step.body, place_of(step, "body")
            case NoteStep():
                yield step.text, place_of(step, "text")
            case CustomStep():
                for key, text in step.texts.items():
                    yield text, place_of(step, key)
            case UpdateStep():
                for name, value in step.fields.items():
                    if isinstance(value, str):
                        yield value, place_of(step, name)
            case EmailStep():
                continue
