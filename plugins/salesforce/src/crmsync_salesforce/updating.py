"""Changes fields of an org's records, where they still hold what the decision was based on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from crmsync.errors import RejectedError
from crmsync.plugins.updates import update_unless_changed
from crmsync_salesforce import soql, texts
from crmsync_salesforce.batches import Batches
from crmsync_salesforce.comparing import same
from crmsync_salesforce.options import SalesforceStreamOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.actions import Scalar, UpdateFields
    from crmsync.plugins.contract import StreamRequest
    from crmsync.plugins.updates import Outcomes
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

    def apply(self, updates: Mapping[int, UpdateFields]) -> Outcomes:
        """A receipt or an error for each; those of one record one after the other."""
        return update_unless_changed(updates, self._records_of)

    def _records_of(self, stream: str) -> _Records:
        """The records of a stream.

        Raises:
            ConnectorError: the config has no such stream, or the org does not describe it.
        """
        request = self._streams.get(stream)
        if request is None or not isinstance(request.options, SalesforceStreamOptions):
            raise RejectedError(f"the config has no stream “{stream}”")
        name = request.options.object
        return _Records(self._client, name, self._descriptions.fields(name))


class _Records:
    """The records of one object."""

    def __init__(
        self, client: SalesforceClient, name: str, fields: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._client, self._name = client, name
        self._types = {field: str(one["type"]) for field, one in fields.items()}

    def identity(self, update: UpdateFields) -> str:
        return update.record.id[:_SHORT_ID]

    def unfit(self, update: UpdateFields) -> RejectedError | None:
        for value in update.changes.values():
            if isinstance(value, str) and texts.cannot_be_kept(value):
                return texts.no_text(update.key)
        for field in {*update.changes, *update.expected}:
            if field not in self._types:
                return RejectedError(f"{self._name} has no field “{field}”, or hides it")
        if not _ID.fullmatch(update.record.id):
            return RejectedError(f"“{update.record.id}” is no id of a record")
        return None

    def current(self, updates: Sequence[UpdateFields]) -> dict[str, dict[str, Any]]:
        fields = dict.fromkeys(f for u in updates for f in (*u.expected, *u.changes))
        ids = [update.record.id for update in updates]
        found: dict[str, dict[str, Any]] = {}
        for start in range(0, len(ids), _MOST_IDS):
            selected = tuple(dict.fromkeys(("Id", *fields)))
            query = soql.with_values(self._name, selected, "Id", ids[start : start + _MOST_IDS])
            records = self._client.records("queryAll", query)
            found |= {record["Id"][:_SHORT_ID]: record for record in records}
        return found

    def same(self, field: str, there: object, value: Scalar) -> bool:
        return same(self._types[field], there, value)

    def send(self, updates: Mapping[int, UpdateFields]) -> Outcomes:
        return Batches(self._client).sent("PATCH", {p: self._sent(u) for p, u in updates.items()})

    def _sent(self, update: UpdateFields) -> dict[str, Any]:
        return {"attributes": {"type": self._name}, "id": update.record.id} | dict(update.changes)
