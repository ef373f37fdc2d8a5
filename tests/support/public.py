"""A company whose commercial mails have a way out, and links of its mails."""

from __future__ import annotations

import mailbox
from typing import TYPE_CHECKING

from support.company import CONFIG, make_company

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

BASE = "https://crm.vendor.example/mail"
SECRET = "a secret of more than thirty-two letters"  # noqa: S105  nobody else uses it
# Beside what every company has.
BLOCK = f"""
public: {{url: "{BASE}", listen: "127.0.0.1:0"}}
unsubscribe: {{secret: env:CRMSYNC_UNSUBSCRIBE_SECRET, mailto: stop@vendor.example}}
"""


def public_company(folder: Path, **changes: str) -> Path:
    """Lay it out; answers with the config. The secret is in the environment of the test."""
    config = changes.pop("config", CONFIG)
    return make_company(folder, config=config + BLOCK, **changes)


def mails(config: Path) -> list[Message]:
    """What went out."""
    outbox = config.parent / "crm" / "outbox"
    return [*mailbox.Maildir(outbox, create=False)] if outbox.exists() else []
