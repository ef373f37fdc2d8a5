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
_PLAIN = ", which may have the same value twice, as HubSpot allows no other there"


def set_up(client: HubSpotClient, descriptions: Descriptions, *, dry_run: bool) -> list[str]:
    """Make what is missing; a sentence for each.

    Raises:
        ConnectorError: the token may not make it.
    """
    descriptions.forget()
    options = client.options
    wanted = [(name, options.key_property, "crmsync key") for name in MADE]
    wanted.append(("emails", options.message_id_property, "Message-ID"))
    said: list[str] = []
    for object_name, name, label in wanted:
        if name in descriptions.properties(object_name):
            continue
        unique = name == options.key_property
        told = ", with unique values where HubSpot allows that" if unique else ""
        if not dry_run:
            made = _made(client, object_name, name, label, unique=unique)
            told = ", with unique values" if made else _PLAIN if unique else ""
        said.append(f"the property {name} of {object_name}: single-line text{told}")
    descriptions.forget()
    return said


def _made(client: HubSpotClient, object_name: str, name: str, label: str, *, unique: bool) -> bool:
    """Make the property; whether it is unique, which HubSpot does not promise for all objects."""
    path = f"/crm/v3/properties/{object_name}"
    group = {"name": _GROUP, "label": _GROUP, "displayOrder": -1}
    try:
        client.call("POST", f"{path}/groups", body=group, writing=True, accepted=(201,))
    except RefusedError as error:
        if error.status != _CONFLICT:
            raise
    one: dict[str, Any] = {
        "name": name,
        "label": label,
        "description": "Written by crmsync, so that nothing is made twice.",
        "groupName": _GROUP,
        "type": "string",
        "fieldType": "text",
        "hasUniqueValue": unique,
    }
    try:
        made = client.call("POST", path, body=one, writing=True, accepted=(201,)).body
    except RefusedError:
        if not unique:
            raise
        plain = one | {"hasUniqueValue": False}
        made = client.call("POST", path, body=plain, writing=True, accepted=(201,)).body
    # What it has made, and not what it was asked for.
    return bool((made or {}).get("hasUniqueValue"))
