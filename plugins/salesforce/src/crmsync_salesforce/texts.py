"""Texts that an org cannot keep, or not in full."""

from __future__ import annotations

import re

from crmsync.errors import RejectedError

# Halves of characters cannot be sent at all, and what follows a NUL is lost on many ways.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_CUT = "\n\n[It goes on, but Salesforce takes no more.]"


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


def length(text: str) -> int:
    """How many characters the org counts; it keeps line ends as two."""
    return len(text) + text.count("\n") - text.count("\r\n")


def cut(text: str, longest: int) -> str:
    """A text that is no longer than that, with a sentence where it was cut."""
    if length(text) <= longest:
        return text
    kept = text[: longest - length(_CUT)]
    while (excess := length(kept) + length(_CUT) - longest) > 0:
        kept = kept[: -max(excess // 2, 1)]  # each may be one or two of the org's
    return kept + _CUT
