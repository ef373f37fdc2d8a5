"""A mail server on this machine that fails when it is told to, and keeps all that it took."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from enum import Enum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from crmsync_email.login import Security

if TYPE_CHECKING:
    from pathlib import Path

USER, PASSWORD = "robot@example.com", "Zugspitze-2962"
TOKEN = "ya29.token-of-a-test"  # noqa: S105  likewise
_HANG_SECONDS = 30.0


class Fault(Enum):
    """How it fails, once."""

    LOGIN = "535 5.7.8 Error: authentication failed"
    LOGIN_LATER = "454 4.7.0 Temporary authentication failure"
    MAIL_LATER = "451 4.3.0 try again later"
    MAIL_SEND_AS = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
    MAIL_NEVER = "550 5.7.1 hello@example.com is not allowed from your network"
    MAIL_TOO_BIG = "552 5.3.4 Message size exceeds fixed limit"
    RCPT_BLOCKED = "554 5.7.1 Client host [192.0.2.1] blocked using zen.example"
    COPY_FULL = "552 5.2.2 mailbox full"
    TAKEN_SEND_AS = "554 5.2.252 SendAsDenied; hello@example.com not allowed to send as jo@a.ex"
    USED_UP = "454 Throttling failure: Daily message quota exceeded."
    CLOSING = "421 4.3.2 shutting down"
    RCPT_LATER = "450 4.2.0 greylisted"
    RCPT_UNKNOWN = "550 5.1.1 no such user here"
    DATA_NOT_NOW = "452 4.3.1 not enough storage"
    TAKEN_LATER = "451 4.7.1 come again"
    TAKEN_NEVER = "554 5.7.1 this looks like spam"
    GARBAGE_AT_RCPT = "who are you?"
    GARBAGE_AFTER_DOT = "it will be as it will be"
    CUT_IDLE = "cut before the next command"
    CUT_BEFORE_DOT = "cut within the mail"
    CUT_AFTER_DOT = "taken, and cut before the answer"
    HANG_AFTER_DOT = "taken, and no answer"
    HANG_AT_MAIL = "no answer to MAIL"


_AT = {
    "AUTH": {Fault.LOGIN, Fault.LOGIN_LATER},
    "MAIL": {
        Fault.MAIL_LATER,
        Fault.MAIL_SEND_AS,
        Fault.USED_UP,
        Fault.CLOSING,
        Fault.MAIL_NEVER,
        Fault.MAIL_TOO_BIG,
    },
    "RCPT": {Fault.RCPT_LATER, Fault.RCPT_UNKNOWN, Fault.GARBAGE_AT_RCPT, Fault.RCPT_BLOCKED},
    "COPY": {Fault.COPY_FULL},
    "DATA": {Fault.DATA_NOT_NOW},
    "TAKEN": {Fault.TAKEN_LATER, Fault.TAKEN_NEVER, Fault.TAKEN_SEND_AS},
}


class Taken:
    """A mail that was taken."""

    def __init__(self, sender: str, recipients: list[str], content: bytes) -> None:
        self.sender, self.recipients, self.content = sender, recipients, content

    @property
    def message(self) -> EmailMessage:
        message = message_from_bytes(self.content, policy=default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])


class MailServer:
    """A running server."""

    def __init__(self, folder: Path, security: Security = Security.STARTTLS) -> None:
        self.security = security
        self.certificate = folder / "mail-certificate.pem"
        self.taken: list[Taken] = []
        self.faults: deque[Fault] = deque()
        self.sessions = 0
        self.logins: list[str] = []
        self.tokens = {TOKEN}
        self.ways: set[str] = {"PLAIN", "LOGIN"}
        self.international = True
        self._closed = False
        self._protocols: list[SMTP] = []
        self._context = certified(self.certificate, folder / "mail-key.pem")
        implicit = self._context if security is Security.TLS else None
        self._controller = Controller(
            self, hostname="127.0.0.1", port=_free_port(), ssl_context=implicit, ready_timeout=20
        )
        self._controller.factory = self._protocol  # type: ignore[method-assign]  # aiosmtpd's own way
        self._controller.start()
        self.sessions = 0

    @property
    def port(self) -> int:
        return int(self._controller.port)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._controller.stop(no_assert=True)

    def options(self, **changes: Any) -> dict[str, Any]:
        """Where and how to log in, as the config would say it."""
        given = {
            "host": "localhost",
            "port": self.port,
            "security": self.security.value,
            "ca_file": str(self.certificate),
            "user": USER,
        }
        return {name: value for name, value in (given | changes).items() if value is not None}

    def meets(self, place: str) -> Fault | None:
        """The fault that is due there, if one is."""
        if self.faults and self.faults[0] in _AT[place]:
            return self.faults.popleft()
        return None

    def meets_this(self, fault: Fault) -> bool:
        if self.faults and self.faults[0] is fault:
            self.faults.popleft()
            return True
        return False

    def take(self, mail: Taken) -> None:
        """From now on it is this server's duty to deliver it."""
        self.taken.append(mail)

    def authenticate(self, user: str, password: str) -> bool:
        self.logins.append(user)
        return (user, password) == (USER, PASSWORD)

    def _protocol(self) -> SMTP:
        self.sessions += 1
        starttls = self._context if self.security is Security.STARTTLS else None
        self._protocols.append(_Protocol(self, starttls))
        return self._protocols[-1]

    def cut_all(self) -> None:
        """End all sessions, as servers do with those that are idle."""
        for protocol in self._protocols:
            if protocol.transport is not None:
                self._controller.loop.call_soon_threadsafe(_cut, protocol)
        time.sleep(0.05)

    async def handle_MAIL(  # noqa: N802  the name that aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self.meets("MAIL")
        if fault is not None:
            return fault.value
        if self.meets_this(Fault.HANG_AT_MAIL):
            await asyncio.sleep(_HANG_SECONDS)
        envelope.mail_from, envelope.mail_options = address, options
        return "250 OK"

    async def handle_RCPT(  # noqa: N802  likewise
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        fault = self.meets("COPY" if envelope.rcpt_tos else "RCPT")
        if fault is not None:
            return fault.value
        if address.startswith("nobody@"):
            return Fault.RCPT_UNKNOWN.value
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  likewise
        fault = self.meets("TAKEN")
        if fault is not None:
            return fault.value
        assert isinstance(envelope.content, bytes)
        self.take(Taken(envelope.mail_from or "", envelope.rcpt_tos, envelope.content))
        if self.meets_this(Fault.GARBAGE_AFTER_DOT):
            return Fault.GARBAGE_AFTER_DOT.value
        if self.meets_this(Fault.CUT_AFTER_DOT):
            _cut(server)
        if self.meets_this(Fault.HANG_AFTER_DOT):
            await asyncio.sleep(_HANG_SECONDS)
        return "250 2.0.0 queued as 4242"


class _Protocol(SMTP):
    def __init__(self, server: MailServer, starttls: ssl.SSLContext | None) -> None:
        self._mail_server = server
        super().__init__(
            server,
            enable_SMTPUTF8=server.international,
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_require_tls=starttls is not None,
            auth_required=starttls is not None,  # else aiosmtpd warns
            authenticator=self._check,
            auth_exclude_mechanism={"LOGIN", "PLAIN"} - server.ways,
        )

    def _check(self, server: SMTP, session: Session, envelope: Envelope, *way: Any) -> AuthResult:
        mechanism, data = way
        fault = self._mail_server.meets("AUTH")
        if fault is Fault.LOGIN_LATER:
            return AuthResult(success=False, handled=False, message=fault.value)
        assert isinstance(data, LoginPassword), mechanism
        login, password = data.login.decode(), data.password.decode()
        good = self._mail_server.authenticate(login, password) and fault is None
        return AuthResult(success=good, handled=False, message=None if good else Fault.LOGIN.value)

    async def auth_XOAUTH2(self, _: SMTP, args: list[str]) -> AuthResult:  # noqa: N802  aiosmtpd's way
        user, token, *_rest = base64.b64decode(args[1]).decode().split("\1")
        self._mail_server.logins.append(user.removeprefix("user="))
        if token.removeprefix("auth=Bearer ") in self._mail_server.tokens:
            return AuthResult(success=True, auth_data=user)
        await self.push("334 eyJzdGF0dXMiOiI0MDAifQ==")
        assert await self._reader.readline() == b"\r\n"
        return AuthResult(success=False, handled=False, message=Fault.LOGIN.value)

    async def smtp_MAIL(self, arg: str) -> None:  # noqa: N802  likewise
        if self._mail_server.meets_this(Fault.CUT_IDLE):
            _cut(self)
            return
        await super().smtp_MAIL(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  likewise
        fault = self._mail_server.meets("DATA")
        if fault is not None:
            await self.push(fault.value)
        elif self._mail_server.meets_this(Fault.CUT_BEFORE_DOT):
            await self.push("354 go on")
            await self._reader.readuntil(b"\r\n")
            _cut(self)
        else:
            await super().smtp_DATA(arg)


def _cut(server: SMTP) -> None:
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def certified(certificate: Path, key_file: Path) -> ssl.SSLContext:
    """Make a certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a mail server for tests")])
    now = datetime.now(UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key_file)
    return context
