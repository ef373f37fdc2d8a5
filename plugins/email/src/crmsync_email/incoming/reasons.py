"""Why a mail system did not take a mail, from its code and its words.

A permanent SMTP answer does not mean a dead address: most of them speak of the sender, of the mail,
or of a full mailbox. So the words are asked first, then the enhanced status (RFC 3463); what
neither explains leaves the address alone.
"""

from __future__ import annotations

import re
from enum import StrEnum

from crmsync_email.incoming import phrases


class Reason(StrEnum):
    """Why a mail was not delivered."""

    NO_SUCH_ADDRESS = "no such address"
    NO_SUCH_DOMAIN = "no such domain"
    NO_MAIL_THERE = "the domain takes no mail"
    MOVED = "the person has moved"
    MAILBOX_FULL = "the mailbox is full"
    DISABLED = "the mailbox is disabled"
    NOT_AUTHENTIC = "the sender could not be authenticated"
    BLOCKED = "the sending server is blocked"
    SENDER_REFUSED = "the sender is refused"
    FILTERED = "refused by a filter"
    SPAM = "taken for spam"
    POLICY = "against the receiver's policy"
    TOO_BIG = "the mail is too big"
    CONTENT = "the mail's form or content is refused"
    TOO_FAST = "too much mail at once"
    RELAYING = "the server does not serve the recipient"
    EXPIRED = "given up after trying for long"
    SERVER = "trouble at a mail server"
    UNKNOWN = "no reason that is understood"

    @property
    def is_dead(self) -> bool:
        """Whether the address will not take mail tomorrow either."""
        return self in _DEAD


_VAGUE = {Reason.POLICY, Reason.DISABLED, Reason.SERVER}  # a status of 5.1.x says more
_DEAD = {Reason.NO_SUCH_ADDRESS, Reason.NO_SUCH_DOMAIN, Reason.NO_MAIL_THERE, Reason.MOVED}

_BY_STATUS: tuple[tuple[str, Reason], ...] = (
    (r"[45]\.1\.1", Reason.NO_SUCH_ADDRESS),
    (r"5\.1\.10", Reason.NO_SUCH_ADDRESS),  # RFC 7505 and Exchange
    (r"[45]\.1\.2", Reason.NO_SUCH_DOMAIN),
    (r"[45]\.1\.6", Reason.MOVED),
    (r"[45]\.1\.[78]", Reason.SENDER_REFUSED),
    (r"[45]\.2\.1", Reason.DISABLED),
    (r"[45]\.2\.2", Reason.MAILBOX_FULL),
    (r"[45]\.(?:2\.3|3\.4)", Reason.TOO_BIG),
    (r"[45]\.4\.7", Reason.EXPIRED),
    (r"[45]\.[34]\.\d+", Reason.SERVER),
    (r"[45]\.6\.\d+", Reason.CONTENT),
    (r"[45]\.7\.\d+", Reason.POLICY),
)
_STATUSES = tuple((re.compile(pattern + r"\Z"), reason) for pattern, reason in _BY_STATUS)
_STATUS = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")
# Who does not exist is refused at RCPT. A server that says so only after it has taken the text
# hides a filter behind it; so do Japanese mobile carriers, whose customers may refuse all senders
# but a few. Some servers only suppose it. And a bare 550 of which the notice does not say that it
# answered RCPT may be either: an address that is wrongly left alone costs one more bounce, a
# customer who is wrongly taken for gone is lost.
_RCPT = re.compile(r"\brcpt\b|recipient (?:address )?(?:rejected|not recognized)", re.IGNORECASE)
_REPLY_CODE = re.compile(r"(?<![\d.])5[0-5]\d(?![\d.])[ -]")
_CONTINUED = re.compile(r"\s\d{3}-(?:\d\.\d{1,3}\.\d{1,3} )?")
_LONGEST = 4_000  # characters of words that are looked at


def status_in(words: str) -> str:
    """The first enhanced status code in a text, or empty."""
    found = _STATUS.search(words)
    return found.group() if found else ""


def reason_of(*words: str, status: str = "") -> Reason:
    """Why, by the first of these texts that says it, and by the enhanced status."""
    said = [" ".join(_CONTINUED.sub(" ", text[:_LONGEST]).split()) for text in words]
    reason = next((reason for text in said if (reason := _by_words(text))), None)
    by_status = next((one for pattern, one in _STATUSES if pattern.match(status)), Reason.UNKNOWN)
    if reason is None or (by_status.is_dead and reason in _VAGUE):
        return by_status
    if reason is Reason.NO_SUCH_ADDRESS and _is_doubtful(said, status):
        return Reason.FILTERED
    return reason


def _is_doubtful(said: list[str], status: str) -> bool:
    if status.startswith("5.1."):
        return False
    if any(phrases.said("doubtful").search(text) for text in said):
        return True
    quoted = any(_REPLY_CODE.search(text) for text in said)
    placed = status.startswith("5.2.") or any(_RCPT.search(text) for text in said)
    return quoted and not placed


def _by_words(said: str) -> Reason | None:
    found = (why for why, pattern in phrases.reasons() if pattern.search(said))
    return next((Reason(why) for why in found), None)
