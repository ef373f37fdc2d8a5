"""A lock of our own beside the DuckDB file: many readers, or one that merges.

DuckDB itself refuses a second process at once and without a name.
The kernel's locks end with the process, so that none is ever left behind.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crmsync.errors import StoreBusyError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

_PAUSE = 0.02  # seconds between two tries
_KERNEL_LOCKS = Path("/proc/locks")


@contextmanager
def file_lock(path: Path, *, exclusive: bool, wait: timedelta, store: str) -> Iterator[None]:
    """Hold the lock file; ``store`` is what the sentence of an error calls the thing it guards.

    Raises:
        StoreBusyError: somebody else still held it after ``wait``.
        StoreError: the lock file cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from error
    try:
        _acquire(descriptor, exclusive=exclusive, wait=wait, store=store)
        yield
    finally:
        os.close(descriptor)  # which also gives the lock back


def _acquire(descriptor: int, *, exclusive: bool, wait: timedelta, store: str) -> None:
    operation = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB
    until = time.monotonic() + wait.total_seconds()
    while True:
        try:
            fcntl.flock(descriptor, operation)
        except BlockingIOError:
            if time.monotonic() >= until:
                break
            time.sleep(_PAUSE)
        else:
            return
    seconds = f"{wait.total_seconds():g} s"
    raise StoreBusyError(
        f"{store} is in use by {_holders(descriptor)}, still after {seconds}; "
        "wait until that has ended, or end it, and try again"
    )


def _holders(descriptor: int) -> str:
    """Who holds the lock, as the kernel tells it: process id, its command, what it does."""
    inode = str(os.fstat(descriptor).st_ino)
    try:
        lines = _KERNEL_LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:  # only Linux has it
        return "another process"
    found = []
    for line in lines:
        # 1: FLOCK  ADVISORY  READ 1234 fe:01:5678 0 EOF; one that waits has "->" in second place
        words = line.split()
        if words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode:
            doing = "merges records into it" if words[3] == "WRITE" else "reads it"
            found.append(f"process {words[4]}{_command(words[4])}, which {doing}")
    return " and ".join(sorted(set(found))) or "another process"


def _command(pid: str) -> str:
    try:
        words = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    text = " ".join(Path(word.decode(errors="replace")).name for word in words[:4] if word)
    return f" ({text})" if text else ""
