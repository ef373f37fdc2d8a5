"""Links by which a customer says that they want no more commercial mail (RFC 8058).

A link holds the address that the mail went to, encrypted and authenticated with a key that only
the daemon has (AES-SIV, RFC 5297). So it reveals nothing, cannot be made up, never expires, and
needs no list of links that could be lost.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cached_property
from typing import TYPE_CHECKING

from crmsync.errors import AuthError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

UNSUBSCRIBE = "unsubscribe"  # the first part of a link's path
_PURPOSE = b"crmsync unsubscribe link 1"
_KEY_LENGTH = 64
_SHORTEST_SECRET = 32
# Lengths of addresses are hidden up to this many bytes.
_BLOCK = 48
_LONGEST_TOKEN = 1024


class UnsubscribeLinks:
    """Makes links, and reads what is in them.

    Args:
        base: the public URL, without a slash at its end.
        secrets: the present one first, then earlier ones, by which links are still known.

    Raises:
        AuthError: a secret is too short to keep anybody out.
    """

    def __init__(self, base: str, secrets: Sequence[str]) -> None:
        if any(len(secret) < _SHORTEST_SECRET for secret in secrets):
            raise AuthError(
                f"a secret for unsubscribe links has at least {_SHORTEST_SECRET} characters; "
                "“openssl rand -base64 32” makes one"
            )
        self._base = base
        self._secrets = secrets

    @cached_property
    def _keys(self) -> Sequence[AESSIV]:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV
        from cryptography.hazmat.primitives.hashes import SHA512
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        def key(secret: str) -> AESSIV:
            derive = HKDF(algorithm=SHA512(), length=_KEY_LENGTH, salt=None, info=_PURPOSE)
            return AESSIV(derive.derive(secret.encode()))

        return tuple(key(secret) for secret in self._secrets)

    def url(self, address: str) -> str:
        """The link for an address; always the same one."""
        text = address.encode("utf-8", "replace")
        padded = text.ljust(-(-max(len(text), 1) // _BLOCK) * _BLOCK, b"\0")
        sealed = self._keys[0].encrypt(padded, [_PURPOSE])
        token = urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
        return f"{self._base}/{UNSUBSCRIBE}/{token}"

    def address(self, token: str) -> str | None:
        """The address that a link of ours was made for; None for any other token."""
        from cryptography.exceptions import InvalidTag

        if not token.isascii() or len(token) > _LONGEST_TOKEN:
            return None
        try:
            sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            return None
        # Other spellings of the same bytes are not ours, either.
        if urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii") != token:
            return None
        for key in self._keys:
            try:
                return key.decrypt(sealed, [_PURPOSE]).rstrip(b"\0").decode("utf-8")
            except (InvalidTag, ValueError):
                continue
        return None
