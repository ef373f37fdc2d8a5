"""Texts as a portal keeps them: the bodies of tasks and notes are HTML there."""

from __future__ import annotations

import html
import re

_TAGS = re.compile(r"<[^>]*>")
_BREAKS = re.compile(r"<br\s*/?>|</p>|</div>|</li>", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
# Halves of characters cannot be sent at all, and what follows a NUL is lost on many ways.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
LONGEST = 65_536


def as_html(text: str) -> str:
    """A plain text, so that a portal shows it as it is, with its lines."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return html.escape(lines, quote=False).replace("\n", "<br>")


def as_text(body: str) -> str:
    """What a person reads in such a body."""
    if "<" not in body and "&" not in body:
        return body
    return html.unescape(_TAGS.sub("", _BREAKS.sub("\n", body)))


def reads_alike(one: str, other: str) -> bool:
    """Whether two bodies read the same, however a portal has laid out their HTML."""
    return _SPACE.sub("", as_text(one)) == _SPACE.sub("", as_text(other))


def reads_as(body: str, text: str) -> bool:
    """Whether a body reads as that text, however a portal has laid it out."""
    return _SPACE.sub("", as_text(body)) == _SPACE.sub("", text)


def cannot_be_kept(text: str) -> bool:
    """Whether a text has something that no portal can hold."""
    return _NO_TEXT.search(text) is not None
