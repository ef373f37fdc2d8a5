"""The endpoints for owners and for the account itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from crmsync_hubspot.simulator.errors import not_found
from crmsync_hubspot.simulator.messages import Answer, Fault, Request
from crmsync_hubspot.simulator.values import milliseconds, told

if TYPE_CHECKING:
    from crmsync_hubspot.simulator.access import Access
    from crmsync_hubspot.simulator.limits import Limits
    from crmsync_hubspot.simulator.portal import Owner, Portal

_MOST_OWNERS = 500


class AccountApi:
    """Answers requests for owners, details and usage."""

    def __init__(self, portal: Portal, access: Access, limits: Limits) -> None:
        self._portal, self._access, self._limits = portal, access, limits

    def answer(self, request: Request, fault: Fault | None) -> Answer:
        """Answer a request whose route begins with ``owners`` or ``account``."""
        match request.route:
            case ("owners",) | ("owners", _):
                return self._owners(request, fault)
            case ("account", "details"):
                return self._details()
            case ("account", "api-usage", "daily", "private-apps"):
                return self._usage()
        raise not_found()

    def _owners(self, request: Request, fault: Fault | None) -> Answer:
        self._access.require("crm.objects.owners.read")
        archived = request.flag("archived")
        if len(request.route) > 1:
            by_user = request.text("idProperty", "id") == "userId"
            for one in self._portal.owners.values():
                number = one.user_id if by_user else one.id
                if str(number) == request.route[1] and one.archived == archived:
                    return Answer(body=_owner(one))
            raise not_found()
        limit = request.number("limit", 100, _MOST_OWNERS)
        after = request.text("after")
        email = request.text("email").casefold()
        found = [
            one
            for one in sorted(self._portal.owners.values(), key=lambda one: one.id)
            if one.archived == archived
            and (not email or one.email.casefold() == email)
            and (not after.isdecimal() or one.id >= int(after))
        ]
        body: dict[str, Any] = {"results": [_owner(one) for one in found[:limit]]}
        if len(found) > limit or (fault is Fault.ENDLESS and found):
            after = str(found[min(limit, len(found) - 1)].id)
            link = f"https://api.hubapi.com{request.target.partition('?')[0]}?after={after}"
            body["paging"] = {"next": {"after": after, "link": link}}
        return Answer(body=body)

    def _details(self) -> Answer:
        settings = self._portal.settings
        zone = ZoneInfo(settings.time_zone)
        offset = self._portal.clock.now().astimezone(zone).utcoffset()
        seconds = 0 if offset is None else int(offset.total_seconds())
        hours, minutes = divmod(abs(seconds) // 60, 60)
        return Answer(
            body={
                "portalId": settings.portal_id,
                "accountType": "STANDARD",
                "timeZone": settings.time_zone,
                "companyCurrency": settings.currency,
                "additionalCurrencies": [],
                "utcOffset": f"{'-' if seconds < 0 else '+'}{hours:02d}:{minutes:02d}",
                "utcOffsetMilliseconds": seconds * 1000,
                "uiDomain": "app-eu1.hubspot.com",
                "dataHostingLocation": "eu1",
            }
        )

    def _usage(self) -> Answer:
        """How many calls private apps have made today."""
        usage = {
            "name": "private-apps-api-calls-daily",
            "usageLimit": self._portal.settings.daily,
            "currentUsage": self._limits.used,
            "collectedAt": told(self._portal.now()),
            "fetchStatus": "SUCCESS",
            "resetsAt": told(milliseconds(self._limits.resets_at())),
        }
        return Answer(body={"results": [usage]})


def _owner(one: Owner) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": str(one.id),
        "email": one.email,
        "type": "PERSON",
        "firstName": one.first_name,
        "lastName": one.last_name,
        "userIdIncludingInactive": one.user_id,
        "createdAt": told(one.created),
        "updatedAt": told(one.updated),
        "archived": one.archived,
    }
    if not one.archived:
        body["userId"] = one.user_id
    if one.teams:
        body["teams"] = one.teams
    return body
