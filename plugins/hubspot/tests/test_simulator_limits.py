"""Rates, tokens, faults and webhooks of the simulated portal."""

from __future__ import annotations

import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from hubspot.utils.signature import Signature
from portal_on_wire import PortalOnWire

from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.settings import Settings
from crmsync_hubspot.simulator.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPANIES = "/crm/v3/objects/companies"
TOKEN = "/oauth/2026-03/token"  # noqa: S105  an address


@pytest.fixture
def wire() -> Iterator[PortalOnWire]:
    one = PortalOnWire(Settings(index_lag=timedelta(0), burst=10))
    yield one
    one.close()


def refused(answer: httpx.Response) -> str:
    body = answer.json()
    assert answer.status_code == 429
    assert (body["status"], body["errorType"]) == ("error", "RATE_LIMIT")
    assert body["category"] == "RATE_LIMITS"
    return str(body["policyName"])


def test_ten_seconds_hold_so_many_calls(wire: PortalOnWire) -> None:
    for left in range(9, -1, -1):
        answer = wire("GET", COMPANIES)
        assert answer.status_code == 200
        assert answer.headers["X-HubSpot-RateLimit-Remaining"] == str(left)
    assert answer.headers["X-HubSpot-RateLimit-Max"] == "10"
    assert answer.headers["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000"
    assert answer.headers["X-HubSpot-RateLimit-Daily-Remaining"] == "649990"
    assert refused(wire("GET", COMPANIES)) == "TEN_SECONDLY_ROLLING"
    wire.clock.pass_time(timedelta(seconds=9))
    assert refused(wire("GET", COMPANIES)) == "TEN_SECONDLY_ROLLING"
    wire.clock.pass_time(timedelta(seconds=1))
    assert wire("GET", COMPANIES).status_code == 200
    assert wire.service.limits.refused == {"TEN_SECONDLY_ROLLING": 2}


def test_the_service_itself_tells_no_category_of_a_limit(wire: PortalOnWire) -> None:
    wire.settings.limit_category = Settings.as_observed().limit_category
    wire.service.faults.append(Fault.DAILY)
    body = wire("GET", COMPANIES).json()
    assert (body["policyName"], "category" in body) == ("DAILY", False)


def test_searches_have_a_limit_of_their_own(wire: PortalOnWire) -> None:
    for _ in range(5):
        answer = wire("POST", f"{COMPANIES}/search", json={})
        assert answer.status_code == 200
        assert not any(name.startswith("x-hubspot-ratelimit") for name in answer.headers)
    assert refused(wire("POST", f"{COMPANIES}/search", json={})) == "SECONDLY"
    assert wire("GET", COMPANIES).headers["X-HubSpot-RateLimit-Remaining"] == "9"
    wire.clock.pass_time(timedelta(seconds=1))
    assert wire("POST", f"{COMPANIES}/search", json={}).status_code == 200


def test_a_day_ends_at_midnight_where_the_account_is(wire: PortalOnWire) -> None:
    wire.settings.daily = 3
    for _ in range(3):
        assert wire("GET", COMPANIES).status_code == 200
    answer = wire("GET", COMPANIES)
    assert refused(answer) == "DAILY"
    assert "Retry-After" not in answer.headers
    wire.clock.pass_time(timedelta(hours=13, minutes=59))  # 23:59 in Berlin
    assert refused(wire("GET", COMPANIES)) == "DAILY"
    wire.clock.pass_time(timedelta(minutes=1))
    assert wire("GET", COMPANIES).status_code == 200


def form(settings: Settings, **more: str) -> dict[str, str]:
    told = {
        "grant_type": "refresh_token",
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
        "refresh_token": settings.refresh_token,
    }
    return told | more


def test_tokens_expire_and_refresh_tokens_rotate(wire: PortalOnWire) -> None:
    told = wire("POST", TOKEN, data=form(wire.settings)).json()
    assert (told["expires_in"], told["token_type"]) == (1800, "bearer")
    assert 250 < len(told["access_token"]) <= 300
    wire.http.headers["Authorization"] = f"Bearer {told['access_token']}"
    answer = wire("GET", COMPANIES)
    assert answer.status_code == 200
    assert "X-HubSpot-RateLimit-Daily" not in answer.headers
    wire.clock.pass_time(timedelta(minutes=30))
    late = wire("GET", COMPANIES)
    assert (late.status_code, late.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
    again = wire("POST", TOKEN, data=form(wire.settings))
    assert (again.status_code, again.json()["category"]) == (400, "BAD_REFRESH_TOKEN")
    newer = wire("POST", TOKEN, data=form(wire.settings, refresh_token=told["refresh_token"]))
    assert newer.status_code == 200
    assert wire.service.access.refreshes == 2


@pytest.mark.parametrize(
    ("path", "changes", "status"),
    [
        (TOKEN, {"client_id": "x"}, 400),
        (TOKEN, {"client_secret": "x"}, 400),
        (TOKEN, {"grant_type": "password"}, 400),
        (TOKEN, {"grant_type": "authorization_code", "code": "x"}, 400),
        ("/oauth/v3/token", {}, 200),
        ("/oauth/v1/token", {}, 404),  # gone since February 2027
    ],
)
def test_logins(wire: PortalOnWire, path: str, changes: dict[str, str], status: int) -> None:
    assert wire("POST", path, data=form(wire.settings, **changes)).status_code == status


def test_a_login_is_a_form_and_its_code_is_good_once(wire: PortalOnWire) -> None:
    assert wire("POST", TOKEN, json=form(wire.settings)).status_code == 415
    told = form(
        wire.settings,
        grant_type="authorization_code",
        code=wire.service.access.code(),
        redirect_uri=wire.settings.redirect_uri,
    )
    assert wire("POST", TOKEN, data=told).status_code == 200
    assert wire("POST", TOKEN, data=told).status_code == 400


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault.TEN_SECONDLY, 429),
        (Fault.DAILY, 429),
        (Fault.BARE_429, 429),
        (Fault.LOCKED, 423),
        (Fault.MIGRATION, 477),
        (Fault.ORIGIN_DNS, 530),
        (Fault.BAD_GATEWAY, 502),
        (Fault.UNAVAILABLE, 503),
        (Fault.GATEWAY_TIMEOUT, 504),
        (Fault.SERVER_ERROR, 500),
        (Fault.BAD_ACCESS, 401),
        (Fault.EXPIRED_ACCESS, 401),
        (Fault.NOT_JSON, 200),
    ],
)
def test_a_fault_comes_true_once_and_writes_nothing(
    wire: PortalOnWire, fault: Fault, status: int
) -> None:
    wire.service.faults.append(fault)
    wire.service.spared = 1
    assert wire("GET", COMPANIES).status_code == 200
    body = {"properties": {"name": "x"}}
    answer = wire("POST", COMPANIES, json=body)
    assert answer.status_code == status
    assert wire.get(COMPANIES)["results"] == []
    assert (answer.headers.get("Retry-After") == "60") == (fault is Fault.MIGRATION)
    assert wire("POST", COMPANIES, json=body).status_code == 201


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Fault.UNDECLARED, 202), (Fault.UNDECLARED_BODY, 200), (Fault.TIMEOUT_AFTER, 504)],
)
def test_a_write_takes_effect_though_its_answer_does_not_say_so(
    wire: PortalOnWire, fault: Fault, status: int
) -> None:
    wire.service.faults.append(fault)
    assert wire("GET", COMPANIES).status_code == 200  # only writes are concerned
    assert wire("POST", COMPANIES, json={"properties": {"name": "x"}}).status_code == status
    assert len(wire.get(COMPANIES)["results"]) == 1


