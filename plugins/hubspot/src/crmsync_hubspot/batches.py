"""Writes records in batches of a hundred, and reads the answers item by item.

Each input bears a mark of its own (``objectWriteTraceId``), so that one that is refused leaves the
others alone, and the answer (207) says of each what became of it. The answer's order says nothing.
Where a portal refuses a batch as a whole all the same, halves of it show which record was meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync.errors import ConnectorError, UncertainError
from crmsync.model.actions import Receipt
from crmsync_hubspot import objects
from crmsync_hubspot.errors import RefusedError, error_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync_hubspot.client import HubSpotClient

Outcome = Receipt | ConnectorError
Outcomes = dict[int, Outcome]
_TRACE = "objectWriteTraceId"
_MULTI_STATUS = 207
_SUCCESS = {"create": 201, "update": 200}


class Batch:
    """Inputs of one kind, to be created or updated.

    Args:
        verb: ``create`` or ``update``.
        named_by: the property that tells one input from another where they have no ids.
    """

    def __init__(
        self, client: HubSpotClient, object_name: str, verb: str, *, named_by: str = ""
    ) -> None:
        self._client, self._verb, self._named_by = client, verb, named_by
        self._path = f"/crm/v3/objects/{object_name}/batch/{verb}"

    def written(self, inputs: Mapping[int, dict[str, Any]]) -> Outcomes:
        """What became of each input: a receipt that names the record, or an error."""
        outcomes: Outcomes = {}
        places = list(inputs)
        for start in range(0, len(places), objects.BATCH):
            outcomes |= self._halved(inputs, places[start : start + objects.BATCH])
        return outcomes

    def _halved(self, inputs: Mapping[int, dict[str, Any]], places: Sequence[int]) -> Outcomes:
        try:
            return self._sent({place: inputs[place] for place in places})
        except RefusedError as error:
            if len(places) == 1 or not error.may_be_one_records:
                return dict.fromkeys(places, error)
        except ConnectorError as error:
            return dict.fromkeys(places, error)
        middle = len(places) // 2
        return self._halved(inputs, places[:middle]) | self._halved(inputs, places[middle:])

    def _sent(self, inputs: Mapping[int, dict[str, Any]]) -> Outcomes:
        marked = [one | {_TRACE: str(place)} for place, one in inputs.items()]
        answer = self._client.call(
            "POST",
            self._path,
            body={"inputs": marked},
            writing=True,
            accepted=(_SUCCESS[self._verb], _MULTI_STATUS),
        )
        body = answer.body if isinstance(answer.body, dict) else {}
        outcomes: Outcomes = {}
        for result in body.get("results") or ():
            place = self._place_of(result, inputs)
            if place is not None:
                outcomes[place] = Receipt(key="", remote_id=str(result["id"]))
        for error in body.get("errors") or ():
            outcomes |= dict.fromkeys(_places_in(error, inputs), error_of(error))
        unnamed = UncertainError("HubSpot's answer does not say what became of it")
        return dict.fromkeys(inputs, unnamed) | outcomes

    def _place_of(
        self, result: Mapping[str, Any], inputs: Mapping[int, dict[str, Any]]
    ) -> int | None:
        """The input that a result is of: by its mark, else by its id or what names it."""
        mark = str(result.get(_TRACE) or "")
        if mark.isdigit() and int(mark) in inputs:
            return int(mark)
        name = (result.get("properties") or {}).get(self._named_by)
        for place, one in inputs.items():
            if one.get("id") == str(result["id"]):
                return place
            if name is not None and one["properties"].get(self._named_by) == name:
                return place
        return None


def _places_in(error: Mapping[str, Any], inputs: Mapping[int, dict[str, Any]]) -> list[int]:
    """The inputs that an error is about."""
    context = error.get("context") or {}
    marks = [str(mark) for mark in context.get(_TRACE) or ()]
    ids = {str(one) for name in ("ids", "id") for one in context.get(name) or ()}
    if error.get("id") is not None:
        marks.append(str(error["id"]))
    chosen = [int(mark) for mark in marks if mark.isdigit() and int(mark) in inputs]
    return chosen or [place for place, one in inputs.items() if one.get("id") in ids]
