"""What became of the outbox in one delivery, counted as it goes on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.ledger.opt_outs import OPT_OUT
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from crmsync.ledger.claims import Settlement
    from crmsync.ledger.store import Ledger


@dataclass(frozen=True, kw_only=True)
class DeliveryReport:
    """What became of the outbox.

    Attributes:
        done: landed in this delivery, ``already`` of them before it; without logged mails.
        logged: mails that were put on record in the CRM of their customers.
        opt_outs: of ``done``, those that tell a CRM that a customer has unsubscribed.
        rejected: dead letters of this delivery.
        waiting: effects that are ready, and for which it is too early or no connection is there.
        uncertain: effects of which is still unknown whether they landed.
        problems: sentences for a person.
    """

    done: int = 0
    already: int = 0
    logged: int = 0
    opt_outs: int = 0
    rejected: int = 0
    waiting: int = 0
    uncertain: int = 0
    problems: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Tally:
    """The counts and the sentences of a delivery that goes on.

    Attributes:
        progress: called with how many effects are settled, and how many there were to settle.
        expected: how many there were to settle when it began.
        mailed: whether a mail was settled, so that there may be something to log.
    """

    progress: Callable[[int, int], None]
    expected: int = 0
    settled: Counter[State] = field(default_factory=Counter)
    already: int = 0
    logged: int = 0
    opt_outs: int = 0
    mailed: bool = False
    problems: list[str] = field(default_factory=list)

    def count(self, settlements: Sequence[Settlement]) -> None:
        """These were recorded."""
        self.settled.update(settlement.after for settlement in settlements)
        for settlement in settlements:
            kind = settlement.effect.action.kind
            self.mailed |= kind is ActionKind.EMAIL
            if kind is ActionKind.LOG:
                self.logged += settlement.after is State.DONE
            else:
                self.already += settlement.already
            if settlement.effect.step == OPT_OUT:
                self.opt_outs += settlement.after is State.DONE
        handled = sum(self.settled.values())
        self.progress(handled, max(handled, self.expected))

    def report(self, ledger: Ledger, connections: Container[str]) -> DeliveryReport:
        """At the end of it; ``connections`` are those that were there."""
        counts = ledger.effect_counts()
        self.problems += [
            f"{count} effects wait for the connection “{name}”, which is not there"
            for name, count in sorted(ledger.ready_by_connection().items())
            if name not in connections
        ]
        return DeliveryReport(
            done=self.settled[State.DONE] - self.logged,
            already=self.already,
            logged=self.logged,
            opt_outs=self.opt_outs,
            rejected=self.settled[State.REJECTED],
            waiting=counts.get(State.READY, 0),
            uncertain=counts.get(State.UNCERTAIN, 0),
            problems=tuple(self.problems),
        )
