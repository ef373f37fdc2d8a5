"""Ways into a mailbox: protected wires, tokens, and servers that do not answer."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from mail_servers import Dovecot, Mailboxes, why_no_servers
from mailboxes import mail, new_user, password_login
from smtp_server import certified
from stand_ins import ONLY_DOVECOT
from wire_proxy import WireProxy

from crmsync.clock import FixedClock
from crmsync.errors import AuthError, ConnectorError, RejectedError, TransientError
from crmsync.testing.samples import START
from crmsync_email.login import Login
from crmsync_email.reading import session as session_module
from crmsync_email.reading.options import ImapOptions
from crmsync_email.reading.session import ImapLogin, MailboxSession

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDPOINT = "https://oauth2.googleapis.com/token"


@pytest.fixture(scope="module")
def protected() -> Iterator[Dovecot]:
    """A mail server with a certificate."""
    if (reason := why_no_servers()) is not None:
        pytest.skip(f"{ONLY_DOVECOT} TLS and STARTTLS ({reason})")
    with TemporaryDirectory(prefix="crmsync-dovecot-") as name:
        folder = Path(name)
        files = folder / "certificate.pem", folder / "key.pem"
        certified(*files)
        server = Dovecot.start(folder, certificate=files)
        try:
            yield server
        finally:
            server.stop()


def _logged_in(port: int, login: ImapLogin, **told: Any) -> int:
    """How many folders somebody sees who logs in."""
    options = ImapOptions.model_validate({"host": "localhost", "port": port} | told)
    session = MailboxSession(options, login)
    try:
        return len(session.folders())
    finally:
        session.close()


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_the_wire_is_protected_and_the_server_known(protected: Dovecot, security: str) -> None:
    port = protected.imaps if security == "tls" else protected.imap
    login = password_login(new_user())
    ca_file = str(protected.folder / "certificate.pem")
    assert _logged_in(port, login, security=security, ca_file=ca_file) == 2
    with pytest.raises(RejectedError, match=r"localhost:\d+ \(IMAP\) is not valid"):
        _logged_in(port, login, security=security)


def test_without_starttls_no_password_is_sent(mailboxes: Mailboxes) -> None:
    with pytest.raises(RejectedError, match=r"offers no STARTTLS .* the password was not sent"):
        _logged_in(mailboxes.imap, password_login(new_user()), security="starttls")


def test_a_file_without_certificates_is_told(mailboxes: Mailboxes) -> None:
    with pytest.raises(RejectedError, match=r"ca_file /none\.pem holds no certificates"):
        _logged_in(mailboxes.imap, password_login(new_user()), ca_file="/none.pem")


def _by_token(monkeypatch: pytest.MonkeyPatch, user: str) -> ImapLogin:
    monkeypatch.setenv("CRMSYNC_TEST_REFRESH", "refresh-1")
    oauth = {
        "provider": "google",
        "client_id": "id-1",
        "refresh_token": "env:CRMSYNC_TEST_REFRESH",
    }
    login = Login.model_validate({"user": user, "oauth": oauth})
    return ImapLogin(login, FixedClock(instant=START))


def _answer(token: str) -> httpx.Response:
    return httpx.Response(200, json={"access_token": token, "expires_in": 3600})


@respx.mock
def test_a_token_opens_the_mailbox(mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch) -> None:
    user = new_user()
    mailboxes.put(user, [mail()])
    respx.post(_ENDPOINT).mock(_answer(mailboxes.token(user)))
    assert _logged_in(mailboxes.imap, _by_token(monkeypatch, user), security="none") == 2


@respx.mock
def test_a_token_that_was_taken_back_is_replaced_once(
    mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = new_user()
    expired, valid = mailboxes.token(user, seconds=-60), mailboxes.token(user)
    route = respx.post(_ENDPOINT).mock(side_effect=[_answer(expired), _answer(valid)])
    assert _logged_in(mailboxes.imap, _by_token(monkeypatch, user), security="none") == 2
    assert route.call_count == 2


@respx.mock
def test_a_token_that_is_never_accepted_is_told(
    mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = new_user()
    token = mailboxes.token("somebody@else.example", seconds=-60)
    respx.post(_ENDPOINT).mock(_answer(token))
    with pytest.raises(AuthError, match="does not accept the OAuth token of") as told:
        _logged_in(mailboxes.imap, _by_token(monkeypatch, user), security="none")
    assert token not in str(told.value)


def _met(greeting: bytes, monkeypatch: pytest.MonkeyPatch) -> ConnectorError:
    """What is raised at a server that says this, and then nothing."""
    monkeypatch.setattr(session_module, "_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
        listening.settimeout(5)

        def say() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(greeting)
                connection.recv(1_000)
                connection.recv(1_000)

        thread = threading.Thread(target=say)
        thread.start()
        with pytest.raises(ConnectorError) as told:
            _logged_in(port, password_login(new_user()), host="127.0.0.1", security="none")
        thread.join()
    return told.value


@pytest.mark.parametrize(
    ("greeting", "sentence"),
    [
        (b"", "did not answer in time"),
        (b"* OK ready\r\n", "did not answer in time"),
        (b"* BYE too many connections\r\n", "does not take anybody now"),
        (b"220 smtp.example ESMTP\r\n", "ended the connection: “unexpected response"),
        (b"x" * 2_000_000, "the mail server 127.0.0.1:"),
    ],
)
def test_a_server_that_does_not_answer_is_given_up(
    greeting: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = _met(greeting, monkeypatch)
    assert isinstance(error, TransientError)
    assert sentence in str(error)


def test_nobody_there_is_told() -> None:
    with pytest.raises(TransientError, match=r"localhost:1 \(IMAP\) cannot be reached: Conn"):
        _logged_in(1, password_login(new_user()), security="none")


@pytest.mark.parametrize(
    ("words", "waits"),
    [
        ("[OVERQUOTA] Account exceeded command or bandwidth limits.", timedelta(hours=1)),
        ("[UNAVAILABLE] Temporary authentication failure.", None),
        ("[LIMIT] Too many simultaneous connections.", None),
    ],
)
def test_logins_that_are_refused_for_now_are_no_wrong_passwords(
    words: str, waits: timedelta | None, mailboxes: Mailboxes
) -> None:
    with WireProxy(mailboxes.imap) as proxy:
        proxy.reply = lambda line: (
            line.split()[0] + b" NO " + words.encode() + b"\r\n"
            if b"AUTHENTICATE" in line
            else None
        )
        with pytest.raises(ConnectorError) as told:
            _logged_in(proxy.port, password_login(new_user()), security="none")
    until = getattr(told.value, "until", None)
    assert until == (None if waits is None else START + waits)
    assert not isinstance(told.value, AuthError)