@pytest.mark.parametrize(
    ("fault", "written"), [(Fault.CUT_BEFORE, 0), (Fault.CUT_AFTER, 1), (Fault.CUT_WITHIN, 1)]
)
def test_connections_break_before_or_after_a_write(
    wire: PortalOnWire, fault: Fault, written: int
) -> None:
    wire.service.faults.append(fault)
    with pytest.raises(httpx.RemoteProtocolError):
        wire("POST", COMPANIES, json={"properties": {"name": "x"}})
    assert len(wire.get(COMPANIES)["results"]) == written


def test_an_input_of_a_batch_fails(wire: PortalOnWire) -> None:
    wire.service.faults.append(Fault.ITEM_FAILS)
    inputs = [{"properties": {"name": name}, "associations": []} for name in ("a", "b")]
    told = wire.post(f"{COMPANIES}/batch/create", {"inputs": inputs}, status=207)
    assert [one["properties"]["name"] for one in told["results"]] == ["b"]
    assert told["numErrors"] == 1


def listed(wire: PortalOnWire, most: int = 20) -> list[list[str]]:
    """The pages that a listing has, up to so many."""
    pages: list[list[str]] = []
    after: dict[str, Any] = {}
    while len(pages) < most:
        told = wire.get(COMPANIES, limit=2, properties="name", **after)
        pages.append([one["properties"]["name"] for one in told["results"]])
        if "paging" not in told:
            break
        after = {"after": told["paging"]["next"]["after"]}
    return pages


@pytest.mark.parametrize(
    ("fault", "pages"),
    [
        (None, [["0", "1"], ["2"]]),
        (Fault.SHORT_PAGE, [["0", "1"], ["2"]]),
        (Fault.EMPTY_PAGE, [["0", "1"], [], ["2"]]),
        (Fault.SAME_PAGE, [["0", "1"], ["2"], ["2"]]),
        (Fault.ENDLESS, [["0", "1"], [], [], [], [], []]),
    ],
)
def test_pages_go_wrong(wire: PortalOnWire, fault: Fault | None, pages: list[list[str]]) -> None:
    for name in "012":
        wire.make("companies", name=name)
    if fault is not None:
        wire.service.faults.append(fault)
        wire.service.spared = 1
    assert listed(wire, most=6) == pages


