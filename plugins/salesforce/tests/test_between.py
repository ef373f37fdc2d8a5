"""What stands between crmsync and the org, or in its place: redirects, proxies, notices."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.errors import AuthError, ConnectorError, TransientError, UncertainError
from crmsync_salesforce.client import SalesforceClient
from crmsync_salesforce.simulator.messages import Answer, Request

if TYPE_CHECKING:
    from pathlib import Path

    from org_under_test import TestedOrg


def client(org: TestedOrg) -> SalesforceClient:
    return SalesforceClient(org.options(), org.folder, org.clock)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_nobody_is_followed_with_our_secrets(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    asked: list[Request] = []
    there = org.server.address.replace("localhost", "127.0.0.1")

    def answer(request: Request) -> Answer:
        asked.append(request)
        location = f"{there}/services/oauth2/token?secret=5"
        return Answer(status=status, headers={"Location": location})

    monkeypatch.setattr(org.service, "answer", answer)
    with pytest.raises(AuthError, match=r"sends its callers on to 127\.0\.0\.1.*My Domain") as told:
        client(org).call("GET", "limits")
    assert "secret=5" not in str(told.value)
    assert len(asked) == 1


def test_a_write_that_is_sent_on_is_not_asked_for(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = client(org)
    one.call("GET", "limits")
    asked: list[str] = []

    def answer(request: Request) -> Answer:
        asked.append(request.method)
        return Answer(status=302, headers={"Location": "/services/data/v62.0/limits"})

    monkeypatch.setattr(org.service, "answer", answer)
    with pytest.raises(AuthError, match="sends its callers on"):
        one.call("POST", "composite/sobjects", json={}, writing=True)
    assert asked == ["POST"]


def test_a_page_for_people_is_no_answer(org: TestedOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = org.connect()
    cursor = list(connector.read("records", None))[-1].cursor
    page = Answer(body=b"<html>Back soon</html>", headers={"Content-Type": "text/html"})
    monkeypatch.setattr(org.service, "answer", lambda _: page)
    with pytest.raises(TransientError, match="text/html"):
        list(connector.read("records", cursor))
    with pytest.raises(TransientError, match="proxy"):
        connector.check()
    one = client(org)
    monkeypatch.undo()
    one.call("GET", "limits")
    monkeypatch.setattr(org.service, "answer", lambda _: page)
    with pytest.raises(UncertainError, match="text/html"):
        one.call("POST", "composite/sobjects", json={}, writing=True)


def test_a_netrc_does_not_log_in(
    org: TestedOrg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client(org).call("GET", "limits")
    (request,) = org.service.requests
    assert request.headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("code", ["unknown_error", "temporarily_unavailable"])
def test_a_login_that_is_to_be_tried_again(
    org: TestedOrg, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    body = {"error": code, "error_description": "retry your request"}
    monkeypatch.setattr(org.service, "answer", lambda _: Answer(status=400, body=body))
    with pytest.raises(TransientError, match="no logins now"):
        client(org).call("GET", "limits")


def test_many_threads_log_in_once(org: TestedOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    one = client(org)
    one.call("GET", "limits")
    org.service.sessions.end_all()
    before = org.service.sessions.logins
    together = threading.Barrier(6)
    knows = org.service.sessions.knows

    def at_once(request: Request) -> bool:
        known = knows(request)
        if not known:
            together.wait(5)  # nobody is refused before all have asked
        return known

    monkeypatch.setattr(org.service.sessions, "knows", at_once)
    errors: list[ConnectorError] = []

    def call() -> None:
        try:
            one.call("GET", "limits")
        except ConnectorError as error:
            errors.append(error)

    threads: list[Any] = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert org.service.sessions.logins == before + 1
