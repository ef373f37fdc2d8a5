"""Webhooks: whose they are, and which streams they are about."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from hubspot.utils.signature import Signature

from crmsync.app.workspace import open_workspace
from crmsync.daemon.board import Board
from crmsync.daemon.hints import Hints
from crmsync.daemon.public.installed import InstalledOutside
from crmsync.errors import AuthError, UntrustedError
from crmsync.plugins.contract import ConnectionContext, HeardRequest, StreamRequest
from crmsync.testing.samples import START
from crmsync_hubspot import crmsync_connectors
from crmsync_hubspot.options import HubSpotOptions, HubSpotStreamOptions
from crmsync_hubspot.simulator.webhooks import Webhooks

if TYPE_CHECKING:
    from pathlib import Path

    from portal_under_test import TestedPortal

SECRET = "the-apps-secret"  # noqa: S105  it opens nothing
GUESSED = "guessed"
URL = "https://crm.vendor.example/hooks/hub?from=hubspot"
EVENT = {"subscriptionType": "company.propertyChange", "objectId": 12, "propertyName": "name"}


class _Clock:
    def now(self) -> Any:
        return START


@pytest.fixture
def context(tmp_path: Path) -> ConnectionContext:
    (tmp_path / "secret").write_text(SECRET)
    streams = {
        "companies": {"object": "companies"},
        "contacts": {"object": "contacts"},
        "calls": {"object": "calls"},
        "call_links": {"object": "calls", "associations_to": ["companies"]},
        "owners": {"object": "owners"},
        "renewals": {"object": "p_renewals"},
    }
    return ConnectionContext(
        name="hub",
        options=HubSpotOptions.model_validate(
            {"access_token": "env:NEVER_ASKED", "client_secret": f"file:{tmp_path / 'secret'}"}
        ),
        streams={
            name: StreamRequest(
                name=name,
                options=HubSpotStreamOptions.model_validate(values),
                columns=("id",),
                key=("id",),
            )
            for name, values in streams.items()
        },
        folder=tmp_path,
        clock=_Clock(),
    )


def request(
    *events: Any, sent: timedelta = timedelta(0), url: str = URL, secret: str = SECRET
) -> HeardRequest:
    body = json.dumps(list(events)).encode()
    at = str(int((START + sent).timestamp() * 1000))
    signed = b"POST" + url.encode() + body + at.encode()
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    headers = {
        "x-hubspot-request-timestamp": at,
        "x-hubspot-signature-v3": base64.b64encode(digest).decode(),
    }
    return HeardRequest(method="POST", url=URL, headers=headers, body=body, at=START)


def heard(context: ConnectionContext, told: HeardRequest) -> list[str]:
    hear = crmsync_connectors()[0].hear
    assert hear is not None
    return sorted(hear(context, told))


@pytest.mark.parametrize(
    ("event", "streams"),
    [
        (EVENT, ["call_links", "companies"]),
        ({"subscriptionType": "contact.creation", "objectId": 1}, ["contacts"]),
        ({"subscriptionType": "object.creation", "objectTypeId": "0-48"}, ["call_links", "calls"]),
        ({"subscriptionType": "object.creation", "objectTypeId": "2-123"}, ["renewals"]),
    ],
)
def test_it_tells_which_streams_to_read(
    context: ConnectionContext, event: dict[str, Any], streams: list[str]
) -> None:
    assert heard(context, request(event)) == streams


def test_what_cannot_be_understood_is_a_hint_for_all(context: ConnectionContext) -> None:
    assert len(heard(context, request("what?"))) == 6
    assert heard(context, request()) == []


@pytest.mark.parametrize("minutes", [-4.9, 4.9])
def test_the_time_may_be_a_little_off(context: ConnectionContext, minutes: float) -> None:
    assert heard(context, request(EVENT, sent=timedelta(minutes=minutes)))


@pytest.mark.parametrize("minutes", [-5.1, 5.1, -100_000, 10_000_000])
def test_the_time_is_bound_in_both_directions(context: ConnectionContext, minutes: float) -> None:
    with pytest.raises(UntrustedError, match="five minutes"):
        heard(context, request(EVENT, sent=timedelta(minutes=minutes)))


def test_the_vendors_library_takes_the_future_for_good() -> None:
    """So it is not used: a request that was recorded once could be played for years."""
    at = str(int((START + timedelta(days=40_000)).timestamp() * 1000))
    signed = f"POST{URL}[]{at}".encode()
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert Signature.is_valid(
        signature=base64.b64encode(digest).decode(),
        client_secret=SECRET,
        request_body="[]",
        http_uri=URL,
        http_method="POST",
        signature_version="v3",
        timestamp=at,
    )


def test_another_secret_or_address_is_not_trusted(context: ConnectionContext) -> None:
    for told in (request(EVENT, secret=GUESSED), request(EVENT, url=URL + "&more")):
        with pytest.raises(UntrustedError, match="not signed"):
            heard(context, told)


@pytest.mark.parametrize("at", ["", "yesterday", "²", "9" * 15, "9" * 40, "-1"])
def test_a_time_that_is_none_is_not_trusted(context: ConnectionContext, at: str) -> None:
    told = request(EVENT)
    headers = {**told.headers, "x-hubspot-request-timestamp": at}
    with pytest.raises(UntrustedError):
        heard(
            context,
            HeardRequest(method="POST", url=URL, headers=headers, body=told.body, at=START),
        )


@pytest.mark.parametrize(
    ("arrived", "signed"),
    [
        ("%3A", ":"), ("%2F", "/"), ("%3F", "?"), ("%40", "@"), ("%21", "!"), ("%24", "$"),
        ("%27", "'"), ("%28", "("), ("%29", ")"), ("%2A", "*"), ("%2C", ","), ("%3B", ";"),
        ("%2c", ","),
        # All others are signed as they stand in the address.
        ("%20", "%20"), ("%26", "%26"), ("%253A", "%253A"),
    ],
)  # fmt: skip
def test_some_characters_of_the_address_are_signed_as_they_are_meant(
    context: ConnectionContext, arrived: str, signed: str
) -> None:
    """Those of the table on HubSpot's page on validating requests."""
    told = request(EVENT, url=f"{URL}&to=a{signed}b")
    url = f"{URL}&to=a{arrived}b"
    again = HeardRequest(method="POST", url=url, headers=told.headers, body=told.body, at=START)
    assert heard(context, again) == ["call_links", "companies"]


