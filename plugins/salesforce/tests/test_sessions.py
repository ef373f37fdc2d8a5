"""Logins, sessions, allowances and time-outs: where simple-salesforce alone is known to fail."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from crmsync.errors import (
    AuthError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.observe import redact
from crmsync_salesforce import transport
from crmsync_salesforce.client import SalesforceClient
from crmsync_salesforce.options import SalesforceOptions
from crmsync_salesforce.simulator.messages import Fault
from support.commands import call

if TYPE_CHECKING:
    from pathlib import Path

    from org_under_test import TestedOrg


def client(org: TestedOrg, **changes: Any) -> SalesforceClient:
    return SalesforceClient(org.options(**changes), org.folder, org.clock)


def test_an_expired_session_is_renewed_once_with_the_same_headers(org: TestedOrg) -> None:
    one = client(org)
    one.call("GET", "limits")
    org.service.requests.clear()
    org.service.faults.append(Fault.EXPIRED_SESSION)
    headers = {
        "Sforce-Query-Options": "batchSize=200",
        "Sforce-Duplicate-Rule-Header": "allowSave=true",
    }
    one.call("GET", "limits", headers=headers)
    first, second = org.service.requests
    for request in (first, second):
        assert request.headers["sforce-query-options"] == "batchSize=200"
        assert request.headers["sforce-duplicate-rule-header"] == "allowSave=true"
    assert first.headers["authorization"] != second.headers["authorization"]
    assert org.service.sessions.logins == 2


def test_an_org_that_ends_each_session_is_not_asked_for_ever(org: TestedOrg) -> None:
    # simple-salesforce #804: 544 requests, and then a RecursionError.
    one = client(org)
    one.call("GET", "limits")
    org.service.requests.clear()
    org.service.faults.extend([Fault.EXPIRED_SESSION] * 10)
    with pytest.raises(AuthError, match="ends each session at once"):
        one.call("GET", "limits")
    assert len(org.service.requests) == 2


def test_a_session_id_cannot_be_renewed(org: TestedOrg) -> None:
    (org.folder / "session").write_text(org.service.sessions.open())
    given = {"session_id": f"file:{org.folder / 'session'}", "client_id": None}
    one = client(org, client_secret=None, **given)
    one.call("GET", "limits")
    org.service.sessions.end_all()
    with pytest.raises(AuthError, match="a session id cannot be renewed"):
        one.call("GET", "limits")
    assert org.service.sessions.logins == 0


def _key_pair(folder: Path) -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "jwt.pem").write_bytes(private)
    public = key.public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, spki).decode()


def test_a_login_by_a_private_key(org: TestedOrg) -> None:
    org.settings.public_key = _key_pair(org.folder)
    given: dict[str, Any] = {
        "client_secret": None,
        "username": org.settings.username,
        "private_key": f"file:{org.folder / 'jwt.pem'}",
    }
    client(org, **given).call("GET", "limits")
    with pytest.raises(AuthError, match="audience is invalid"):
        client(org, **given, audience="https://test.salesforce.com").call("GET", "limits")
    with pytest.raises(AuthError, match=r"pre-authorizes the app for eve@example\.com"):
        client(org, **given | {"username": "eve@example.com"}).call("GET", "limits")
    (org.folder / "jwt.pem").write_text("no key")
    with pytest.raises(AuthError, match="RSA key in PEM form"):
        client(org, **given).call("GET", "limits")


def test_a_login_by_password_warns_of_its_end(org: TestedOrg) -> None:
    (org.folder / "password").write_text(org.settings.password)
    given = {"username": org.settings.username, "password": f"file:{org.folder / 'password'}"}
    connector = org.connect(options=org.options(**given))
    (finding,) = connector.check()
    assert "Summer '27" in finding.sentence
    assert not finding.fatal
    (org.folder / "password").write_text("another-password-81c6")
    with pytest.raises(AuthError, match="prefer another way"):
        org.connect(options=org.options(**given)).check()


def test_wrong_credentials_say_where_to_look(org: TestedOrg) -> None:
    (org.folder / "secret").write_text("wrong-secret")
    with pytest.raises(AuthError, match="External Client App") as caught:
        client(org).call("GET", "limits")
    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "http://acme.my.salesforce.com"}, "not the address of an org"),
        ({"url": "acme.my.salesforce.com"}, "not the address of an org"),
        ({"url": "https://login.salesforce.com"}, "own address only"),
        ({"client_secret": None}, "client_secret must be given too"),
        ({"private_key": "env:K", "client_secret": None}, "username must be given too"),
        ({"session_id": "env:S", "password": "env:P"}, "give one of"),
        ({"api_version": "v62"}, "no version of the API"),
        ({"api_version": "30.0"}, "no version of the API"),
        ({"key_field": "a b"}, "no API name"),
        ({"daily_share": 0}, "greater than 0"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], words: str) -> None:
    values = {
        "url": "https://acme.my.salesforce.com",
        "client_id": "c",
        "client_secret": "env:S",
    } | options
    with pytest.raises(ValidationError, match=words):
        SalesforceOptions.model_validate({k: v for k, v in values.items() if v is not None})


@pytest.mark.parametrize(
    "url",
    [
        "https://acme--uat.sandbox.my.salesforce.com",
        "https://acme--uat.cs42.my.salesforce.com",
        "https://speed-ruby-1234.scratch.my.salesforce.com",
    ],
)
def test_a_sandbox_has_another_audience(url: str) -> None:
    given = {"url": url, "client_id": "c", "client_secret": "env:S"}
    options = SalesforceOptions.model_validate(given)
    assert options.jwt_audience == "https://test.salesforce.com"


def test_no_answer_is_waited_for_for_ever(org: TestedOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.3)
    one = client(org)
    one.call("GET", "limits")
    org.service.faults.append(Fault.HANG)
    with pytest.raises(TransientError, match="did not answer in time"):
        one.call("GET", "limits")


def test_an_org_that_is_not_there(org: TestedOrg) -> None:
    one = client(org, url="https://localhost:1")
    with pytest.raises(TransientError, match="cannot be reached"):
        one.call("GET", "limits")


def test_a_certificate_that_nobody_vouches_for(org: TestedOrg) -> None:
    with pytest.raises(AuthError, match="ca_file"):
        client(org, ca_file=None).call("GET", "limits")


@pytest.mark.parametrize(
    "broken",
    [
        requests.exceptions.SSLError("SSLEOFError(8, 'EOF occurred in violation of protocol')"),
        requests.exceptions.ChunkedEncodingError("Connection broken"),
        requests.exceptions.ConnectionError("RemoteDisconnected"),
        requests.exceptions.ReadTimeout("timed out"),
    ],
)
def test_what_broke_off_on_its_way_may_have_landed(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    one = client(org)
    one.call("GET", "limits")

    def request(*_: object, **__: object) -> requests.Response:
        raise broken

    monkeypatch.setattr(one.http, "request", request)
    with pytest.raises(UncertainError):
        one.call("POST", "composite/sobjects", json={}, writing=True)
    with pytest.raises(TransientError):
        one.call("GET", "limits")


def test_a_share_of_the_calls_is_left_to_others(org: TestedOrg) -> None:
    org.settings.daily_calls = 100
    org.service.used = 78
    one = client(org, daily_share=0.8)
    one.call("GET", "limits")
    one.call("GET", "limits")
    made = len(org.service.calls)
    with pytest.raises(
        QuotaError, match=r"80 of the org's 100 calls.*daily_share: 0.8, "
    ) as caught:
        one.call("GET", "limits")
    assert len(org.service.calls) == made
    assert caught.value.until > org.clock.now()
    org.settings.daily_calls = 1000
    org.service.used = 950
    (finding,) = org.connect().check()
    assert "only 49 of its 1,000 calls" in finding.sentence
    assert not finding.fatal


@pytest.mark.parametrize(
    ("used", "words"), [(500, []), (750, ["only 249 of its 1,000", "rests after 49 more"])]
)
def test_a_check_tells_of_the_share_before_it_is_used_up(
    org: TestedOrg, used: int, words: list[str]
) -> None:
    org.settings.daily_calls = 1000
    org.service.used = used
    found = org.connect(options=org.options(daily_share=0.8)).check()
    assert len(found) == bool(words)
    assert all(word in found[0].sentence for word in words)


def test_a_share_that_was_used_up_is_asked_about_again(org: TestedOrg) -> None:
    org.settings.daily_calls = 100
    org.service.used = 90
    one = client(org, daily_share=0.8)
    one.clock = org.clock
    one.call("GET", "limits")
    org.service.used = 10
    with pytest.raises(QuotaError) as caught:
        one.call("GET", "limits")
    org.clock.instant = caught.value.until
    one.call("GET", "limits")
    one.call("GET", "limits")
    org.service.used = 90
    one.call("GET", "limits")
    with pytest.raises(QuotaError):
        one.call("GET", "limits")


def _config(folder: Path, org: TestedOrg) -> Path:
    for name in ("rules", "segments", "templates"):
        (folder / name).mkdir()
    path = folder / "config.yaml"
    path.write_text(f"""\
