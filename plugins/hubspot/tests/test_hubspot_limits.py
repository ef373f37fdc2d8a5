"""The portal's limits, and what it answers beyond them; nobody waits in real time."""

from __future__ import annotations

import base64
import socket
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.clock import FixedClock
from crmsync.errors import (
    AuthError,
    ConnectorError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.testing.samples import START
from crmsync_hubspot import transport
from crmsync_hubspot.budget import UNTOLD, Budget
from crmsync_hubspot.client import LONGEST_WAIT, TRIES
from crmsync_hubspot.errors import TooFastError, UnreachedError, error_of, refusal_of
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.simulator.settings import ALL_SCOPES

if TYPE_CHECKING:
    from portal_under_test import TestedPortal

    from crmsync_hubspot.client import HubSpotClient


def client_of(tested: TestedPortal, **changes: object) -> HubSpotClient:
    return tested.connect(options=tested.options(**changes))._client  # noqa: SLF001  what is tested


def details(client: HubSpotClient) -> None:
    client.call("GET", "/account-info/v3/details")


def search(client: HubSpotClient) -> None:
    body = {"filterGroups": [], "sorts": [], "properties": [], "limit": 1, "after": "0"}
    client.call("POST", "/crm/v3/objects/companies/search", body=body, search=True)


@pytest.mark.parametrize("burst", [100, 190, 250])
def test_calls_keep_to_the_ten_seconds(tested: TestedPortal, burst: int) -> None:
    tested.settings.burst = burst
    client = client_of(tested)
    began = tested.clock.now()
    for _ in range(burst * 3):
        details(client)
    took = (tested.clock.now() - began).total_seconds()
    assert tested.service.limits.refused == {}
    # Three times as many as an interval takes, spread over three intervals and little more.
    assert 15 < took < 32


def test_searches_keep_to_their_own_second(tested: TestedPortal) -> None:
    client = client_of(tested)
    began = tested.clock.now()
    for _ in range(50):
        search(client)
    took = (tested.clock.now() - began).total_seconds()
    assert tested.service.limits.refused == {}
    assert 9 < took < 13


def test_searches_do_not_wait_for_other_calls(tested: TestedPortal) -> None:
    tested.settings.burst = 20
    client = client_of(tested)
    for _ in range(20):
        details(client)
    before = tested.clock.slept
    search(client)
    assert tested.clock.slept == before


def test_what_others_use_is_left_to_them(tested: TestedPortal) -> None:
    """Another user of the same app makes calls too: the answers tell, and nobody is refused."""
    tested.settings.burst = 100
    ours, others = client_of(tested), client_of(tested)
    for _ in range(30):
        details(others)
    for _ in range(60):
        details(ours)
    for _ in range(60):
        details(ours)
    assert tested.service.limits.refused == {}


def test_threads_share_a_window(tested: TestedPortal) -> None:
    tested.settings.burst = 40
    client = client_of(tested)

    def use() -> None:
        for _ in range(20):
            details(client)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.budget.made == 80 + sum(tested.service.limits.refused.values())
    assert tested.service.limits.refused.get("TEN_SECONDLY_ROLLING", 0) <= 4


def test_a_share_of_the_day_is_left_to_others(tested: TestedPortal) -> None:
    tested.settings.daily = 100
    client = client_of(tested, daily_share=0.5)
    for _ in range(50):
        details(client)
    with pytest.raises(
        QuotaError, match=r"50 of the portal's 100 calls.*daily_share: 0.5, "
    ) as caught:
        details(client)
    assert caught.value.until > tested.clock.now() + timedelta(minutes=59)
    assert len(tested.service.calls) == 50
    # An hour later it is asked again whether there are more.
    tested.clock.pass_time(timedelta(hours=1))
    details(client)
    assert len(tested.service.calls) == 51


def test_calls_are_counted_and_the_days_are_told(tested: TestedPortal) -> None:
    connector = tested.connect()
    connector.describe("records")
    list(connector.read("records", None))
    told = connector.call_count()
    assert (told.made, told.used, told.allowed) == (2, 2, 650_000)


def test_by_oauth_the_day_is_not_told(tested: TestedPortal) -> None:
    connector = tested.connect(options=tested.oauth())
    connector.describe("records")
    told = connector.call_count()
    assert (told.made, told.used, told.allowed) == (1, None, None)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [(Fault.TEN_SECONDLY, 10), (Fault.BARE_429, 10), (Fault.LOCKED, 2), (Fault.UNAVAILABLE, 1)],
)
@pytest.mark.parametrize("retry_after", [True, False])
def test_where_waiting_helps_it_waits(
    tested: TestedPortal, fault: Fault, seconds: int, retry_after: bool
) -> None:
    tested.settings.retry_after = retry_after
    client = client_of(tested)
    tested.service.faults.append(fault)
    details(client)
    assert seconds <= tested.clock.slept < seconds + 2


