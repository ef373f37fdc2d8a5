"""Lists of a provider's own of addresses to which it drops all mail.

It says all the same that it has taken the mail, so they are asked before one is handed over: else
a mail that nobody gets would count as sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

FORBIDDEN = frozenset({httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN})
UNKNOWN = frozenset({httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND})

BOUNCED = "mail to it has bounced"
COMPLAINED = "somebody there called a mail spam"
UNSUBSCRIBED = "somebody there has unsubscribed"
INVALID = "it is no valid address"


class Lists(Protocol):
    """A provider with such lists.

    Attributes:
        right: what a key needs to read them.
    """

    @property
    def right(self) -> str:
        """What a key needs to read them."""
        ...

    def ask(self, http: httpx.Client, address: str) -> Iterator[tuple[httpx.Request, str]]:
        """For an address on each of the lists; and why it stands there, where the list says it."""
        ...

    def entry(self, response: httpx.Response) -> str | None:
        """What the provider says of the address, perhaps nothing; None where it is not there."""
        ...


def in_path(address: str) -> str:
    """An address as the end of a URL."""
    return quote(address, safe="")
