"""Signs mail (DKIM, RFC 6376)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dkim

from crmsync.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crmsync_email.options import Dkim

# What a stranger could otherwise change or add; RFC 8058, 4 asks for the unsubscribe headers.
_SIGNED = (
    "From",
    "Reply-To",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
)


class Signer:
    """Puts a signature before a message."""

    def __init__(self, options: Dkim) -> None:
        self._options = options
        self._key = options.key.reveal().encode()

    def doubts(self, domains: Iterable[str]) -> Iterator[str]:
        """Domains behind From that the signature does not speak for, a sentence each (RFC 7489)."""
        ours = self._options.domain
        for domain in sorted(domains):
            if not f".{domain}".endswith(f".{ours}") and not f".{ours}".endswith(f".{domain}"):
                yield (
                    f"mail from {domain} is signed for {ours}, so by DMARC it is not signed at "
                    f"all; give {domain} a connection and a key of its own, or leave it out of "
                    "domains"
                )

    def signed(self, content: bytes) -> bytes:
        """The message with its signature.

        Raises:
            AuthError: the key is none that can sign.
        """
        head = content.partition(b"\r\n\r\n")[0].lower()
        there = [
            name.encode()
            for name in _SIGNED
            if b"\r\n" + name.lower().encode() + b":" in b"\r\n" + head
        ]
        try:
            line: bytes = dkim.sign(
                content,
                self._options.selector.encode(),
                self._options.domain.encode(),
                self._key,
                canonicalize=(b"relaxed", b"relaxed"),
                include_headers=there,
            )
        except (dkim.DKIMException, ValueError, TypeError, IndexError):
            # The library's own text may quote the key.
            raise AuthError(
                "mail cannot be signed: dkim's key must be an RSA private key in PEM form"
            ) from None
        return line + content
