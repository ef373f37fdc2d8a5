"""How a mail that crmsync sent is recognised when it comes back by a pull.

By its Message-ID: whoever logs the mail keeps it, and it needs no memory of what was sent, so it
works for every installation on the same CRM, and after a ledger was lost. A CRM that has no place
for a Message-ID may keep the key of the log there.
"""

from __future__ import annotations

# The connection whose activities tell what the ledger knows of mail; no config can name one so.
OF_THE_LEDGER = "~ledger"

_MARK = "crmsync."
_LOG = "log-"

# A Message-ID as remotes keep it: perhaps in angle brackets, perhaps in capitals.
PATTERN = r"(?i)^\s*(<?crmsync\.[0-9a-f]{40}@|log-[a-z0-9-]+-[0-9a-f]{40}\s*$)"


def local_part(digest: str) -> str:
    """What stands before the @ in the Message-ID of the mail whose key ends with this digest."""
    return f"{_MARK}{digest}"


def log_key(key: str) -> str:
    """The key of that which logs a mail of this key."""
    return f"{_LOG}{key}"
