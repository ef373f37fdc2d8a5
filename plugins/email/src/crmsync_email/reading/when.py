"""When a mail was written: its own clock, held against the clocks of those who carried it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crmsync_email.incoming.parts import Part

_AHEAD = timedelta(minutes=10)  # how far a sound clock may go before another
_UNDER_WAY = timedelta(days=5)  # how long mail servers try (RFC 5321, 4.5.4.1)
_FIRST_MAIL = datetime(1971, 1, 1, tzinfo=UTC)


def written_at(mail: Part, *, stored: datetime | None, carried: bool) -> datetime | None:
    """The instant (UTC) at which it was written, as far as that can be believed; None if unknown.

    A mail that says it was written after it arrived, or longer ago than mail servers try, has come
    from a machine whose clock is wrong: then it was written when it arrived.

    Args:
        stored: when it came into its folder, by the mail server. Where mailboxes have moved from
            another server, that may be years later.
        carried: whether mail servers have brought it, so that the topmost of its Received headers
            is our own server's word; mail in the folder of what was sent is believed.
    """
    said = _instant(str(mail.get("Date", "")))
    arrived = _arrived(mail, stored, carried=carried)
    if said is None or arrived is None:
        return said or arrived
    earliest = arrived - _UNDER_WAY if carried else _FIRST_MAIL
    return said if earliest <= said <= arrived + _AHEAD else arrived


def _arrived(mail: Part, stored: datetime | None, *, carried: bool) -> datetime | None:
    received = _instant(str(mail.get("Received", "")).rpartition(";")[2]) if carried else None
    if received is None or stored is None:
        return received or stored
    return min(received, stored)


def _instant(text: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(" ".join(text[:200].split()))
        # “-0000” says that the zone is unknown, not that there is none (RFC 5322, 3.3).
        told = told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return told if told >= _FIRST_MAIL else None
