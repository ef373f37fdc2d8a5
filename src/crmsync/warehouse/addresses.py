"""E-mail addresses in activities: those that a text names, and those that mail came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.model.notices import NoticeKind

if TYPE_CHECKING:
    import ibis.expr.types as ir

# A mail system writes them, whatever address stands on them.
_OF_MAIL_SYSTEMS = (
    NoticeKind.HARD_BOUNCE.value,
    NoticeKind.SOFT_BOUNCE.value,
    NoticeKind.COMPLAINT.value,
)


def addresses_in(text: ir.StringValue) -> ir.StringValue:
    """The addresses in a text that separates them by spaces, in one spelling, a row for each."""
    return text.lower().split(" ").unnest()


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
