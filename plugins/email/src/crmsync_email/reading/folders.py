"""Which folders are read: by their names, or by what the server says that they are for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync_email.reading.options import ImapOptions
    from crmsync_email.reading.session import ListedFolder

INBOX, SENT = "inbox", "sent"
# RFC 6154, and what servers call such folders that do not say.
_FLAGS = {SENT: "\\sent", "archive": "\\archive", "all": "\\all"}
_NAMES = {
    SENT: (
        *("sent", "sent items", "sent messages", "sent mail", "gesendet", "gesendete elemente"),
        *("gesendete objekte", "gesendete nachrichten", "envoyés", "éléments envoyés"),
        *("messages envoyés", "inviata", "posta inviata", "elementi inviati", "enviados"),
        *("elementos enviados", "itens enviados", "verzonden", "verzonden items", "skickat"),
        *("sendt", "wysłane", "отправленные", "送信済み", "送信済みアイテム", "已发送"),
    ),
    "archive": ("archive", "archives", "archiv", "archief", "archivio", "archivo"),
}


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that is read.

    Attributes:
        asked: what the config calls it.
        name: the server's name for it; None where there is no such folder.
        sent: whether it holds what was sent.
    """

    asked: str
    name: str | None
    sent: bool

    @property
    def by_use(self) -> bool:
        """Whether the config names a use, so that the mailbox may do without it."""
        return self.asked in _FLAGS


def wanted_folders(options: ImapOptions, listed: Sequence[ListedFolder]) -> list[Folder]:
    """The folders that the config asks for, each once, in its order."""
    sent = sent_folder(options, listed)
    found: dict[str | None, Folder] = {}
    for asked in options.folders:
        word = asked.lower()
        name = sent if word == SENT else _resolved(asked, listed)
        asked = word if word in _FLAGS else asked  # noqa: PLW2901  one spelling from here on
        one = Folder(asked=asked, name=name, sent=name is not None and name == sent)
        found.setdefault(name or f"\0{asked}", one)
    return list(found.values())


def sent_folder(options: ImapOptions, listed: Sequence[ListedFolder]) -> str | None:
    """The folder of what was sent, or None where nothing tells which it is."""
    return _named(options.sent, listed) if options.sent else _used_for(SENT, listed)


def _resolved(asked: str, listed: Sequence[ListedFolder]) -> str | None:
    if asked.lower() == INBOX:
        return "INBOX"  # RFC 3501, 5.1: it is always there, in any case
    return _used_for(asked.lower(), listed) if asked.lower() in _FLAGS else _named(asked, listed)


def _named(name: str, listed: Sequence[ListedFolder]) -> str | None:
    return next((one.name for one in listed if one.name == name), None)


def _used_for(use: str, listed: Sequence[ListedFolder]) -> str | None:
    flagged = (one.name for one in listed if _FLAGS[use] in one.flags)
    named = (
        one.name
        for known in _NAMES.get(use, ())
        for one in listed
        if one.name.lower() in {known, f"inbox.{known}", f"inbox/{known}"}
    )
    return next(flagged, None) or next(named, None)
