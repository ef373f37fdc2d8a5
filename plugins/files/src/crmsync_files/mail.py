"""An action as a mail that any mail system takes."""

from __future__ import annotations

import re
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import getaddresses
from typing import TYPE_CHECKING

from crmsync.errors import RejectedError

if TYPE_CHECKING:
    from crmsync.model.actions import SendEmail

# The limit of RFC 5322, 2.1.1. With a lower one, Python breaks long URLs in List-Unsubscribe
# into encoded words, which no mail program follows (cpython issue 85725).
# In a Maildir, lines end as the system's do.
POLICY = SMTP.clone(max_line_length=998, linesep="\n")
KEY_HEADER = "X-Crmsync-Key"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_HEADER_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322, 3.6.8: printable, no colon


def message_of(action: SendEmail) -> EmailMessage:
    """The mail.

    Raises:
        RejectedError: an address or a header cannot stand in a mail.
    """
    message = EmailMessage(policy=POLICY)
    headers = {
        "From": _address("sender", action.sender),
        "To": _address("recipient", action.recipient),
        "Subject": _line("subject", action.subject),
        "Date": action.at,
        "Message-ID": f"<{_message_id(action.message_id)}>",
        KEY_HEADER: _line("key", action.key),
    }
    given = {name.lower() for name in action.headers}
    if "auto-submitted" not in given:
        headers["Auto-Submitted"] = "auto-generated"  # RFC 3834, 5
    taken = {name.lower() for name in headers}
    for name, value in action.headers.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in taken:
            raise RejectedError(f"the mail cannot have a header “{_shown(name)}” of its own")
        headers[name] = _line(f"header {name}", value)
    try:
        for name, header in headers.items():
            message[name] = header
        message.set_content(action.text)
        if action.html is not None:
            message.add_alternative(action.html, subtype="html")
        message.as_bytes()  # some of what cannot be written shows only now
    except (ValueError, MessageError, LookupError) as error:
        raise RejectedError(f"the mail to {action.recipient} cannot be written: {error}") from error
    return message


def _line(what: str, text: str) -> str:
    """A header's value.

    Raises:
        RejectedError: it has a line end or another control character: a header of a stranger's
            could follow.
    """
    if _CONTROL.search(text):
        raise RejectedError(
            f"the mail's {what} has a line end or a control character in it: “{_shown(text)}”"
        )
    return text


def _message_id(text: str) -> str:
    if not re.fullmatch(r"[^\s<>@]+@[^\s<>@]+", text) or not text.isascii():
        raise RejectedError(f"“{_shown(text)}” is no Message-ID")
    return text


def _address(what: str, text: str) -> Address:
    pairs = getaddresses([_line(what, text)])
    name, address = pairs[0] if len(pairs) == 1 else ("", "")
    local, _, domain = address.rpartition("@")
    # The parser mends what it can, and the mended address may be a stranger's.
    if not local or not domain or address not in text:
        raise RejectedError(f"the mail's {what} “{_shown(text)}” is not one e-mail address")
    if not local.isascii():
        raise RejectedError(
            f"the mail's {what} “{_shown(text)}” has letters before the @ that few mail systems "
            "accept (SMTPUTF8)"
        )
    try:
        if not domain.isascii():
            domain = domain.encode("idna").decode("ascii")
        return Address(display_name=name, username=local, domain=domain)
    except (ValueError, MessageError, IndexError) as error:
        raise RejectedError(
            f"the mail's {what} “{_shown(text)}” is not an e-mail address: {error}"
        ) from error


def _shown(text: str) -> str:
    """Text in a sentence, with control characters as escapes."""
    return text.encode("unicode_escape").decode("ascii") if _CONTROL.search(text) else text
