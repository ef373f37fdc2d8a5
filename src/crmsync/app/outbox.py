"""Actions in the outbox as people see them, and how they are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.results.outbox import EffectShown
from crmsync.errors import UsageError
from crmsync.journeys.people import record_name
from crmsync.ledger.decided import effects_beginning
from crmsync.model.actions import (
    AddNote,
    CreateTask,
    CustomAction,
    LogEmail,
    SendEmail,
    UpdateFields,
    WithdrawTask,
    name_of,
    text_of,
)
from crmsync.model.tables import global_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.app.workspace import Workspace
    from crmsync.ledger.values.effects import Effect
    from crmsync.model.actions import Action, RecordRef

_MOST_NAMED = 5


def find_effects(workspace: Workspace, keys: Sequence[str]) -> tuple[Effect, ...]:
    """The effects that a person means, each once.

    Args:
        keys: beginnings of keys.

    Raises:
        UsageError: no effect, or more than one, has a key that begins so.
    """
    found: dict[int, Effect] = {}
    with workspace.ledger.reading() as connection:
        for key in keys:
            hits = effects_beginning(connection, key, _MOST_NAMED + 1) if key else ()
            if not hits:
                raise UsageError(f"there is no action whose key begins with “{key}”")
            if len(hits) > 1:
                listed = ", ".join(hit.key for hit in hits[:_MOST_NAMED])
                more = " and more" if len(hits) > _MOST_NAMED else ""
                raise UsageError(f"“{key}” can be several: {listed}{more}")
            found[hits[0].id] = hits[0]
    return tuple(found.values())


def shown(workspace: Workspace, effects: Sequence[Effect]) -> tuple[EffectShown, ...]:
    """Effects with the names of their subjects."""
    wanted: dict[str, set[str]] = {}
    for effect in effects:
        for ref in _about(effect.action)[:1]:
            wanted.setdefault(ref.table, set()).add(effect.enrolment.subject)
        assignee = _assignee(effect.action)
        if assignee:
            wanted.setdefault("user", set()).add(global_id(effect.connection, assignee))
    names: dict[str, str] = {}
    if wanted:
        with workspace.warehouse.reading() as records:
            for table, ids in wanted.items():
                names |= {i: record_name(row) for i, row in records.rows(table, ids).items()}
    return tuple(
        EffectShown(
            key=effect.key,
            rule=effect.enrolment.rule,
            subject=effect.enrolment.subject,
            subject_name=names.get(effect.enrolment.subject, effect.enrolment.subject),
            step=effect.step,
            kind=name_of(effect.action),
            connection=effect.connection,
            to=_to(effect, names),
            title=_title(effect.action),
            state=effect.state,
            error=effect.error or "",
            attempts=effect.attempts,
            since=effect.updated_at.astimezone(workspace.zone),
        )
        for effect in effects
    )


def _about(action: Action) -> tuple[RecordRef, ...]:
    return (action.record,) if isinstance(action, UpdateFields) else action.about


def _to(effect: Effect, names: dict[str, str]) -> str:
    match effect.action:
        case SendEmail(recipient=recipient) | LogEmail(recipient=recipient):
            return recipient
        case CreateTask() | WithdrawTask():
            assignee = _assignee(effect.action)
            return names.get(global_id(effect.connection, assignee), assignee) if assignee else ""
    return names.get(effect.enrolment.subject, effect.enrolment.subject)


def _assignee(action: Action) -> str | None:
    match action:
        case CreateTask(assignee=assignee) | WithdrawTask(task=CreateTask(assignee=assignee)):
            return assignee
    return None


def _title(action: Action) -> str:
    match action:
        case CreateTask() | SendEmail() | LogEmail():
            return action.subject
        case WithdrawTask(task=task):
            return task.subject
        case AddNote():
            return action.text
        case CustomAction():
            return text_of(action)
        case UpdateFields():
            return ", ".join(f"{name} = {value}" for name, value in action.changes.items())
