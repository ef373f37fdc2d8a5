"""``public`` and ``unsubscribe``: what the daemon answers to people and systems outside."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema

from crmsync.config.base import Settings
from crmsync.config.daemon import ListenField
from crmsync.config.secrets import Secret

_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}


def _public_url(text: str) -> str:
    """An https URL without a slash at its end; http only for trials on this machine."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        whole = parts.port != 0
    except ValueError:
        parts, host, whole = SplitResult("", "", "", "", ""), "", False
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _THIS_MACHINE)
    odd = parts.query or parts.fragment or "@" in parts.netloc or not text.isascii()
    if not (safe and host and whole) or odd or any(sign.isspace() for sign in text):
        raise ValueError(
            f"“{text}” is no public URL; write for example https://crm.example.com, with https, "
            "and without “?” or “#”"
        )
    return text.rstrip("/")


def _mail_address(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if not local or "." not in domain or not text.isascii() or set(text) & set(' <>,;?&%"'):
        raise ValueError(f"“{text}” is no e-mail address that a link can hold")
    return text


class PublicSettings(Settings):
    """Where people and systems outside reach the daemon.

    Attributes:
        url: what they call it by; the daemon itself listens behind a reverse proxy that ends TLS.
        listen: where it waits for what the proxy passes on.
    """

    url: Annotated[
        str,
        AfterValidator(_public_url),
        WithJsonSchema({"type": "string", "pattern": "^https?://"}),
    ]
    listen: ListenField = "127.0.0.1:9465"


class UnsubscribeSettings(Settings):
    """Links by which customers say that they want no more commercial mail.

    Attributes:
        secret: what the links are sealed with; at least 32 characters.
        earlier_secrets: those that links in older mails were sealed with.
        mailto: an address beside the link, whose mailbox a person reads.
    """

    secret: Secret
    earlier_secrets: list[Secret] = Field(default=[])
    mailto: Annotated[str, AfterValidator(_mail_address), WithJsonSchema({"type": "string"})] | (
        None
    ) = None
