"""Changes properties of records, where they still hold what the decision was based on.

Between the look and the change lies the time of one call, in which a person's change would be
overwritten: HubSpot has no conditional update.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from crmsync.config.yaml import nearest
from crmsync.errors import ConnectorError, RejectedError, UncertainError
from crmsync.model.actions import Receipt
from crmsync_hubspot import texts
from crmsync_hubspot.batches import Batch
from crmsync_hubspot.comparing import compared, holds, instant, sent
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
    from crmsync_hubspot.batches import Outcomes
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
        """A receipt or an error for each."""
        unsubscribed = {
            place: one
            for place, one in updates.items()
            if declines(one, self._streams.get(one.stream))
        }
        outcomes = declined(self._client, unsubscribed)
        others = {place: one for place, one in updates.items() if place not in unsubscribed}
        for stream in dict.fromkeys(update.stream for update in others.values()):
            left = {place: one for place, one in others.items() if one.stream == stream}
            while left:
                # A call takes each record once.
                ids = {one.record.id: place for place, one in reversed(left.items())}
                chosen = {place: left.pop(place) for place in sorted(ids.values())}
                try:
                    outcomes |= self._changed(stream, chosen)
                except ConnectorError as error:
                    outcomes |= dict.fromkeys(chosen, error)
        return outcomes

    def _changed(self, stream: str, updates: Mapping[int, UpdateFields]) -> Outcomes:
        request = self._streams.get(stream)
        if request is None or not isinstance(request.options, HubSpotStreamOptions):
            return dict.fromkeys(updates, RejectedError(f"the config has no stream “{stream}”"))
        name = request.options.object
        there = self._descriptions.properties(name)
        kinds = {field: kind_of(one) for field, one in there.items()}
        outcomes: Outcomes = {}
        fitting: dict[int, UpdateFields] = {}
        for place, update in updates.items():
            problem = _unfit(update, there)
            if problem is None:
                fitting[place] = update
            else:
                outcomes[place] = problem
        current = self._current(name, list(fitting.values()))
        inputs: dict[int, dict[str, Any]] = {}
        for place, update in fitting.items():
            there_now = current.get(update.record.id)
            if there_now is None:
                settled = compared(update, None, kinds)
            else:
                settled = compared(update, *self._local(update, there_now, kinds))
            if settled is None:
                values = {
                    field: self._sent(kinds[field], value)
                    for field, value in update.changes.items()
                }
                inputs[place] = {"id": update.record.id, "properties": values}
            else:
                outcomes[place] = settled
        answers = Batch(self._client, name, "update").written(inputs)
        doubtful = {
            place: updates[place]
            for place, answer in answers.items()
            if isinstance(answer, UncertainError)
        }
        answers |= self._looked_up(name, doubtful, kinds)
        for place, answer in answers.items():
            named = isinstance(answer, Receipt)
            key, record = updates[place].key, updates[place].record.id
            outcomes[place] = replace(answer, key=key, remote_id=record) if named else answer  # type: ignore[type-var]  # it is a receipt
        return outcomes

    def _local(
        self, update: UpdateFields, current: Mapping[str, str | None], kinds: Mapping[str, str]
    ) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
        """Values and types, with instants as the days that they are to the portal's people.

        That is how they are compared where the update says days.
        """
        values = [*update.expected.items(), *update.changes.items()]
        days = {name for name, value in values if kinds[name] == "datetime" and _is_day(value)}
        if not days:
            return current, kinds
        zone = self._client.portal_zone()
        told = {name: instant(there) for name in days if (there := current.get(name))}
        local = {name: at.astimezone(zone).date().isoformat() for name, at in told.items()}
        return {**current, **local}, {**kinds, **dict.fromkeys(days, "date")}

    def _sent(self, kind: str, value: Scalar) -> str:
        """A value as the portal takes it."""
        text = sent(value)
        if kind == HTML:
            return texts.as_html(text)
        if kind == "datetime" and _is_day(value):
            day = noon(date.fromisoformat(text), self._client.portal_zone())
            return written(milliseconds(day))
        return text

    def _current(
        self, name: str, updates: Sequence[UpdateFields]
    ) -> dict[str, dict[str, str | None]]:
        """What the records hold now of the properties that are compared or changed."""
        fields = dict.fromkeys(f for u in updates for f in (*u.expected, *u.changes))
        ids = [update.record.id for update in updates]
        found = batch_read(self._client, name, {"properties": list(fields)}, ids)
        return {record_id: one["properties"] for record_id, one in found.items()}

    def _looked_up(
        self, name: str, updates: Mapping[int, UpdateFields], kinds: Mapping[str, str]
    ) -> Outcomes:
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
            if (there_now := current.get(update.record.id)) is not None
            and _holds(update, *self._local(update, there_now, kinds))
        }


def _holds(
    update: UpdateFields, current: Mapping[str, str | None], kinds: Mapping[str, str]
) -> bool:
    return holds(current, update.changes, kinds)


def _is_day(value: Scalar) -> bool:
    return isinstance(value, str) and _DAY.fullmatch(value) is not None


def _unfit(update: UpdateFields, there: Mapping[str, Mapping[str, Any]]) -> ConnectorError | None:
    """Why an update cannot be asked for at all."""
    for value in update.changes.values():
        if isinstance(value, str) and texts.cannot_be_kept(value):
            return RejectedError(
                f"the value for {update.key!r} has a character that HubSpot cannot keep"
            )
    for name in {*update.changes, *update.expected}:
        if name not in there:
            return RejectedError(f"there is no property “{name}”{nearest(name, there)}")
    for name in update.changes:
        if not is_writable(dict(there[name])):
            return RejectedError(f"HubSpot keeps {name} itself, so it cannot be changed")
    if not update.record.id.isdigit():
        return RejectedError(f"“{update.record.id}” is no id of a record")
    return None
