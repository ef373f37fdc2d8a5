"""Finds the copies of mails that we sent, which prove that a mail server has taken them.

Where the server files no copy among sent mail itself, one travels to our own mailbox in the same
SMTP transaction as the mail, so that both were taken or neither (docs/adr of this connector).
People and their rules move mail, so all folders are looked into, the likely ones first.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

from crmsync.errors import TransientError
from crmsync.model.own_mail import local_part
from crmsync_email.reading.errors import RefusedError
from crmsync_email.reading.folders import sent_folder, wanted_folders

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crmsync_email.reading.options import ImapOptions
    from crmsync_email.reading.session import ListedFolder, MailboxSession

_USES = frozenset({"\\sent", "\\all", "\\archive", "\\trash", "\\junk"})
_ID = re.compile(r"<\s*([^<>\s]+)\s*>")
_LOOKED_THROUGH = 1_000  # of each folder the newest mails, where a search may not know them yet
_AT_ONCE = 250


def copies_of(
    session: MailboxSession, options: ImapOptions, keys: Sequence[str], *, among_sent: bool
) -> Mapping[str, str]:
    """The Message-IDs, without brackets, of those of these effects that were sent, by key.

    Args:
        among_sent: whether the server puts copies into the folder of sent mail.

    Raises:
        TransientError: a folder cannot be looked into, so that nobody knows.
    """
    listed = session.folders()
    if among_sent and sent_folder(options, listed) is None:
        raise TransientError(
            "whether a mail was sent cannot be told, because nothing tells in which folder sent "
            "mail lies; name it under “sent”"
        )
    starts = {f"{local_part(key.rpartition('-')[2])}@".lower(): key for key in keys}
    found: dict[str, str] = {}
    places = _places(options, listed)
    for name in dict.fromkeys([*places, *(one.name for one in listed)]):
        wanted = {start: key for start, key in starts.items() if key not in found}
        if not wanted:
            break
        try:
            found |= _in_folder(session, name, wanted)
        except RefusedError as error:
            if name not in places:  # what this login cannot open, no rule of its own files into
                continue
            raise TransientError(
                f"whether a mail was sent cannot be told, because the folder “{name}” cannot be "
                f"looked into{error}"
            ) from None
    return found


def _places(options: ImapOptions, listed: Sequence[ListedFolder]) -> list[str]:
    """The folders where copies mostly lie, and without which nobody knows."""
    asked = (one.name for one in wanted_folders(options, listed) if one.name is not None)
    used = (one.name for one in listed if one.flags & _USES)
    return list(dict.fromkeys(chain(asked, ["INBOX"], used)))


def _in_folder(session: MailboxSession, name: str, wanted: Mapping[str, str]) -> dict[str, str]:
    state = session.examine(name)
    found: dict[str, str] = {}
    for start in wanted:
        found |= _among(session, session.with_message_id(start), wanted)
    if len(found) < len(wanted):
        first = max(1, (state.next_uid or 1) - _LOOKED_THROUGH)
        last = None if state.next_uid is None else state.next_uid - 1
        newest = session.uids(first, last)[-_LOOKED_THROUGH:] if last != 0 else []
        found |= _among(session, newest, wanted)
    return found


def _among(
    session: MailboxSession, uids: Iterable[int], wanted: Mapping[str, str]
) -> dict[str, str]:
    """Which of these mails are wanted; a search is for “contains”, and only equality counts."""
    found = {}
    waiting = list(uids)
    while waiting:
        asked, waiting = waiting[:_AT_ONCE], waiting[_AT_ONCE:]
        told = session.message_ids(asked)
        passed_over = set(asked) - told.keys()
        if passed_over and passed_over & set(session.uids(min(asked), max(asked))):
            raise RefusedError(": the mail server does not tell of all mails")
        for message_id in (one for headers in told.values() for one in _ID.findall(headers)):
            key = wanted.get(f"{message_id.partition('@')[0]}@".lower())
            if key is not None:
                found[key] = message_id
    return found
