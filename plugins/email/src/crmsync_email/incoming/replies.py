"""What a person wrote in a reply: without the quoted mail, and without the signature."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailparser_reply import EmailReplyParser
from mailparser_reply.constants import MAIL_LANGUAGES

from crmsync_email.incoming.parts import texts

if TYPE_CHECKING:
    from crmsync_email.incoming.parts import Part

_LONGEST = 8_000  # characters; nobody reads more of a reply in a CRM
_BLANKS = re.compile(r"\n\s*\n\s*\n")  # the parser takes minutes over thousands of them
_PARSER = EmailReplyParser(languages=sorted(MAIL_LANGUAGES))


def own_words(mail: Part) -> str:
    """The text that a mail's author wrote, from its plain part, else from its HTML."""
    found = list(texts(mail))
    plain = next((one.text for one in found if one.kind == "text/plain" and one.text.strip()), None)
    text = plain if plain is not None else next((one.text for one in found), "")
    return reply_in(text)


def reply_in(text: str) -> str:
    """The reply in a text that may quote what it answers, above or below."""
    short = _BLANKS.sub("\n\n", text[: 4 * _LONGEST].replace("\r\n", "\n"))[:_LONGEST]
    unquoted = _without_quotes(short)
    reply = str(_PARSER.parse_reply(unquoted) or "").strip()
    return "\n".join(line.rstrip() for line in reply.split("\n"))


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
    above, below = "\n".join(lines[:first]).rstrip(), "\n".join(lines[last + 1 :]).strip()
    introduced = _introduction(above)
    if introduced is None:
        return text
    if introduced == "" and below:  # the reply stands below what it quotes
        return below
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
