"""The endpoint by which a person is unsubscribed from all mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync_hubspot.simulator.errors import PortalError, not_allowed
from crmsync_hubspot.simulator.messages import Answer, Request
from crmsync_hubspot.simulator.values import told

if TYPE_CHECKING:
    from crmsync_hubspot.simulator.access import Access
    from crmsync_hubspot.simulator.portal import Portal

_SUBSCRIPTION = 9_000_001  # the only kind of mail that the portal sends


class PreferencesApi:
    """Answers requests about what people may be sent."""

    def __init__(self, portal: Portal, access: Access) -> None:
        self._portal, self._access = portal, access

    def unsubscribe_all(self, request: Request) -> Answer:
        """Answer a request to ``statuses/{address}/unsubscribe-all``."""
        self._access.require("communication_preferences.read_write")
        if request.method != "POST":
            raise not_allowed()
        if request.text("channel") != "EMAIL":
            raise PortalError("Required query parameter 'channel' is missing or unknown")
        address = request.route[2]
        now = told(self._portal.now())
        self._portal.unsubscribe(address)
        status = {
            "channel": "EMAIL",
            "source": "UNSUBSCRIBED_FROM_ALL",
            "status": "UNSUBSCRIBED",
            "subscriberIdString": address,
            "subscriptionId": _SUBSCRIPTION,
            "timestamp": now,
        }
        body = {"status": "COMPLETE", "startedAt": now, "completedAt": now, "results": [status]}
        return Answer(body=body)
