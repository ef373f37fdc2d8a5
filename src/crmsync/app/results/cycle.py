"""What a cycle would do, or did: one value for ``plan`` and ``run``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.policy.delivery import ABILITY

if TYPE_CHECKING:
    from datetime import date, datetime

    from crmsync.app.results.sync import SyncResult


@dataclass(frozen=True, kw_only=True)
class RuleCount:
    """How a rule's subjects fared."""

    rule: str
    description: str
    subject: str
    looked_at: int
    matches: int
    unknown: int
    entering: int
    inside: int


@dataclass(frozen=True, kw_only=True)
class PlannedAction:
    """An action, ready or held by a gate.

    Attributes:
        account: the name of the subject's account; empty where it has none.
        state: ready, deferred or dropped.
        why: one sentence for each clause that led to it.
        changes: for an update, the remote's field to its new value.
        logged_in: of a mail, the connection in which it is put on record once it was sent; None
            where it is not, or where the connection that sends it does so itself.
    """

    key: str
    rule: str
    subject: str
    subject_name: str
    account: str
    step: str
    kind: str
    connection: str
    to: str
    title: str
    text: str
    due: date | None = None
    changes: dict[str, object] = field(default_factory=dict)
    state: str = "ready"
    reason: str = ""
    not_before: datetime | None = None
    why: tuple[str, ...] = ()
    logged_in: str | None = None


@dataclass(frozen=True, kw_only=True)
class HeldBack:
    """A subject that a rule concerns, and that gets nothing now; and why.

    Attributes:
        account: the name of the subject's account; empty where it has none.
        step: None where the whole rule is held.
        gate: the one that holds the step; empty where none was asked.
        until: the instant (UTC) from which this no longer holds it; None where time alone
            changes nothing, or where that is not known.
    """

    rule: str
    subject: str
    subject_name: str
    account: str = ""
    step: str | None = None
    reason: str
    until: datetime | None = None
    gate: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """What a cycle would do, or did: one value for ``plan`` and ``run``.

    Attributes:
        audit: a sentence where evaluating only what changed would have answered otherwise.
        stopped: why the circuit breaker lets nothing out; None where it does not.
        previewed: how many matched a rule when it was new or changed, or may have, and wait for a
            person's word.
        reminders: what nobody may forget of the connections, such as that mail is redirected.
        calls_to_come: how often each connection that counts its calls will at least be called
            to write what is ready.
    """

    at: datetime
    sync: SyncResult
    rules: tuple[RuleCount, ...]
    actions: tuple[PlannedAction, ...]
    held: tuple[HeldBack, ...]
    stopped: str | None = None
    audit: str | None = None
    previewed: int = 0
    reminders: tuple[str, ...] = ()
    calls_to_come: dict[str, int] = field(default_factory=dict)

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        told = (self.stopped, self.audit)
        return self.sync.findings or any(one is not None for one in told) or bool(self.impossible)

    @property
    def impossible(self) -> dict[str, int]:
        """What no connection of the config can do: the reason, and of how many actions."""
        return dict(Counter(one.reason for one in self.held if one.gate == ABILITY))


@dataclass(frozen=True, kw_only=True)
class DeliveryCount:
    """What became of the effects that a run handed out."""

    done: int = 0
    already: int = 0
    logged: int = 0
    opt_outs: int = 0
    waiting: int = 0
    rejected: int = 0
    uncertain: int = 0
    problems: tuple[str, ...] = ()

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        return bool(self.rejected or self.uncertain or self.problems)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """A plan, and what became of it."""

    plan: PlanResult
    delivery: DeliveryCount

    @property
    def findings(self) -> bool:
        """Whether a person has something to mend."""
        return self.plan.findings or self.delivery.findings
