"""What the config can say of a mailbox that is read."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from crmsync.config.base import NamesField, Settings
from crmsync_email.login import ON_THIS_MACHINE, Security

_OURS = re.compile(r"[^@\s,<>]*@[^@\s,<>]+")


def _ours(names: list[str]) -> list[str]:
    for name in names:
        if not _OURS.fullmatch(name):
            raise ValueError(
                f"“{name}” is no address; write for example sales@example.com, or @example.com for "
                "all addresses of a domain"
            )
    return [name.lower() for name in names]


def _usual() -> list[str]:
    return ["inbox", "sent"]


class ImapOptions(Settings):
    """The mailbox of a connection, and which of it is read.

    ``port`` is by default 993, or 143 where ``security`` is not ``tls``. ``folders`` are names, or
    the words ``inbox``, ``sent``, ``archive`` and ``all``, which find the folder by what the server
    says of it; ``sent`` names the folder of sent mail where the server does not say which it is.
    ``ours`` are our own addresses, or domains such as ``@example.com``. Mail that arrived before
    ``since`` is not read. ``ca_file`` holds the certificates of a company's own authority.
    """

    host: str = Field(min_length=1)
    port: int | None = Field(default=None, gt=0, lt=65_536)
    security: Security = Security.TLS
    folders: Annotated[NamesField, Field(min_length=1, default_factory=_usual)]
    sent: str | None = None
    ours: Annotated[NamesField, AfterValidator(_ours), Field(default_factory=list)]
    since: date | None = None
    ca_file: str | None = None

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> ImapOptions:
        if self.security is Security.NONE and self.host not in ON_THIS_MACHINE:
            raise ValueError(
                "security: none would send the password and all mail in the clear; write tls or "
                "starttls"
            )
        return self

    @property
    def at_port(self) -> int:
        """Where the server listens."""
        return self.port or (993 if self.security is Security.TLS else 143)
