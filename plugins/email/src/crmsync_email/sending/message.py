"""An action as a mail that any mail system takes. Pure: no network, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import css_inline

from crmsync.errors import RejectedError
from crmsync_email.addresses import Mailbox, mailbox_of, shown
from crmsync_email.sending.headers import address_line, text_line, token_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from crmsync.model.actions import SendEmail

# Nothing but ASCII goes over the wire, so no server on the way re-encodes what was signed.
_POLICY = SMTP.clone(cte_type="7bit")
_MESSAGE_ID = re.compile(r"[^\s<>@]+@[^\s<>@]+")
_Value = TypeVar("_Value")
SENT_AS = "X-Crmsync-Message-ID"
ORIGINAL_TO = "X-Crmsync-Original-To"
# Headers that are the message's own, or would send it to others.
_OURS = frozenset({"from", "to", "cc", "bcc", "sender", "subject", "date", "message-id"})
_NEVER = ("content-", "resent-", "mime-", "received", "return-path", "dkim-signature")
_WAYS_OUT = frozenset({"list-unsubscribe", "list-unsubscribe-post"})
_STYLES = re.compile(r"<style", re.IGNORECASE)
_INLINER = css_inline.CSSInliner(
    load_remote_stylesheets=False,
    keep_style_tags=True,  # what cannot stand in an attribute: dark mode, narrow screens
)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """In whose name a connection may send.

    Attributes:
        own: the connection's own address.
        domains: whose addresses may stand behind From; in ASCII and small letters.
        redirect_to: where every mail goes instead of to its recipient.
    """

    own: Mailbox
    domains: frozenset[str]
    redirect_to: Mailbox | None = None


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail, ready to be handed over.

    Attributes:
        reply_to: None where answers go to the sender.
        headers: what stands in it beside addresses, subject, date and Message-ID.
    """

    key: str
    message_id: str
    sender: Mailbox
    reply_to: Mailbox | None
    recipient: Mailbox
    subject: str
    text: str
    html: str | None
    headers: dict[str, str] = field(default_factory=dict)
    at: datetime

    @property
    def is_international(self) -> bool:
        """Whether only mail systems with SMTPUTF8 can take it (RFC 6531)."""
        people = (self.sender, self.recipient, *([self.reply_to] if self.reply_to else []))
        return any(one.is_international for one in people)

    @cached_property
    def content(self) -> bytes:
        """As RFC 5322 text, with CRLF at line ends.

        Raises:
            ValueError: it cannot be written.
        """
        lines = [
            address_line("From", self.sender),
            *([address_line("Reply-To", self.reply_to)] if self.reply_to else []),
            address_line("To", self.recipient),
            text_line("Subject", self.subject),
            f"Date: {format_datetime(self.at)}",
            f"Message-ID: <{self.message_id}>",
            *(token_line(name, value) for name, value in self.headers.items()),
        ]
        body = EmailMessage(policy=_POLICY)
        body.set_content(self.text)
        if self.html is not None:
            body.add_alternative(self.html, subtype="html")
        return "".join(f"{line}\r\n" for line in lines).encode() + body.as_bytes()


def mail_of(action: SendEmail, identity: Identity) -> Mail:
    """The mail that an action asks for.

    Raises:
        RejectedError: an address or a header cannot stand in a mail; nothing was sent.
    """
    sender = _mailbox("sender", action.sender)
    recipient = _mailbox("recipient", action.recipient)
    if not _MESSAGE_ID.fullmatch(action.message_id) or not action.message_id.isascii():
        raise RejectedError(f"“{shown(action.message_id)}” is no Message-ID")
    mail = Mail(
        key=action.key,
        message_id=action.message_id,
        sender=sender,
        reply_to=None,
        recipient=recipient,
        subject=action.subject,
        text=action.text,
        html=None if action.html is None else _refused(action, lambda: inlined(action.html or "")),
        headers=_headers(action),
        at=action.at,
    )
    mail = _redirected(_from_us(mail, identity), identity)
    _refused(action, lambda: mail.content)  # what cannot be written shows here, not on the wire
    return mail


def inlined(html: str) -> str:
    """HTML with its rules in style attributes, which is what most mail programs go by.

    Raises:
        ValueError: it cannot be read.
    """
    return _INLINER.inline(html) if _STYLES.search(html) else html


def _from_us(mail: Mail, identity: Identity) -> Mail:
    """The mail in the name of its sender, if that may be; else from us, and answers go there."""
    if mail.sender.domain in identity.domains or mail.sender.address == identity.own.address:
        return mail
    own = replace(identity.own, name=mail.sender.name or identity.own.name)
    given = {name.lower() for name in mail.headers}
    return replace(mail, sender=own, reply_to=None if "reply-to" in given else mail.sender)


def _redirected(mail: Mail, identity: Identity) -> Mail:
    if identity.redirect_to is None:
        return mail
    original = mail.recipient.address
    # Who tries a mail program's button for the customer would unsubscribe the customer.
    kept = {name: told for name, told in mail.headers.items() if name.lower() not in _WAYS_OUT}
    return replace(
        mail,
        recipient=identity.redirect_to,
        subject=f"[to {original}] {mail.subject}",
        headers=kept | {ORIGINAL_TO: original},
    )


def _headers(action: SendEmail) -> dict[str, str]:
    for name in action.headers:
        if name.lower() in _OURS or name.lower().startswith(_NEVER):
            raise RejectedError(f"the mail cannot have a header “{shown(name)}” of its own")
    given = {name.lower() for name in action.headers}
    if len(given) != len(action.headers):
        raise RejectedError("the mail has one header twice")
    if "auto-submitted" in given:
        return dict(action.headers)
    return {"Auto-Submitted": "auto-generated", **action.headers}  # RFC 3834, 5


def _mailbox(what: str, text: str) -> Mailbox:
    try:
        return mailbox_of(text)
    except ValueError as error:
        raise RejectedError(f"the mail's {what} cannot be used: {error}") from None


def _refused(action: SendEmail, make: Callable[[], _Value]) -> _Value:
    try:
        return make()
    except (ValueError, LookupError, MessageError) as error:
        why = str(error)
        if isinstance(error, UnicodeEncodeError):
            why = f"half a character stands in its text ({shown(error.object[error.start])})"
        raise RejectedError(
            f"the mail to {shown(action.recipient)} cannot be written: {why}"
        ) from None
