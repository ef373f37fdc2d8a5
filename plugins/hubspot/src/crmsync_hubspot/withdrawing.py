"""Takes tasks back: those that stand as they were made are archived, and no others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from crmsync.errors import ChangedError, ConnectorError
from crmsync.model.actions import Receipt
from crmsync_hubspot import objects
from crmsync_hubspot.comparing import holds, instant
from crmsync_hubspot.cursor import milliseconds, written
from crmsync_hubspot.records import batch_read
from crmsync_hubspot.texts import as_html, reads_alike

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from crmsync.model.actions import CreateTask, WithdrawTask
    from crmsync_hubspot.batches import Outcomes
    from crmsync_hubspot.client import HubSpotClient

_AN_HOUR = timedelta(hours=1)  # our clock is not the portal's
_NO_PRIORITY = "NONE"
_PROPERTIES = (
    "hs_createdate",
    "hs_task_priority",
    "hs_task_reminders",
    "hs_task_type",
    "hs_task_subject",
    "hs_task_body",
    "hs_task_status",
    "hs_timestamp",
    "hubspot_owner_id",
)
_KINDS = {"hs_timestamp": "datetime"}


def withdraw(
    client: HubSpotClient,
    actions: Mapping[int, WithdrawTask],
    due: Callable[[CreateTask], datetime | None],
) -> Outcomes:
    """A receipt or an error for each."""
    outcomes: Outcomes = {}
    places = list(actions)
    for start in range(0, len(places), objects.BATCH):
        some = {place: actions[place] for place in places[start : start + objects.BATCH]}
        try:
            outcomes |= _withdrawn(client, some, due)
        except ConnectorError as error:
            outcomes |= dict.fromkeys(some, error)
    return outcomes


def _withdrawn(
    client: HubSpotClient,
    actions: Mapping[int, WithdrawTask],
    due: Callable[[CreateTask], datetime | None],
) -> Outcomes:
    ids = list(dict.fromkeys(action.remote_id for action in actions.values()))
    there = batch_read(client, "tasks", {"properties": list(_PROPERTIES)}, ids)
    outcomes: Outcomes = {}
    doomed: dict[str, int] = {}
    for place, action in actions.items():
        record = there.get(action.remote_id)
        if record is None or action.remote_id in doomed:
            outcomes[place] = _receipt(action, already=True)
        elif not _is_as_it_was_made(record["properties"], action.task, due(action.task)):
            outcomes[place] = ChangedError("somebody has worked on the task, so it stays")
        else:
            doomed[action.remote_id] = place
    if doomed:
        client.call(
            "POST",
            "/crm/v3/objects/tasks/batch/archive",
            body={"inputs": [{"id": one} for one in doomed]},
            writing=True,
            accepted=(204,),
        )
    return outcomes | {place: _receipt(actions[place], already=False) for place in doomed.values()}


def _is_as_it_was_made(there: Mapping[str, Any], task: CreateTask, due: datetime | None) -> bool:
    made: dict[str, str] = {"hs_task_subject": task.subject, "hs_task_status": "NOT_STARTED"}
    made |= {"hubspot_owner_id": task.assignee or "", "hs_task_type": "TODO"}
    made |= {"hs_task_reminders": ""}
    if (there.get("hs_task_priority") or _NO_PRIORITY) != _NO_PRIORITY:
        return False
    if due is not None:
        made["hs_timestamp"] = written(milliseconds(due))
    elif not _is_due_when_made(there):
        return False
    body = str(there.get("hs_task_body") or "")
    return holds(there, made, _KINDS) and reads_alike(body, as_html(task.body))


def _is_due_when_made(there: Mapping[str, Any]) -> bool:
    due, made = str(there.get("hs_timestamp") or ""), str(there.get("hs_createdate") or "")
    return not due or not made or abs(instant(due) - instant(made)) < _AN_HOUR


def _receipt(action: WithdrawTask, *, already: bool) -> Receipt:
    return Receipt(key=action.key, remote_id=action.remote_id, already=already)
