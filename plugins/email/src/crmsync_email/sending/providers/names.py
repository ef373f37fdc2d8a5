"""Names and addresses as HTTP interfaces want them: readable, and in quotes where it matters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crmsync_email.addresses import Mailbox

_PLAIN = re.compile(r"[^\x00-\x1f()<>\[\]:;@\\,.\"]*")


def quoted(mailbox: Mailbox) -> str:
    """``"Name" <address>``; the provider encodes the name."""
    if not mailbox.name:
        return mailbox.address
    return f"{quoted_name(mailbox.name)} <{mailbox.address}>"


def quoted_name(name: str) -> str:
    """A name, in quotes where it has signs with a meaning of their own."""
    if _PLAIN.fullmatch(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
