"""What a mail server does, and what is said of each mail then."""

from __future__ import annotations

import base64
import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError
from sending_under_test import ADDRESS, mail, opened, spec_of
from smtp_server import PASSWORD, TOKEN, USER, Fault, MailServer

from crmsync.clock import FixedClock
from crmsync.errors import (
    AuthError,
    ConnectorError,
    NobodyThereError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.model.actions import AddNote, Receipt
from crmsync.testing.samples import START
from crmsync_email.login import Security
from crmsync_email.options import SmtpOptions
from crmsync_email.sending import session
from crmsync_email.sending.smtp import SmtpSender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crmsync_email.sending.smtp import SmtpConnector

REFRESH_TOKEN = "1//of-a-test"  # noqa: S105  of nobody
GOOGLE = "https://oauth2.googleapis.com/token"


@pytest.fixture
def password(tmp_path: Path) -> str:
    (tmp_path / "password").write_text(PASSWORD)
    return f"file:{tmp_path / 'password'}"


@pytest.fixture
def connect(mail_server: MailServer, tmp_path: Path, password: str) -> Iterator[Any]:
    connections: list[SmtpConnector] = []

    def connect(clock: Any = None, **changes: Any) -> SmtpConnector:
        given = mail_server.options(password=password, address=ADDRESS)
        options = {name: value for name, value in (given | changes).items() if value is not None}
        connections.append(opened(spec_of("smtp"), tmp_path, options, clock))  # type: ignore[arg-type]  # what smtp opens
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


def answer(connector: SmtpConnector, **changes: Any) -> Receipt | ConnectorError:
    (one,) = connector.apply([mail(**changes)])
    return one


REFUSALS = [
    (Fault.LOGIN, AuthError, "refuses the login"),
    (Fault.LOGIN_LATER, TransientError, "454 4.7.0"),
    (Fault.MAIL_LATER, TransientError, "451 4.3.0"),
    (Fault.MAIL_SEND_AS, AuthError, "refuses the sender hello@example.com: 550 5.7.60"),
    (Fault.MAIL_NEVER, AuthError, "not allowed from your network"),
    (Fault.MAIL_TOO_BIG, RejectedError, "Message size exceeds"),
    (Fault.RCPT_BLOCKED, TransientError, "blocked using zen.example"),
    (Fault.TAKEN_SEND_AS, RejectedError, "take their domain out"),
    (Fault.USED_UP, QuotaError, "Daily message quota exceeded"),
    (Fault.CLOSING, TransientError, "421"),
    (Fault.RCPT_LATER, TransientError, "greylisted"),
    (Fault.RCPT_UNKNOWN, NobodyThereError, "550 5.1.1 no such user here"),
    (Fault.DATA_NOT_NOW, TransientError, "452"),
    (Fault.TAKEN_LATER, TransientError, "451 4.7.1"),
    (Fault.TAKEN_NEVER, RejectedError, "spam"),
    (Fault.GARBAGE_AT_RCPT, TransientError, "does not speak SMTP"),
    (Fault.CUT_IDLE, TransientError, "broke the connection off"),
]


@pytest.mark.parametrize(("fault", "kind", "words"), REFUSALS, ids=str)
def test_what_was_surely_not_taken_is_told_as_such(
    fault: Fault, kind: type[ConnectorError], words: str, connect: Any, mail_server: MailServer
) -> None:
    connector = connect()
    mail_server.faults.append(fault)
    told = answer(connector)
    assert type(told) is kind
    assert words in str(told)
    assert mail_server.taken == []
    assert isinstance(answer(connector), Receipt), "the same connection goes on"
    assert len(mail_server.taken) == 1


def test_a_server_that_wants_nothing_from_us_kills_no_mail(connect: Any) -> None:
    """It may have us on a list for an hour; nothing is wrong with the mails."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def refuse() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = server.accept()
                    caller.sendall(b"554 5.7.1 you are blocked using zen.example\r\n")
                    caller.close()

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        plain = {"host": "127.0.0.1", "port": port, "security": "none", "ca_file": None}
        connector = connect(**plain, user=None, password=None)
        answers = connector.apply([mail(f"key-{number}") for number in range(3)])
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
    assert [type(one) for one in answers] == [AuthError] * 3
    assert "refuses the connection: 554 5.7.1 you are blocked" in str(answers[0])


def test_a_full_mailbox_of_ours_kills_no_mail(mail_server: MailServer, password: str) -> None:
    options = SmtpOptions.model_validate(mail_server.options(password=password, address=ADDRESS))
    sender = SmtpSender(options, options, options, FixedClock(instant=START), copies=True)
    mail_server.faults.append(Fault.COPY_FULL)
    told = sender.apply([mail("key-1"), mail("key-2")])
    assert [type(one) for one in told] == [AuthError] * 2
    assert "the copy to our own hello@example.com" in str(told[0])
    assert [type(one) for one in sender.apply([mail("key-1")])] == [Receipt]
    sender.close()


@pytest.mark.parametrize(
    ("lines", "kind"), [(400_000, TransientError), (1, UncertainError)], ids=["large", "small"]
)
def test_a_connection_that_breaks_within_the_mail(
    lines: int, kind: type[ConnectorError], connect: Any, mail_server: MailServer
) -> None:
    """Of a mail that fitted into the wire nobody here can know how much has arrived."""
    mail_server.faults.append(Fault.CUT_BEFORE_DOT)
    assert type(answer(connect(), text="a line of a long mail\n" * lines)) is kind
    assert mail_server.taken == []


@pytest.mark.parametrize("fault", [Fault.CUT_AFTER_DOT, Fault.GARBAGE_AFTER_DOT], ids=str)
def test_what_says_neither_yes_nor_no_after_the_mail_is_uncertain(
    fault: Fault, connect: Any, mail_server: MailServer
) -> None:
    connector = connect()
    mail_server.faults.append(fault)
    first, second = connector.apply([mail("key-1"), mail("key-2")])
    assert isinstance(first, UncertainError)
    assert isinstance(second, Receipt), "the session was opened again for the rest"
    assert len(mail_server.taken) == 2


def test_an_answer_that_does_not_come_is_uncertain(
    connect: Any, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "TAKING_SECONDS", 0.3)
    connector = connect()
    mail_server.faults.append(Fault.HANG_AFTER_DOT)
    told = answer(connector)
    assert isinstance(told, UncertainError)
    assert "did not answer in time" in str(told)


def test_a_server_that_hangs_before_the_mail_has_not_taken_it(
    connect: Any, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = connect()
    assert isinstance(answer(connector), Receipt)
    monkeypatch.setattr(session, "ANSWER_SECONDS", 0.3)
    mail_server.faults.append(Fault.HANG_AT_MAIL)
    told = answer(connector)
    assert isinstance(told, TransientError)
    assert "did not answer in time" in str(told)


def test_a_call_ends_before_the_engine_gives_it_up(mail_server: MailServer, password: str) -> None:
    given = mail_server.options(password=password, address=ADDRESS)
    options = SmtpOptions.model_validate(given)
    clock = FixedClock(instant=START)
    sender = SmtpSender(
        options, options, options, clock, monotonic=lambda: 50.0 * len(mail_server.taken)
    )
    answers = sender.apply([mail(f"key-{number}") for number in range(6)])
    sender.close()
    assert [type(one) for one in answers] == [*[Receipt] * 3, *[TransientError] * 3]
    assert len(mail_server.taken) == 3


def test_one_session_carries_a_batch_and_the_next(connect: Any, mail_server: MailServer) -> None:
    connector = connect()
    answers = connector.apply([mail(f"key-{number}") for number in range(5)])
    answers += connector.apply([mail("key-5")])
    assert all(isinstance(one, Receipt) for one in answers)
    assert (mail_server.sessions, mail_server.logins) == (1, [USER])


def test_a_session_that_was_idle_for_too_long_is_opened_again(
    connect: Any, mail_server: MailServer
) -> None:
    connector = connect()
    answer(connector)
    mail_server.cut_all()
    assert isinstance(answer(connector, key="key-2"), Receipt)
    assert mail_server.sessions == 2


def test_a_server_that_is_gone_is_not_tried_again_for_each_mail(
    connect: Any, mail_server: MailServer
) -> None:
    connector = connect()
    mail_server.close()
    answers = connector.apply([mail(f"key-{number}") for number in range(3)])
    assert [str(one) for one in answers] == [
        f"the mail server localhost:{mail_server.port} refuses connections"
    ] * 3
    assert all(isinstance(one, TransientError) for one in answers)


def test_what_is_no_mail_is_refused_in_its_place(connect: Any) -> None:
    connector = connect()
    note, sent = connector.apply([AddNote(key="key-n", text="x"), mail()])
    assert isinstance(note, RejectedError)
    assert isinstance(sent, Receipt)


@pytest.mark.parametrize("way", ["PLAIN", "LOGIN"])
def test_each_way_to_log_in(way: str, connect: Any, mail_server: MailServer) -> None:
    mail_server.ways = {way}
    assert isinstance(answer(connect()), Receipt)
    assert mail_server.logins == [USER]


def test_no_way_to_log_in(connect: Any, mail_server: MailServer) -> None:
    mail_server.ways = set()
    told = answer(connect())
    assert isinstance(told, AuthError)
    assert "no login by password" in str(told)


def test_tls_from_the_first_byte(tmp_path: Path, password: str) -> None:
    server = MailServer(tmp_path, Security.TLS)
    options = server.options(password=password, address=ADDRESS)
    connector = opened(spec_of("smtp"), tmp_path, options)
    assert isinstance(answer(connector), Receipt)  # type: ignore[arg-type]  # what smtp opens
    connector.close()
    server.close()


def test_certificates_that_are_not_there(connect: Any, mail_server: MailServer) -> None:
    told = answer(connect(ca_file="nowhere.pem"))
    assert isinstance(told, AuthError)
    assert "nowhere.pem holds no certificates" in str(told)
    assert mail_server.sessions == 0


def test_a_stranger_s_certificate_is_not_trusted(connect: Any, mail_server: MailServer) -> None:
    told = answer(connect(ca_file=None))
    assert isinstance(told, AuthError)
    assert "name its certificates with ca_file" in str(told)
    assert mail_server.logins == []


def test_a_certificate_for_another_name_is_not_trusted(
    connect: Any, mail_server: MailServer
) -> None:
    told = answer(connect(host="127.0.0.2"))
    assert isinstance(told, AuthError | TransientError)
    assert mail_server.logins == []


def test_without_starttls_nothing_is_sent(tmp_path: Path, password: str) -> None:
    server = MailServer(tmp_path, Security.NONE)
    options = server.options(password=password, address=ADDRESS, security="starttls")
    told = answer(opened(spec_of("smtp"), tmp_path, options))  # type: ignore[arg-type]  # what smtp opens
    assert isinstance(told, AuthError)
    assert "offers no STARTTLS" in str(told)
    assert server.logins == []
    server.close()


def test_nothing_goes_in_the_clear_to_another_machine() -> None:
    with pytest.raises(ValidationError, match="in the clear"):
        SmtpOptions.model_validate(
            {"host": "mail.example.com", "security": "none", "address": ADDRESS}
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"user": "a"}, "give password or oauth"),
        ({"password": "env:X"}, "give user"),
        ({"address": "nobody"}, "is not one e-mail address"),
        ({"address": "a@example.com", "domains": "ex ample"}, "has no domain"),
    ],
)
def test_options_that_do_not_fit(changes: dict[str, Any], words: str) -> None:
    given = {"host": "mail.example.com", "address": ADDRESS}
    with pytest.raises(ValidationError, match=words):
        SmtpOptions.model_validate(given | changes)


@pytest.fixture
def oauth(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "refresh").write_text(REFRESH_TOKEN)
    (tmp_path / "client").write_text("GOCSPX-secret")
    return {
        "provider": "google",
        "client_id": "client.apps.example",
        "client_secret": f"file:{tmp_path / 'client'}",
        "refresh_token": f"file:{tmp_path / 'refresh'}",
    }


def test_a_token_is_fetched_once_and_used(
    connect: Any, oauth: dict[str, Any], mail_server: MailServer
) -> None:
    with respx.mock:
        route = respx.post(GOOGLE).respond(json={"access_token": TOKEN, "expires_in": 3599})
        connector = connect(password=None, oauth=oauth)
        assert isinstance(answer(connector), Receipt)
        mail_server.cut_all()
        assert isinstance(answer(connector, key="key-2"), Receipt)
    assert route.call_count == 1
    asked = httpx.QueryParams(route.calls[0].request.content.decode())
    assert asked["grant_type"] == "refresh_token"
    assert asked["refresh_token"] == REFRESH_TOKEN
    assert mail_server.logins == [USER, USER]


def test_a_token_that_was_taken_back_is_replaced_once(
    connect: Any, oauth: dict[str, Any], mail_server: MailServer
) -> None:
    with respx.mock:
        respx.post(GOOGLE).mock(
            side_effect=[
                httpx.Response(200, json={"access_token": "taken-back", "expires_in": 3599}),
                httpx.Response(200, json={"access_token": TOKEN, "expires_in": 3599}),
            ]
        )
        assert isinstance(answer(connect(password=None, oauth=oauth)), Receipt)
    assert len(mail_server.logins) == 2


def test_a_refresh_token_that_is_not_valid_any_more(
    connect: Any, oauth: dict[str, Any], mail_server: MailServer
) -> None:
    with respx.mock:
        respx.post(GOOGLE).respond(400, json={"error": "invalid_grant"})
        told = answer(connect(password=None, oauth=oauth))
    assert isinstance(told, AuthError)
    assert "somebody must agree again" in str(told)
    with respx.mock:
        respx.post(GOOGLE).mock(side_effect=httpx.ConnectError(f"{REFRESH_TOKEN} in the words"))
        told = answer(connect(password=None, oauth=oauth))
    assert isinstance(told, TransientError)
    assert REFRESH_TOKEN not in str(told)
    assert told.__cause__ is None
    assert mail_server.logins == []


def test_microsoft_s_application_asks_for_its_own_token(
    connect: Any, tmp_path: Path, mail_server: MailServer
) -> None:
    (tmp_path / "client").write_text("secret-of-the-app")
    oauth = {
        "provider": "microsoft",
        "tenant": "contoso.example",
        "client_id": "11111111-2222",
        "client_secret": f"file:{tmp_path / 'client'}",
    }
    with respx.mock:
        route = respx.post(
            "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"
        ).respond(json={"access_token": TOKEN, "expires_in": 3599})
        assert isinstance(answer(connect(password=None, oauth=oauth)), Receipt)
    asked = httpx.QueryParams(route.calls[0].request.content.decode())
    assert asked["grant_type"] == "client_credentials"
    assert asked["scope"] == "https://outlook.office365.com/.default"
    assert mail_server.logins == [USER]


def test_check_doubts_a_signature_that_speaks_for_another_domain(
    connect: Any, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  quick
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL)
    (tmp_path / "key").write_bytes(key.private_bytes(*form, serialization.NoEncryption()))
    dkim = {"domain": "elsewhere.example", "selector": "s", "key": f"file:{tmp_path / 'key'}"}
    (finding,) = connect(dkim=dkim).check()
    assert not finding.fatal
    assert "is signed for elsewhere.example, so by DMARC it is not signed" in finding.sentence


def test_check_logs_in_and_asks_whether_we_may_send(connect: Any, mail_server: MailServer) -> None:
    assert connect().check() == []
    mail_server.faults.append(Fault.MAIL_SEND_AS)
    (finding,) = connect().check()
    assert finding.fatal
    assert "hello@example.com" in finding.sentence
    mail_server.faults.append(Fault.LOGIN)
    (finding,) = connect().check()
    assert USER in finding.sentence
    assert PASSWORD not in finding.sentence
    assert mail_server.taken == []


def test_redirected_mail_reaches_nobody_else(connect: Any, mail_server: MailServer) -> None:
    connector = connect(redirect_to="Ops <ops@example.com>")
    ways = {
        "List-Unsubscribe": "<https://crm.example.com/unsubscribe/x>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert isinstance(answer(connector, headers=ways), Receipt)
    (taken,) = mail_server.taken
    assert taken.recipients == ["ops@example.com"]
    assert not any("unsubscribe" in name.lower() for name in taken.message), "it is the customer's"
    assert taken.message["To"].addresses[0].addr_spec == "ops@example.com"
    assert taken.message["Subject"] == "[to bo@customer.example] Before your renewal"
    assert taken.message["X-Crmsync-Original-To"] == "bo@customer.example"


def test_an_international_address_needs_a_server_that_takes_it(
    connect: Any, mail_server: MailServer
) -> None:
    connector = connect()
    assert isinstance(answer(connector, recipient="Jörg <jörg@köln.example>"), Receipt)
    (taken,) = mail_server.taken
    assert taken.recipients == ["jörg@xn--kln-sna.example"]
    mail_server.international = False
    connector = connect()
    told = answer(connector, key="key-2", recipient="Jörg <jörg@köln.example>")
    assert isinstance(told, RejectedError)
    assert "SMTPUTF8" in str(told)


def test_lines_that_begin_with_a_dot_arrive(connect: Any, mail_server: MailServer) -> None:
    connector = connect()
    text = ".\n..\n.QUIT\nend\n"
    assert isinstance(answer(connector, text=text), Receipt)
    body = mail_server.taken[0].message.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == text


def test_the_password_is_nowhere_in_what_is_told(connect: Any, mail_server: MailServer) -> None:
    mail_server.faults.append(Fault.LOGIN)
    told = answer(connect())
    encoded = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    shown = json.dumps([str(told), repr(told)])
    assert PASSWORD not in shown
    assert encoded not in shown
