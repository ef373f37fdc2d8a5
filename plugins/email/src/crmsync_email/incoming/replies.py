"""What a person wrote in a reply: without the quoted mail, and without the signature."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from mailparser_reply import EmailReplyParser
from mailparser_reply.constants import MAIL_LANGUAGES

from crmsync_email.incoming.parts import texts
from crmsync_email.incoming.phrases import any_of

if TYPE_CHECKING:
    from crmsync_email.incoming.parts import Part

_LONGEST = 8_000  # characters; nobody reads more of a reply in a CRM
_LONGEST_LINE = 400  # characters; what introduces a quote is shorter
_BLANKS = re.compile(r"\n\s*\n\s*\n")  # the parser takes minutes over thousands of them
_PARSER = EmailReplyParser(languages=sorted(MAIL_LANGUAGES))


def own_words(mail: Part) -> str:
    """What a mail's author wrote, without what they quote and without their signature."""
    body = body_of(mail)
    return without_signature(reply_in(body), dashes=bool(_DASHES.search(body)))


def body_of(mail: Part) -> str:
    """A mail's text: its plain part, else its HTML."""
    found = list(texts(mail))
    plain = next((one.text for one in found if one.kind == "text/plain" and one.text.strip()), None)
    return plain if plain is not None else next((one.text for one in found), "")


def reply_in(text: str) -> str:
    """The reply in a text that may quote what it answers, above or below."""
    short = _BLANKS.sub("\n\n", text[: 4 * _LONGEST].replace("\r\n", "\n"))[:_LONGEST]
    lines = _without_quotes(short).split("\n")
    # The parser is slow on long lines, and takes two lines “From: … To: …” for a quote's head.
    hidden = {number: line for number, line in enumerate(lines) if _is_plain(lines, number)}
    shown = (f"\ue000{n}\ue001" if n in hidden else line for n, line in enumerate(lines))
    reply = str(_PARSER.parse_reply("\n".join(shown)) or "")
    reply = _HIDDEN.sub(lambda found: hidden.get(int(found[1]), ""), reply).strip()
    return "\n".join(line.rstrip() for line in reply.split("\n"))


_HIDDEN = re.compile("\ue000(\\d+)\ue001")
_HEAD = re.compile(r"(?:from|von|de|da|van)\s?:", re.IGNORECASE)
_IN_HEADS = re.compile(
    r"@|\d|^\W*(?:subject|betreff|objet|asunto|oggetto)", re.IGNORECASE | re.MULTILINE
)


def _is_plain(lines: list[str], number: int) -> bool:
    """Whether a line introduces no quote, whatever it looks like."""
    line = lines[number]
    if _HEAD.match(line.strip()):
        return not _IN_HEADS.search("\n".join(lines[number : number + 5]))
    return len(line) > _LONGEST_LINE


_SIGNED = re.compile(r"\n-- ?(?=\n)")
_LINES_OF_SIGNATURE = 12
_DRAWN = re.compile(r"[ \t]*[-_=*]{5}")  # a line that people or programs draw


# With its space, which a line that people draw has not.
_DASHES = re.compile(r"^-- \r?$", re.MULTILINE)


def without_signature(reply: str, *, dashes: bool) -> str:
    """A reply without what its author or their program puts below each mail.

    That is what stands behind a line of two dashes (RFC 3676, 4.3), behind a complimentary close
    such as “Best regards”, and the advertisement of a program. A reply that is nothing else stays.

    Args:
        dashes: whether the mail has such a line of dashes, of which the reply may lack the space.
    """
    words = f"\n{reply}"
    signed = _SIGNED.split(f"{words}\n")
    if dashes and len(signed) == 2:  # noqa: PLR2004  with more such lines they are a list's
        words = signed[0] if _is_short(signed[1]) else words
    words = _closed().sub("", _without_last_lines(words))
    return _without_last_lines(words).strip() or reply


def _without_last_lines(words: str) -> str:
    """Words without what is drawn or left blank below them."""
    lines = words.rstrip().split("\n")
    while lines and (not lines[-1].strip() or _DRAWN.match(lines[-1])):
        lines.pop()
    return "\n".join(lines).rstrip()


def _is_short(text: str) -> bool:
    return text.strip().count("\n") < _LINES_OF_SIGNATURE


@cache
def _closed() -> re.Pattern[str]:
    """A complimentary close and what follows, and a line in which a program names itself."""
    return re.compile(
        rf"(?<=\S)(?:\s*\n[ \t]*(?:{any_of('closings')})[ \t]*+[,.!]?[ \t]*+"
        rf"(?:\n[^\n?]{{0,100}}){{0,{_LINES_OF_SIGNATURE}}}"
        rf"|\s*\n[ \t]*(?:{any_of('programs')})[^\n]{{0,100}}(?:\n\W*)?)\Z",
        re.IGNORECASE,
    )


# In any language: a date, a time or an address, and a colon at the end.
_WHEN_OR_WHO = re.compile(r"\d{1,4}[./-]\d|\d{1,2}:\d\d|@")


def _without_quotes(text: str) -> str:
    """Quotes that the words of a language would have to introduce, cut by their form alone."""
    lines = text.split("\n")
    quoted = [line.lstrip().startswith(">") for line in lines]
    if not any(quoted):
        return text
    first = quoted.index(True)
    last = len(quoted) - 1 - quoted[::-1].index(True)
    above = "\n".join(lines[:first]).rstrip()
    introduced = _introduction(above) if above else ""
    if introduced is None:
        return text
    unquoted = [line for line, is_quote in zip(lines, quoted, strict=True) if not is_quote]
    within = any(
        line.strip() and not is_quote
        for line, is_quote in zip(lines[first:last], quoted[first:last], strict=True)
    )
    below = "\n".join(unquoted[first:]).strip()
    if within or introduced == "":  # the answers stand among what they answer, or below it
        return f"{introduced}\n\n{below}".strip()
    return introduced if not below else text


def _introduction(above: str) -> str | None:
    """What stands above the lines that introduce a quote; None where there are no such lines."""
    lines = above.split("\n")
    if not lines[-1].endswith(":"):
        return None
    for count in (3, 2, 1):
        introducing = lines[-count:]
        if all(introducing) and _WHEN_OR_WHO.search(introducing[0]):
            return "\n".join(lines[:-count]).strip()
    return None
