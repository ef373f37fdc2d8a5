"""Webhooks: what has happened, told to a URL, signed, in no order, and again where it failed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from crmsync_hubspot.simulator.portal import Event, Portal

MOST_EVENTS, MOST_ATTEMPTS = 100, 10
_LONGEST_WAIT = 5.0  # seconds
# What is decoded in an address before it is signed.
_DECODED = re.compile("%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
# Types whose subscriptions bear their own name; of all others the type is told apart.
_NAMED = {"companies", "contacts", "deals", "tickets", "line_items"}


@dataclass(kw_only=True)
class _Pending:
    number: int
    event: Event
    attempt: int = 0


class Webhooks:
    """Sends on demand what has happened in a portal since the last time.

    Args:
        secret: the app's client secret, that requests are signed with.
    """

    def __init__(self, portal: Portal, secret: str) -> None:
        self._portal, self._secret = portal, secret
        self._known = 0
        self._pending: list[_Pending] = []

    def bodies(self) -> list[bytes]:
        """What would be sent now: batches of events, the latest first."""
        return [orjson.dumps(self._told(batch)) for batch in self._batches()]

    def send(
        self, url: str, *, late_by: timedelta | None = None, repeated: bool = False
    ) -> list[int]:
        """Send all that is pending; answers with the status of each request, 0 for none.

        Args:
            late_by: how long ago the requests were signed; may be negative.
            repeated: send each request twice.
        """
        statuses = []
        for batch in self._batches():
            body = orjson.dumps(self._told(batch))
            headers = self.headers(url, body, late_by=late_by)
            for _ in range(2 if repeated else 1):
                status = _posted(url, body, headers)
                statuses.append(status)
            if 200 <= status < 300:  # noqa: PLR2004  HTTP: success
                self._pending = [one for one in self._pending if one not in batch]
                continue
            for one in batch:
                one.attempt += 1
        self._pending = [one for one in self._pending if one.attempt <= MOST_ATTEMPTS]
        return statuses

    def headers(self, url: str, body: bytes, *, late_by: timedelta | None = None) -> dict[str, str]:
        """The headers of a request, with the signature of version 3."""
        at = self._portal.now() - (0 if late_by is None else int(late_by.total_seconds() * 1000))
        meant = _DECODED.sub(lambda found: unquote(found[0]), url)
        signed = b"POST" + meant.encode() + body + str(at).encode()
        digest = hmac.new(self._secret.encode(), signed, hashlib.sha256).digest()
        return {
            "Content-Type": "application/json",
            "User-Agent": "HubSpot Connect 2.0 (http://dev.hubspot.com/) - Webhooks",
            "X-HubSpot-Request-Timestamp": str(at),
            "X-HubSpot-Signature-v3": base64.b64encode(digest).decode(),
        }

    def _batches(self) -> list[list[_Pending]]:
        events = self._portal.events
        self._pending += [
            _Pending(number=number, event=events[number])
            for number in range(self._known, len(events))
        ]
        self._known = len(events)
        latest = self._pending[::-1]
        return [latest[n : n + MOST_EVENTS] for n in range(0, len(latest), MOST_EVENTS)]

    def _told(self, batch: Sequence[_Pending]) -> list[Mapping[str, Any]]:
        return [self._body(one) for one in batch]

    def _body(self, one: _Pending) -> dict[str, Any]:
        settings, event = self._portal.settings, one.event
        kind = self._portal.types[event.kind]
        named = event.kind in _NAMED
        body: dict[str, Any] = {
            "eventId": one.number + 1,
            "subscriptionId": 1_000_001,
            "portalId": settings.portal_id,
            "appId": settings.app_id,
            "occurredAt": event.at,
            "subscriptionType": f"{kind.singular if named else 'object'}.{event.action}",
            "attemptNumber": one.attempt,
            "objectId": event.record_id,
            "changeSource": "CRM_UI",
        }
        if not named:
            body["objectTypeId"] = kind.id
        if event.action == "propertyChange":
            body |= {"propertyName": event.name, "propertyValue": event.value}
        elif event.action == "merge":
            body |= {
                "primaryObjectId": event.merged[0],
                "mergedObjectIds": list(event.merged),
                "newObjectId": event.record_id,
            }
        return body


def _posted(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    try:
        answer = httpx.post(
            url, content=body, headers=dict(headers), timeout=_LONGEST_WAIT, trust_env=False
        )
    except httpx.HTTPError:
        return 0
    return answer.status_code
