"""Webhooks: requests that HubSpot makes by itself, to tell that something has changed.

They come unordered, several times or not at all, so they say only which streams to read.
Source: HubSpot's page on validating requests, the signature of version 3. The vendor's library
takes times of the future for good; here the time must be near in both directions.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from crmsync.errors import AuthError, UntrustedError
from crmsync_hubspot.objects import STANDARD, WITHOUT_CHANGES
from crmsync_hubspot.options import HubSpotOptions, HubSpotStreamOptions

if TYPE_CHECKING:
    from collections.abc import Collection

    from crmsync.plugins.contract import ConnectionContext, HeardRequest

_FURTHEST = timedelta(minutes=5)
_DIGITS = 13  # of milliseconds since 1970, until the year 2286
# HubSpot decodes these in the address, and no others, before it signs it.
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$",
    "%27": "'", "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
_OBJECT_OF_TYPE = {
    "0-1": "contacts",
    "0-2": "companies",
    "0-3": "deals",
    "0-5": "tickets",
    "0-8": "line_items",
    "0-19": "feedback_submissions",
    "0-27": "tasks",
    "0-46": "notes",
    "0-47": "meetings",
    "0-48": "calls",
    "0-49": "emails",
}
_CUSTOM = "2-"
_OBJECT_OF_NAME = {
    "contact": "contacts",
    "company": "companies",
    "deal": "deals",
    "ticket": "tickets",
    "line_item": "line_items",
}


def heard(context: ConnectionContext, request: HeardRequest) -> Collection[str]:
    """The streams that may have changed.

    Raises:
        UntrustedError: the request does not prove to be HubSpot's.
        AuthError: there is no secret to hold it against.
    """
    assert isinstance(context.options, HubSpotOptions)  # noqa: S101  the spec names that model
    if context.options.client_secret is None:
        raise AuthError(
            "to hear from HubSpot, client_secret must be given: that of the app, from its page "
            "“Auth”"
        )
    _trust(request, context.options.client_secret.reveal())
    changed = set(_objects(request.body))
    return [
        name
        for name, stream in context.streams.items()
        if isinstance(stream.options, HubSpotStreamOptions)
        and (None in changed or changed & _about(stream.options))
    ]


def _about(options: HubSpotStreamOptions) -> set[str | None]:
    """The objects that a stream tells of; of a custom one the number is not known here."""
    told: set[str | None] = {options.object, *options.associations_to}
    known = told <= {*STANDARD, *WITHOUT_CHANGES}
    return told if known else told | {_CUSTOM}


def _trust(request: HeardRequest, secret: str) -> None:
    told = request.headers.get("x-hubspot-request-timestamp", "")
    if not told.isascii() or not told.isdigit() or len(told) != _DIGITS:
        raise UntrustedError("the request bears no time, so it is not taken for HubSpot's")
    at = datetime.fromtimestamp(int(told) / 1000, UTC)
    if abs(request.at - at) > _FURTHEST:
        raise UntrustedError("the request is older than five minutes, or of the future")
    address = request.url
    for code, character in _DECODED.items():
        address = address.replace(code, character).replace(code.lower(), character)
    signed = f"{request.method}{address}".encode() + request.body + told.encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    given = request.headers.get("x-hubspot-signature-v3", "")
    if not hmac.compare_digest(base64.b64encode(digest), given.encode()):
        raise UntrustedError("the request is not signed with the secret of HubSpot's app")


def _objects(body: bytes) -> list[str | None]:
    """The objects that the events are about; None stands for one that is not known here."""
    try:
        events: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return [None]
    found: list[str | None] = []
    for event in events if isinstance(events, list) else [events]:
        if not isinstance(event, dict):
            found.append(None)
            continue
        # “company.propertyChange”, or “object.propertyChange” with the type's number.
        name = str(event.get("subscriptionType") or "").partition(".")[0]
        kind = str(event.get("objectTypeId") or "")
        found.append(_OBJECT_OF_TYPE.get(kind) or _OBJECT_OF_NAME.get(name))
        if kind.startswith(_CUSTOM):
            found[-1:] = [kind, _CUSTOM]
    return found
