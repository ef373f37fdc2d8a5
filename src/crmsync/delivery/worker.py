"""Who holds a lease, and whether that process still lives."""

from __future__ import annotations

import os
import socket
import uuid
from collections import Counter
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_SEPARATOR = "/"
_BEGAN = ".since-"  # between a process's number and when it began
_STARTTIME = 19  # of /proc/PID/stat, counted behind the name (proc_pid_stat(5), field 22)


class Life(Enum):
    """What is known of a worker."""

    AT_WORK = "at work"
    GONE = "gone"
    UNKNOWN = "unknown"


_at_work: Counter[str] = Counter()  # the workers of this very process


def worker_name() -> str:
    """A name for one delivery: host, process and a random part.

    Processes can only be looked up within one namespace of process ids, so a container's
    counts as a host of its own.
    """
    process = f"{os.getpid()}{_BEGAN}{_began(os.getpid()) or ''}"
    return _SEPARATOR.join((_host(), process, uuid.uuid4().hex[:8]))


def begin_work(worker: str) -> None:
    """From now on this process's worker may have a call under way. Each beginning has its end."""
    _at_work[worker] += 1


def end_work(worker: str) -> None:
    """What began has ended."""
    _at_work[worker] -= 1
    if not _at_work[worker]:
        del _at_work[worker]


def life_of(worker: str) -> Life:
    """Whether a worker's process lives, where that can be told.

    Another host's cannot, nor one whose number is in use again, if we cannot see since when.
    """
    host, _, rest = worker.partition(_SEPARATOR)
    number, _, began = rest.partition(_SEPARATOR)[0].partition(_BEGAN)
    if host != _host() or not number.isdecimal():
        return Life.UNKNOWN
    with suppress(PermissionError, OverflowError):  # it lives, and is somebody else's; or is none
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            return Life.GONE
    began_now = _began(int(number))
    if not began or began_now is None:
        return Life.UNKNOWN
    ours = int(number) == os.getpid()
    lives = began == began_now and (worker in _at_work or not ours)
    return Life.AT_WORK if lives else Life.GONE


def may_take_over(worker: str | None, lease_until: datetime | None, wall_clock: datetime) -> bool:
    """Whether nobody can still be sending what this worker had claimed.

    A worker that is seen to live keeps it, however long ago its lease has ended: what it is
    sending may land yet, and then it would be there twice. The lease decides only where nobody
    can see.
    """
    if worker is None or lease_until is None:
        return True
    life = life_of(worker)
    if life is Life.UNKNOWN:
        return lease_until <= wall_clock
    return life is Life.GONE


def shown(worker: str) -> str:
    """How a sentence names it."""
    host, _, rest = worker.partition(_SEPARATOR)
    number = rest.partition(_SEPARATOR)[0].partition(_BEGAN)[0]
    return f"process {number} on {host.partition('.')[0]}" if number else worker


def _began(process: int) -> str | None:
    """When a process began, in ticks since the machine started; None where that cannot be seen.

    A zombie has ended; only its parent has not looked yet.
    """
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    if len(fields) <= _STARTTIME:
        return None
    return "ended" if fields[0] in "ZX" else fields[_STARTTIME]


def _host() -> str:
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = "processes"
    return f"{socket.gethostname()}.{namespace}".replace(_SEPARATOR, "-")
