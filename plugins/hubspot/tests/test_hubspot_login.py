"""Tokens: of a private app, and of OAuth, which are renewed."""

from __future__ import annotations

import json
import stat
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from crmsync.errors import AuthError, QuotaError, TransientError
from crmsync_hubspot.options import HubSpotOptions
from crmsync_hubspot.simulator.messages import Fault
from crmsync_hubspot.tokens import TOKEN_PATH

if TYPE_CHECKING:
    from portal_under_test import TestedPortal

    from crmsync_hubspot.connector import HubSpotConnector


def ask(connector: HubSpotConnector) -> int:
    return len(list(connector.describe("records")))


def logins(tested: TestedPortal) -> int:
    return tested.service.access.refreshes


def test_a_private_apps_token_is_used_as_it_is(tested: TestedPortal) -> None:
    assert ask(tested.connect())
    assert tested.service.requests[-1].headers["authorization"] == f"Bearer {tested.settings.token}"
    assert logins(tested) == 0


def test_a_login_is_renewed_before_it_expires(tested: TestedPortal) -> None:
    connector = tested.connect(options=tested.oauth())
    ask(connector)
    first = tested.service.requests[0]
    assert (first.method, first.target) == ("POST", TOKEN_PATH), "nothing secret in the address"
    tested.clock.pass_time(timedelta(minutes=28))
    connector._descriptions.forget()  # noqa: SLF001  so that it asks
    ask(connector)
    assert logins(tested) == 1
    tested.clock.pass_time(timedelta(minutes=1, seconds=30))
    connector._descriptions.forget()  # noqa: SLF001  likewise
    ask(connector)
    assert logins(tested) == 2


def test_a_login_that_has_ended_is_renewed_once(tested: TestedPortal) -> None:
    connector = tested.connect(options=tested.oauth())
    tested.service.faults.append(Fault.EXPIRED_ACCESS)
    tested.service.spared = 1
    assert ask(connector)
    assert logins(tested) == 2
    tested.service.faults.extend([Fault.BAD_ACCESS] * 2)
    connector._descriptions.forget()  # noqa: SLF001  so that it asks
    with pytest.raises(AuthError, match="renewed a moment ago"):
        ask(connector)


def test_a_private_apps_token_that_is_refused_is_told(tested: TestedPortal) -> None:
    tested.service.faults.append(Fault.BAD_ACCESS)
    with pytest.raises(AuthError, match="copy it anew"):
        ask(tested.connect())
    assert len(tested.service.requests) == 1


def test_a_new_refresh_token_is_kept_for_its_owner_only(tested: TestedPortal) -> None:
    ask(tested.connect(options=tested.oauth()))
    (kept,) = tested.folder.glob(".hubspot-*")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    told = json.loads(kept.read_text())
    assert told["refresh_token"] != tested.settings.refresh_token
    assert tested.settings.refresh_token not in kept.read_text()
    # The one of the config is of no use any more.
    ask(tested.connect(options=tested.oauth()))
    assert logins(tested) == 2


def test_a_new_token_in_the_config_wins(tested: TestedPortal) -> None:
    ask(tested.connect(options=tested.oauth()))
    fresh = "eu1-installed-anew"
    tested.service.access._refresh_tokens = {fresh}  # noqa: SLF001  the app was installed anew
    with pytest.raises(AuthError, match="install the app in the portal anew"):
        ask(tested.connect(options=tested.oauth()))
    (tested.folder / "refresh_token").write_text(fresh)
    assert ask(tested.connect(options=tested.oauth()))


def test_a_kept_file_that_is_damaged_is_passed_by(tested: TestedPortal) -> None:
    (tested.folder / ".hubspot-hub.token").write_text("half of")
    assert ask(tested.connect(options=tested.oauth()))


def test_another_process_may_have_renewed_it(tested: TestedPortal) -> None:
    one = tested.connect(options=tested.oauth())
    tokens = one._client.tokens  # noqa: SLF001  what happens between its two steps
    stale = tokens._refresh_token  # noqa: SLF001  likewise
    answers = [tested.settings.refresh_token]

    def first_stale() -> str:
        if answers:
            ask(tested.connect(options=tested.oauth()))
            return answers.pop()
        return stale()

    tokens._refresh_token = first_stale  # type: ignore[method-assign]  # noqa: SLF001  likewise
    assert ask(one)


def test_many_threads_renew_it_once(tested: TestedPortal) -> None:
    connector = tested.connect(options=tested.oauth())
    got: list[str] = []

    def use() -> None:
        got.append(connector._client.tokens.token())  # noqa: SLF001  the lock is in there

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == 1
    assert logins(tested) == 1


def test_a_renewal_outlasts_a_short_outage(tested: TestedPortal) -> None:
    tested.service.faults.extend([Fault.UNAVAILABLE, Fault.CUT_BEFORE])
    assert ask(tested.connect(options=tested.oauth()))
    tested.service.faults.extend([Fault.UNAVAILABLE] * 3)
    with pytest.raises(TransientError):
        ask(tested.connect(options=tested.oauth()))
    tested.service.faults.append(Fault.MIGRATION)
    with pytest.raises(QuotaError):
        ask(tested.connect(options=tested.oauth()))


def test_errors_of_a_login_tell_no_secret(tested: TestedPortal) -> None:
    (tested.folder / "client_secret").write_text("wrong-but-secret")
    with pytest.raises(AuthError) as caught:
        ask(tested.connect(options=tested.oauth()))
    assert "wrong-but-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "“access_token” is missing"),
        ({"client_id": "x"}, "client_secret and refresh_token must be given too"),
        ({"access_token": "env:A", "refresh_token": "env:B"}, "not both"),
        ({"access_token": "env:A", "url": "http://api.hubapi.com"}, "is not the address"),
        ({"access_token": "env:A", "key_property": "My Key"}, "no internal name"),
        ({"access_token": "pat-eu1-123"}, "a secret is written as a reference"),
    ],
)
def test_options_that_do_not_fit_are_told(values: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HubSpotOptions.model_validate(values)
