"""The API of a portal: which request is answered how."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from crmsync_hubspot.simulator.access import Access, expired
from crmsync_hubspot.simulator.account_api import AccountApi
from crmsync_hubspot.simulator.custom_objects import CustomObjectsApi
from crmsync_hubspot.simulator.errors import PortalError, not_allowed, not_found
from crmsync_hubspot.simulator.limits import Limits, refusal
from crmsync_hubspot.simulator.links_api import LinksApi
from crmsync_hubspot.simulator.messages import Answer, CutError, Fault, Request
from crmsync_hubspot.simulator.objects_api import ObjectsApi
from crmsync_hubspot.simulator.preferences_api import PreferencesApi
from crmsync_hubspot.simulator.schema_api import SchemaApi

if TYPE_CHECKING:
    from crmsync_hubspot.simulator.access import Caller
    from crmsync_hubspot.simulator.portal import Portal

_LONGEST_TARGET = 16_384
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_POLICIES = {
    Fault.SECONDLY: "SECONDLY",
    Fault.TEN_SECONDLY: "TEN_SECONDLY_ROLLING",
    Fault.DAILY: "DAILY",
}
_PAGES = {Fault.SAME_PAGE, Fault.ENDLESS, Fault.SHORT_PAGE, Fault.EMPTY_PAGE}
_AFTER_WRITE = {
    Fault.CUT_AFTER,
    Fault.UNDECLARED,
    Fault.UNDECLARED_BODY,
    Fault.TIMEOUT_AFTER,
}
_WAITS = {Fault.SLOW: 1.0, Fault.HANG: 3600.0}  # seconds of this machine
# What is answered by something in front of the API.
_PAGES_OF_OTHERS = {
    Fault.BARE_429: (429, "Too Many Requests"),
    Fault.BAD_GATEWAY: (502, "Bad Gateway"),
    Fault.ORIGIN_DNS: (530, "error code: 1016"),
    Fault.NOT_JSON: (200, "Welcome"),
}
_FAILURES = {
    Fault.LOCKED: (423, "The resource is locked", "LOCKED"),
    Fault.MIGRATION: (
        477,
        "This account is currently being migrated between data centers",
        "MIGRATION_IN_PROGRESS",
    ),
    Fault.UNAVAILABLE: (503, "Service temporarily unavailable", "SERVICE_UNAVAILABLE"),
    Fault.GATEWAY_TIMEOUT: (504, "Gateway Timeout", "GATEWAY_TIMEOUT"),
    Fault.SERVER_ERROR: (500, "internal error", "INTERNAL_ERROR"),
}
_HTML = {"Content-Type": "text/html; charset=UTF-8"}


class Service:
    """The API.

    Attributes:
        faults: come true one a request, after so many requests as are ``spared``.
        requests: all that came over the wire; ``calls`` the same as texts, logins left out.
        mistakes: the simulator's own.
    """

    def __init__(self, portal: Portal) -> None:
        self.portal, self.settings = portal, portal.settings
        self.access = Access(portal.clock, portal.settings)
        self.limits = Limits(portal.clock, portal.settings)
        self.faults: deque[Fault] = deque()
        self.spared = 0
        self.requests: list[Request] = []
        self.calls: list[str] = []
        self.mistakes: list[str] = []
        self._objects = ObjectsApi(portal, self.access)
        self._links = LinksApi(portal, self.access)
        self._schema = SchemaApi(portal, self.access)
        self._custom = CustomObjectsApi(portal, self.access)
        self._account = AccountApi(portal, self.access, self.limits)
        self._preferences = PreferencesApi(portal, self.access)

    def answer(self, request: Request) -> Answer:
        """Answer a request.

        Raises:
            CutError: the connection is to be broken.
        """
        with self.portal.lock:
            self.requests.append(request)
            fault = self._fault(request)
        early = self._early(fault)
        if early is not None:
            return early
        with self.portal.lock:
            self.portal.settle()
            answer = self._admitted(request, fault)
        return self._late(answer, fault)

    def _fault(self, request: Request) -> Fault | None:
        """The fault that comes true now, if the next one concerns such a request."""
        if not self.faults:
            return None
        if self.spared > 0:
            self.spared -= 1
            return None
        fault = self.faults[0]
        login = request.route[:1] == ("oauth",)
        listing = request.route[:1] == ("objects",) and (
            request.searches or (request.method == "GET" and len(request.route) == 2)  # noqa: PLR2004  a list
        )
        concerned = {
            Fault.SECONDLY: request.searches,
            Fault.TEN_SECONDLY: not login,
            Fault.DAILY: not login,
            Fault.EXPIRED_ACCESS: not login,
            Fault.BAD_ACCESS: not login,
            Fault.ITEM_FAILS: request.writes and "batch" in request.route,
            Fault.ITEM_UNKNOWN: request.route[-2:] == ("batch", "read"),
            Fault.UNDECLARED_BODY: request.writes,
        }
        if fault is Fault.ENDLESS and request.route == ("owners",):
            return fault
        if fault in _PAGES:
            batch_of_links = request.route[0] == "associations" if request.route else False
            if not (listing or (fault is Fault.SHORT_PAGE and batch_of_links)):
                return None
            return fault if fault is Fault.ENDLESS else self.faults.popleft()
        if fault in _AFTER_WRITE and not request.writes:
            return None
        return self.faults.popleft() if concerned.get(fault, True) else None

    def _early(self, fault: Fault | None) -> Answer | None:
        """What a fault answers before anything happened; None where it lets things happen."""
        if fault is Fault.CUT_BEFORE:
            raise CutError
        if fault in _WAITS:
            time.sleep(_WAITS[fault])
        if fault in _POLICIES:
            return self._refused(_POLICIES[fault])
        if fault in _PAGES_OF_OTHERS:
            status, words = _PAGES_OF_OTHERS[fault]
            return Answer(status=status, body=f"<html>{words}</html>".encode(), headers=_HTML)
        if fault in _FAILURES:
            status, words, category = _FAILURES[fault]
            headers = {"Retry-After": "60"} if fault is Fault.MIGRATION else {}
            return _failed(status, words, category, headers)
        return None

    def _admitted(self, request: Request, fault: Fault | None) -> Answer:
        headers: dict[str, str] = {}
        try:
            if len(request.target) > _LONGEST_TARGET:
                raise PortalError("URI Too Long", status=414, category="URI_TOO_LONG")
            if request.route[:1] == ("oauth",):
                return self.access.answer(request)
            self.calls.append(f"{request.method} {'/'.join(request.route)}")
            caller = self._caller(request, fault)
            exempt = request.searches or (
                request.route[:1] == ("associations",) and "batch" in request.route
            )
            if request.method not in _METHODS:
                raise not_allowed()
            policy = self.limits.admit(searches=request.searches, exempt=exempt)
            if policy is not None:
                return self._refused(policy)
            if not request.searches:
                headers = self.limits.headers(daily=not caller.oauth)
            answer = self._routed(request, fault)
        except PortalError as error:
            answer = Answer(status=error.status, body=error.as_body())
        return Answer(
            status=answer.status, body=answer.body, headers=headers | dict(answer.headers)
        )

    def _caller(self, request: Request, fault: Fault | None) -> Caller:
        if fault is Fault.EXPIRED_ACCESS:
            self.access.end_all()
            self.access.caller(request)
            raise expired(0)
        if fault is Fault.BAD_ACCESS:
            raise PortalError(
                "The OAuth token used to make this call is invalid or was revoked.",
                status=401,
                category="INVALID_AUTHENTICATION",
            )
        return self.access.caller(request)

    def _routed(self, request: Request, fault: Fault | None) -> Answer:
        match request.method, request.route:
            case _, ("objects", _, *_):
                return self._objects.answer(request, fault)
            case _, ("links", _, _, "associations", *_):
                return self._links.single(request)
            case _, ("associations", _, _, *_):
                return self._links.batch(request, fault)
            case _, ("properties", _, *_):
                return self._schema.properties(request)
            case _, ("pipelines", _, *_):
                return self._schema.pipelines(request)
            case _, ("schemas", *_):
                return self._custom.answer(request)
            case _, ("preferences", "statuses", _, "unsubscribe-all"):
                return self._preferences.unsubscribe_all(request)
            case "GET", ("owners" | "account", *_):
                return self._account.answer(request, fault)
        raise not_found()

    def _refused(self, policy: str) -> Answer:
        headers = {}
        if self.settings.retry_after and policy != "DAILY":
            headers["Retry-After"] = str(self.limits.retry_after(policy))
        body = refusal(policy, with_category=self.settings.limit_category)
        return Answer(status=429, body=body, headers=headers)

    def _late(self, answer: Answer, fault: Fault | None) -> Answer:
        """What a fault makes of an answer, after everything has happened."""
        match fault:
            case Fault.CUT_AFTER:
                raise CutError
            case Fault.CUT_WITHIN:
                raise CutError(answer)
            case Fault.UNDECLARED:
                return Answer(status=202, headers=answer.headers)
            case Fault.UNDECLARED_BODY if answer.status in {200, 201}:
                other = 200 if answer.status == 201 else 201  # noqa: PLR2004  HTTP: created
                return Answer(status=other, body=answer.body, headers=answer.headers)
            case Fault.TIMEOUT_AFTER:
                return _failed(504, "Gateway Timeout", "GATEWAY_TIMEOUT")
        return answer


def _failed(
    status: int, words: str, category: str, headers: dict[str, str] | None = None
) -> Answer:
    body = PortalError(words, status=status, category=category).as_body()
    return Answer(status=status, body=body, headers=headers or {})
