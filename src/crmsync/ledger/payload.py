"""An action as JSON and back, without loss."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, datetime
from typing import Any

from crmsync.errors import StoreError
from crmsync.model.actions import (
    Action,
    ActionKind,
    AddNote,
    CreateTask,
    RecordRef,
    SendEmail,
    UpdateFields,
)

_CLASSES: dict[str, type[Action]] = {
    ActionKind.TASK: CreateTask,
    ActionKind.EMAIL: SendEmail,
    ActionKind.NOTE: AddNote,
    ActionKind.UPDATE: UpdateFields,
}


def to_payload(action: Action) -> dict[str, Any]:
    """The action as JSON data, its kind included."""
    return {field.name: _plain(getattr(action, field.name), field.name) for field in fields(action)}


def _plain(value: Any, name: str) -> Any:  # noqa: ANN401  a field of any action
    if isinstance(value, ActionKind):
        return value.value
    if isinstance(value, date):  # an instant is one, too
        return value.isoformat()
    if isinstance(value, RecordRef):
        return {"table": value.table, "id": value.id}
    if name == "about":
        return [_plain(reference, "") for reference in value]
    return dict(value) if name in {"headers", "changes", "expected"} else value


def from_payload(payload: dict[str, Any]) -> Action:
    """The action that was stored.

    Raises:
        StoreError: it is of a kind or shape that this version does not know.
    """
    values = dict(payload)
    try:
        cls = _CLASSES[values.pop("kind")]
        for name, read in _READERS.items():
            if values.get(name) is not None:
                values[name] = read(values[name])
        return cls(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the ledger holds an action that this version of crmsync cannot read: {error}"
        ) from error


_READERS: dict[str, Any] = {
    "due": date.fromisoformat,
    "at": datetime.fromisoformat,
    "record": lambda value: RecordRef(**value),
    "about": lambda values: tuple(RecordRef(**value) for value in values),
}
