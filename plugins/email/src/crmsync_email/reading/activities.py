"""A mail as activities: usually one, of a notice about several people one for each fate."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from string import punctuation, whitespace
from typing import TYPE_CHECKING

from crmsync.model.notices import UNSUBSCRIBE_WORDS
from crmsync_email.incoming.away import back_on
from crmsync_email.incoming.bounces import bounces_in
from crmsync_email.incoming.complaints import read_complaint
from crmsync_email.incoming.kinds import Kind, kind_of
from crmsync_email.incoming.notices import read_notice
from crmsync_email.incoming.parts import header, parsed, trouble_in
from crmsync_email.incoming.replies import own_words
from crmsync_email.reading.when import written_at
from crmsync_email.reading.whose import addresses_of

if TYPE_CHECKING:
    from datetime import date, datetime

    from crmsync_email.incoming.notices import Original
    from crmsync_email.incoming.parts import Part
    from crmsync_email.reading.whose import Ours

_MOST_ANSWERED = 30
_IDENTIFYING = 16_384  # bytes of the body of a mail without a Message-ID
_ID_DIGITS = 32  # hexadecimal, 128 bits
_LONGEST_ID, _LONGEST_SUBJECT, _LONGEST_REFERENCES = 998, 998, 32_000  # characters
_MESSAGE_ID = re.compile(rf"<([^<>\s]{{1,{_LONGEST_ID}}})>")
_RECEIVERS = ("To", "Cc", "Bcc")


@dataclass(frozen=True, kw_only=True)
class FoundMail:
    """A mail as it lies in a mailbox.

    Attributes:
        raw: its beginning, or all of it.
        stored: when it came into the folder, by the server; None where that does not tell.
        sent: whether the folder is that of mail that was sent.
    """

    raw: bytes
    stored: datetime | None
    sent: bool


@dataclass(frozen=True, kw_only=True)
class MailActivity:
    """An activity, in the words of the canonical table.

    Attributes:
        id: the same for the same mail in every folder, and in a mailbox that was made anew.
        automated: nobody wrote it; or only that they want no more mail, which is no contact.
        text: what its author wrote, without what they quote; None where it was not asked for.
        notice_until: the last day of somebody's absence.
        trouble: why a part of the mail was not looked at; None where all was.
    """

    id: str
    at: datetime | None
    direction: str
    automated: bool
    subject: str
    text: str | None
    message_id: str | None
    answers: tuple[str, ...]
    addresses: tuple[str, ...]
    sender: str | None
    notice: str | None = None
    notice_address: tuple[str, ...] = ()
    notice_reason: str | None = None
    notice_until: date | None = None
    trouble: str | None = None


def activities_of(found: FoundMail, ours: Ours, *, with_text: bool = True) -> list[MailActivity]:
    """What a mail tells; nothing where it stayed among ourselves, which is nobody's contact."""
    mail = parsed(found.raw)
    senders, receivers = _senders(mail, ours), addresses_of(mail, *_RECEIVERS)
    strange = any(not ours.include(one) for one in senders)
    to_us = any(ours.include(one) for one in receivers)
    kind = kind_of(mail, by_our_group=strange and to_us and ours.have_list(header(mail, "List-Id")))
    # Our own mail server may tell of bounces from an address at our domain.
    outbound = found.sent or (
        kind not in {Kind.BOUNCE, Kind.COMPLAINT} and any(ours.include(one) for one in senders)
    )
    # Who gets a copy of what somebody else writes to us is not in contact with us by that.
    others = [one for one in receivers if one not in senders] if outbound else senders
    strangers = tuple(one for one in others if not ours.include(one))
    if outbound and receivers and not strangers:
        return []
    message_id = next(iter(_ids(mail, "Message-ID")), None)
    words = _clean(own_words(mail)) if with_text else ""
    activity = MailActivity(
        id=_identity(mail, found.raw, message_id, kind),
        at=written_at(mail, stored=found.stored, carried=not outbound),
        direction="outbound" if outbound else "inbound",
        automated=kind.is_automated or (not outbound and _only_declines(words)),
        subject=_clean(header(mail, "Subject"))[:_LONGEST_SUBJECT],
        text=words if with_text else None,
        message_id=message_id,
        answers=_ids(mail, "In-Reply-To", "References")[:_MOST_ANSWERED],
        addresses=strangers,
        sender=next(iter(senders), None),
        trouble=trouble_in(mail),
    )
    if outbound:
        return [activity]
    if kind is Kind.BOUNCE:
        return _of_bounce(activity, mail, ours) or [activity]
    if kind is Kind.COMPLAINT:
        return [_of_complaint(activity, mail, ours)]
    return [_of_absence(activity, mail)] if kind is Kind.AWAY else [activity]


