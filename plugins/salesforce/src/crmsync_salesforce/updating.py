"""Changes fields of records, where they still hold what the decision was based on.

Between the look and the change lies the time of one call, in which a person's change would be
overwritten: Salesforce has no conditional update.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crmsync.errors import ConnectorError, RejectedError, UncertainError
from crmsync.model.actions import Receipt
from crmsync_salesforce import soql, texts
from crmsync_salesforce.batches import Batches
from crmsync_salesforce.comparing import compared, holds
from crmsync_salesforce.options import SalesforceStreamOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.actions import UpdateFields
    from crmsync.plugins.contract import StreamRequest
    from crmsync_salesforce.batches import Answers
    from crmsync_salesforce.client import SalesforceClient
    from crmsync_salesforce.describing import Descriptions

_MOST_IDS = 80  # each in an address of limited length
_ID = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")
_SHORT_ID = 15  # what comes behind only says which of the letters are large


class Updates:
    """New values for fields of an org's records."""

    def __init__(
        self,
        client: SalesforceClient,
        descriptions: Descriptions,
        streams: Mapping[str, StreamRequest],
    ) -> None:
        self._client, self._descriptions, self._streams = client, descriptions, streams

    def apply(self, updates: Mapping[int, UpdateFields]) -> Answers:
        """A receipt or an error for each; those of one record one after the other."""
        answers: Answers = {}
        for stream in dict.fromkeys(update.stream for update in updates.values()):
            left = {place: one for place, one in updates.items() if one.stream == stream}
            while left:
                ids = {_short(one): place for place, one in reversed(left.items())}
                chosen = {place: left.pop(place) for place in sorted(ids.values())}
                try:
                    answers |= self._changed(stream, chosen)
                except ConnectorError as error:
                    answers |= dict.fromkeys(chosen, error)
        return answers

    def _changed(self, stream: str, updates: Mapping[int, UpdateFields]) -> Answers:
        """Answers to updates of as many records.

        Raises:
            ConnectorError: the org does not say what there is; nothing was changed.
        """
        request = self._streams.get(stream)
        if request is None or not isinstance(request.options, SalesforceStreamOptions):
            return dict.fromkeys(updates, RejectedError(f"the config has no stream “{stream}”"))
        name = request.options.object
        fields = self._descriptions.fields(name)
        types = {field: str(one["type"]) for field, one in fields.items()}
        answers: Answers = {}
        due: dict[int, UpdateFields] = {}
        for place, update in updates.items():
            problem = _unfit(name, update, fields)
            if problem is None:
                due[place] = update
            else:
                answers[place] = problem
        current = self._current(name, list(due.values()))
        for place, update in list(due.items()):
            settled = compared(update, current.get(_short(update)), types)
            if settled is not None:
                answers[place] = settled
                del due[place]
        sent = Batches(self._client).sent("PATCH", {p: _record(name, u) for p, u in due.items()})
        doubtful = {p: due[p] for p, answer in sent.items() if isinstance(answer, UncertainError)}
        sent |= self._looked_up(name, doubtful, types)
        for place, answer in sent.items():
            named = isinstance(answer, Receipt)
            answers[place] = replace(answer, key=updates[place].key) if named else answer  # type: ignore[type-var]  # it is a receipt
        return answers

    def _current(self, name: str, updates: Sequence[UpdateFields]) -> dict[str, dict[str, Any]]:
        """What the records hold now of the fields that are compared or changed, by short id."""
        fields = dict.fromkeys(f for u in updates for f in (*u.expected, *u.changes))
        ids = [update.record.id for update in updates]
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), _MOST_IDS):
            selected = tuple(dict.fromkeys(("Id", *fields)))
            query = soql.with_values(name, selected, "Id", ids[start : start + _MOST_IDS])
            records = self._client.records("queryAll", query)
            found |= {record["Id"][:_SHORT_ID]: record for record in records}
        return found

    def _looked_up(
        self, name: str, updates: Mapping[int, UpdateFields], types: Mapping[str, str]
    ) -> Answers:
        """What became of updates whose answer was lost: the records tell."""
        if not updates:
            return {}
        try:
            current = self._current(name, list(updates.values()))
        except ConnectorError:
            return {}
        return {
            place: Receipt(key=update.key, remote_id=update.record.id)
            for place, update in updates.items()
            if (there := current.get(_short(update))) is not None
            and holds(there, update.changes, types)
        }


def _record(name: str, update: UpdateFields) -> dict[str, Any]:
    return {"attributes": {"type": name}, "id": update.record.id} | dict(update.changes)


def _short(update: UpdateFields) -> str:
    return update.record.id[:_SHORT_ID]


def _unfit(name: str, update: UpdateFields, fields: Mapping[str, object]) -> RejectedError | None:
    """Why an update cannot be asked for at all."""
    for value in update.changes.values():
        if isinstance(value, str) and texts.cannot_be_kept(value):
            return texts.no_text(update.key)
    for field in {*update.changes, *update.expected}:
        if field not in fields:
            return RejectedError(f"{name} has no field “{field}”, or hides it")
    if not _ID.fullmatch(update.record.id):
        return RejectedError(f"“{update.record.id}” is no id of a record")
    return None
