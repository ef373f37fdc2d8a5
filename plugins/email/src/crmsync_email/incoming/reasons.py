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
# hides a filter behind it. Some servers only suppose it.
_REPLY = re.compile(r"(?<![\d.])5[0-5]\d(?![\d.])[ :#-](?P<rest>.{0,100})")
# RFC 3463: the subject 0 says nothing of where it went wrong, whatever detail a program adds.
_GENERAL = re.compile(r"5\.0\.\d+|5\.5\.0")
_RCPT = re.compile(
    r"\brcpt(?:\b|_)|recipient (?:address )?(?:rejected|not recognized)|\(state 14\)"
    r"|does not like recipient",
    re.IGNORECASE,
)
_NAMED = re.compile(r"recipient|destinat|empfänger|\S@\S", re.IGNORECASE)
_CONTINUED = re.compile(r"\s\d{3}-(?:\d\.\d{1,3}\.\d{1,3} )?")
# IronPort and Amazon put it before any answer to RCPT, whatever that says.
_PREFIX = re.compile(r"\b[45]\.1\.0 - unknown address error\s+", re.IGNORECASE)
_LONGEST = 4_000  # characters of words that are looked at


def status_in(words: str) -> str:
    """The first enhanced status code in a text, rather one that says something; or empty."""
    found = _STATUS.findall(_PREFIX.sub("", words))
    return next((one for one in found if not says_nothing(one)), next(iter(found), ""))


def says_nothing(status: str) -> bool:
    """Whether an enhanced status says no more than that something went wrong."""
    return status.split(".")[1:2] == ["0"]


def reason_of(*words: str, status: str = "") -> Reason:
    """Why, by the first of these texts that says it, and by the enhanced status."""
    said = _compared(words)
    reason = next((reason for text in said if (reason := _by_words(text))), None)
    by_status = next((one for pattern, one in _STATUSES if pattern.match(status)), Reason.UNKNOWN)
    if reason is None or (by_status.is_dead and reason in _VAGUE):
        return by_status
    if reason is Reason.NO_SUCH_ADDRESS and _is_of_filter(said, status):
        return Reason.FILTERED
    return reason


def is_sure(*words: str, status: str = "", standard: bool = True) -> bool:
    """Whether one answer of “no such address” is enough to take the address for dead.

    It is where it stands behind RCPT, where the status says the same, and where no answer of
    another server is quoted. A bare 550 that does not name the recipient may speak of anything: an
    address that is wrongly left alone costs one more bounce, a customer who is wrongly taken for
    gone is lost.

    Args:
        standard: whether the notice is a delivery status notification (RFC 3464).
    """
    said = _compared(words)
    if any(_RCPT.search(text) for text in said) or status.startswith(("5.1.", "5.4.")):
        return True
    if status and not _GENERAL.fullmatch(status):  # it says something else than the words
        return False
    answers = [found["rest"] for text in said for found in _REPLY.finditer(text)]
    return not answers or (standard and any(_NAMED.search(one) for one in answers))


def is_passing(*words: str, status: str = "") -> bool:
    """Whether a mail system says that the same may succeed later, so that nobody is gone for it."""
    told = next((text for text in _compared(words) if text), "")
    # X.4.3: the servers that know the names did not answer (RFC 3463).
    return (
        status.startswith("4.") or status == "5.4.3" or bool(phrases.said("passing").search(told))
    )


def _compared(words: tuple[str, ...]) -> list[str]:
    shortened = (_PREFIX.sub("", _CONTINUED.sub(" ", text[:_LONGEST])) for text in words)
    return [" ".join(text.split()) for text in shortened]


def _is_of_filter(said: list[str], status: str) -> bool:
    if status.startswith("5.1."):
        return False
    return any(phrases.said("doubtful").search(text) for text in said)


def _by_words(said: str) -> Reason | None:
    found = (why for why, pattern in phrases.reasons() if pattern.search(said))
    return next((Reason(why) for why in found), None)
