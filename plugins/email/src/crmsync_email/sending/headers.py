"""Header lines: folded at spaces, and encoded where they must be (RFC 5322, 2047, 6532).

Python's own folding breaks long URLs in List-Unsubscribe into encoded words, which no mail program
follows (cpython issue 85725), or writes encoded words that are longer than they may be.
"""

from __future__ import annotations

import re
from email.header import Header
from typing import TYPE_CHECKING

from crmsync_email.addresses import CONTROL, shown

if TYPE_CHECKING:
    from crmsync_email.addresses import Mailbox

_WIDTH, _LONGEST_LINE = 78, 998  # characters: RFC 5322, 2.1.1
_ENCODED_WIDTH = 76  # RFC 2047, 2
_NAME = re.compile(r"[!-9;-~]{1,70}")  # RFC 5322, 3.6.8: printable, no colon
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LONGEST_WORD = 200


def text_line(name: str, text: str) -> str:
    """A header whose value people read, such as a subject.

    Raises:
        ValueError: it has a line end or another control character: a header of a stranger's could
            follow.
    """
    _refuse_controls(name, text)
    if _is_plain(text):
        return _folded(f"{name}: {text}")
    encoded = Header(text, "utf-8", header_name=name, maxlinelen=_ENCODED_WIDTH)
    return f"{name}: {encoded.encode(linesep=chr(13) + chr(10))}"


def token_line(name: str, value: str) -> str:
    """A header whose value programs read, such as References or List-Unsubscribe.

    Raises:
        ValueError: it cannot stand in a mail.
    """
    _refuse_controls(name, value)
    if not _NAME.fullmatch(name):
        raise ValueError(f"a mail cannot have a header “{shown(name)}”")
    if not value.isascii():
        return text_line(name, value)
    return _folded(f"{name}: {value}")


def address_line(name: str, mailbox: Mailbox) -> str:
    """A header with one person in it.

    Raises:
        ValueError: the name has a control character in it.
    """
    _refuse_controls(name, mailbox.name)
    phrase = _phrase(name, mailbox.name)
    if not phrase:
        return _folded(f"{name}: {mailbox.address}")
    line = f"{name}: {phrase}"
    last = line.rpartition("\n")[2]
    gap = " " if len(last) + len(mailbox.address) + 3 <= _WIDTH else "\r\n "
    return f"{line}{gap}<{mailbox.address}>"


def _phrase(name: str, text: str) -> str:
    if not _is_plain(text):
        return Header(text, "utf-8", header_name=name, maxlinelen=_ENCODED_WIDTH).encode(
            linesep="\r\n"
        )
    if not text or _ATOMS.fullmatch(text):
        return _folded(f"{name}: {text}").removeprefix(f"{name}: ")
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return _folded(f'{name}: "{quoted}"').removeprefix(f"{name}: ")


def _is_plain(text: str) -> bool:
    """Whether it can stand in a header as it is, and is read there as it is."""
    return (
        text.isascii()
        and "=?" not in text
        and "\t" not in text
        and text == text.strip()
        and "  " not in text
        and max(map(len, text.split(" "))) <= _LONGEST_WORD
    )


def _folded(line: str) -> str:
    """A line broken at spaces, never within a word."""
    lines: list[str] = []
    rest = line
    while len(rest) > _WIDTH:
        start = 1 + len(rest) - len(rest.lstrip(" "))
        if not lines:
            start = rest.index(":") + 2  # a line with nothing but the name is refused by some
            start = rest.find(" ", start) if rest.find(" ", start) > 0 else len(rest)
        at = rest.rfind(" ", start, _WIDTH + 1)
        if at < 0:
            at = rest.find(" ", start)
        if at < 0:
            break
        lines.append(rest[:at])
        rest = rest[at:]
    lines.append(rest)
    if max(map(len, lines)) > _LONGEST_LINE:
        raise ValueError(f"a mail cannot have a line so long: {line[:60]}…")
    return "\r\n".join(lines)


def _refuse_controls(name: str, text: str) -> None:
    if CONTROL.search(name) or CONTROL.search(text):
        raise ValueError(
            f"the mail's {shown(name)} has a line end or a control character in it: “{shown(text)}”"
        )