def test_a_search_that_was_too_fast_waits_a_second(tested: TestedPortal) -> None:
    tested.settings.retry_after = False
    client = client_of(tested)
    tested.service.faults.append(Fault.SECONDLY)
    search(client)
    assert 1 <= tested.clock.slept < 2


def test_when_the_day_is_used_up_it_stops(tested: TestedPortal) -> None:
    client = client_of(tested)
    tested.service.faults.append(Fault.DAILY)
    with pytest.raises(QuotaError, match="used up") as caught:
        details(client)
    assert caught.value.until == tested.clock.now() + timedelta(hours=1), "it is asked hourly"
    assert tested.clock.slept == 0
    assert len(tested.service.requests) == 1


def test_while_a_portal_moves_it_is_left_alone(tested: TestedPortal) -> None:
    client = client_of(tested)
    tested.service.faults.append(Fault.MIGRATION)
    with pytest.raises(QuotaError) as caught:
        details(client)
    assert caught.value.until == tested.clock.now() + timedelta(minutes=1)


def test_a_token_of_another_data_centre_is_told(tested: TestedPortal) -> None:
    client = client_of(tested)
    tested.service.faults.append(Fault.ORIGIN_DNS)
    with pytest.raises(AuthError, match="copy the token anew"):
        details(client)


@pytest.mark.parametrize("fault", [Fault.BAD_GATEWAY, Fault.GATEWAY_TIMEOUT, Fault.SERVER_ERROR,
                                   Fault.CUT_BEFORE, Fault.CUT_WITHIN, Fault.NOT_JSON])  # fmt: skip
def test_a_read_outlasts_what_soon_passes(tested: TestedPortal, fault: Fault) -> None:
    client = client_of(tested)
    tested.service.faults.extend([fault] * (TRIES - 1))
    details(client)
    tested.service.faults.extend([fault] * TRIES)
    with pytest.raises(TransientError):
        details(client)


def test_every_call_has_a_time_out(tested: TestedPortal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's library waits for ever."""
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.3)
    client = client_of(tested)
    tested.service.faults.append(Fault.SLOW)
    details(client)
    assert not tested.service.faults
    tested.service.faults.append(Fault.SLOW)
    with pytest.raises(UncertainError, match="did not answer in time"):
        client.call(
            "POST", "/crm/v3/objects/tasks/batch/archive", body={"inputs": []}, writing=True
        )


def test_nobody_there_is_told(tested: TestedPortal) -> None:
    client = client_of(tested, url="http://127.0.0.1:9")
    with pytest.raises(TransientError, match="cannot be reached"):
        client.call("POST", "/crm/v3/objects/tasks/batch/create", body={}, writing=True)
    # The next stream need not find that out by waiting.
    waited = tested.clock.slept
    with pytest.raises(TransientError, match="cannot be reached"):
        details(client)
    assert tested.clock.slept == waited > 0


@pytest.mark.parametrize(
    ("status", "body", "writing", "expected"),
    [
        (403, b'{"category":"MISSING_SCOPES","message":"no"}', False, RejectedError),
        (403, b'{"category":"MISSING_SCOPES","message":"no"}', True, AuthError),
        (404, b'{"category":"OBJECT_NOT_FOUND","message":"no"}', False, RejectedError),
        (409, b'{"category":"CONFLICT","message":"Existing ID: 1"}', True, RejectedError),
        (400, b'{"category":"VALIDATION_ERROR","message":"no"}', True, RejectedError),
        (414, b"", False, RejectedError),
        (423, b"", True, TransientError),
        (429, b'{"policyName":"DAILY","message":"x"}', False, QuotaError),
        (477, b"", True, QuotaError),
        (500, b"", True, UncertainError),
        (500, b"", False, TransientError),
        (502, b"<html>", True, UncertainError),
        (503, b"", True, TransientError),
        (504, b"", True, UncertainError),
        (530, b"error code: 1016", True, AuthError),
    ],
)
def test_each_status_is_named_by_what_happens_next(
    status: int, body: bytes, writing: bool, expected: type[ConnectorError]
) -> None:
    error = refusal_of(status, {}, body, writing=writing, now=START)
    assert type(error) is expected or (
        expected is RejectedError and isinstance(error, RejectedError)
    )
    assert str(error)


