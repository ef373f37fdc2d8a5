"""Takes tasks back: those that stand as they were made are deleted, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync.errors import ChangedError, ConnectorError, UncertainError
from crmsync.model.actions import Receipt
from crmsync_salesforce import soql
from crmsync_salesforce.comparing import holds
from crmsync_salesforce.errors import error_of
from crmsync_salesforce.marks import mark, mark_in, marked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.actions import WithdrawTask
    from crmsync_salesforce.client import SalesforceClient

_Answers = dict[int, Receipt | ConnectorError]

_AT_ONCE = 100  # ids in an address of limited length
_FIELDS = ("Id", "IsDeleted", "IsClosed", "Subject", "Description", "ActivityDate", "OwnerId",
           "CreatedDate", "LastModifiedDate")  # fmt: skip
_TYPES = {"ActivityDate": "date", "OwnerId": "reference"}


def withdraw(client: SalesforceClient, actions: Mapping[int, WithdrawTask]) -> _Answers:
    """A receipt or an error for each."""
    answers: _Answers = {}
    places = list(actions)
    for start in range(0, len(places), _AT_ONCE):
        some = {place: actions[place] for place in places[start : start + _AT_ONCE]}
        try:
            answers |= _withdrawn(client, some)
        except ConnectorError as error:
            answers |= dict.fromkeys(some, error)
    return answers


def _withdrawn(client: SalesforceClient, actions: Mapping[int, WithdrawTask]) -> _Answers:
    ids = list(dict.fromkeys(action.remote_id for action in actions.values()))
    query = soql.with_values("Task", _FIELDS, "Id", ids)
    answer = client.call("GET", "queryAll", params={"q": query}).json()
    there = {record["Id"]: record for record in answer["records"] if not record["IsDeleted"]}
    answers: _Answers = {}
    doomed: dict[str, int] = {}
    for place, action in actions.items():
        record = there.get(action.remote_id)
        if record is None or action.remote_id in doomed:
            answers[place] = _receipt(action, already=True)
        elif not _is_as_it_was_made(record, action):
            answers[place] = ChangedError(
                "somebody, or an automation of the org, has worked on the task, so it stays"
            )
        else:
            doomed[action.remote_id] = place
    deleted = _deleted(client, list(doomed)) if doomed else {}
    for record_id, place in doomed.items():
        error = deleted[record_id]
        answers[place] = _receipt(actions[place], already=False) if error is None else error
    return answers


def _is_as_it_was_made(record: Mapping[str, Any], action: WithdrawTask) -> bool:
    task = action.task
    bears_mark = mark_in(record["Description"]) == mark(task.key)
    made: dict[str, str | None] = {
        "Subject": task.subject,
        "Description": marked(task.body, task.key) if bears_mark else task.body,
        "ActivityDate": None if task.due is None else task.due.isoformat(),
    }
    made |= {} if task.assignee is None else {"OwnerId": task.assignee}
    untouched = record["LastModifiedDate"] == record["CreatedDate"]
    return untouched and not record["IsClosed"] and holds(record, made, _TYPES)


def _deleted(client: SalesforceClient, ids: Sequence[str]) -> dict[str, ConnectorError | None]:
    """What became of each: None where it is in the recycle bin."""
    params = {"ids": ",".join(ids), "allOrNone": "false"}
    response = client.call("DELETE", "composite/sobjects", params=params, writing=True)
    try:
        results = response.json()
        if len(results) != len(ids):
            raise ValueError
    except ValueError:
        raise UncertainError("Salesforce's answer cannot be read") from None
    outcomes: dict[str, ConnectorError | None] = {}
    for record_id, result in zip(ids, results, strict=True):
        error = (result.get("errors") or [{}])[0]
        code = str(error.get("statusCode", ""))
        gone = result.get("success") or code == "ENTITY_IS_DELETED"
        told = str(error.get("message", ""))
        outcomes[record_id] = None if gone else error_of(code, told, now=client.clock.now())
    return outcomes


def _receipt(action: WithdrawTask, *, already: bool) -> Receipt:
    return Receipt(key=action.key, remote_id=action.remote_id, already=already)
