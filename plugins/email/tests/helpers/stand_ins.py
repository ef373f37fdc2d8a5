"""What stands in for dovecot and postfix where they are not: aiosmtpd, and mailboxes in memory.

They do what the tests need, on loopback and for any user; nothing leaves the machine.
"""

from __future__ import annotations

import smtplib
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from imap_server import ImapServer
from imapclient import IMAPClient
from mail_servers import PASSWORD, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable

ONLY_DOVECOT = "left out without dovecot:"


class MailboxStandIn:
    """Mailboxes, as `Dovecot` has them; no TLS, and no tokens."""

    def __init__(self) -> None:
        self._mailboxes = ImapServer(PASSWORD)
        self._delivery = _started(self, LMTP)

    @property
    def imap(self) -> int:
        return self._mailboxes.port

    @property
    def lmtp(self) -> int:
        return int(self._delivery.port)

    def stop(self) -> None:
        self._delivery.stop(no_assert=True)
        self._mailboxes.shutdown()
        self._mailboxes.server_close()

    def client(self, user: str) -> IMAPClient:
        """A connection to a mailbox, as another mail program has it."""
        client = IMAPClient("127.0.0.1", port=self.imap, ssl=False, timeout=20)
        client.login(user, PASSWORD)
        return client

    def token(self, user: str, *, seconds: int = 600) -> str:
        del user, seconds
        pytest.skip(f"{ONLY_DOVECOT} a login by token (XOAUTH2)")

    def put(self, user: str, mails: Iterable[bytes], folder: str = "INBOX") -> None:
        """Put mails into a folder, as a mail program does."""
        with self.client(user) as client:
            for mail in mails:
                client.append(folder, mail)

    def deliver(self, user: str, raw: bytes, *, sender: str) -> None:
        """Put a mail into somebody's inbox, as the last mail server of its way does."""
        traced = f"Return-Path: <{sender}>\r\nReceived: from localhost; {formatdate()}\r\n"
        self._mailboxes.deliver(user, traced.encode() + raw)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  the name that aiosmtpd looks for
        assert isinstance(envelope.content, bytes)
        for user in envelope.rcpt_tos:
            self.deliver(user, envelope.content, sender=envelope.mail_from or "")
        return "250 2.0.0 saved"


class CarrierStandIn:
    """Carries mail, as `Postfix` does; what a server refuses comes back as a notice."""

    def __init__(self, mailboxes: MailboxStandIn) -> None:
        self._mailboxes = mailboxes
        self._carried: dict[str, int] = {}
        self._running = _started(self, _WithLogin)

    @property
    def smtp(self) -> int:
        return int(self._running.port)

    def stop(self) -> None:
        self._running.stop(no_assert=True)

    def carry(self, domain: str, port: int) -> None:
        """From now on, carry mail to a domain by SMTP to a port of this machine."""
        self._carried[domain] = port

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  likewise
        assert isinstance(envelope.content, bytes)
        sender = envelope.mail_from or ""
        for recipient in envelope.rcpt_tos:
            port = self._carried.get(recipient.rpartition("@")[2])
            try:
                if port is None:
                    self._mailboxes.deliver(recipient, envelope.content, sender=sender)
                else:
                    with smtplib.SMTP("127.0.0.1", port) as onward:
                        onward.sendmail(sender, recipient, envelope.content)
            except smtplib.SMTPRecipientsRefused as error:
                code, words = error.recipients[recipient]
                told = f"{code} {words.decode()}"
                notice = _notice(sender, recipient, told, envelope.content)
                self._mailboxes.deliver(sender, notice, sender="")
        return "250 2.0.0 queued"


class _WithLogin(SMTP):
    def __init__(self, handler: CarrierStandIn) -> None:
        super().__init__(
            handler, enable_SMTPUTF8=True, authenticator=_check, auth_require_tls=False
        )


def _check(*asked: object) -> AuthResult:
    *_, way, data = asked
    assert isinstance(data, LoginPassword), way
    return AuthResult(success=data.password.decode() == PASSWORD, handled=False)


def _started(handler: object, kind: type[SMTP]) -> Controller:
    controller = Controller(handler, hostname="127.0.0.1", port=free_port(), ready_timeout=20)
    controller.factory = lambda: kind(handler)  # type: ignore[method-assign]  # aiosmtpd's own way
    controller.start()
    return controller


def _notice(sender: str, recipient: str, told: str, original: bytes) -> bytes:
    """A delivery status notification (RFC 3464), as postfix writes it."""
    head = f"""\
From: Mail Delivery System <MAILER-DAEMON@mx.test>
To: {sender}
Subject: Undelivered Mail Returned to Sender
Date: {formatdate()}
Message-ID: {make_msgid(domain="mx.test")}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="parts"

--parts
Content-Type: text/plain

<{recipient}>: host refusing said: {told} (in reply to RCPT TO command)

--parts
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test

Final-Recipient: rfc822; {recipient}
Action: failed
Status: {told.split()[1]}
Diagnostic-Code: smtp; {told}

--parts
Content-Type: message/rfc822

"""
    return head.replace("\n", "\r\n").encode() + original + b"\r\n--parts--\r\n"
