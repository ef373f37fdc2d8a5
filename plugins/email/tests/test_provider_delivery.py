"""A provider under the real delivery: what was lost on the wire is looked for, and sent once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from providers_under_test import PostmarkUnderTest, SendgridUnderTest

import crmsync_email
from crmsync.plugins.hookspecs import hookimpl
from support.commands import call, call_json
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


@pytest.fixture(autouse=True)
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether something landed is asked after minutes of real time; a test does not wait."""
    specs = [replace(one, lands_within=timedelta()) for one in crmsync_email.crmsync_connectors()]
    monkeypatch.setattr(crmsync_email, "crmsync_connectors", hookimpl(lambda: specs))


def company(folder: Path, connector: str, secret: str) -> Path:
    routed = (
        f"mail: post\nconnections:\n  post: {{connector: {connector}, {secret}: file:secret, "
        "address: hello@vendor.example}\n"
    )
    return make_company(folder, config=CONFIG.replace("connections:\n", routed))


def run(config: Path, hours: int = 0) -> dict[str, Any]:
    report = call_json("run", "--config", config, "--at", (AT + timedelta(hours=hours)).isoformat())
    delivery = report["delivery"]
    assert isinstance(delivery, dict)
    return delivery


def lost(_: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("no answer")


def test_a_lost_answer_is_found_by_its_key(tmp_path: Path, router: respx.MockRouter) -> None:
    postmark = PostmarkUnderTest(tmp_path, router)
    config = company(tmp_path, "postmark", "token")
    postmark.failure = postmark.lose_answer
    assert run(config)["uncertain"] == 1
    later = run(config, 1)
    assert (later["already"], later["uncertain"]) == (1, 0)
    assert len(postmark.taken) == 1


def test_what_never_arrived_is_sent_again_once(tmp_path: Path, router: respx.MockRouter) -> None:
    postmark = PostmarkUnderTest(tmp_path, router)
    config = company(tmp_path, "postmark", "token")
    postmark.failure = lost
    assert run(config)["uncertain"] == 1
    assert postmark.taken == []
    assert run(config, 1)["done"] == 1
    assert run(config, 2)["done"] == 0
    assert len(postmark.taken) == 1


def test_while_it_cannot_be_looked_for_nothing_is_sent(
    tmp_path: Path, router: respx.MockRouter
) -> None:
    postmark = PostmarkUnderTest(tmp_path, router)
    config = company(tmp_path, "postmark", "token")
    postmark.failure = postmark.lose_answer
    run(config)

    def down(_: httpx.Request) -> httpx.Response:
        postmark.failure = down
        return httpx.Response(503)

    postmark.failure = down
    assert run(config, 1)["uncertain"] == 1
    postmark.failure = None
    assert len(postmark.taken) == 1
    assert run(config, 2)["already"] == 1


def test_whom_the_provider_drops_mail_to_is_told_and_gets_no_other(
    tmp_path: Path, router: respx.MockRouter
) -> None:
    sendgrid = SendgridUnderTest(tmp_path, router)
    sendgrid.suppressed["ann@acme.example"] = "spam_reports"
    config = company(tmp_path, "sendgrid", "api_key")
    assert run(config)["rejected"] == 1
    assert sendgrid.taken == []
    told = " ".join(call("status", "--config", config, "--at", AT.isoformat()).stdout.split())
    assert "ann@acme.example takes no mail: what would go there is held." in told
    assert "SendGrid drops all mail to ann@acme.example, which is on its own list: somebo" in told
    asked = len(sendgrid.asked)
    assert run(config, 1)["rejected"] == 0
    assert len(sendgrid.asked) == asked


def test_where_nobody_can_look_a_person_decides(tmp_path: Path, router: respx.MockRouter) -> None:
    sendgrid = SendgridUnderTest(tmp_path, router)
    config = company(tmp_path, "sendgrid", "api_key")
    sendgrid.failure = sendgrid.lose_answer
    for hours in range(3):
        assert run(config, hours)["uncertain"] == 1
    assert len(sendgrid.taken) == 1
