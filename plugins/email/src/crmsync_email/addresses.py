"""Addresses as they stand in headers and envelopes (RFC 5321, 5322, 6531)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import getaddresses

import idna

CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]"
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"')
_LITERAL = re.compile(r"\[[0-9A-Fa-f:.]+\]|\[IPv6:[0-9A-Fa-f:.]+\]")
_AT_NUMBER = re.compile(r"@(\[(?:IPv6:)?[0-9A-Fa-f:.]+\])(?=[\s>]*\Z)")
_STANDS_IN = "number.invalid"
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_LOCAL, _LONGEST_DOMAIN = 64, 253  # octets: RFC 5321, 4.5.3.1


@dataclass(frozen=True, kw_only=True)
class Mailbox:
    """A name and an address.

    Attributes:
        local: before the @, in quotes where it needs them.
        domain: in ASCII (IDNA 2008).
    """

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """The address alone."""
        return f"{self.local}@{self.domain}"

    @property
    def is_international(self) -> bool:
        """Whether only mail systems with SMTPUTF8 can take it."""
        return not self.local.isascii()


def mailbox_of(text: str) -> Mailbox:
    """An address, with or without a display name.

    Raises:
        ValueError: it is not exactly one; the text says why.
    """
    if CONTROL.search(text):
        raise ValueError(f"“{shown(text)}” has a line end or a control character in it")
    # The parser of older Pythons knows no addresses at a machine's number.
    number = _AT_NUMBER.search(text)
    asked = text if number is None else text.replace(number[0], f"@{_STANDS_IN}", 1)
    pairs = getaddresses([asked])
    name, address = pairs[0] if len(pairs) == 1 else ("", "")
    local, at, domain = address.rpartition("@")
    # The parser mends what it can, and the mended address may be a stranger's.
    if not at or address not in asked or _STANDS_IN in local:
        raise ValueError(f"“{text}” is not one e-mail address")
    if not (_DOT_ATOM.fullmatch(local) or _QUOTED.fullmatch(local)):
        raise ValueError(f"“{text}” is not an e-mail address: what stands before the @ is none")
    if len(local.encode()) > _LONGEST_LOCAL:
        raise ValueError(f"“{text}” is not an e-mail address: it is too long before the @")
    if number is not None and domain == _STANDS_IN:
        domain = number[1]
    return Mailbox(name=" ".join(name.split()), local=local, domain=_ascii(domain, text))


def domain_of(text: str) -> str:
    """A domain as it is compared: in ASCII, in small letters.

    Raises:
        ValueError: it is none.
    """
    return _ascii(text.strip().removeprefix("@"), text)


def _ascii(domain: str, text: str) -> str:
    if _LITERAL.fullmatch(domain):
        return domain
    try:
        # What people type: capitals, full-width letters, the ideographic full stop.
        known = idna.encode(domain, uts46=True, transitional=False).decode("ascii")
    except idna.IDNAError as error:
        if not _HOST.fullmatch(domain):
            raise ValueError(f"“{text}” has no domain that exists anywhere: {error}") from None
        known = domain  # of names with an underscore, say, DNS is more tolerant than IDNA
    if len(known) > _LONGEST_DOMAIN:
        raise ValueError(f"“{text}” has a domain that is too long")
    return known.lower()


def shown(text: str) -> str:
    """Text in a sentence, with control characters as escapes."""
    return text.encode("unicode_escape").decode("ascii") if CONTROL.search(text) else text
