"""What the config can say of a connection that sends or reads mail."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from crmsync.config.base import NamesField, Settings
from crmsync.config.secrets import Secret
from crmsync_email.addresses import domain_of, mailbox_of
from crmsync_email.login import ON_THIS_MACHINE, Login, Security
from crmsync_email.reading.options import ImapOptions

# support.google.com/mail/answer/7126229, learn.microsoft.com “SMTP AUTH client submission”.
_COPYING_HOSTS = ("smtp.gmail.com", "smtp.office365.com", "smtp-mail.outlook.com")
_PORTS = {Security.TLS: 465, Security.STARTTLS: 587, Security.NONE: 25}


def _one_address(text: str) -> str:
    mailbox_of(text)
    return text


def _domains(names: list[str]) -> list[str]:
    return [domain_of(name) for name in names]


AddressField = Annotated[str, AfterValidator(_one_address)]


class Dkim(Settings):
    """The signature (RFC 6376): ``key`` is the private key in PEM form, RSA."""

    domain: Annotated[str, AfterValidator(domain_of)]
    selector: str = Field(min_length=1)
    key: Secret


class SendingOptions(Settings):
    """What every connection that sends mail has.

    ``address`` is its own. Senders whose domain is among ``domains`` stand on a mail themselves;
    where that is not given, it is the domain of ``address``. For others the mail comes from
    ``address``, under their name, and answers go to them. With ``redirect_to`` every mail goes to
    that address instead of to its recipient.
    """

    address: AddressField
    domains: Annotated[NamesField, AfterValidator(_domains)] | None = None
    redirect_to: AddressField | None = None

    def reminders(self) -> list[str]:
        """What nobody may forget of the connection."""
        if self.redirect_to is None:
            return []
        told = f"every mail goes to {self.redirect_to} instead of to its recipient"
        return [f"{told}, because redirect_to says so"]

    @property
    def own_domains(self) -> frozenset[str]:
        """The domains that may stand behind From."""
        if self.domains is None:
            return frozenset({mailbox_of(self.address).domain})
        return frozenset(self.domains)


class SmtpServer(Settings):
    """A mail server that takes mail.

    ``port`` is by default 465, 587 or 25, as ``security`` says. ``ca_file`` holds the certificates
    of a company's own authority. ``hello`` is the name by which this machine presents itself.
    """

    host: str = Field(min_length=1)
    port: int | None = Field(default=None, gt=0, lt=65_536)
    security: Security = Security.STARTTLS
    ca_file: str | None = None
    hello: str | None = None

    @model_validator(mode="after")
    def _not_in_the_clear(self) -> SmtpServer:
        if self.security is Security.NONE and self.host not in ON_THIS_MACHINE:
            raise ValueError(
                "security: none would send the password and all mail in the clear; write starttls "
                "or tls"
            )
        return self

    @property
    def at_port(self) -> int:
        """Where the server listens."""
        return self.port or _PORTS[self.security]


class SmtpOptions(SendingOptions, SmtpServer, Login):
    """The keys of a connection that sends by a mail server, and does no more."""

    dkim: Dkim | None = None


def _https(text: str) -> str:
    parts = urlsplit(text)
    local = parts.scheme == "http" and parts.hostname in ON_THIS_MACHINE
    if not parts.hostname or parts.query or not (parts.scheme == "https" or local):
        raise ValueError(f"“{text}” is not the address of a provider: it begins with https://")
    return text.rstrip("/")


UrlField = Annotated[str, AfterValidator(_https)]


class PostmarkOptions(SendingOptions):
    """The keys of a connection to Postmark: a server's token, and the stream of its mails."""

    token: Secret
    stream: str = Field(default="outbound", pattern=r"^[A-Za-z0-9_-]+$")
    url: UrlField = "https://api.postmarkapp.com"


class SendgridOptions(SendingOptions):
    """The keys of a connection to SendGrid; in the EU, ``url`` is https://api.eu.sendgrid.com."""

    api_key: Secret
    url: UrlField = "https://api.sendgrid.com"


class MailgunOptions(SendingOptions):
    """The keys of a connection to Mailgun; in the EU, ``url`` is https://api.eu.mailgun.net."""

    api_key: Secret
    domain: Annotated[str, AfterValidator(domain_of)]
    url: UrlField = "https://api.mailgun.net"


class SesOptions(SendingOptions):
    """The keys of a connection to Amazon SES, with an access key of AWS."""

    region: str = Field(pattern=r"^[a-z0-9-]+$")
    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None
    configuration_set: str | None = None
    url: UrlField | None = None


class SentCopy(StrEnum):
    """Where the copy of a mail is by which it is found that it was sent."""

    BCC = "bcc"  # it goes to our own address, hidden, together with the mail
    SERVER = "server"  # the mail server puts it into the folder of sent mail


class MailboxOptions(SendingOptions, Login):
    """The keys of a connection that reads a mailbox, and sends from it where ``smtp`` is given.

    ``sent_copy`` is by default ``server`` for the mail servers of Google and Microsoft, which put
    what was sent into the mailbox themselves, and ``bcc`` for all others.
    """

    imap: ImapOptions
    smtp: SmtpServer | None = None
    sent_copy: SentCopy | None = None
    dkim: Dkim | None = None

    @model_validator(mode="after")
    def _somebody_logs_in(self) -> MailboxOptions:
        if self.user is None:
            raise ValueError("whose mailbox is it? give user, and password or oauth")
        return self

    @property
    def own(self) -> tuple[str, ...]:
        """What tells mail of our own: the address, the login's name, and domains as ``@domain``."""
        domains = (f"@{name}" for name in self.domains or ())
        return (mailbox_of(self.address).address, self.user or "", *domains)

    @property
    def copies_itself(self) -> bool:
        """Whether the mail server puts what was sent into the mailbox."""
        if self.sent_copy is not None:
            return self.sent_copy is SentCopy.SERVER
        host = "" if self.smtp is None else self.smtp.host.lower()
        return host.endswith(_COPYING_HOSTS)


class MailboxStreamOptions(Settings):
    """A stream of a mailbox has no keys of its own: what is read is the mailbox's."""


class NoStreamOptions(Settings):
    """What only sends has no streams, and so a stream has no keys."""


_Server = TypeVar("_Server", ImapOptions, SmtpServer, SmtpOptions)


def placed(server: _Server, folder: Path) -> _Server:
    """Options whose certificates are looked for where paths in the config begin."""
    if server.ca_file is None:
        return server
    return server.model_copy(update={"ca_file": str(folder / Path(server.ca_file).expanduser())})
