"""How far the folders of a mailbox were read: the cursor's text, and what stands in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.pages import Cursor
    from crmsync_email.reading.session import FolderState

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Place:
    """How far a folder was read.

    Attributes:
        validity: the folder's UIDVALIDITY; with another one it is another folder of that name.
        last: all mails up to this UID are known.
        modseq: its HIGHESTMODSEQ before that was read; 0 where the server has none.
    """

    validity: int
    last: int
    modseq: int = 0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far each folder was read, by its name.

    Attributes:
        shape: what was asked for; what was read for another request counts for nothing.
    """

    shape: str
    folders: Mapping[str, Place] = field(default_factory=dict)

    def last_of(self, folder: str, state: FolderState) -> int:
        """The last UID that is known of a folder; 0 where it is new, or was made anew.

        It was also made anew, say from a backup, where it gives UIDs a second time, or where what
        never falls has fallen, so that UIDs were given a second time meanwhile.
        """
        place = self.folders.get(folder)
        if place is None or place.validity != state.validity:
            return 0
        again = state.next_uid is not None and state.next_uid <= place.last
        fallen = state.modseq is not None and state.modseq < place.modseq
        return 0 if again or fallen else place.last

    def knows(self, folder: str) -> bool:
        """Whether something of a folder of that name was read."""
        place = self.folders.get(folder)
        return place is not None and place.last > 0

    def at(self, folder: str, place: Place) -> Progress:
        """This progress, with a folder's replaced."""
        return replace(self, folders={**self.folders, folder: place})

    def cursor(self) -> Cursor:
        """The text for the engine to keep."""
        told = {
            name: [place.validity, place.last, place.modseq] for name, place in self.folders.items()
        }
        return json.dumps(
            {"version": _VERSION, "shape": self.shape, "folders": told}, separators=(",", ":")
        )


def progress_of(since: Cursor | None, shape: str) -> Progress:
    """What a cursor says; nothing was read where it is for another request, or unreadable.

    To begin anew is always safe: a mail that is read twice changes nothing.
    """
    try:
        told = json.loads(since or "{}")
        if told["version"] != _VERSION or told["shape"] != shape:
            return Progress(shape=shape)
        folders = {
            str(name): Place(validity=int(validity), last=int(last), modseq=int(*modseq))
            for name, (validity, last, *modseq) in told["folders"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return Progress(shape=shape)
    return Progress(shape=shape, folders=folders)
