"""Named instants between two steps, at which a test can end the process as a power cut would.

``CRMSYNC_DIE_AT=delivery.claimed:2`` kills it when it passes that instant the second time. Where
the variable is not set, passing costs one comparison.
"""

from __future__ import annotations

import os
import signal

# Each with what is certain when it is passed, in the order of a run.
NAMES = {
    "run.synced": "what was read is in the warehouse",
    "run.started": "the run is recorded",
    "run.found_out": "what became of earlier effects is recorded",
    "run.decided": "nothing of what was decided is recorded",
    "plan.recording": "all is written, and not committed",
    "plan.recorded": "enrolments, effects and decisions are recorded",
    "delivery.begun": "what dead processes had in hand is uncertain",
    "delivery.uncertain_claimed": "uncertain effects are in the hands of this process",
    "delivery.looked_up": "the remote has told what has landed, and nothing of it is recorded",
    "delivery.found_out": "what it told is recorded, and the rest is still in hand",
    "delivery.claiming": "effects are written as claimed, and not committed",
    "delivery.claimed": "effects are claimed, and none is sent",
    "delivery.applied": "the remote has answered, and nothing of it is recorded",
    "delivery.settling": "the answers are written, and not committed",
    "delivery.settled": "the answers are recorded",
    "run.delivered": "everything is recorded but the end of the run",
}
# The same, of an undo.
UNDO_NAMES = {
    "undo.started": "that a run is to be undone is recorded, and nothing is undone",
    "undo.recording": "what is taken back is written, and not committed",
    "undo.recorded": "enrolments are stopped, and what is taken back is recorded",
    "undo.delivered": "the remote has taken back what it will",
}

_left: dict[str, int] = {}


def die_at(words: str) -> None:
    """End this process when it passes an instant for the given time: ``NAME`` or ``NAME:TIMES``."""
    name, _, times = words.partition(":")
    if name not in NAMES | UNDO_NAMES:
        known = ", ".join(NAMES | UNDO_NAMES)
        raise ValueError(f"there is no instant “{name}”; there are: {known}")
    _left[name] = int(times or 1)


def passing(name: str) -> None:
    """Told by the program that it has come to an instant."""
    if not _left or name not in _left:
        return
    _left[name] -= 1
    if not _left[name]:
        os.kill(os.getpid(), signal.SIGKILL)


if _wanted := os.environ.get("CRMSYNC_DIE_AT"):
    die_at(_wanted)
