"""Writes to the folder so that a reader, a crash or a full disk never meets half of anything."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from crmsync.errors import ConnectorError, RejectedError, TransientError, UncertainError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crmsync_files.folder import Folder

_LOCK = ".crmsync.lock"
_LOCK_WAIT = 30.0  # seconds; a batch takes far less
_LOCK_PAUSE = 0.02
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_error(error: OSError, shown: str) -> ConnectorError:
    """What happens next after a write that failed and left everything as it was."""
    if error.errno in _NOT_ALLOWED:
        return RejectedError(
            f"{shown} cannot be written: {error.strerror}; give crmsync the right to write to "
            "its folder",
            origin=shown,
        )
    if error.errno in _IN_THE_WAY:
        return RejectedError(
            f"{shown} cannot be written: {error.strerror}; move what is in its place away",
            origin=shown,
        )
    if error.errno in _FULL:
        return TransientError(
            f"{shown} cannot be written: the disk is full; nothing of it was changed"
        )
    return TransientError(
        f"{shown} cannot be written: {error.strerror or error}; nothing of it was changed"
    )


@contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Be the only process that writes to the folder.

    Raises:
        TransientError: another one held it, and still did after the wait.
        RejectedError: the folder cannot be written.
    """
    try:
        handle = (folder.path / _LOCK).open("ab")
    except OSError as error:
        raise write_error(error, folder.shown("")) from error
    with handle:
        _wait_for(handle, folder.shown(""))
        yield  # closing the file gives the lock back


def _wait_for(handle: IO[bytes], shown: str) -> None:
    until = time.monotonic() + _LOCK_WAIT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TransientError(
                    f"another process has been writing to the folder {shown} for "
                    f"{_LOCK_WAIT:.0f} seconds"
                ) from None
            time.sleep(_LOCK_PAUSE)
        else:
            return


@contextmanager
def put_in_place(temporary: Path, target: Path, shown: str) -> Iterator[IO[bytes]]:
    """Write a file that appears under its name whole, or not at all.

    Both paths are on one file system. Only one process at a time may use the temporary path.

    Raises:
        TransientError: the disk is full or fails; nothing was changed.
        RejectedError: it may not be written; nothing was changed.
        UncertainError: it was written, but the disk does not confirm that it will last.
    """
    try:
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, target)  # noqa: PTH105  tests make it fail where it is
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise write_error(error, shown) from error
        raise
    _confirm(target.parent, shown)


def _confirm(folder: Path, shown: str) -> None:
    """Have the disk keep a new name in a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UncertainError(
            f"{shown} was written, but the disk does not confirm it: {error.strerror}"
        ) from error
