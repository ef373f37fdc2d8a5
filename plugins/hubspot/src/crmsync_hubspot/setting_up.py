"""Makes the properties that keep the keys of actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync_hubspot.errors import RefusedError
from crmsync_hubspot.keys import MADE

if TYPE_CHECKING:
    from crmsync_hubspot.client import HubSpotClient
    from crmsync_hubspot.describing import Descriptions

_GROUP = "crmsync"
_CONFLICT = 409


def set_up(client: HubSpotClient, descriptions: Descriptions, *, dry_run: bool) -> list[str]:
    """Make what is missing; a sentence for each.

    Raises:
        ConnectorError: the token may not make it.
    """
    descriptions.forget()
    name = client.options.key_property
    made: list[str] = []
    for object_name in MADE:
        if name in descriptions.properties(object_name):
            continue
        unique = True if dry_run else _made(client, object_name)
        kind = "unique" if unique else "not unique, which this portal refuses"
        made.append(f"the property {name} of {object_name}: single-line text, {kind}")
    descriptions.forget()
    return made


def _made(client: HubSpotClient, object_name: str) -> bool:
    """Make the property; whether it is unique."""
    path = f"/crm/v3/properties/{object_name}"
    group = {"name": _GROUP, "label": _GROUP, "displayOrder": -1}
    try:
        client.call("POST", f"{path}/groups", body=group, writing=True, accepted=(201,))
    except RefusedError as error:
        if error.status != _CONFLICT:
            raise
    one: dict[str, Any] = {
        "name": client.options.key_property,
        "label": "crmsync key",
        "description": "Written by crmsync, so that nothing is made twice.",
        "groupName": _GROUP,
        "type": "string",
        "fieldType": "text",
        "hasUniqueValue": True,
    }
    try:
        client.call("POST", path, body=one, writing=True, accepted=(201,))
    except RefusedError as error:
        if error.status == 403:  # noqa: PLR2004  HTTP: forbidden
            raise
    else:
        return True
    # HubSpot does not promise unique values for all objects.
    client.call("POST", path, body=one | {"hasUniqueValue": False}, writing=True, accepted=(201,))
    return False