def test_without_a_secret_nobody_is_heard(context: ConnectionContext) -> None:
    deaf = HubSpotOptions.model_validate({"access_token": "env:NEVER_ASKED"})
    bare = ConnectionContext(
        name="hub", options=deaf, streams={}, folder=context.folder, clock=context.clock
    )
    with pytest.raises(AuthError, match="client_secret must be given"):
        heard(bare, request(EVENT))


@pytest.mark.parametrize(
    ("late_by", "status", "read"),
    [
        (timedelta(0), HTTPStatus.OK, {"hubspot"}),
        (timedelta(minutes=6), HTTPStatus.UNAUTHORIZED, set()),
        (timedelta(minutes=-6), HTTPStatus.UNAUTHORIZED, set()),
    ],
)
def test_what_the_portal_tells_the_daemon_is_a_hint(
    tested: TestedPortal, late_by: timedelta, status: HTTPStatus, read: set[str]
) -> None:
    """As the portal signs it, through the daemon's own door."""
    config = tested.folder / "config.yaml"
    for name in ("rules", "segments", "templates"):
        (tested.folder / name).mkdir()
    config.write_text(f"""\
company: {{name: Vendor, email: hello@vendor.example}}
public: {{url: 'https://crm.vendor.example/'}}
connections:
  hubspot:
    connector: hubspot
    url: {tested.server.address}
    access_token: file:{tested.folder / "token"}
    client_secret: file:{tested.folder / "client_secret"}
    streams:
      companies: {{table: account, object: companies, key: id, fields: {{name: name}}}}
""")
    workspace = open_workspace(config, tested.clock)
    hints, board = Hints(), Board(tested.clock, timedelta(hours=1))
    outside = InstalledOutside(lambda: workspace, tested.clock, hints, board)
    webhooks = Webhooks(tested.portal, tested.settings.client_secret)
    tested.make("companies", name="new")
    (body,) = webhooks.bodies()
    told = webhooks.headers("https://crm.vendor.example/hooks/hubspot", body, late_by=late_by)
    headers = {name.lower(): value for name, value in told.items()}
    assert outside.hear("hubspot", "POST", "/hooks/hubspot", headers, body) == status
    assert {*hints.take()[0]} == read
