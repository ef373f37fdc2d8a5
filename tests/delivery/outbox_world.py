"""An outbox with a remote behind it that can fail in every way that a remote fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from crmsync.clock import FixedClock
from crmsync.delivery.commit import commit_plan
from crmsync.delivery.deliver import Target, deliver
from crmsync.delivery.settings import Patience
from crmsync.journeys.keys import effect_key, running_key
from crmsync.ledger.states import State
from crmsync.ledger.values.effects import NewEffect
from crmsync.ledger.values.enrolments import Enrol, EnrolmentRef, EnrolmentStatus, Transitions
from crmsync.model.actions import (
    Action,
    ActionKind,
    AddNote,
    CreateTask,
    KeyHandling,
    LogEmail,
    Receipt,
    SendEmail,
    WithdrawTask,
)
from crmsync.plugins.contract import ConnectionContext, Connector, ConnectorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crmsync.delivery.tally import DeliveryReport
    from crmsync.errors import ConnectorError
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
WAITS = Patience(most_attempts=3, lease=timedelta(minutes=10))


class NoOptions(BaseModel):
    """No keys."""


def _never_opened(_context: ConnectionContext) -> Connector:
    raise NotImplementedError


def spec(
    handling: KeyHandling = KeyHandling.NATIVE,
    *,
    kinds: Sequence[ActionKind] = tuple(ActionKind),
    batch_size: int = 100,
    lands_within: timedelta = timedelta(),
) -> ConnectorSpec:
    return ConnectorSpec(
        name="fake",
        description="A remote for tests.",
        options=NoOptions,
        stream_options=NoOptions,
        open=_never_opened,
        actions=dict.fromkeys(kinds, handling),
        batch_size=batch_size,
        lands_within=lands_within,
    )


@dataclass
class FakeRemote:
    """Keeps every action that landed, in order, doubles included.

    ``answers`` are handed out before anything lands: an exception is raised, a callable is
    asked, per call of `apply`. Where they are used up, everything lands.
    """

    native: bool = False
    landed: list[Action] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    searches: list[list[str]] = field(default_factory=list)
    answers: list[BaseException | Callable[[Sequence[Action]], object]] = field(
        default_factory=list
    )
    find_error: Exception | None = None

    def land(self, action: Action) -> Receipt:
        # To take a task back is harmless a second time.
        twice = self.native or action.kind is ActionKind.WITHDRAWAL
        already = twice and any(known.key == action.key for known in self.landed)
        if not already:
            self.landed.append(action)
        return Receipt(key=action.key, remote_id=f"remote-{action.key}", already=already)

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        self.calls.append([action.key for action in actions])
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer(actions)  # type: ignore[return-value]  # wrong answers are the point
        return [self.land(action) for action in actions]

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        self.searches.append(list(keys))
        if self.find_error is not None:
            raise self.find_error
        return {
            action.key: Receipt(key=action.key, remote_id=f"remote-{action.key}", already=True)
            for action in self.landed
            if action.key in keys
        }

    @property
    def keys(self) -> list[str]:
        return [action.key for action in self.landed]


def ref(number: int, rule: str = "renewal-at-risk") -> EnrolmentRef:
    subject = f"crm:{number}"
    return EnrolmentRef(rule=rule, subject=subject, key=running_key(subject, 1))


def action_of(kind: ActionKind, key: str) -> Action:
    if kind is ActionKind.EMAIL:
        return SendEmail(
            key=key,
            message_id=f"{key}@us.example",
            sender="Us <hello@us.example>",
            recipient="Ann <ann@customer.example>",
            subject="Hello",
            text="Hello Ann",
            at=NOON,
        )
    if kind is ActionKind.LOG:
        return LogEmail(
            key=key,
            message_id=f"{key}@us.example",
            sender="Us <hello@us.example>",
            recipient="Ann <ann@customer.example>",
            subject="Hello",
            text="Hello Ann",
            at=NOON,
        )
    if kind is ActionKind.NOTE:
        return AddNote(key=key, text="Seen")
    if kind is ActionKind.WITHDRAWAL:
        return WithdrawTask(
            key=key, task=CreateTask(key=f"{key}-made", subject="Call"), remote_id="1"
        )
    return CreateTask(key=key, subject="Call")


def new_effect(
    number: int,
    *,
    kind: ActionKind = ActionKind.TASK,
    connection: str = "crm",
    state: State = State.READY,
    not_before: datetime | None = None,
    step: str = "task",
) -> NewEffect:
    return NewEffect(
        enrolment=ref(number),
        step=step,
        connection=connection,
        action=action_of(kind, effect_key(ref(number), step)),
        state=state,
        reason="every gate let it pass",
        not_before=not_before,
    )


def enrolled(numbers: Sequence[int], *, at: datetime = NOON) -> Transitions:
    return Transitions(
        at=at,
        enrol=tuple(
            Enrol(
                ref=ref(number),
                rule_version="1",
                steps=("task",),
                status=EnrolmentStatus.ACTIVE,
                holds_since=at,
            )
            for number in numbers
        ),
    )


def plan(ledger: Ledger, effects: Sequence[NewEffect], *, at: datetime = NOON) -> list[str]:
    """Enrol and record, as a run does; answers with the keys."""
    run_id = ledger.start_run("run", at=at, started_at=at)
    numbers = [int(new.enrolment.subject.partition(":")[2]) for new in effects]
    commit_plan(ledger, run_id, enrolled(sorted(set(numbers)), at=at), effects)
    return [new.action.key for new in effects]


def send(
    ledger: Ledger,
    remote: FakeRemote,
    *,
    handling: KeyHandling = KeyHandling.NATIVE,
    at: datetime = NOON,
    wall_clock: datetime = NOON,
    batch_size: int = 100,
    patience: Patience = WAITS,
    worker: str | None = None,
    post: bool = False,
) -> DeliveryReport:
    """Deliver to the connection “crm”, which logs what “post” has sent where there is that."""
    target = Target(writes=remote, spec=spec(handling, batch_size=batch_size))
    return deliver(
        ledger,
        {"crm": target, "post": target} if post else {"crm": target},
        loggers=["crm"],
        clock=FixedClock(instant=at),
        lease_clock=FixedClock(instant=wall_clock),
        zone=ZoneInfo("Europe/Berlin"),
        patience=patience,
        random=Random(7),
        worker=worker,
    )


def only(ledger: Ledger) -> Effect:
    """The one effect there is."""
    (effect,) = ledger.effects()
    return effect


def path_of(ledger: Ledger, effect: Effect) -> list[State]:
    """The states that an effect has been through."""
    return [record.after for record in ledger.history_of(effect.id)]
