"""The connector: mail goes out through a mail server."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.errors import (
    AuthError,
    ConnectorError,
    NobodyThereError,
    QuotaError,
    RejectedError,
    TransientError,
)
from crmsync.model.actions import Receipt, SendEmail
from crmsync.plugins.contract import Finding
from crmsync_email.sending.identity import identity_of
from crmsync_email.sending.message import SENT_AS, mail_of
from crmsync_email.sending.session import BrokenError, Session
from crmsync_email.tokens import AccessTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crmsync.clock import Clock
    from crmsync.model.actions import Action
    from crmsync_email.login import Login
    from crmsync_email.options import SendingOptions, SmtpServer
    from crmsync_email.sending.signing import Signer

# The engine waits for five minutes; what was not begun by then was surely not sent.
_CALL_SECONDS, _LAST_BEGIN_SECONDS = 270.0, 120.0


class SmtpSender:
    """Sends mails over one session, from call to call; it is opened again when it broke.

    Bounces come to the connection's own address; with ``copies`` a hidden copy of each mail, too.
    """

    def __init__(
        self,
        options: SendingOptions,
        server: SmtpServer,
        login: Login,
        clock: Clock,
        *,
        copies: bool = False,
        signer: Signer | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        tokens = None if login.oauth is None else AccessTokens(login.oauth, clock)
        self._options, self._monotonic = options, monotonic
        self.identity = identity_of(options)
        self._copy_to = self.identity.own.address if copies else None
        self._session = Session(server, login, tokens, clock, monotonic=monotonic)
        self._signer = signer

    def check(self) -> Sequence[Finding]:
        """Connect, log in, and ask whether mail from our own address would be taken."""
        self._session.until(_CALL_SECONDS)
        try:
            self._session.open()
            self._session.verify(self.identity.own.address)
            if self._signer is not None:
                self._signer.signed(b"From: a@example.com\r\n\r\n")
        except BrokenError as error:
            raise TransientError(f"the mail server {error}") from None
        except ConnectorError as error:
            return [Finding(sentence=str(error))]
        if self._signer is None:
            return []
        doubts = self._signer.doubts(self.identity.domains)
        return [Finding(sentence=one, fatal=False) for one in doubts]

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Send mails; all other actions are refused."""
        begun = self._monotonic()
        self._session.until(_CALL_SECONDS)
        self._session.reset()
        answers: list[Receipt | ConnectorError] = []
        stopped: ConnectorError | None = None
        for number, action in enumerate(actions, 1):
            if not isinstance(action, SendEmail):
                answers.append(RejectedError("a mail server takes mail, and nothing else"))
                continue
            if stopped is None and self._monotonic() - begun > _LAST_BEGIN_SECONDS:
                stopped = TransientError("the mail server is slow, so this one waits for the next")
            if stopped is not None:
                answers.append(stopped)
                continue
            answer = self._answer(action)
            answers.append(answer)
            if isinstance(answer, QuotaError | AuthError):
                stopped = answer
            elif not isinstance(answer, Receipt) and number < len(actions):
                stopped = self._ready_again()
        return answers

    def close(self) -> None:
        """End the session."""
        self._session.close()

    def _answer(self, action: SendEmail) -> Receipt | ConnectorError:
        try:
            mail = mail_of(action, self.identity)
            # Some servers give mails another Message-ID, but leave this as it is.
            mail = replace(mail, headers=mail.headers | {SENT_AS: f"<{mail.message_id}>"})
            content = mail.content if self._signer is None else self._signer.signed(mail.content)
            self._session.open()
            own = self.identity.own.address
            self._session.send(mail, content, return_to=own, copy_to=self._copy_to)
        except BrokenError as error:
            return TransientError(f"the mail server {error}")
        except NobodyThereError as error:
            # Where mail is redirected, it is the tester whom nobody knows.
            redirected = self.identity.redirect_to is not None
            return RejectedError(str(error)) if redirected else error
        except ConnectorError as error:
            return error
        return Receipt(key=action.key, remote_id=mail.message_id)

    def _ready_again(self) -> ConnectorError | None:
        """What the rest of a batch meets, where the server is not there any more."""
        self._session.reset()
        try:
            self._session.open()
        except ConnectorError as error:
            return error
        return None


class SmtpConnector:
    """Mail goes out through a mail server."""

    def __init__(self, sender: SmtpSender) -> None:
        self._sender = sender

    def check(self) -> Sequence[Finding]:
        """Whether the server can be reached, takes the login, and lets us send."""
        return self._sender.check()

    def close(self) -> None:
        """End the session."""
        self._sender.close()

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        """Send mails."""
        return self._sender.apply(actions)

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        """Nothing: a mail server does not tell what it has taken."""
        del keys
        return {}
