"""E-mail addresses and domains in one spelling, so that two of them can be compared."""

from __future__ import annotations

import re
import unicodedata
from email.utils import getaddresses

import idna

# In mail systems a label such as “bücher” is “xn--bcher-kva”; people write it as it is read.
_ENCODED = re.compile(r"\bxn--[a-z0-9-]+", re.IGNORECASE)


def readable(text: str) -> str:
    """A text with the international domains in it as people write them."""
    decoded = _ENCODED.sub(lambda label: _decoded(label[0]), text)
    return unicodedata.normalize("NFC", decoded)


def _decoded(label: str) -> str:
    try:
        return idna.decode(label.lower())
    except (idna.IDNAError, UnicodeError):
        return label


def without_name(text: str) -> str:
    """The address of “Ann Lee <ann@acme.example>”; what is not one address stays as it is."""
    pairs = getaddresses([text])
    address = pairs[0][1] if len(pairs) == 1 else ""
    return address if "@" in address and address in text else text


def bare_address(text: str) -> str:
    """The address alone, in one spelling: how two of them are compared."""
    return readable(without_name(text)).strip().lower()
