"""Reads the folders of a mailbox, from where the last reading ended, in pages of bounded size."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from crmsync.errors import RejectedError, TransientError
from crmsync.model.pages import Page
from crmsync.observe import logger
from crmsync_email.incoming.parts import joined, lacks_text
from crmsync_email.reading.activities import FoundMail, activities_of
from crmsync_email.reading.cursor import Place, progress_of
from crmsync_email.reading.errors import RefusedError
from crmsync_email.reading.folders import wanted_folders
from crmsync_email.reading.pages import table_of
from crmsync_email.reading.whose import Ours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.model.pages import Cursor
    from crmsync_email.reading.folders import Folder
    from crmsync_email.reading.options import ImapOptions
    from crmsync_email.reading.session import FolderState, MailboxSession, Outline

_NOT_GIVEN = "the mail server does not give this mail"
_AT_ONCE = 500  # mails whose sizes are asked in one command
_WINDOW = 50_000  # UIDs in which mails are looked for at once, so that an answer stays small


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How much is read at once.

    Attributes:
        mail: bytes from the beginning of each mail; its words and what a notice says stand there.
        page_mails, page_bytes: of the mails of a page.
    """

    mail: int = 256 * 2**10
    page_mails: int = 250
    page_bytes: int = 4 * 2**20


