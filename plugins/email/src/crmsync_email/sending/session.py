"""A session with a mail server: what it says, and how far it got when it broke."""

from __future__ import annotations

import base64
import re
import smtplib
import ssl
import time
from typing import TYPE_CHECKING

from crmsync.errors import AuthError, ConnectorError, RejectedError, TransientError, UncertainError
from crmsync_email.login import Security
from crmsync_email.sending.answers import About, is_login_refused, refusal, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.clock import Clock
    from crmsync_email.login import Login
    from crmsync_email.options import SmtpServer
    from crmsync_email.sending.message import Mail
    from crmsync_email.tokens import AccessTokens

ANSWER_SECONDS = 30.0
TAKING_SECONDS = 120.0  # after the mail: many servers look into it before they answer
_READY, _OK, _GO_ON, _CHALLENGE, _LOGGED_IN = 220, 250, 354, 334, 235
_CLOSING = 421
_FIRST_CODE, _REFUSALS = 200, range(400, 600)
# What a machine without a name of its own says (RFC 5321, 4.1.3); to look for one asks the network.
_NAMELESS = "[127.0.0.1]"
_DOTS = re.compile(rb"(?m)^\.")


class BrokenError(Exception):
    """The wire broke, or the answer did not come in time; nothing was taken before that."""


