"""The states of an effect, and the only ways between them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(StrEnum):
    """Where an effect is on its way to the remote."""

    PLANNED = "planned"
    DEFERRED = "deferred"
    AWAITING = "awaiting approval"
    READY = "ready"
    SENDING = "sending"
    UNCERTAIN = "uncertain"
    DONE = "done"
    REJECTED = "rejected"
    DROPPED = "dropped"


MEANING: Mapping[State, str] = {
    State.PLANNED: "It is recorded; no gate has let it pass yet, and the next run asks again.",
    State.DEFERRED: "A gate said “not before”; each run composes the step and asks again.",
    State.AWAITING: "A person must approve it first; its words stay as they are until then.",
    State.READY: "It may be sent, at once or from a recorded time on.",
    State.SENDING: "A process holds it under a lease and is handing it to the connection.",
    State.UNCERTAIN: "It may have landed; it is looked for before anything else happens.",
    State.DONE: "The remote has it.",
    State.REJECTED: "The remote refuses it; its words are kept, and a person decides.",
    State.DROPPED: "It will not be sent, and the reason is recorded.",
}

ALLOWED: Mapping[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.READY, State.DEFERRED, State.AWAITING, State.DROPPED}),
    State.DEFERRED: frozenset({State.PLANNED, State.DROPPED}),
    State.AWAITING: frozenset({State.PLANNED, State.DROPPED}),
    State.READY: frozenset({State.PLANNED, State.SENDING, State.DROPPED}),
    State.SENDING: frozenset(
        {State.DONE, State.READY, State.REJECTED, State.DROPPED, State.UNCERTAIN}
    ),
    State.UNCERTAIN: frozenset(
        {State.DONE, State.READY, State.REJECTED, State.PLANNED, State.DROPPED}
    ),
    State.DONE: frozenset(),
    State.REJECTED: frozenset({State.PLANNED, State.DROPPED}),
    State.DROPPED: frozenset(),
}

# Nothing has been handed over, so the end of the enrolment takes them back.
WAITING = frozenset({State.PLANNED, State.DEFERRED, State.AWAITING, State.READY})


class ForbiddenTransitionError(Exception):
    """The program tried to move an effect in a way that the table does not have: a defect."""


def check_transition(before: State, after: State) -> None:
    """Hold a move against the table.

    Raises:
        ForbiddenTransitionError: the table does not have it.
    """
    if after not in ALLOWED[before]:
        raise ForbiddenTransitionError(f"an effect cannot go from {before} to {after}")
