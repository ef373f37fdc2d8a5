"""Which addresses are ours, and on which side of a mail somebody stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import getaddresses
from typing import TYPE_CHECKING

from crmsync.sync.public_domains import PUBLIC_DOMAINS
from crmsync_email.incoming.parts import as_written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync_email.incoming.parts import Part

_MOST = 200  # recipients of one mail; more are an announcement
_LONGEST_HEADER = 32_000  # characters
_SIGN = r"[^\s<>,;:\"()\[\]@\x00-\x1f\x7f]"
_ADDRESS = re.compile(rf"{_SIGN}+@{_SIGN}+")
_QUOTED = re.compile(rf'"({_SIGN}+)"@')  # quotes that it does not need (RFC 5321, 4.1.2)
_ANGLED = re.compile(rf"<({_ADDRESS.pattern})>")


@dataclass(frozen=True, kw_only=True)
class Ours:
    """Our own addresses. All in lower case.

    Attributes:
        domains: of which every address is ours.
    """

    addresses: frozenset[str]
    domains: frozenset[str]

    @classmethod
    def of(cls, told: Sequence[str], own: Sequence[str]) -> Ours:
        """From the config, where ``@example.com`` is a domain, and from the connection's own.

        Where the config says nothing, the domains of the connection's addresses are ours, unless
        anybody can have an address there.

        Args:
            own: its addresses and, as ``@example.com``, domains; among them may be the name of a
                login that is neither.
        """
        names = [name.lower() for name in told]
        addresses = [name.lower() for name in own if "@" in name]
        domains = {name.rpartition("@")[2] for name in addresses} - set(PUBLIC_DOMAINS)
        return cls(
            addresses=frozenset(name for name in (*names, *addresses) if name[0] != "@"),
            domains=frozenset(name[1:] for name in names if name[0] == "@")
            if names
            else frozenset(domains),
        )

    def include(self, address: str) -> bool:
        """Whether an address, in lower case, is ours."""
        return address in self.addresses or address.rpartition("@")[2] in self.domains

    def have_list(self, list_id: str) -> bool:
        """Whether a list is a group of ours, such as ``Sales <sales.example.com>`` (RFC 2919)."""
        told = list_id.rpartition("<")[2].partition(">")[0].strip().lower()
        return any(told.endswith(f".{domain}") for domain in self.domains) or told in {
            address.replace("@", ".") for address in self.addresses
        }


def addresses_of(mail: Part, *names: str) -> tuple[str, ...]:
    """The addresses in these headers, in lower case, each once, in their order.

    Headers are not decoded before they are taken apart: a comma in somebody's encoded name is none
    between two people.
    """
    values = [value[:_LONGEST_HEADER] for name in names for value in as_written(mail, name)]
    told = (one for value in values for one in _taken_apart(value))
    found = (_QUOTED.sub(r"\1@", one.strip("\0")).rstrip(".") for one in told)
    return tuple(dict.fromkeys(one for one in found if _ADDRESS.fullmatch(one)))[:_MOST]


def _taken_apart(value: str) -> list[str]:
    try:
        found = [address.strip().lower() for _, address in getaddresses([value])]
    except RecursionError:  # comments in comments
        found = []
    # Of what breaks the rules, such as a comma in a name without quotes, at least these are plain.
    return [one for one in found if one] or [one.lower() for one in _ANGLED.findall(value)]