class Session:
    """One connection to a mail server, logged in. Not for several threads at once."""

    def __init__(
        self,
        server: SmtpServer,
        login: Login,
        tokens: AccessTokens | None,
        clock: Clock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server, self._login, self._tokens, self._clock = server, login, tokens, clock
        self._monotonic, self._deadline = monotonic, monotonic()
        self._smtp: smtplib.SMTP | None = None

    @property
    def is_open(self) -> bool:
        """Whether a server listens, as far as we know."""
        return self._smtp is not None

    @property
    def abilities(self) -> frozenset[str]:
        """The extensions that the server offers, in small letters."""
        return frozenset(self._smtp.esmtp_features if self._smtp else ())

    def until(self, seconds: float) -> None:
        """From now on, everything together may take so long."""
        self._deadline = self._monotonic() + seconds

    def open(self) -> None:
        """Connect, protect the wire, log in.

        Raises:
            AuthError: the login is refused, or the wire cannot be protected as it was asked for.
            TransientError: the server cannot be reached, or is not well.
            RejectedError, QuotaError: as the server says.
        """
        if self._smtp is not None:
            return
        host = f"{self._server.host}:{self._server.at_port}"
        try:
            self._connect()
            self._log_in()
        except ConnectorError:
            self.close()
            raise
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise AuthError(
                f"the certificate of {host} is not trusted here ({error.verify_message}); with an "
                "authority of your own, name its certificates with ca_file"
            ) from None
        except BrokenError as error:
            self.close()
            raise TransientError(f"the mail server {host} {error}") from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            self.close()
            raise TransientError(f"the mail server {host} {_why(error)}") from None

    def send(
        self, mail: Mail, content: bytes, *, return_to: str, copy_to: str | None = None
    ) -> None:
        """Hand one mail over.

        Args:
            return_to: where bounces go.
            copy_to: who gets the same mail, hidden: the server takes both or neither.

        Raises:
            BrokenError: the wire broke before the mail could have been taken.
            ConnectorError: the server's refusal; or, as an UncertainError, the wire broke when
                the server may have taken it.
        """
        options = ["SMTPUTF8", "BODY=8BITMIME"] if mail.is_international else []
        if options and "smtputf8" not in self.abilities:
            raise RejectedError(
                f"the mail server takes no addresses such as {mail.recipient.address} (it lacks "
                "SMTPUTF8)"
            )
        if "size" in self.abilities:
            options.insert(0, f"SIZE={len(content)}")
        recipient = mail.recipient.address
        command = " ".join([f"MAIL FROM:<{return_to}>", *options])
        self._ask(command, {_OK}, what=f"the sender {return_to}", about=About.US)
        what, about = f"the recipient {recipient}", About.RECIPIENT
        self._ask(f"RCPT TO:<{recipient}>", {_OK, 251}, what=what, about=about)
        if copy_to is not None and copy_to.lower() != recipient.lower():
            what = f"the copy to our own {copy_to}, by which it could be found"
            self._ask(f"RCPT TO:<{copy_to}>", {_OK, 251}, what=what, about=About.US)
        self._ask("DATA", {_GO_ON}, what="the mail")
        self._hand_over(content, recipient)

    def verify(self, sender: str) -> None:
        """Ask whether mail from this address would be taken; none is sent.

        Raises:
            ConnectorError: it would not.
            BrokenError: the wire broke.
        """
        self._ask(f"MAIL FROM:<{sender}>", {_OK}, what=f"the sender {sender}", about=About.US)
        self._ask("RSET", {_OK}, what="to forget a mail")

    def reset(self) -> None:
        """The server forgets what it was told of a mail; a session that is gone is closed.

        Servers end sessions that were idle, so the first mail of a batch would meet that.
        """
        if self._smtp is None:
            return
        try:
            self._ask("RSET", {_OK}, what="to forget a mail")
        except (BrokenError, ConnectorError):
            self.close()

    def close(self) -> None:
        """Say good-bye, as far as anybody listens."""
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        try:
            if smtp.sock is not None:
                smtp.sock.settimeout(2)
                smtp.quit()
        except (OSError, smtplib.SMTPException, ValueError):
            pass
        finally:
            smtp.close()

    def _hand_over(self, content: bytes, recipient: str) -> None:
        smtp = self._alive()
        quoted = _DOTS.sub(b"..", content)
        if not quoted.endswith(b"\r\n"):
            quoted += b"\r\n"
        try:
            self._wait_at_most(TAKING_SECONDS)
            smtp.send(quoted)
        except (OSError, smtplib.SMTPException) as error:
            # Without the final dot no server takes a mail (RFC 5321, 4.1.1.4).
            self.close()
            raise BrokenError(_why(error)) from None
        try:
            smtp.send(b".\r\n")
            self._wait_at_most(TAKING_SECONDS)
            code, text = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise UncertainError(
                f"the mail server {_why(error)} when it had the whole mail to {recipient}, so it "
                "may have taken it"
            ) from None
        if code in _REFUSALS:
            raise self._refused(code, text, what=f"the mail to {recipient}")
        if code != _OK:
            self.close()
            raise UncertainError(
                f"the mail server answered the mail to {recipient} with something else than yes or "
                "no, so it may have taken it"
            )

    def _connect(self) -> None:
        server, hello = self._server, self._server.hello or _NAMELESS
        seconds = self._left(ANSWER_SECONDS)
        try:
            context = ssl.create_default_context(cafile=server.ca_file)
        except OSError:
            raise AuthError(
                f"ca_file {server.ca_file} holds no certificates that can be read"
            ) from None
        host, port = server.host, server.at_port
        try:
            if server.security is Security.TLS:
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    host, port, timeout=seconds, local_hostname=hello, context=context
                )
            else:
                smtp = smtplib.SMTP(host, port, timeout=seconds, local_hostname=hello)
        except smtplib.SMTPConnectError as error:
            text = error.smtp_error
            what = "the connection"
            raise self._refused(error.smtp_code, _bytes(text), what=what, about=About.US) from None
        self._smtp = smtp
        self._greet()
        if server.security is Security.STARTTLS:
            if not smtp.has_extn("starttls"):
                raise AuthError(
                    f"the mail server {server.host}:{server.at_port} offers no STARTTLS, so "
                    "nothing is sent; does it want security: tls?"
                )
            code, text = smtp.starttls(context=context)
            if code != _READY:
                raise self._refused(code, text, what="STARTTLS", about=About.US)
            self._greet()

    def _greet(self) -> None:
        smtp = self._alive()
        code, text = smtp.ehlo()
        if code != _OK:
            code, text = smtp.helo()
        if code != _OK:
            raise self._refused(code, text, what="the greeting", about=About.US)

    def _log_in(self) -> None:
        login = self._login
        if login.user is None:
            return
        ways = self._alive().esmtp_features.get("auth", "").upper().split()
        if self._tokens is not None:
            code, text = self._by_token(login.user, self._tokens)
            if is_login_refused(code):  # perhaps it was taken back before its time
                self._tokens.forget()
                code, text = self._by_token(login.user, self._tokens)
        elif login.password is not None and "PLAIN" in ways:
            both = f"\0{login.user}\0{login.password.reveal()}"
            code, text = self._command(f"AUTH PLAIN {_base64(both)}")
        elif login.password is not None and "LOGIN" in ways:
            code, text = self._command(f"AUTH LOGIN {_base64(login.user)}")
            if code == _CHALLENGE:
                code, text = self._command(_base64(login.password.reveal()))
        else:
            where = f"the mail server {self._server.host}:{self._server.at_port} (SMTP)"
            offered = f"offers {', '.join(ways)}, but" if ways else "offers"
            raise AuthError(f"{where} {offered} no login by password")
        if code != _LOGGED_IN:
            temporary = 400 <= code < 500  # noqa: PLR2004  RFC 5321, 4.2.1
            kind = TransientError if temporary else AuthError
            raise kind(
                f"the mail server refuses the login of {login.user}: {code} {words_of(text)}"
            )

    def _by_token(self, user: str, tokens: AccessTokens) -> tuple[int, bytes]:
        """XOAUTH2, as Google and Microsoft have it."""
        told = f"user={user}\1auth=Bearer {tokens.token()}\1\1"
        code, text = self._command(f"AUTH XOAUTH2 {_base64(told)}")
        if code == _CHALLENGE:  # it says why, and wants an empty line before it refuses
            code, text = self._command("")
        return code, text

    def _ask(self, command: str, good: set[int], *, what: str, about: About = About.MAIL) -> None:
        code, text = self._command(command)
        if code not in good:
            raise self._refused(code, text, what=what, about=about)

    def _command(self, command: str) -> tuple[int, bytes]:
        """What the server answers.

        Raises:
            BrokenError: nothing, in time.
        """
        smtp = self._alive()
        try:
            self._wait_at_most(ANSWER_SECONDS)
            smtp.send(command.encode() + b"\r\n")
            code, text = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise BrokenError(_why(error)) from None
        if code < _FIRST_CODE:  # smtplib's own, for what is no answer
            self.close()
            raise BrokenError("does not speak SMTP")
        return code, text

    def _refused(
        self, code: int, text: bytes, *, what: str, about: About = About.MAIL
    ) -> ConnectorError:
        if code == _CLOSING:
            self.close()
        return refusal(code, text, what=what, now=self._clock.now(), about=about)

    def _alive(self) -> smtplib.SMTP:
        if self._smtp is None:
            raise BrokenError("broke the connection off")
        return self._smtp

    def _wait_at_most(self, seconds: float) -> None:
        sock = self._alive().sock
        if sock is not None:
            sock.settimeout(self._left(seconds))

    def _left(self, seconds: float) -> float:
        left = self._deadline - self._monotonic()
        if left <= 0:
            raise TimeoutError
        return min(seconds, left)


def _why(error: Exception) -> str:
    """What happened, for the end of a sentence; a library's own text may quote what was sent."""
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return "did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections"
    if isinstance(error, ssl.SSLError):
        return f"could not agree on a protected wire ({error.reason})"
    if isinstance(error, smtplib.SMTPServerDisconnected | ConnectionError):
        return "broke the connection off"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be reached ({error.strerror})"
    return "does not speak SMTP"


def _bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
