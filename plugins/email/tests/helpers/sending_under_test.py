"""What the laws are told of remotes that take mail and do no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smtp_server import PASSWORD, USER, Fault, MailServer

from crmsync.clock import FixedClock
from crmsync.model.actions import ActionKind, SendEmail
from crmsync.plugins.contract import ConnectionContext
from crmsync.testing.remote import Effect, Failure, Feature, RemoteUnderTest
from crmsync.testing.samples import START
from crmsync_email import crmsync_connectors
from crmsync_email.sending.answers import REST_AFTER_QUOTA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from email.message import EmailMessage
    from pathlib import Path

    from crmsync.clock import Clock
    from crmsync.plugins.contract import Connector, ConnectorSpec

ADDRESS = "Example Company <hello@example.com>"
NO_RECORDS: dict[Feature | Failure, str] = {
    Feature.READS: "it takes mail, and what it took is read elsewhere",
    Feature.PAGES: "it takes mail, and what it took is read elsewhere",
    Feature.DELETIONS: "it has no records",
    Feature.MERGES: "it has no records",
    Feature.UNREADABLE: "it has no records",
    Feature.LINKS: "it makes no tasks and no notes",
    Feature.DUE_DAYS: "it makes no tasks",
    Feature.COMPARES: "it updates nothing",
}


def spec_of(name: str) -> ConnectorSpec:
    return next(spec for spec in crmsync_connectors() if spec.name == name)


def opened(
    spec: ConnectorSpec, folder: Path, options: dict[str, Any], clock: Clock | None = None
) -> Connector:
    """A connection, as the config would open it."""
    return spec.open(
        ConnectionContext(
            name="mail",
            options=spec.options.model_validate(options),
            streams={},
            folder=folder,
            clock=clock or FixedClock(instant=START),
        )
    )


def mail(key: str = "key-1", **changes: Any) -> SendEmail:
    """A sound mail."""
    given: dict[str, Any] = {
        "key": key,
        "message_id": f"{key}@example.com",
        "sender": "Ada Sender <ada@example.com>",
        "recipient": "Bo Recipient <bo@customer.example>",
        "subject": "Before your renewal",
        "text": "Hello Bo,\n\nit renews.\n",
        "at": START,
    }
    return SendEmail(**(given | changes))


def effect_of(message: EmailMessage) -> Effect:
    """A mail that was taken, as the laws know it."""
    texts = {"subject": str(message["Subject"])}
    for name, subtype in (("text", "plain"), ("html", "html")):
        part = message.get_body((subtype,))
        if part is not None:
            texts[name] = part.get_content()
    return Effect(
        key=str(message["Message-ID"]).strip("<>").rpartition("@")[0],
        kind=ActionKind.EMAIL,
        texts=texts,
        headers={name: str(value) for name, value in message.items()},
    )


class SmtpUnderTest(RemoteUnderTest):
    """A mail server under the laws."""

    spec = spec_of("smtp")
    stream, key, text = "none", "none", "none"
    secret = PASSWORD
    quota_until = START + REST_AFTER_QUOTA
    absent = NO_RECORDS

    def __init__(self, server: MailServer, folder: Path) -> None:
        self._server, self._folder = server, folder
        (folder / "password").write_text(PASSWORD)

    def connect(self) -> Connector:
        options = self._server.options(password=f"file:{self._folder / 'password'}")
        return opened(self.spec, self._folder, options | {"address": ADDRESS})

    def fail_next(self, failure: Failure) -> None:
        self._server.faults.clear()
        self._server.faults.append(
            {
                Failure.AUTH: Fault.LOGIN,
                Failure.TRANSIENT: Fault.MAIL_LATER,
                Failure.QUOTA: Fault.USED_UP,
                Failure.UNCERTAIN: Fault.CUT_AFTER_DOT,
            }[failure]
        )

    def refused_action(self, key: str) -> SendEmail:
        return mail(key, recipient="nobody@example.com")

    def effects(self) -> Sequence[Effect]:
        return [effect_of(taken.message) for taken in self._server.taken]


__all__ = ["ADDRESS", "NO_RECORDS", "USER", "SmtpUnderTest", "effect_of", "mail", "opened"]
