"""The one place that all logs, errors and reports pass before they leave the process."""

from __future__ import annotations

import re

_HIDDEN = "[redacted]"
_SHORTEST_SECRET = 4  # anything shorter would blank ordinary words

_secrets: set[str] = set()
_EMAIL = re.compile(r"([A-Za-z0-9._%+-])[A-Za-z0-9._%+-]*@([A-Za-z0-9.-]+\.[A-Za-z]{2,})")
# Control characters but for the tab and the line end, in ASCII and beyond.
_CONTROLS: dict[int, str | None] = dict.fromkeys(
    [*range(9), *range(11, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}"
)
_CONTROLS[ord("\r")] = None  # part of a line end, mostly


def remember_secret(value: str) -> None:
    """From now on, hide this value wherever text passes `redact`."""
    if len(value) >= _SHORTEST_SECRET:
        _secrets.add(value)


def redact(text: str, *, personal: bool = False) -> str:
    """The text without any secret; with ``personal``, without whole e-mail addresses either."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    if personal:
        text = _EMAIL.sub(r"\1…@\2", text)
    return text


def printable(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return text.translate(_CONTROLS)
