"""What a mail system would not take for one person's address (RFC 5322, 3.4)."""

from __future__ import annotations

import re
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import getaddresses

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")


def address_problem(text: str) -> str | None:
    """What is wrong with an address, with or without a display name; None where nothing is."""
    if _CONTROL.search(text):
        shown = text.encode("unicode_escape").decode("ascii")
        return f"“{shown}” has a line end or a control character in it"
    pairs = getaddresses([text])
    name, address = pairs[0] if len(pairs) == 1 else ("", "")
    local, _, domain = address.rpartition("@")
    # The parser mends what it can, and the mended address may be a stranger's.
    is_one = address in text and not re.search(r"\s", address)
    if not is_one or not local or "" in domain.split("."):
        return f"“{text}” is not one e-mail address"
    try:
        if not domain.isascii():
            domain = domain.encode("idna").decode("ascii")
        Address(display_name=name, username=local, domain=domain)
    except (ValueError, MessageError, IndexError) as error:
        return f"“{text}” is not an e-mail address: {error}"
    return None
