"""The outbox: a Maildir, so that any mail program and any mail server can take mail from it.

A mail is staged as a file beside ``new``, where no mail program looks, and then moved to ``new``.
It is not staged in ``tmp``, which mail programs clean of what is older than 36 hours: what is
staged must last until it is moved. A mail's name holds a digest of its key, so that it is found
again wherever a mail program has moved it and whatever flags were added.
https://cr.yp.to/proto/maildir.html
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from crmsync_files.storing import confirm, flushed, sync_folder, write_error

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage
    from pathlib import Path

    from crmsync_files.folder import Folder

_FOLDERS = ("tmp", "new", "cur")
_ONLY_OWNER = 0o700
_STAGED = ".staged"


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
        for part in ("new", "cur"):
            for name in self._names(self._path / part):
                # seconds.digest.crmsync, and after a colon the flags
                pieces = name.partition(":")[0].split(".")
                if pieces[2:] == ["crmsync"]:
                    found[pieces[1]] = f"{self._path.name}/{part}/{name}"
        return found

    def staged(self) -> set[str]:
        """The digests of the keys of the mails that are staged, some perhaps only in part.

        Raises:
            ConnectorError: the folder cannot be read.
        """
        return {
            name.removesuffix(_STAGED) for name in self._names(self._path) if name.endswith(_STAGED)
        }

    def _names(self, folder: Path) -> list[str]:
        try:
            return os.listdir(folder)  # noqa: PTH208  names are all that is wanted
        except FileNotFoundError:
            return []
        except OSError as error:
            raise write_error(error, self._shown) from error

    def stage(self, key: str, message: EmailMessage) -> None:
        """Write a mail where no mail program sees it.

        Raises:
            ConnectorError: it is not there.
        """
        self._make_folders()
        with flushed(self._staging(key), f"{self._shown}/{self._staging(key).name}") as handle:
            handle.write(message.as_bytes())

    def discard(self, key: str) -> None:
        """Take back a mail that is staged; what cannot be removed does no harm."""
        with suppress(OSError):
            self._staging(key).unlink()

    def confirm_staged(self) -> None:
        """Have the disk keep what was staged.

        Raises:
            ConnectorError: it does not say so.
        """
        try:
            sync_folder(self._path)
        except OSError as error:
            raise write_error(error, self._shown) from error

    def release(self, key: str, at: datetime) -> str:
        """Move a mail that is staged into ``new``; answers with its name.

        Raises:
            ConnectorError: it is still staged.
        """
        self._make_folders()
        name = f"{int(at.timestamp())}.{digest_of(key)}.crmsync"
        try:
            os.replace(self._staging(key), self._path / "new" / name)  # noqa: PTH105  tests make it fail where it is
        except OSError as error:
            raise write_error(error, f"{self._shown}/new/{name}") from error
        return f"{self._path.name}/new/{name}"

    def confirm_released(self) -> None:
        """Have the disk keep what was moved into ``new``.

        Raises:
            UncertainError: it does not say so.
        """
        for folder in (self._path / "new", self._path):
            confirm(folder, f"{self._shown}/new")

    def _staging(self, key: str) -> Path:
        return self._path / f"{digest_of(key)}{_STAGED}"

    def _make_folders(self) -> None:
        try:
            for part in _FOLDERS:
                (self._path / part).mkdir(mode=_ONLY_OWNER, parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, self._shown) from error


def digest_of(key: str) -> str:
    """What stands for a key in a file name, which a key itself may be too long or too odd for."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]