class MailboxReading:
    """One reading of a mailbox.

    Args:
        own: the connection's addresses, and its login's name.
        columns: those that are wanted; None for all. The text costs the most.
    """

    def __init__(
        self,
        session: MailboxSession,
        options: ImapOptions,
        *,
        own: Sequence[str],
        columns: Sequence[str] | None = None,
        since: Cursor | None,
        bounds: Bounds | None = None,
    ) -> None:
        self._session = session
        self._options = options
        self._ours = Ours.of(options.ours, own)
        self._progress = progress_of(since, shape_of(options, own, columns))
        self._with_text = columns is None or "text" in columns
        self._bounds = bounds or Bounds()

    def pages(self) -> Iterator[Page]:
        """What is new in each folder, by ascending UID; nothing where nothing is.

        A folder that is missing or cannot be read is told when the others have been read.

        Raises:
            TransientError: the connection broke; what was yielded stays valid.
            RejectedError: a folder that the config names is not there.
        """
        troubles = []
        for folder in wanted_folders(self._options, self._session.folders()):
            if folder.name is None:
                troubles += [] if folder.by_use else [missing(folder.asked)]
                continue
            try:
                yield from self._folder(folder, folder.name)
            except RefusedError as error:
                troubles.append(f"the folder “{folder.name}” cannot be read{error}")
        if troubles:
            raise RejectedError("; ".join(troubles))

    def _folder(self, folder: Folder, name: str) -> Iterator[Page]:
        before = self._session.status(name)
        if not self._has_news(name, before):
            return
        # What changes while it is read belongs to the next reading.
        state = replace(self._session.examine(name), modseq=before.modseq)
        known = self._progress.last_of(name, state)
        if self._progress.knows(name) and not known:
            told = "the folder was made anew, or restored from a backup, and is read again from its"
            logger(folder=name).warning("folder_made_anew", told=f"{told} beginning")
        for window in self._windows(known, state):
            while window:
                taken, window = window[:_AT_ONCE], window[_AT_ONCE:]  # noqa: PLW2901  eaten up
                for outlines in self._portions(self._session.outlines(taken)):
                    yield self._page(folder, name, state, outlines)
        newest = (state.next_uid or 1) - 1
        if self._progress.last_of(name, state) < newest:
            # What had the last UIDs is gone, or no contact: the next reading need not look again.
            self._reached(name, state, newest)
            yield Page(records=table_of([]), cursor=self._progress.cursor())

    def _has_news(self, name: str, state: FolderState) -> bool:
        known = self._progress.last_of(name, state)
        return state.next_uid is None or state.next_uid - 1 > known

    def _windows(self, known: int, state: FolderState) -> Iterator[list[int]]:
        """The UIDs after the one that is known, in portions."""
        if state.next_uid is None:
            yield self._session.uids(known + 1, None)
            return
        for first in range(known + 1, state.next_uid, _WINDOW):
            yield self._session.uids(first, min(first + _WINDOW, state.next_uid) - 1)

    def _portions(self, outlines: Sequence[Outline]) -> Iterator[list[Outline]]:
        """Mails that are fetched together."""
        portion: list[Outline] = []
        size = 0
        for one in outlines:
            length = min(one.size, self._bounds.mail)
            full = len(portion) == self._bounds.page_mails
            if portion and (full or size + length > self._bounds.page_bytes):
                yield portion
                portion, size = [], 0
            portion.append(one)
            size += length
        if portion:
            yield portion

    def _page(
        self, folder: Folder, name: str, state: FolderState, outlines: Sequence[Outline]
    ) -> Page:
        wanted = [one for one in outlines if self._is_wanted(one)]
        texts, unread = self._texts(name, state, [one.uid for one in wanted])
        if self._with_text:
            texts |= self._with_ends(wanted, texts)
        activities = []
        for one in wanted:
            if one.uid not in texts:
                continue
            found = FoundMail(raw=texts[one.uid], stored=one.stored, sent=folder.sent)
            told = activities_of(found, self._ours, with_text=self._with_text)
            unread += [(name, one.uid, _counts(why)) for why in {a.trouble for a in told} if why]
            activities += told
        self._reached(name, state, outlines[-1].uid)
        return Page(records=table_of(activities, unread), cursor=self._progress.cursor())

    def _is_wanted(self, one: Outline) -> bool:
        since = self._options.since
        if since is not None and one.stored is not None:
            return not one.draft and one.stored >= datetime.combine(since, time(), UTC)
        return not one.draft

    def _texts(
        self, name: str, state: FolderState, uids: Sequence[int]
    ) -> tuple[dict[int, bytes], list[tuple[str, int, str]]]:
        """The beginnings of mails by UID; and those that the server cannot give, with the reason.

        Raises:
            TransientError: it is not the mails' fault.
        """
        if not uids:
            return {}, []
        refused: dict[int, str] = {}
        try:
            texts = self._session.beginnings(uids, self._bounds.mail)
        except RefusedError:
            texts, refused = self._one_by_one(uids)
        missing = self._still_there([uid for uid in uids if uid not in texts])
        if missing:
            self._assert_there(name, state)
            if not texts:
                self._assert_gives(name, missing[0], refused.get(missing[0], ""))
        return texts, [(name, uid, f"{_NOT_GIVEN}{refused.get(uid, '')}") for uid in missing]

    def _with_ends(
        self, outlines: Sequence[Outline], texts: Mapping[int, bytes]
    ) -> dict[int, bytes]:
        """Of long mails in whose beginning no text stands, the beginning and the end."""
        length = self._bounds.mail
        found = {}
        for one in outlines:
            begun = texts.get(one.uid, b"")
            if one.size <= length or not lacks_text(begun):
                continue
            try:
                start = max(length, one.size - length)
                ends = self._session.pieces([one.uid], start, length)
            except RefusedError:  # the mail counts all the same
                continue
            found[one.uid] = joined(begun, ends.get(one.uid, b""))
        return found

    def _one_by_one(self, uids: Sequence[int]) -> tuple[dict[int, bytes], dict[int, str]]:
        texts: dict[int, bytes] = {}
        refused = {}
        for uid in uids:
            try:
                texts |= self._session.beginnings([uid], self._bounds.mail)
            except RefusedError as error:
                refused[uid] = str(error)
        return texts, refused

    def _still_there(self, uids: Sequence[int]) -> list[int]:
        """Those of these mails that nobody has taken away meanwhile."""
        if not uids:
            return []
        try:
            return sorted(set(uids) & set(self._session.uids(min(uids), max(uids))))
        except RefusedError:
            return list(uids)

    def _assert_there(self, name: str, state: FolderState) -> None:
        """A folder that has vanished must not look like one whose mails are damaged."""
        try:
            now = self._session.status(name)
        except RefusedError:
            now = None
        if now is None or now.validity != state.validity:
            raise TransientError(
                f"the folder “{name}” went away or was made anew while it was read"
            )

    def _assert_gives(self, name: str, missing: int, told: str) -> None:
        """A server that gives nothing now must not look like one with damaged mails."""
        try:
            before = self._session.uids(max(1, missing - _AT_ONCE), missing)
            if self._session.beginnings([uid for uid in before if uid != missing][-1:], 1):
                return
        except RefusedError as error:
            told = str(error)
        raise TransientError(f"the mail server gives no mail of the folder “{name}” now{told}")

    def _reached(self, name: str, state: FolderState, uid: int) -> None:
        place = Place(validity=state.validity, last=uid, modseq=state.modseq or 0)
        self._progress = self._progress.at(name, place)


def _counts(why: str) -> str:
    """What is to be said of a mail that was not looked at as a whole."""
    return f"the mail counts, but {why}"


def missing(asked: str) -> str:
    """What is to be said of a folder that is not there."""
    return (
        f"the mailbox has no folder “{asked}”; has it been renamed? Correct it under “folders” in "
        "the config"
    )


def shape_of(options: ImapOptions, own: Sequence[str], columns: Sequence[str] | None) -> str:
    """A digest of what decides how a mail is read; folders may come and go."""
    asked = options.model_dump(mode="json", include={"ours", "sent", "since"})
    text = json.dumps([asked, sorted(own), sorted(columns or ())], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
