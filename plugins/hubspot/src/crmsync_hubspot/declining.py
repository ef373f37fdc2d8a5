"""Marks contacts as unsubscribed from all mail, which HubSpot keeps by their address.

The property ``hs_email_optout`` is read-only: what a person may be sent is changed by the API for
communication preferences alone (``POST …/statuses/{address}/unsubscribe-all``), and only to *no*:
HubSpot lets nobody but the person subscribe again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from crmsync.errors import ConnectorError, RejectedError
from crmsync.model.actions import Receipt
from crmsync_hubspot.comparing import sent
from crmsync_hubspot.errors import RefusedError
from crmsync_hubspot.objects import OPTED_OUT
from crmsync_hubspot.options import HubSpotStreamOptions
from crmsync_hubspot.records import batch_read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.actions import UpdateFields
    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.batches import Outcome, Outcomes
    from crmsync_hubspot.client import HubSpotClient

_OBJECT, _ADDRESS = "contacts", "email"
_FORBIDDEN = 403
_SCOPE = "communication_preferences.read_write"


def declines(update: UpdateFields, request: StreamRequest | None) -> bool:
    """Whether an update says that a contact wants no more mail, and nothing else."""
    if request is None or not isinstance(request.options, HubSpotStreamOptions):
        return False
    if request.options.object != _OBJECT or set(update.changes) != {OPTED_OUT}:
        return False
    return sent(update.changes[OPTED_OUT]).lower() == "true" and update.record.id.isdigit()


def declined(client: HubSpotClient, updates: Mapping[int, UpdateFields]) -> Outcomes:
    """A receipt or an error for each: to unsubscribe somebody a second time does no harm."""
    if not updates:
        return {}
    asked = {"properties": [_ADDRESS, OPTED_OUT]}
    try:
        there = batch_read(client, _OBJECT, asked, [one.record.id for one in updates.values()])
    except ConnectorError as error:
        return dict.fromkeys(updates, error)
    return {
        place: _one(client, update, there.get(update.record.id))
        for place, update in updates.items()
    }


def _one(
    client: HubSpotClient,
    update: UpdateFields,
    there: Mapping[str, Mapping[str, str | None]] | None,
) -> Outcome:
    if there is None:
        return RejectedError("there is no such record, or the token may not see it")
    values = there["properties"]
    receipt = Receipt(key=update.key, remote_id=update.record.id)
    if (values.get(OPTED_OUT) or "").lower() == "true":
        return Receipt(key=update.key, remote_id=update.record.id, already=True)
    address = values.get(_ADDRESS)
    if not address:
        return RejectedError("the contact has no address, by which HubSpot keeps who wants no mail")
    path = f"/communication-preferences/v4/statuses/{quote(address, safe='')}/unsubscribe-all"
    try:
        client.call("POST", path, query=[("channel", "EMAIL")])
    except RefusedError as error:
        if error.status != _FORBIDDEN:
            return error
        # The rest of what is due must not wait for a scope that only this needs.
        return RejectedError(f"{error}; to unsubscribe people the token needs the scope {_SCOPE}")
    except ConnectorError as error:
        return error
    return receipt
