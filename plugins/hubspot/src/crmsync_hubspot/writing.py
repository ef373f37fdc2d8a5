"""Applies actions: tasks and notes with their keys, new values of properties, tasks taken back.

A task that is there under its key is left as it is, whatever a person has made of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from crmsync.errors import ConnectorError, RejectedError
from crmsync.model.actions import AddNote, CreateTask, Receipt, UpdateFields, WithdrawTask
from crmsync_hubspot import batches, texts
from crmsync_hubspot.cursor import milliseconds, written
from crmsync_hubspot.errors import RefusedError
from crmsync_hubspot.keys import Keys
from crmsync_hubspot.targets import Targets
from crmsync_hubspot.updating import Updates
from crmsync_hubspot.withdrawing import withdraw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.actions import Action
    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.batches import Outcomes
    from crmsync_hubspot.client import HubSpotClient
    from crmsync_hubspot.describing import Descriptions

_Made = CreateTask | AddNote
_OBJECT = {CreateTask: "tasks", AddNote: "notes"}
_NOON = time(12)


class PortalWriter:
    """Writes a batch: a call for all tasks, one for all notes, two for an object's updates."""

    def __init__(
        self,
        client: HubSpotClient,
        descriptions: Descriptions,
        streams: Mapping[str, StreamRequest],
    ) -> None:
        self._client = client
        self._keys = Keys(client, descriptions)
        self._targets = Targets(client, streams)
        self._updates = Updates(client, descriptions, streams)
        self._zone: ZoneInfo | None = None

    def apply(self, actions: Sequence[Action]) -> list[batches.Outcome]:
        """A receipt or an error for each action, in order."""
        outcomes: Outcomes = {}
        made: dict[str, dict[int, _Made]] = {}
        updates: dict[int, UpdateFields] = {}
        withdrawals: dict[int, WithdrawTask] = {}
        for place, action in enumerate(actions):
            if isinstance(action, CreateTask | AddNote):
                made.setdefault(_OBJECT[type(action)], {})[place] = action
            elif isinstance(action, UpdateFields):
                updates[place] = action
            elif isinstance(action, WithdrawTask):
                withdrawals[place] = action
            else:
                outcomes[place] = RejectedError(
                    "this connector sends no mail; name another connection for it"
                )
        for object_name, chosen in made.items():
            try:
                outcomes |= self._create(object_name, chosen)
            except ConnectorError as error:
                outcomes |= dict.fromkeys(chosen, error)
        outcomes |= withdraw(self._client, withdrawals, self.due) if withdrawals else {}
        outcomes |= self._updates.apply(updates)
        return [outcomes[place] for place in range(len(actions))]

    def find(self, keys: Sequence[str]) -> dict[str, Receipt]:
        """What was made under these keys.

        Raises:
            ConnectorError: that cannot be told now.
        """
        return self._keys.everywhere([key for key in keys if not texts.cannot_be_kept(key)])

    def due(self, action: CreateTask) -> datetime | None:
        """When a task is due: at noon of its day in the portal's zone, where that is its day."""
        if action.due is None:
            return None
        return datetime.combine(action.due, _NOON, self._portal_zone()).astimezone(UTC)

    def _portal_zone(self) -> ZoneInfo:
        if self._zone is None:
            told = self._client.call("GET", "/account-info/v3/details").body
            try:
                self._zone = ZoneInfo(str(told["timeZone"]))
            except (KeyError, ValueError):
                self._zone = ZoneInfo("UTC")
        return self._zone

    def _create(self, object_name: str, actions: Mapping[int, _Made]) -> Outcomes:
        outcomes: Outcomes = {}
        first: dict[str, int] = {}  # the same key again is the same record
        inputs: dict[int, dict[str, Any]] = {}
        for place, action in actions.items():
            try:
                told = self._input(action)
            except RejectedError as error:
                outcomes[place] = error
                continue
            if first.setdefault(action.key, place) == place:
                inputs[place] = told
        outcomes |= self._made(object_name, actions, inputs)
        for place, action in actions.items():
            if place not in outcomes:
                outcome = outcomes[first[action.key]]
                again = isinstance(outcome, Receipt)
                outcomes[place] = replace(outcome, already=True) if again else outcome  # type: ignore[type-var]  # it is a receipt
        return outcomes

    def _made(
        self, object_name: str, actions: Mapping[int, _Made], inputs: dict[int, dict[str, Any]]
    ) -> Outcomes:
        """What became of records that are to be made, where they are not there yet."""
        outcomes: Outcomes = {}
        unique = self._keys.are_unique(object_name)
        if not unique:
            known = self._keys.known(object_name, [actions[place].key for place in inputs])
            for place in [place for place in inputs if actions[place].key in known]:
                outcomes[place] = known[actions[place].key]
                del inputs[place]
        answers = batches.written(self._client, object_name, "create", inputs)
        for place, answer in answers.items():
            if isinstance(answer, Receipt):
                receipt = replace(answer, key=actions[place].key)
                self._keys.note(object_name, receipt)
                outcomes[place] = receipt
            else:
                outcomes[place] = answer
        return outcomes | (self._there(object_name, actions, answers) if unique else {})

    def _there(self, object_name: str, actions: Mapping[int, _Made], answers: Outcomes) -> Outcomes:
        """Receipts for those that the portal refuses because it has them already."""
        refused = {
            place: actions[place].key
            for place, answer in answers.items()
            if isinstance(answer, RefusedError)
        }
        try:
            found = self._keys.found(object_name, list(refused.values())) if refused else {}
        except ConnectorError as error:
            return dict.fromkeys(refused, error)
        return {place: found[key] for place, key in refused.items() if key in found}

    def _input(self, action: _Made) -> dict[str, Any]:
        """What is sent to make a record.

        Raises:
            RejectedError: no portal can hold it.
        """
        now = written(milliseconds(self._client.clock.now()))
        if isinstance(action, CreateTask):
            due = self.due(action)
            properties = {
                "hs_task_subject": action.subject,
                "hs_task_body": texts.as_html(action.body),
                "hs_task_status": "NOT_STARTED",
                "hs_task_type": "TODO",
                # HubSpot has no tasks without a time; one without a day is due when it is made.
                "hs_timestamp": now if due is None else written(milliseconds(due)),
            }
            properties |= {} if action.assignee is None else {"hubspot_owner_id": action.assignee}
        else:
            properties = {"hs_note_body": texts.as_html(action.text), "hs_timestamp": now}
        properties[self._keys.property] = action.key
        for name, value in properties.items():
            if texts.cannot_be_kept(value):
                raise RejectedError(
                    f"the action {action.key!r} has a character that HubSpot cannot keep"
                )
            if len(value) > texts.LONGEST_BODY:
                raise RejectedError(
                    f"{name} has {len(value):,} characters, and HubSpot takes "
                    f"{texts.LONGEST_BODY:,}"
                )
        source = _OBJECT[type(action)]
        return {
            "properties": properties,
            "associations": [self._targets.association(source, one) for one in action.about],
        }