@pytest.mark.parametrize("policy", [b"SECONDLY", b"TEN_SECONDLY_ROLLING"])
def test_where_hubspot_says_how_long_to_wait_it_is_that_long(policy: bytes) -> None:
    body = b'{"status":"error","message":"x","policyName":"' + policy + b'"}'
    with pytest.raises(TooFastError) as caught:
        refusal_of(429, {"retry-after": "3"}, body, writing=False, now=START)
    assert caught.value.seconds == 3


def test_headers_that_make_no_sense_do_no_harm() -> None:
    budget = Budget(0.8, FixedClock(instant=START))
    budget.note({"x-hubspot-ratelimit-max": "many", "x-hubspot-ratelimit-daily": "0"})
    budget.wait(search=False)
    assert budget.used is None


def test_nobody_sits_through_a_long_wait(tested: TestedPortal) -> None:
    """What HubSpot asks to wait for longer than a moment is the engine's to wait for."""
    client = client_of(tested)
    for _ in range(TRIES):
        tested.service.faults.append(Fault.TEN_SECONDLY)
    with pytest.raises(TransientError) as caught:
        details(client)
    assert tested.clock.slept <= LONGEST_WAIT
    assert caught.value.retry_after is not None


def test_nobody_stands_still_for_a_whole_window(tested: TestedPortal) -> None:
    """The second half of the ten seconds' calls is spread over them."""
    tested.settings.burst = 100
    client = client_of(tested)
    longest = 0.0
    for _ in range(300):
        before = tested.clock.slept
        details(client)
        longest = max(longest, tested.clock.slept - before)
    assert 0 < longest < 6


def test_searches_tell_nothing_of_the_day_so_it_is_asked_for(tested: TestedPortal) -> None:
    tested.settings.daily = 200
    client = client_of(tested, daily_share=0.5)
    while len(tested.service.calls) < 100:
        search(client)
    with pytest.raises(QuotaError, match=r"share: 0.5"):
        search(client)
    assert tested.service.calls.count("GET account/details") <= 2


def test_by_oauth_it_is_not_asked_for_at_each_call(tested: TestedPortal) -> None:
    client = tested.connect(options=tested.oauth())._client  # noqa: SLF001  what is tested
    for _ in range(2 * UNTOLD + 10):
        search(client)
    assert tested.service.calls.count("GET account/details") == 2


def test_what_one_of_several_met_is_named_by_what_happens_next() -> None:
    assert isinstance(error_of({"category": "INTERNAL_ERROR", "message": "x"}), UncertainError)
    assert isinstance(error_of({"status": "503", "message": "x"}), UncertainError)
    assert isinstance(error_of({"category": "RATE_LIMITS", "message": "x"}), TransientError)
    assert isinstance(error_of({"category": "VALIDATION_ERROR", "message": "x"}), RejectedError)


def test_a_refused_value_is_told_in_words(tested: TestedPortal) -> None:
    client = client_of(tested)
    body = {"properties": {"name": "A", "hubspot_owner_id": "99999"}, "associations": []}
    with pytest.raises(RejectedError) as caught:
        client.call("POST", "/crm/v3/objects/companies", body=body, writing=True)
    assert "{" not in str(caught.value)
    assert "hubspot_owner_id: " in str(caught.value)


def test_a_scope_of_an_app_that_is_installed_is_added_elsewhere(tested: TestedPortal) -> None:
    tested.settings.scopes = ALL_SCOPES - {"crm.objects.companies.read"}
    client = tested.connect(options=tested.oauth())._client  # noqa: SLF001  what is tested
    with pytest.raises(RejectedError, match="the portal installs the app anew"):
        search(client)


def test_a_proxy_of_the_company_is_gone_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's library knows no proxy of the environment; a login is renewed through it."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    through = transport.Transport("https://hubspot.invalid", None)
    with pytest.raises(UnreachedError, match="through the proxy"):
        through.send("POST", "/crm/v3/objects/tasks/batch/create", {}, (), {}, writing=True)
    monkeypatch.setenv("NO_PROXY", "hubspot.invalid")
    past = transport.Transport("https://hubspot.invalid", None)
    with pytest.raises(UnreachedError, match=r"at https://hubspot\.invalid$"):
        past.send("GET", "/account-info/v3/details", {}, (), None, writing=False)


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_may_ask_for_a_name_and_a_password(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """As other programs take them, out of the proxy's address; nobody is told the password."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        heard: list[bytes] = []

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                heard.append(connection.recv(65_536))
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}ada:p%40ss:word@{address}")
        through = transport.Transport("https://hubspot.invalid", None)
        with pytest.raises(UnreachedError, match="through the proxy") as caught:
            through.send("GET", "/account-info/v3/details", {}, (), None, writing=False)
        thread.join()
    told = base64.b64encode(b"ada:p@ss:word")
    assert b"Basic " + told in heard[0]
    assert "ss:word" not in str(caught.value)
