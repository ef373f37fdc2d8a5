"""Writes to the folder so that a reader, a crash or a full disk never meets half of anything."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from crmsync.errors import AuthError, ConnectorError, TransientError, UncertainError

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
    """What happens next after a write that failed and left everything as it was.

    What a person can mend concerns no one action: the connection pauses until it is mended.
    """
    if error.errno in _NOT_ALLOWED:
        return AuthError(
            f"{shown} cannot be written: {error.strerror}; give crmsync the right to write to "
            "its folder"
        )
    if error.errno in _IN_THE_WAY:
        return AuthError(
            f"{shown} cannot be written: {error.strerror}; move what is in its place away"
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
        AuthError: the folder cannot be written.
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
def flushed(path: Path, shown: str) -> Iterator[IO[bytes]]:
    """Write a file whose content is on the disk at the end, or that is not there.

    Its name is on the disk only when `sync_folder` was called for its folder.

    Raises:
        TransientError: the disk is full or fails.
        AuthError: it may not be written.
    """
    with _removed_on_error(path, shown), path.open("wb") as handle:
        yield handle
        handle.flush()
        os.fsync(handle.fileno())


@contextmanager
def put_in_place(temporary: Path, target: Path, shown: str) -> Iterator[IO[bytes]]:
    """Write a file that appears under its name whole, or not at all.

    Both paths are on one file system. Only one process at a time may use the temporary path.

    Raises:
        TransientError: the disk is full or fails; nothing was changed.
        AuthError: it may not be written; nothing was changed.
        UncertainError: it was written, but the disk does not confirm that it will last.
    """
    with _removed_on_error(temporary, shown):
        with flushed(temporary, shown) as handle:
            yield handle
        os.replace(temporary, target)  # noqa: PTH105  tests make it fail where it is
    confirm(target.parent, shown)


@contextmanager
def _removed_on_error(path: Path, shown: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise write_error(error, shown) from error
        raise


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder as they are now.

    Raises:
        OSError: it does not say so.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def confirm(folder: Path, shown: str) -> None:
    """Have the disk keep what was written to a folder.

    Raises:
        UncertainError: it does not say so.
    """
    try:
        sync_folder(folder)
    except OSError as error:
        raise UncertainError(
            f"{shown} was written, but the disk does not confirm it: {error.strerror}"
        ) from error
