"""Changes properties of records, where they still hold what the decision was based on."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any

from crmsync.config.yaml import nearest
from crmsync.errors import RejectedError
from crmsync.plugins.updates import update_unless_changed
from crmsync_hubspot import texts
from crmsync_hubspot.batches import Batch
from crmsync_hubspot.comparing import instant, same, sent
from crmsync_hubspot.cursor import milliseconds, written
from crmsync_hubspot.declining import declined, declines
from crmsync_hubspot.describing import HTML, is_writable, kind_of
from crmsync_hubspot.making import noon
from crmsync_hubspot.options import HubSpotStreamOptions
from crmsync_hubspot.records import batch_read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.model.actions import Scalar, UpdateFields
    from crmsync.plugins.contract import StreamRequest
    from crmsync.plugins.updates import Outcomes
    from crmsync_hubspot.client import HubSpotClient
    from crmsync_hubspot.describing import Descriptions

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Updates:
    """New values for properties of a portal's records."""

    def __init__(
        self,
        client: HubSpotClient,
        descriptions: Descriptions,
        streams: Mapping[str, StreamRequest],
    ) -> None:
        self._client, self._descriptions, self._streams = client, descriptions, streams

    def apply(self, updates: Mapping[int, UpdateFields]) -> Outcomes:
        """A receipt or an error for each; those of one record one after the other."""
        unsubscribed = {
            place: one
            for place, one in updates.items()
            if declines(one, self._streams.get(one.stream))
        }
        others = {place: one for place, one in updates.items() if place not in unsubscribed}
        return declined(self._client, unsubscribed) | update_unless_changed(
            others, self._records_of
        )

    def _records_of(self, stream: str) -> _Records:
        """The records of a stream.

        Raises:
            ConnectorError: the config has no such stream, or the portal does not describe it.
        """
        request = self._streams.get(stream)
        if request is None or not isinstance(request.options, HubSpotStreamOptions):
            raise RejectedError(f"the config has no stream “{stream}”")
        name = request.options.object
        return _Records(self._client, name, self._descriptions.properties(name))


class _Records:
    """The records of one kind of object."""

    def __init__(
        self, client: HubSpotClient, name: str, properties: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._client, self._name, self._properties = client, name, properties

    def identity(self, update: UpdateFields) -> str:
        return update.record.id

    def unfit(self, update: UpdateFields) -> RejectedError | None:
        for value in update.changes.values():
            if isinstance(value, str) and texts.cannot_be_kept(value):
                return RejectedError(
                    f"the value for {update.key!r} has a character that HubSpot cannot keep"
                )
        for name in {*update.changes, *update.expected}:
            if name not in self._properties:
                hint = nearest(name, self._properties)
                return RejectedError(f"there is no property “{name}”{hint}")
        for name in update.changes:
            if not is_writable(self._properties[name]):
                return RejectedError(f"HubSpot keeps {name} itself, so it cannot be changed")
        if not update.record.id.isdigit():
            return RejectedError(f"“{update.record.id}” is no id of a record")
        return None

    def current(self, updates: Sequence[UpdateFields]) -> dict[str, dict[str, str | None]]:
        fields = dict.fromkeys(f for u in updates for f in (*u.expected, *u.changes))
        ids = [update.record.id for update in updates]
        found = batch_read(self._client, self._name, {"properties": list(fields)}, ids)
        return {record_id: one["properties"] for record_id, one in found.items()}

    def same(self, field: str, there: object, value: Scalar) -> bool:
        """Whether a property holds that value; a day is meant as the portal's people say it."""
        kind = kind_of(self._properties[field])
        if kind == "datetime" and _is_day(value) and there:
            there = instant(str(there)).astimezone(self._client.portal_zone()).date().isoformat()
            kind = "date"
        return same(kind, there, value)

    def send(self, updates: Mapping[int, UpdateFields]) -> Outcomes:
        inputs = {place: self._input(update) for place, update in updates.items()}
        return Batch(self._client, self._name, "update").written(inputs)

    def _input(self, update: UpdateFields) -> dict[str, Any]:
        values = {name: self._sent(name, value) for name, value in update.changes.items()}
        return {"id": update.record.id, "properties": values}

    def _sent(self, name: str, value: Scalar) -> str:
        """A value as the portal takes it."""
        kind, text = kind_of(self._properties[name]), sent(value)
        if kind == HTML:
            return texts.as_html(text)
        if kind == "datetime" and _is_day(value):
            day = noon(date.fromisoformat(text), self._client.portal_zone())
            return written(milliseconds(day))
        return text


def _is_day(value: Scalar) -> bool:
    return isinstance(value, str) and _DAY.fullmatch(value) is not None