def test_a_page_can_be_shorter_than_asked_for(wire: PortalOnWire) -> None:
    for name in "0123":
        wire.make("companies", name=name)
    wire.service.faults.append(Fault.SHORT_PAGE)
    assert listed(wire) == [["0"], ["1", "2"], ["3"]]
    wire.service.faults += [Fault.SHORT_PAGE, Fault.EMPTY_PAGE]
    path = f"{COMPANIES}/search"
    first = wire.post(path, {"limit": 2})
    assert (len(first["results"]), first["paging"]["next"]["after"]) == (1, "1")
    empty = wire.post(path, {"limit": 2, "after": "1"})
    assert (empty["results"], empty["paging"]["next"]["after"]) == ([], "1")
    assert len(wire.post(path, {"limit": 3, "after": "1"})["results"]) == 3


def test_answers_can_be_slow(wire: PortalOnWire) -> None:
    wire.service.faults.append(Fault.HANG)
    with pytest.raises(httpx.ReadTimeout):
        wire("GET", COMPANIES, timeout=0.1)
    assert wire("GET", COMPANIES).status_code == 200


class Receiver:
    """Takes webhooks, and answers them with a status."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.got.append((headers, body))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hooks/hubspot"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def test_webhooks_are_signed_batched_and_sent_again(wire: PortalOnWire, receiver: Receiver) -> None:
    secret = wire.settings.client_secret
    hooks = Webhooks(wire.portal, secret)
    one = wire.make("companies", name="x")
    wire("PATCH", f"{COMPANIES}/{one}", json={"properties": {"name": "y"}})
    receiver.status = 503
    assert hooks.send(receiver.url) == [503]
    receiver.status = 200
    assert hooks.send(receiver.url) == [200]
    assert hooks.send(receiver.url) == []
    headers, body = receiver.got[-1]
    events = orjson.loads(body)
    assert [event["subscriptionType"] for event in events] == [
        "company.propertyChange",
        "company.creation",
    ]
    assert [event["attemptNumber"] for event in events] == [1, 1]
    assert (events[0]["objectId"], events[0]["propertyValue"]) == (int(one), "y")
    at = headers["x-hubspot-request-timestamp"]
    signed = Signature.get_signature(secret, body.decode(), "v3", receiver.url, "POST", at)
    assert signed == headers["x-hubspot-signature-v3"]
    assert int(at) == wire.portal.now()


def test_an_address_is_signed_with_some_characters_decoded(wire: PortalOnWire) -> None:
    hooks = Webhooks(wire.portal, "secret")
    told = hooks.headers("https://crm.vendor.example/hooks?to=a%40b%20c%2cd", b"[]")
    signed = Signature.get_signature(
        "secret",
        "[]",
        "v3",
        "https://crm.vendor.example/hooks?to=a@b%20c,d",
        "POST",
        told["X-HubSpot-Request-Timestamp"],
    )
    assert told["X-HubSpot-Signature-v3"] == signed


def test_webhooks_come_late_early_twice_and_in_numbers(
    wire: PortalOnWire, receiver: Receiver
) -> None:
    hooks = Webhooks(wire.portal, "secret")
    for number in range(150):
        wire.make("tasks", hs_timestamp="0", hs_task_subject=str(number))
    assert [len(orjson.loads(body)) for body in hooks.bodies()] == [100, 50]
    assert hooks.send(receiver.url, late_by=timedelta(minutes=6), repeated=True) == [200] * 4
    at = int(receiver.got[0][0]["x-hubspot-request-timestamp"])
    assert wire.portal.now() - at == 360_000
    event = orjson.loads(receiver.got[0][1])[0]
    assert (event["subscriptionType"], event["objectTypeId"]) == ("object.creation", "0-27")


def test_a_merge_is_told_with_all_ids(wire: PortalOnWire) -> None:
    first, second = wire.make("companies", name="a"), wire.make("companies", name="b")
    merged = wire.portal.merge("companies", int(first), int(second))
    event = orjson.loads(Webhooks(wire.portal, "secret").bodies()[0])[0]
    assert event["subscriptionType"] == "company.merge"
    assert event["mergedObjectIds"] == [int(first), int(second)]
    assert event["newObjectId"] == merged.id


def test_a_webhook_is_given_up_after_ten_attempts(wire: PortalOnWire, receiver: Receiver) -> None:
    hooks = Webhooks(wire.portal, "secret")
    wire.make("companies", name="x")
    receiver.status = 500
    statuses = [hooks.send(receiver.url) for _ in range(12)]
    assert statuses == [[500]] * 11 + [[]]
