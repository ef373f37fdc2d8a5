"""Effects as values: what the gates made of a step, and what became of it in the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.model.tables import split_global_id

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.ledger.states import State
    from crmsync.ledger.values.enrolments import EnrolmentRef
    from crmsync.model.actions import Action


@dataclass(frozen=True, kw_only=True)
class NewEffect:
    """An effect as the gates left it, to be recorded.

    Attributes:
        state: READY, DEFERRED or DROPPED.
        not_before: for DEFERRED, when to ask again; for READY, None means at once.
        reason: of the state; what the gates said.
    """

    enrolment: EnrolmentRef
    step: str
    connection: str
    action: Action
    state: State
    reason: str
    not_before: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Withheld:
    """An effect that was ready, and that this run's gates were not asked about, or held.

    Attributes:
        key: of the effect.
        reason: why it must not be sent now.
    """

    key: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Effect:
    """An effect as the ledger has it.

    Attributes:
        attempts: how often it was handed to the connection, calls that never got there (quota,
            credentials) left out.
        in_doubt: an earlier attempt may have landed, and nobody has found out since.
        lease_until: the wall-clock instant (UTC) until which ``worker`` alone may settle it.
        not_before: the instant (UTC) before which it is left alone.
        error: the last sentence that the remote or the engine had about it.
    """

    id: int
    key: str
    run_id: int
    enrolment: EnrolmentRef
    step: str
    connection: str
    action: Action
    state: State
    attempts: int
    in_doubt: bool
    updated_at: datetime
    not_before: datetime | None = None
    worker: str | None = None
    lease_until: datetime | None = None
    remote_id: str | None = None
    url: str | None = None
    error: str | None = None

    @property
    def source(self) -> str:
        """The connection that its subject came from; the records that it is about are there."""
        return split_global_id(self.enrolment.subject)[0]


@dataclass(frozen=True, kw_only=True)
class StepState:
    """How far a step of an enrolment has come in the outbox.

    Attributes:
        key: of its effect, as it was minted when that was first recorded.
        in_doubt: an earlier attempt may have landed, and nobody has found out since.
        at: the instant (UTC) at which it came so far.
        remote_id: what the remote calls that which was made, or changed.
    """

    key: str
    state: State
    at: datetime
    connection: str
    in_doubt: bool = False
    not_before: datetime | None = None
    remote_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class MadeTask:
    """A task that the remote has.

    Attributes:
        enrolment_key: of the enrolment for which it was made.
        step: as the ledger calls it, with its round.
        at: the instant (UTC) at which it was made.
    """

    rule: str
    subject: str
    enrolment_key: str
    step: str
    connection: str
    remote_id: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class TransitionRecord:
    """A move of an effect. ``before`` is None for its first record."""

    effect_id: int
    before: State | None
    after: State
    at: datetime
    reason: str
    actor: str