def _senders(mail: Part, ours: Ours) -> tuple[str, ...]:
    """Who wrote it; not a group of ours by which it came, which some put in the writer's place.

    Google Groups does so where the writer's domain lets nobody else send in its name (DMARC).
    """
    told = addresses_of(mail, "From")
    original = addresses_of(mail, "X-Original-From")
    rewritten = original and mail.get("List-Id") and all(ours.include(one) for one in told)
    return original if rewritten else told


def _only_declines(words: str) -> bool:
    """Whether somebody wants no more mail, and says nothing else: that is no conversation."""
    return words.strip(f"{punctuation}{whitespace}").lower() in UNSUBSCRIBE_WORDS


def _of_bounce(activity: MailActivity, mail: Part, ours: Ours) -> list[MailActivity]:
    """One for each fate that the notice tells of, with those who have met it."""
    notice = read_notice(mail)
    fates: dict[tuple[bool, str], list[str]] = {}
    for bounce in bounces_in(notice):
        known = fates.setdefault((bounce.hard, bounce.reason.value), [])
        known += [bounce.address] * (bounce.address != "" and not ours.include(bounce.address))
    activity = _about(activity, notice.original)
    return [
        replace(
            activity,
            id=activity.id if number == 1 else f"{activity.id}.{number}",
            addresses=tuple(dict.fromkeys(known)),
            notice="hard_bounce" if hard else "soft_bounce",
            notice_address=tuple(dict.fromkeys(known)),
            notice_reason=reason,
        )
        for number, ((hard, reason), known) in enumerate(fates.items(), start=1)
    ]


def _of_complaint(activity: MailActivity, mail: Part, ours: Ours) -> MailActivity:
    complaint = read_complaint(mail)
    activity = _about(activity, complaint.original)
    if not complaint.is_of_a_person:
        return activity
    known = tuple(one for one in complaint.addresses if not ours.include(one))
    return replace(activity, notice="complaint", notice_address=known, addresses=known)


def _of_absence(activity: MailActivity, mail: Part) -> MailActivity:
    back = None if activity.at is None else back_on(mail, arrived=activity.at.date())
    return replace(
        activity,
        notice="out_of_office",
        notice_address=activity.addresses,
        notice_until=None if back is None else back - timedelta(days=1),
    )


def _about(activity: MailActivity, original: Original) -> MailActivity:
    """A notice answers the mail that it speaks of, whether or not a header says so."""
    told = _MESSAGE_ID.findall(original.message_id)
    answers = tuple(dict.fromkeys([*told, *activity.answers]))[:_MOST_ANSWERED]
    return replace(activity, answers=answers)


def _ids(mail: Part, *names: str) -> tuple[str, ...]:
    """The Message-IDs in these headers, each once; of many, those at the end, the nearest."""
    found: list[str] = []
    for name in names:
        value = str(mail.get(name, ""))[-_LONGEST_REFERENCES:]
        found += reversed(_MESSAGE_ID.findall(_clean(value)))
    return tuple(dict.fromkeys(found))


def _identity(mail: Part, raw: bytes, message_id: str | None, kind: Kind) -> str:
    """What tells this mail from all others, wherever it lies.

    Some programs give all their mails one Message-ID, so it does not do alone. And whoever has seen
    a person's mail cannot put an automatic one, a bounce say, in its place.
    """
    told = [message_id or "", *(_plain(mail, name) for name in ("From", "Date"))]
    if kind.is_automated:
        told.append(kind.name)
    if message_id is None:
        told += [_plain(mail, name) for name in ("To", "Cc", "Subject")]
        body = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[-1][:_IDENTIFYING]
        told.append(body.replace(b"\r\n", b"\n").decode("latin-1"))
    text = "\0".join(told).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:_ID_DIGITS]


def _plain(mail: Part, name: str) -> str:
    return " ".join(str(mail.get(name, "")).split())


def _clean(text: str) -> str:
    """Text without what not every database takes: zeros, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
