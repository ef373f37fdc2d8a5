"""Who holds a lease, and whether that process still lives."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

_SEPARATOR = "/"


def worker_name() -> str:
    """A name for one delivery: host, process and a random part.

    Processes can only be looked up within one namespace of process ids, so a container's
    counts as a host of its own.
    """
    return _SEPARATOR.join((_host(), str(os.getpid()), uuid.uuid4().hex[:8]))


def is_gone(worker: str) -> bool:
    """Whether a worker's process has certainly ended.

    Where that cannot be told (another host, a process id in use again) the answer is no:
    its lease will tell.
    """
    host, _, rest = worker.partition(_SEPARATOR)
    process = rest.partition(_SEPARATOR)[0]
    if host != _host() or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _host() -> str:
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = "processes"
    return f"{socket.gethostname()}.{namespace}".replace(_SEPARATOR, "-")
