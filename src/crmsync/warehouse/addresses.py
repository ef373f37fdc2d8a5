"""E-mail addresses in activities: those that a text names, and those that mail came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.model.notices import UNSUBSCRIBE_WORDS, NoticeKind
from crmsync.model.own_mail import OF_THE_LEDGER

if TYPE_CHECKING:
    import ibis.expr.types as ir

# A mail system writes them, whatever address stands on them.
_OF_MAIL_SYSTEMS = (
    NoticeKind.HARD_BOUNCE.value,
    NoticeKind.SOFT_BOUNCE.value,
    NoticeKind.COMPLAINT.value,
)
_LATELY = 7  # days


def notices_in(activity: ir.Table) -> ir.Table:
    """What machines tell of addresses, as far as it can be believed.

    Anybody can write that an address is dead, or that its owner complained. So such a notice counts
    if it names, first among what it answers, a mail of ours: only who got that mail knows its
    Message-ID. Then it is about that mail's recipient, whatever address the notice names, if any:
    mail is forwarded, and many complaints hide who complained. Of a mail to several, it is about
    those of them whom it names. Old mail systems do not say which mail it was: then a hard bounce
    counts if mail had gone to the address within a week. An absence is about whoever wrote it, and
    what the ledger tells was said to ourselves.

    Returns:
        ``id``, ``at``, ``notice``, ``reason``, ``until`` and ``address``, a row for each address.
    """
    told = activity.filter(activity.notice.notnull(), activity["at"].notnull())
    told = told.select(
        "id", "at", "notice", "connection",
        reason="notice_reason", until="notice_until",
        named=told.notice_address.fill_null("").lower().strip(),
        message_id=told.answers.fill_null("").strip().split(" ")[0],
    )  # fmt: skip
    of_system = told.notice.isin(_OF_MAIL_SYSTEMS) & (told.connection != OF_THE_LEDGER)
    sent = activity.filter(activity.direction == "outbound", activity.message_id.notnull())
    # Notices are few, and mails are many: these are taken apart when they are known to matter.
    known = told.filter(of_system).join(sent.select("message_id", "addresses"), "message_id")
    known = known.mutate(recipients=known.addresses.fill_null("").lower().strip())
    alone = ~known.recipients.contains(" ") & (known.recipients != "")
    about = known.mutate(address=alone.ifelse(known.recipients, known.named).split(" ").unnest())
    about = about.filter(
        (about.recipients == "")
        | (" " + about.recipients + " ").contains(" " + about.address + " ")
    )
    others = told.filter(~of_system)
    others = others.mutate(address=others.named.split(" ").unnest())
    columns = ("id", "at", "notice", "reason", "until", "address")
    every = about.select(*columns).union(
        others.select(*columns), _mailed_lately(told, activity).select(*columns)
    )
    every = every.distinct()
    return every.filter(every.address != "")


def _mailed_lately(told: ir.Table, activity: ir.Table) -> ir.Table:
    """The hard bounces that name no mail, of addresses to which one had just gone."""
    silent = told.filter(
        told.notice == NoticeKind.HARD_BOUNCE.value,
        told.message_id == "",
        told.connection != OF_THE_LEDGER,
    )
    silent = silent.mutate(address=silent.named.split(" ").unnest())
    sent = activity.filter(
        activity.kind == "email", activity.direction == "outbound", activity.addresses.notnull()
    )
    sent = sent.select(sent_at="at", address=sent.addresses.lower().split(" ").unnest())
    both = silent.join(sent, "address")
    since = both["at"] - ibis.interval(days=_LATELY)
    return both.filter(both.sent_at <= both["at"], both.sent_at >= since)


def mails_from(activity: ir.Table) -> ir.Table:
    """Mails that came in, and from which address.

    Where nobody says who sent it, it is the one of the other side, if that is one alone.

    Returns:
        ``id``, ``at``, ``address``, and ``by_person``: not a machine wrote it.
    """
    mails = activity.filter(
        activity.kind == "email",
        activity.direction == "inbound",
        ~activity.notice.fill_null("").isin(_OF_MAIL_SYSTEMS),
    )
    other = mails.addresses.strip()
    alone = other.contains(" ").ifelse(None, other)
    told = mails.select(
        "id",
        "at",
        address=mails.sender.strip().nullif("").fill_null(alone).lower(),
        by_person=~mails.automated.fill_null(False) & mails.notice.isnull(),
    )
    return told.filter(told.address.notnull())


def declined_by_mail(activity: ir.Table) -> ir.Table:
    """Mails that say nothing but that their sender wants no more, in the subject or the first line.

    Returns:
        ``address``, and ``at``, when its owner last said so.
    """
    asked = activity.filter(_says(activity.subject) | _says(activity.text))
    return mails_from(asked).group_by("address").aggregate(at=lambda mails: mails["at"].max())


def _says(text: ir.StringValue) -> ir.BooleanValue:
    line = text.strip().re_extract(r"^[^\r\n]*", 0)
    bare = line.lower().re_replace(r"^[\s\p{P}]+|[\s\p{P}]+$", "")
    return bare.isin(UNSUBSCRIBE_WORDS).fill_null(False)