company: {{name: Vendor, email: hello@vendor.example, time_zone: UTC}}
connections:
  sf:
    connector: salesforce
    url: {org.server.address}
    client_id: {org.settings.client_id}
    client_secret: file:{folder / "secret"}
    ca_file: {org.server.certificate}
    streams:
      users: {{table: user, object: User, key: Id, fields: {{name: Name, email: Email}}}}
      accounts: {{table: account, object: Account, key: Id, fields: {{name: Name}}}}
""")
    return path


def test_a_share_that_another_process_has_met_is_not_exceeded(
    org: TestedOrg, tmp_path: Path
) -> None:
    config = _config(tmp_path, org)
    org.settings.daily_calls, org.service.used = 100, 74

    def sync() -> tuple[int, str | None]:
        before = len(org.service.calls), org.service.sessions.logins
        at = org.clock.now().isoformat()
        told = json.loads(call("sync", "--config", config, "--at", at, "--json").stdout)
        after = len(org.service.calls), org.service.sessions.logins
        return sum(after) - sum(before), told["streams"][0]["error"]

    made, error = sync()
    assert made == 7
    assert org.service.used == 80
    assert error is None
    org.clock.pass_time(timedelta(minutes=50))
    made, error = sync()
    assert made == 0
    assert "80 of the org's 100 calls" in str(error)
    # By now some may have come back.
    org.clock.pass_time(timedelta(minutes=70))
    org.service.used = 40
    assert sync() == (3, None)


def test_an_allowance_that_is_used_up_ends_a_whole_pull_at_its_first_call(
    org: TestedOrg, tmp_path: Path
) -> None:
    config = _config(tmp_path, org)
    org.settings.daily_calls = org.service.used = 100
    for minutes in (0, 20, 20):
        org.clock.pass_time(timedelta(minutes=minutes))
        at = org.clock.now().isoformat()
        told = json.loads(call("sync", "--config", config, "--at", at, "--json").stdout)
        assert all("calls" in one["error"] for one in told["streams"])
    # Neither other streams nor other processes ask again within the hour.
    assert len(org.service.calls) == 1


def test_a_session_that_the_org_has_given_is_a_secret(org: TestedOrg) -> None:
    one = client(org)
    one.call("GET", "limits")
    token = one.api.session_id
    assert token not in redact(f"Bearer {token} was refused")


def test_a_version_that_was_retired(org: TestedOrg) -> None:
    one = client(org)
    one.call("GET", "limits")
    with pytest.raises(RejectedError, match="set api_version"):
        one.call("GET", f"https://localhost:{org.server.port}/services/data/v29.0/limits")


def test_the_time_of_the_org_is_never_later_than_what_it_tells(org: TestedOrg) -> None:
    one = client(org)
    one.call("GET", "limits")
    assert one.seen is not None
    now = org.clock.now()
    assert now - timedelta(seconds=30) < one.seen <= now - timedelta(seconds=1)
