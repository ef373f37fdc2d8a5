"""An action as JSON and back, without loss."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import orjson

from crmsync.errors import StoreError
from crmsync.model.actions import (
    Action,
    ActionKind,
    AddNote,
    CreateTask,
    CustomAction,
    LogEmail,
    RecordRef,
    SendEmail,
    UpdateFields,
    WithdrawTask,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def dump(action: Action) -> str:
    """The action as JSON, its kind included."""
    values = _values(action)
    if isinstance(action, WithdrawTask):
        values["task"] = _values(action.task)
    try:
        return orjson.dumps(values, default=dict).decode()
    except TypeError:  # a number of more than 64 bits, or half a character: both are JSON too
        return json.dumps(values, default=_plain)


def _values(action: Action) -> dict[str, Any]:
    return {"kind": action.kind, **vars(action)}


def _plain(value: Any) -> Any:  # noqa: ANN401  what an action is made of
    if isinstance(value, date):  # an instant is one, too
        return value.isoformat()
    return vars(value) if isinstance(value, RecordRef) else dict(value)


def load(text: str | bytes) -> Any:  # noqa: ANN401  JSON is anything
    """JSON data, as `dump` wrote it."""
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)


def from_payload(payload: dict[str, Any]) -> Action:
    """The action that was stored.

    Raises:
        StoreError: it is of a kind or shape that this version does not know.
    """
    values = dict(payload)
    try:
        cls, readers = _CLASSES[values.pop("kind")]
        for name, read in readers:
            if values.get(name) is not None:
                values[name] = read(values[name])
        return cls(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the ledger holds an action that this version of crmsync cannot read: {error}"
        ) from error


_READERS: dict[str, Callable[[Any], Any]] = {
    "due": date.fromisoformat,
    "at": datetime.fromisoformat,
    "record": lambda value: RecordRef(**value),
    "task": from_payload,
    "about": lambda values: tuple([RecordRef(**value) for value in values]),
}
_CLASSES: dict[str, tuple[type[Action], list[tuple[str, Callable[[Any], Any]]]]] = {
    kind: (cls, [(f.name, _READERS[f.name]) for f in fields(cls) if f.name in _READERS])
    for kind, cls in {
        ActionKind.TASK.value: CreateTask,
        ActionKind.EMAIL.value: SendEmail,
        ActionKind.NOTE.value: AddNote,
        ActionKind.UPDATE.value: UpdateFields,
        ActionKind.CUSTOM.value: CustomAction,
        ActionKind.WITHDRAWAL.value: WithdrawTask,
        ActionKind.LOG.value: LogEmail,
    }.items()
}
