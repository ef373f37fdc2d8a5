"""Asks for records: by the portal's search, and by their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from crmsync.errors import TransientError
from crmsync_hubspot import objects
from crmsync_hubspot.errors import RefusedError, error_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync_hubspot.client import HubSpotClient

# HubSpot refuses searches whose body has more than 3,000 characters; so many of them are left to
# what makes a search long, names of properties or values of a filter.
# Source: the page “Search the CRM”, under limits.
ROOM = 2400
# As HubSpot's own libraries write it: the description of the API has sorts as texts.
_BY_ID = orjson.dumps({"propertyName": objects.OBJECT_ID, "direction": "ASCENDING"}).decode()


def search(
    client: HubSpotClient,
    object_name: str,
    filters: Sequence[Mapping[str, Any]],
    *,
    properties: Sequence[str],
    limit: int,
    after: str = "0",
) -> dict[str, Any]:
    """A page of a search, in the order of ids: ``results``, and ``paging`` where it goes on.

    Raises:
        ConnectorError: the portal cannot be asked.
    """
    body = {
        "filterGroups": [{"filters": list(filters)}],
        "sorts": [_BY_ID],
        "properties": list(properties),
        "limit": limit,
        "after": after,
    }
    path = f"/crm/v3/objects/{object_name}/search"
    answer: dict[str, Any] = client.call("POST", path, body=body, search=True).body
    return answer


def batch_read(
    client: HubSpotClient, object_name: str, asked: Mapping[str, Any], ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Records by id, as many in a call as HubSpot takes; those that are not there are left out.

    Args:
        asked: ``properties``, ``propertiesWithHistory``, ``idProperty``.

    Raises:
        ConnectorError: the portal cannot be asked.
    """
    found: dict[str, dict[str, Any]] = {}
    size = objects.HISTORY if "propertiesWithHistory" in asked else objects.BATCH
    path = f"/crm/v3/objects/{object_name}/batch/read"
    for start in range(0, len(ids), size):
        inputs = [{"id": one} for one in ids[start : start + size]]
        body = {"properties": [], "propertiesWithHistory": [], **asked, "inputs": inputs}
        # 207: some of them are not there.
        answer = client.call("POST", path, body=body, accepted=(200, 207))
        only_absent(answer.body)
        # The order of the answer is not that of the question.
        found |= {str(one["id"]): one for one in answer.body.get("results") or ()}
    return found


def only_absent(answer: Mapping[str, Any]) -> None:
    """See that all errors of a partly successful answer (207) say that something is not there.

    Raises:
        ConnectorError: of some it says something else, so nobody knows whether they are there.
    """
    for one in answer.get("errors") or ():
        about = str(one.get("subCategory") or "")
        if one.get("category") == "OBJECT_NOT_FOUND" or about.endswith("NO_ASSOCIATIONS_FOUND"):
            continue
        error = error_of(one)
        raise error if isinstance(error, RefusedError) else TransientError(str(error))


def following(answer: Mapping[str, Any]) -> str | None:
    """The token of the next page; None on the last."""
    after = ((answer.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)
