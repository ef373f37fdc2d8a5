"""Texts that no org can keep."""

from __future__ import annotations

import re

from crmsync.errors import RejectedError

# Halves of characters cannot be sent at all, and what follows a NUL is lost on many ways.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def cannot_be_kept(text: str) -> bool:
    """Whether a text has a character that the org cannot hold."""
    return _NO_TEXT.search(text) is not None


def no_text(key: str) -> RejectedError:
    """What is said of an action with such a text."""
    shown = key.encode("utf-8", "backslashreplace").decode("utf-8")
    return RejectedError(
        f"the action {shown} has a NUL or half a character in its text, which Salesforce cannot "
        "hold"
    )
