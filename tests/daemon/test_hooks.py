"""What remotes tell by themselves is a hint, where it is they who tell it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.workspace import open_workspace
from crmsync.daemon.board import Board
from crmsync.daemon.hints import Hints
from crmsync.daemon.public.installed import InstalledOutside
from crmsync.errors import AuthError, UntrustedError
from crmsync.observe import configure_logs
from crmsync.plugins.manager import Plugins
from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from crmsync.plugins.contract import ConnectionContext, ConnectorSpec, HeardRequest

KEY = b"between the remote and us"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
URL = "https://crm.vendor.example/base"


@dataclass(kw_only=True)
class Clock:
    instant: datetime = START

    def now(self) -> datetime:
        return self.instant


def signed(url: str, body: bytes, at: datetime) -> str:
    return hmac.new(KEY, f"{url}{at.isoformat()}".encode() + body, hashlib.sha256).hexdigest()


def hear(context: ConnectionContext, request: HeardRequest) -> Collection[str]:
    """As connectors do it: the address, the body and the time are signed."""
    at = datetime.fromisoformat(request.headers.get("x-at", "2000-01-01T00:00+00:00"))
    if abs(request.at - at) > timedelta(minutes=5):
        raise UntrustedError("too old, or of the future")
    if not hmac.compare_digest(
        signed(request.url, request.body, at), request.headers.get("x-signature", "")
    ):
        raise UntrustedError("not signed")
    told = request.body.decode()
    if told == "no secret":
        raise AuthError("the secret is not there")
    if told == "bug":
        raise ZeroDivisionError
    assert "accounts" in context.streams
    return told.split()


@dataclass(kw_only=True)
class Hooks:
    outside: InstalledOutside
    hints: Hints
    board: Board
    clock: Clock

    def tells(
        self,
        body: bytes = b"accounts",
        *,
        name: str = "crm",
        uri: str = "/hooks/crm?a=b",
        **headers: str,
    ) -> tuple[HTTPStatus, set[str]]:
        """What the remote is answered, and what is read then."""
        at = self.clock.now()
        url = URL + uri.removeprefix("/base")
        given = {"x-at": at.isoformat(), "x-signature": signed(url, body, at)}
        given |= {key.replace("_", "-"): value for key, value in headers.items()}
        status = self.outside.hear(name, "POST", uri, given, body)
        return status, {*self.hints.take()[0]}


@pytest.fixture
def hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hooks:
    configure_logs(level="critical")
    real = Plugins.connector

    def hearing(plugins: Plugins, name: str) -> ConnectorSpec:
        return replace(real(plugins, name), hear=hear)

    monkeypatch.setattr(Plugins, "connector", hearing)
    config = make_company(tmp_path, config=f"{CONFIG}public: {{url: '{URL}/'}}\n")
    clock, hints = Clock(), Hints()
    workspace = open_workspace(config, clock)
    board = Board(clock, timedelta(hours=1))
    outside = InstalledOutside(lambda: workspace, clock, hints, board)
    return Hooks(outside=outside, hints=hints, board=board, clock=clock)


READ = (HTTPStatus.OK, {"crm"})


@pytest.mark.parametrize("uri", ["/hooks/crm", "/hooks/crm?a=%2F", "/base/hooks/crm?a=b"])
def test_what_is_signed_lets_the_connection_be_read(hooks: Hooks, uri: str) -> None:
    """The signature holds over the public address, whether or not the proxy kept its path."""
    assert hooks.tells(uri=uri) == READ


@pytest.mark.parametrize(
    "headers",
    [
        {"x_signature": ""},
        {"x_signature": "0" * 64},
        {"x_at": (START - timedelta(minutes=4)).isoformat()},
    ],
)
def test_what_is_forged_reads_nothing(hooks: Hooks, headers: dict[str, Any]) -> None:
    assert hooks.tells(**headers) == (HTTPStatus.UNAUTHORIZED, set())
    assert b'outcome="refused"} 1.0' in hooks.board.metrics()


@pytest.mark.parametrize("off", [timedelta(minutes=6), timedelta(minutes=-6)])
def test_another_time_in_either_direction_reads_nothing(hooks: Hooks, off: timedelta) -> None:
    at = START + off
    signature = signed(f"{URL}/hooks/crm?a=b", b"accounts", at)
    told = hooks.tells(x_at=at.isoformat(), x_signature=signature)
    assert told == (HTTPStatus.UNAUTHORIZED, set())


def test_the_same_request_again_reads_nothing(hooks: Hooks) -> None:
    assert hooks.tells() == READ
    for _ in range(3):
        assert hooks.tells() == (HTTPStatus.OK, set())
    hooks.clock.instant += timedelta(seconds=1)
    assert hooks.tells() == READ, "told anew"


def test_of_many_requests_no_more_are_remembered_than_there_is_room_for(hooks: Hooks) -> None:
    for number in range(1200):
        hooks.tells(b"accounts" + b" " * number)
    assert hooks.tells(b"accounts \n") == READ, "whoever is not remembered is believed"
    hooks.clock.instant += timedelta(minutes=20)
    assert hooks.tells() == READ
    assert hooks.tells() == (HTTPStatus.OK, set())


@pytest.mark.parametrize("told", [b"", b"nothing_of_ours", b"contact account"])
def test_what_concerns_no_stream_reads_nothing(hooks: Hooks, told: bytes) -> None:
    assert hooks.tells(told) == (HTTPStatus.OK, set())


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (b"no secret", HTTPStatus.SERVICE_UNAVAILABLE),
        (b"bug", HTTPStatus.INTERNAL_SERVER_ERROR),
        (b"\xff", HTTPStatus.INTERNAL_SERVER_ERROR),
    ],
)
def test_trouble_is_answered_and_reads_nothing(
    hooks: Hooks, told: bytes, status: HTTPStatus
) -> None:
    assert hooks.tells(told) == (status, set())


def test_who_is_not_there_or_hears_nothing_is_not_found(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hooks.tells(name="other") == (HTTPStatus.NOT_FOUND, set())
    monkeypatch.undo()
    assert hooks.tells() == (HTTPStatus.NOT_FOUND, set()), "files tell nothing by themselves"


def test_a_flood_of_forged_requests_is_logged_once_a_minute(
    hooks: Hooks, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs(level="info")
    for _ in range(50):
        hooks.tells(x_signature="")
    hooks.clock.instant += timedelta(minutes=1)
    hooks.tells(x_signature="")
    assert capsys.readouterr().err.count("public.hook_refused") == 2
