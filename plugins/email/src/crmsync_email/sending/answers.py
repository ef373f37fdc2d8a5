"""What a mail server answers, named by what happens next (RFC 5321, RFC 3463)."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from crmsync.errors import (
    AuthError,
    ConnectorError,
    NobodyThereError,
    QuotaError,
    RejectedError,
    TransientError,
)
from crmsync_email.incoming.reasons import Reason, reason_of, status_in

if TYPE_CHECKING:
    from datetime import datetime

REST_AFTER_QUOTA = timedelta(
    hours=1
)  # allowances are mostly rolling sums, of which some comes back
_FIRST_REFUSAL = 400
_LAST_TEMPORARY = 499
# Amazon SES, Google and Microsoft say so when the day's mails are used up.
_USED_UP = re.compile(
    r"daily (message|user sending|sending|email) (quota|limit)|sending (quota|limit) exceeded"
    r"|submissionquotaexceeded|maximum credits exceeded"
    r"|exceeded .{0,40}(daily|hourly) (quota|limit)",
    re.IGNORECASE,
)
# What a server says at any point of where we call from, or of who we are.
_OF_US = {Reason.BLOCKED, Reason.NOT_AUTHENTIC, Reason.RELAYING}
_LOGIN = {530, 534, 535, 538}
_SEND_AS = re.compile(
    r"sendasdenied|not (allowed|authori[sz]ed|permitted) to send as|sender address rejected"
    r"|not owned by user|5\.7\.60",
    re.IGNORECASE,
)


def words_of(text: bytes | str) -> str:
    """A server's words in a sentence: one line, not too long."""
    told = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join("".join(one if one.isprintable() else " " for one in told).split())[:300]


def is_login_refused(code: int) -> bool:
    """Whether the server wants another login."""
    return code in _LOGIN


class About(Enum):
    """What a server was asked for."""

    US = auto()  # the same for all mails: the connection, our own address
    RECIPIENT = auto()
    MAIL = auto()


def refusal(
    code: int, text: bytes | str, *, what: str, now: datetime, about: About = About.MAIL
) -> ConnectorError:
    """The error for an answer by which the mail was surely not taken.

    What concerns us and not the mail, such as our address or where we call from, would be
    refused for all other mails alike: none of them is given up for it.

    Args:
        what: what the server was asked for, such as “the recipient bo@example.com”.
    """
    words = words_of(text)
    told = f"the mail server refuses {what}: {code} {words}"
    if _USED_UP.search(words):
        return QuotaError(told, until=now + REST_AFTER_QUOTA)
    if is_login_refused(code):
        return AuthError(told)
    if _FIRST_REFUSAL <= code <= _LAST_TEMPORARY:
        return TransientError(told)
    why = reason_of(f"RCPT {words}", status=status_in(words))
    if about is About.US and why is not Reason.TOO_BIG:
        return AuthError(told)
    # Many servers say only here what they have against our own address.
    ours = about is About.RECIPIENT and (why is Reason.SENDER_REFUSED or _SEND_AS.search(words))
    if ours or why in _OF_US:
        # Asked again rather late, and not all day: it may yet concern this recipient alone.
        return TransientError(told, retry_after=REST_AFTER_QUOTA)
    if about is About.RECIPIENT and why.is_dead:
        return NobodyThereError(told)
    if _SEND_AS.search(words):
        told += (
            "; if it lets nobody else stand behind From, take their domain out of this "
            "connection's domains"
        )
    return RejectedError(told)
