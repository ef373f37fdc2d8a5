"""Keeps the words of an action that a person has seen, as long as it goes to the same people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.model.actions import AddNote, CreateTask, CustomAction, SendEmail, UpdateFields

if TYPE_CHECKING:
    from crmsync.model.actions import Action


def with_words_of(seen: Action, fresh: Action) -> Action | None:
    """What was composed now, in the words that a person saw.

    None where it is no longer the same: it would go to somebody else, from somebody else, be
    about something else, or change other values.
    """
    match seen, fresh:
        case SendEmail(), SendEmail() if _reach(seen) == _reach(fresh):
            return replace(fresh, subject=seen.subject, text=seen.text, html=seen.html)
        case CreateTask(), CreateTask() if (seen.assignee, seen.about) == (
            fresh.assignee,
            fresh.about,
        ):
            return replace(fresh, subject=seen.subject, body=seen.body)
        case AddNote(), AddNote() if seen.about == fresh.about:
            return replace(fresh, text=seen.text)
        case CustomAction(), CustomAction() if (seen.name, seen.about) == (fresh.name, fresh.about):
            return replace(fresh, texts=seen.texts)
        case UpdateFields(), UpdateFields() if (seen.record, seen.changes) == (
            fresh.record,
            fresh.changes,
        ):
            return fresh
    return None


def _reach(mail: SendEmail) -> tuple[object, ...]:
    return mail.recipient, mail.sender, mail.about, mail.email_class
