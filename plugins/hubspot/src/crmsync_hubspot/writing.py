"""Applies actions: what is made with its key, new values of properties, tasks taken back.

A record that is there under its key is left as it is, whatever a person has made of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crmsync.errors import ConnectorError, RejectedError
from crmsync.model.actions import CustomAction, Receipt, SendEmail, UpdateFields, WithdrawTask
from crmsync_hubspot import texts
from crmsync_hubspot.batches import Batch
from crmsync_hubspot.errors import RefusedError
from crmsync_hubspot.keys import Keys
from crmsync_hubspot.making import OBJECT, Inputs, Made
from crmsync_hubspot.updating import Updates
from crmsync_hubspot.withdrawing import withdraw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.actions import Action
    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.batches import Outcome, Outcomes
    from crmsync_hubspot.client import HubSpotClient
    from crmsync_hubspot.describing import Descriptions


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
        self._inputs = Inputs(client, streams)
        self._updates = Updates(client, descriptions, streams)

    def apply(self, actions: Sequence[Action]) -> list[Outcome]:
        """A receipt or an error for each action, in order."""
        outcomes: Outcomes = {}
        made: dict[str, dict[int, Made]] = {}
        updates: dict[int, UpdateFields] = {}
        withdrawals: dict[int, WithdrawTask] = {}
        for place, action in enumerate(actions):
            if isinstance(action, UpdateFields):
                updates[place] = action
            elif isinstance(action, WithdrawTask):
                withdrawals[place] = action
            elif isinstance(action, CustomAction):
                outcomes[place] = RejectedError("this connector adds no kinds of action")
            elif isinstance(action, SendEmail):
                outcomes[place] = RejectedError(
                    "this connector sends no mail; name another connection for it"
                )
            else:
                made.setdefault(OBJECT[type(action)], {})[place] = action
        for object_name, chosen in made.items():
            try:
                outcomes |= self._create(object_name, chosen)
            except ConnectorError as error:
                outcomes |= dict.fromkeys(chosen, error)
        if withdrawals:
            outcomes |= withdraw(self._client, withdrawals, self._inputs.due)
        outcomes |= self._updates.apply(updates)
        return [outcomes[place] for place in range(len(actions))]

    def find(self, keys: Sequence[str]) -> dict[str, Receipt]:
        """What was made under these keys.

        Raises:
            ConnectorError: that cannot be told now.
        """
        return self._keys.everywhere([key for key in keys if not texts.cannot_be_kept(key)])

    def _create(self, object_name: str, actions: Mapping[int, Made]) -> Outcomes:
        outcomes: Outcomes = {}
        first: dict[str, int] = {}  # the same key again is the same record
        inputs: dict[int, dict[str, Any]] = {}
        for place, action in actions.items():
            try:
                told = self._inputs.of(action)
            except RejectedError as error:
                outcomes[place] = error
                continue
            if first.setdefault(action.key, place) == place:
                inputs[place] = told
        keys = {place: actions[place].key for place in inputs}
        outcomes |= self._made(object_name, keys, inputs)
        for place, action in actions.items():
            if place not in outcomes:
                outcome = outcomes[first[action.key]]
                again = isinstance(outcome, Receipt)
                outcomes[place] = replace(outcome, already=True) if again else outcome  # type: ignore[type-var]  # it is a receipt
        return outcomes

    def _made(
        self, object_name: str, keys: Mapping[int, str], inputs: dict[int, dict[str, Any]]
    ) -> Outcomes:
        """What became of records that are to be made, where they are not there yet."""
        outcomes: Outcomes = {}
        unique = self._keys.are_unique(object_name)
        if not unique:
            known = self._keys.known(object_name, list(keys.values()))
            outcomes = {place: known[key] for place, key in keys.items() if key in known}
        new = {place: one for place, one in inputs.items() if place not in outcomes}
        refused: dict[int, str] = {}
        batch = Batch(self._client, object_name, "create", named_by=self._keys.property)
        for place, answer in batch.written(new).items():
            outcomes[place] = answer
            if isinstance(answer, Receipt):
                receipt = replace(answer, key=keys[place])
                self._keys.note(object_name, receipt)
                outcomes[place] = receipt
            elif isinstance(answer, RefusedError):
                refused[place] = keys[place]
        return outcomes | (self._there(object_name, refused) if unique and refused else {})

    def _there(self, object_name: str, refused: Mapping[int, str]) -> Outcomes:
        """Receipts for those that the portal refuses because it has them already."""
        try:
            found = self._keys.found(object_name, list(refused.values()))
        except ConnectorError as error:
            return dict.fromkeys(refused, error)
        return {place: found[key] for place, key in refused.items() if key in found}
