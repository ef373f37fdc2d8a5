"""The outbox: a Maildir, so that any mail program and any mail server can take mail from it.

A mail is written to ``tmp``, then moved to ``new``. Its name holds a digest of its key, so that
it is found again wherever a mail program has moved it and whatever flags were added.
https://cr.yp.to/proto/maildir.html
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from crmsync_files.storing import put_in_place, write_error

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage

    from crmsync_files.folder import Folder

_FOLDERS = ("tmp", "new", "cur")
_ONLY_OWNER = 0o700


class Outbox:
    """The Maildir of a connection. Hold the folder's lock while using it."""

    def __init__(self, folder: Folder) -> None:
        self._path = folder.outbox
        self._shown = folder.shown(folder.outbox.name)

    def delivered(self) -> dict[str, str]:
        """The names of the mails in ``new`` and ``cur``, by the digest of their key.

        Raises:
            ConnectorError: the folder cannot be read.
        """
        found = {}
        try:
            for part in ("new", "cur"):
                folder = self._path / part
                for entry in folder.iterdir() if folder.is_dir() else ():
                    # seconds.digest.crmsync, and after a colon the flags
                    pieces = entry.name.partition(":")[0].split(".")
                    if pieces[2:] == ["crmsync"]:
                        found[pieces[1]] = f"{self._path.name}/{part}/{entry.name}"
        except OSError as error:
            raise write_error(error, self._shown) from error
        return found

    def deliver(self, key: str, message: EmailMessage, at: datetime) -> str:
        """Put a mail into ``new``; answers with its name.

        Raises:
            ConnectorError: it is not there, or that is uncertain.
        """
        name = f"{int(at.timestamp())}.{digest_of(key)}.crmsync"
        shown = f"{self._shown}/new/{name}"
        try:
            for part in _FOLDERS:
                (self._path / part).mkdir(mode=_ONLY_OWNER, parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, self._shown) from error
        temporary, target = self._path / "tmp" / name, self._path / "new" / name
        with put_in_place(temporary, target, shown) as handle:
            handle.write(message.as_bytes())
        return f"{self._path.name}/new/{name}"


def digest_of(key: str) -> str:
    """What stands for a key in a file name, which a key itself may be too long or too odd for."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
