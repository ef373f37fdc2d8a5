"""A mail's headers and texts, whatever it is made of: broken charsets, endless nesting, no body.

The standard library's parser is asked once, with its old lenient policy, which never raises for a
header; what it cannot parse counts as plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import MessageDefect
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from itertools import islice
from typing import TYPE_CHECKING

from selectolax.lexbor import LexborHTMLParser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selectolax.lexbor import LexborNode

_MOST_BYTES = 4 * 2**20  # what a mail means stands at its beginning; attachments are not read
_MOST_PARTS = 500
_MOST_HEADER = 8_000  # characters
_MOST_TEXT = 200_000  # characters of one part

Part = Message


def parsed(raw: bytes) -> Part:
    """The mail of these bytes; of a very large one, what its first 4 MiB hold.

    Never raises: a mail that cannot be taken apart is its headers and one text.
    """
    head = raw[:_MOST_BYTES]
    try:
        return message_from_bytes(head, policy=policy.compat32)
    except Exception:  # noqa: BLE001  RecursionError and whatever else hostile mail finds
        opaque = BytesHeaderParser(policy=policy.compat32).parsebytes(head)
        opaque.defects.append(_WholeDefect())
        return opaque


class _WholeDefect(MessageDefect):
    """A mail could not be taken apart."""


def trouble_in(mail: Part) -> str | None:
    """Why a part of a mail was not looked at, as the end of a sentence; None where all was."""
    if any(isinstance(defect, _WholeDefect) for defect in mail.defects):
        return "its parts are nested too deep to be taken apart"
    if next(islice(_own_parts(mail), _MOST_PARTS, None), None) is not None:
        return f"of its parts, only the first {_MOST_PARTS} were looked at"
    return None


def header(part: Part, name: str) -> str:
    """A header in one line, encoded words decoded; empty where there is none."""
    value = next(iter(as_written(part, name)), "")[:_MOST_HEADER]
    try:
        decoded = str(make_header(decode_header(value)))
    except Exception:  # noqa: BLE001  unknown charsets, broken base64: the raw words then
        decoded = value
    return " ".join(decoded.split())


def as_written(part: Part, name: str) -> Iterator[str]:
    """Headers as they stand; those of bytes, as many programs send them, are UTF-8 or Latin-1."""
    for key, value in part.raw_items():
        if key.lower() != name.lower():
            continue
        raw = str(value).encode("utf-8", "surrogateescape")
        try:
            yield raw.decode("utf-8")
        except UnicodeError:
            yield raw.decode("latin-1")


def content_type(part: Part) -> str:
    """Such as ``text/plain``, in lower case."""
    return part.get_content_type().lower()


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text part of a mail, decoded."""

    kind: str
    text: str


def parts(mail: Part) -> Iterator[Part]:
    """The mail's own parts from the top, at most 500; mails within the mail are not entered."""
    return islice(_own_parts(mail), _MOST_PARTS)


def _own_parts(mail: Part) -> Iterator[Part]:
    waiting = [mail]
    while waiting:
        part = waiting.pop()
        yield part
        payload = part.get_payload()
        if isinstance(payload, list) and mail_in(part) is None:
            waiting.extend(inner for inner in reversed(payload) if isinstance(inner, Message))


def mail_in(part: Part) -> Part | None:
    """The mail that this part holds, or None where it is no mail of its own."""
    payload = part.get_payload()
    if content_type(part) not in {"message/rfc822", "message/global"}:
        return None
    inner = payload[0] if isinstance(payload, list) and payload else None
    return inner if isinstance(inner, Message) else None


def texts(mail: Part) -> Iterator[Text]:
    """The mail's own texts in order; HTML as the text that a reader sees."""
    for part in parts(mail):
        kind = content_type(part)
        if part.get_content_maintype() == "multipart" and isinstance(part.get_payload(), str):
            kind = "text/plain"  # its boundary is missing or broken
        if kind in {"text/plain", "text/html"} and not _is_attachment(part):
            text = decoded(part)
            yield Text(kind=kind, text=seen(text) if kind == "text/html" else text)


def lacks_text(begun: bytes) -> bool:
    """Whether the beginning of a mail shows none of its texts, so that one may stand further on."""
    mail = parsed(begun)
    return mail.is_multipart() and not any(one.text.strip() for one in texts(mail))


def joined(begun: bytes, end: bytes) -> bytes:
    """A mail of its beginning and its end: what lay between was in the middle of an attachment."""
    boundaries = [part.get_boundary() for part in parts(parsed(begun))]
    known = "|".join(re.escape(one) for one in boundaries if one)
    found = re.search(rb"(?:^|\n)--(?:" + known.encode("utf-8", "replace") + rb")", end)
    return begun if not known or found is None else begun + b"\r\n" + end[found.start() :].lstrip()


def _is_attachment(part: Part) -> bool:
    return (part.get_content_disposition() or "") == "attachment"


def decoded(part: Part) -> str:
    """The text of one part, at most 200,000 characters, in whatever charset it really is."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    data = payload[: 4 * _MOST_TEXT]
    for charset in (_declared(part), "utf-8"):
        try:
            return data.decode(charset)[:_MOST_TEXT]
        except (LookupError, UnicodeError, ValueError):
            continue
    return data.decode("latin-1")[:_MOST_TEXT]


def _declared(part: Part) -> str:
    charset = part.get_content_charset()
    # Much mail that says nothing is ISO-2022-JP, which looks like ASCII with escapes.
    if charset in {None, "us-ascii"}:
        payload = part.get_payload()
        return "iso-2022-jp" if isinstance(payload, str) and "\x1b$" in payload else "utf-8"
    return str(charset)


_UNSEEN = {"script", "style", "head", "title"}
_BLOCKS = {"br", "p", "div", "tr", "li", "hr", "blockquote", "h1", "h2", "h3", "pre"}
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)  # such as a summary for the inbox
_MOST_NODES = 10_000


def seen(markup: str) -> str:
    """The words of an HTML text, a line for each block, quotes behind “>” as in plain text."""
    body = LexborHTMLParser(markup).body
    if body is None:
        return ""
    lines: list[tuple[int, list[str]]] = [(0, [])]
    # Nodes that are still to come, and after each block how deep in quotes its neighbours are.
    waiting: list[LexborNode | int] = [body]
    quoted = 0
    for _ in range(_MOST_NODES):
        if not waiting:
            break
        node = waiting.pop()
        if isinstance(node, int):
            quoted = node
            _begin_line(lines, quoted)
            continue
        if node.tag == "-text":
            lines[-1][1].append(node.text_content or "")
            continue
        if node.tag in _UNSEEN or _HIDDEN.search(str(node.attributes.get("style") or "")):
            continue
        if node.tag in _BLOCKS:
            waiting.append(quoted)
            quoted += node.tag == "blockquote"
            _begin_line(lines, quoted, blank=node.tag == "br")
        waiting.extend(reversed(list(node.iter(include_text=True))))
    told = ((depth, " ".join("".join(words).split())) for depth, words in lines)
    return "\n".join(f"{'>' * min(depth, 9)} {words}".strip() for depth, words in told)


def _begin_line(lines: list[tuple[int, list[str]]], quoted: int, *, blank: bool = False) -> None:
    """Start a line; blocks that begin or end at one place start but one."""
    if not blank and not "".join(lines[-1][1]).strip():
        lines.pop()
    lines.append((quoted, []))
