"""Whether a portal has what a connection needs, told in its administrator's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.config.yaml import nearest
from crmsync.errors import AuthError
from crmsync.plugins.contract import Finding
from crmsync_hubspot import objects
from crmsync_hubspot.client import ACCOUNT
from crmsync_hubspot.describing import no_property
from crmsync_hubspot.errors import RefusedError
from crmsync_hubspot.keys import MADE
from crmsync_hubspot.objects import OPTED_OUT
from crmsync_hubspot.options import HubSpotStreamOptions
from crmsync_hubspot.records import search

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.client import HubSpotClient
    from crmsync_hubspot.describing import Descriptions

_FEW_CALLS = 0.1
_FORBIDDEN = 403


def findings(
    client: HubSpotClient, descriptions: Descriptions, streams: Mapping[str, StreamRequest]
) -> Iterator[Finding]:
    """What is missing.

    Raises:
        ConnectorError: the portal cannot be asked.
    """
    # Any token may ask for this, so it tells whether the token is good.
    client.call("GET", ACCOUNT)
    yield from _keys(client, descriptions)
    yield from _message_ids(client, descriptions)
    for request in streams.values():
        yield from _stream(client, descriptions, request)
    used, allowed = client.budget.used, client.budget.allowed
    if used is not None and allowed and allowed - used < _FEW_CALLS * allowed:
        yield Finding(
            sentence=f"the portal has only {allowed - used:,} of its {allowed:,} calls of today "
            "left",
            fatal=False,
        )


def _keys(client: HubSpotClient, descriptions: Descriptions) -> Iterator[Finding]:
    """What hinders the writing; the same of several objects is told once."""
    alike: dict[tuple[str, str, bool], list[str]] = {}
    for name in MADE:
        told = _hindered(client, descriptions, name)
        if told is not None:
            alike.setdefault(told, []).append(name)
    for (before, after, fatal), names in alike.items():
        *some, last = names
        listed = f"{', '.join(some)} and {last}" if some else last
        yield Finding(sentence=f"{before}{listed}{after}", fatal=fatal)


def _hindered(
    client: HubSpotClient, descriptions: Descriptions, name: str
) -> tuple[str, str, bool] | None:
    """What stands before and behind the object's name, and whether nothing can be written."""
    wanted = client.options.key_property
    try:
        one = descriptions.properties(name).get(wanted)
        _try_writing(client, name)
    except (RefusedError, AuthError) as error:
        return "", f" cannot be written: {error}", False
    if one is None:
        after = (
            f" have no property {wanted} to keep keys in: “crmsync connections setup” makes it, or "
            "an administrator does, under Settings, Properties: single-line text, with unique "
            "values where HubSpot offers that"
        )
        return "", after, True
    of = f"the property {wanted} of "
    if one["type"] != "string":
        return of, " is no text, so it keeps no keys", True
    if not one.get("hasUniqueValue"):
        after = (
            " may have the same value twice, so crmsync itself looks for a key before it makes "
            "anything, in a search that is minutes late; let only one machine at a time write to "
            "this portal"
        )
        return of, after, False
    return None


def _try_writing(client: HubSpotClient, name: str, verb: str = "create") -> None:
    """Write nothing: whether the token may, HubSpot says before it looks what is to be written.

    Raises:
        RefusedError: it may not.
    """
    path = f"/crm/v3/objects/{name}/batch/{verb}"
    try:
        client.call("POST", path, body={"inputs": []}, accepted=(200, 201, 207))
    except RefusedError as error:
        if error.status == _FORBIDDEN:
            raise


def _message_ids(client: HubSpotClient, descriptions: Descriptions) -> Iterator[Finding]:
    wanted = client.options.message_id_property
    try:
        missing = wanted not in descriptions.properties("emails")
    except (RefusedError, AuthError):
        return  # the keys' finding says so
    if missing:
        yield Finding(
            sentence=f"emails have no property {wanted}, by which logged mails are known again: "
            "“crmsync connections setup” makes it, as single-line text"
        )


def _stream(
    client: HubSpotClient, descriptions: Descriptions, request: StreamRequest
) -> Iterator[Finding]:
    assert isinstance(request.options, HubSpotStreamOptions)  # noqa: S101  the spec names that model
    options = request.options
    try:
        there = {one.name for one in descriptions.fields(options, request.columns)}
        _try(client, options)
    except RefusedError as error:
        yield Finding(sentence=str(error), stream=request.name)
        return
    if set(request.updated) - {OPTED_OUT}:
        try:
            _try_writing(client, options.object, "update")
        except (RefusedError, AuthError) as error:
            words = f"rules update {request.updated[0]}, and {options.object} cannot be changed"
            yield Finding(sentence=f"{words}: {error}", stream=request.name)
    for column in dict.fromkeys((*request.key, *request.columns)):
        if column not in there:
            sentence = str(no_property(options.object, column, there))
            yield Finding(sentence=sentence, stream=request.name)
    if request.history_asked and request.changed_at not in objects.CHANGE_COLUMNS:
        yield Finding(
            sentence=f"a rule asks what {request.history_asked[0]} was before, and HubSpot's "
            "history can only be read where “updated_at” is mapped to updatedAt",
            stream=request.name,
            fatal=False,
        )
    missing = [name for name in options.history if name not in there]
    if missing:
        yield Finding(
            sentence=f"{options.object} have no property “{missing[0]}”"
            f"{nearest(missing[0], there)} whose history could be read",
            stream=request.name,
        )


def _try(client: HubSpotClient, options: HubSpotStreamOptions) -> None:
    """Read a little of a stream; what the token may not do, HubSpot then says."""
    match options.object:
        case "owners":
            client.call("GET", "/crm/v3/owners/", query=[("limit", "1")])
        case "pipelines" | "properties":
            client.call("GET", f"/crm/v3/{options.object}/{options.of}")
        case name:
            targets = ",".join(options.associations_to)
            query = [("limit", "1"), *([("associations", targets)] if targets else [])]
            client.call("GET", f"/crm/v3/objects/{name}", query=query)
            ever = {
                "propertyName": objects.change_property(name),
                "operator": "GTE",
                "value": "0",
            }
            search(client, name, [ever], properties=[objects.OBJECT_ID], limit=1)
