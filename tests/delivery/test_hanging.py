"""A connector that does not answer: the rest goes on, and nothing is applied twice."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from crmsync.clock import FixedClock
from crmsync.delivery.deliver import Target, deliver
from crmsync.delivery.settings import Patience
from crmsync.errors import TransientError
from crmsync.ledger.states import State
from crmsync.model.actions import KeyHandling
from crmsync.plugins.calls import hangs
from delivery.outbox_world import NOON, FakeRemote, new_effect, only, path_of, plan, spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from crmsync.delivery.tally import DeliveryReport
    from crmsync.errors import ConnectorError
    from crmsync.ledger.store import Ledger
    from crmsync.model.actions import Action, Receipt

SHORT = Patience(call=timedelta(milliseconds=50), lease=timedelta(minutes=10))


@dataclass
class HangingRemote(FakeRemote):
    """Answers when it is let go, and only then does something land."""

    let_go: threading.Event = field(default_factory=threading.Event)
    late: Exception | None = None

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        self.let_go.wait(30)
        if self.late is not None:
            raise self.late
        return super().apply(actions)


@dataclass
class HangingSearch(FakeRemote):
    let_go: threading.Event = field(default_factory=threading.Event)

    def find(self, keys: Sequence[str]) -> Mapping[str, Receipt]:
        self.let_go.wait(30)
        return super().find(keys)


def send(
    ledger: Ledger, remotes: Mapping[str, FakeRemote], handling: KeyHandling, *, days: int = 0
) -> DeliveryReport:
    later = FixedClock(instant=NOON + timedelta(days=days))
    return deliver(
        ledger,
        {name: Target(writes=one, spec=spec(handling)) for name, one in remotes.items()},
        clock=later,
        lease_clock=later,
        patience=SHORT,
        random=Random(7),
    )


def came_back(ledger: Ledger) -> None:
    for _ in range(1000):
        if not hangs((ledger.name, "crm")):
            return
        threading.Event().wait(0.01)
    pytest.fail("the call never came back")


@pytest.fixture
def remote() -> Iterator[HangingRemote]:
    made = HangingRemote()
    yield made
    made.let_go.set()


@pytest.mark.parametrize("handling", list(KeyHandling))
def test_a_call_that_hangs_is_given_up_and_lands_once_when_it_comes_back(
    ledger: Ledger, remote: HangingRemote, handling: KeyHandling
) -> None:
    (hung, other) = plan(ledger, [new_effect(1), new_effect(2, connection="other")])
    fine = FakeRemote()
    report = send(ledger, {"crm": remote, "other": fine}, handling)
    assert (report.done, report.uncertain) == (1, 1)
    assert fine.keys == [other]
    assert any("“crm” hangs" in sentence for sentence in report.problems)

    # However much time goes by: as long as the call may land, nobody applies it again.
    second = FakeRemote(landed=remote.landed)
    report = send(ledger, {"crm": second}, handling, days=9)
    assert (second.calls, second.searches) == ([], [])
    assert "has still not come back" in report.problems[0]

    remote.let_go.set()
    came_back(ledger)
    (effect,) = [one for one in ledger.effects() if one.key == hung]
    assert effect.state is State.DONE
    assert send(ledger, {"crm": second}, handling, days=10).problems == ()
    assert remote.keys == [hung]
    assert path_of(ledger, effect)[2:] == [State.SENDING, State.UNCERTAIN, State.DONE]


def test_a_hung_call_that_failed_in_the_end_is_found_out_about(
    ledger: Ledger, remote: HangingRemote
) -> None:
    (key,) = plan(ledger, [new_effect(1)])
    remote.late = TransientError("503")
    send(ledger, {"crm": remote}, KeyHandling.LOOKUP)
    remote.let_go.set()
    came_back(ledger)
    assert (only(ledger).state, only(ledger).worker) == (State.UNCERTAIN, None)
    remote.late = None
    assert send(ledger, {"crm": remote}, KeyHandling.LOOKUP).done == 1
    assert remote.keys == [key]


def test_a_search_that_hangs_leaves_its_connection_alone(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = HangingSearch(answers=[TimeoutError("no answer")])
    assert send(ledger, {"crm": remote}, KeyHandling.LOOKUP).uncertain == 1
    plan(ledger, [new_effect(2)])
    report = send(ledger, {"crm": remote}, KeyHandling.LOOKUP)
    assert (report.uncertain, report.waiting) == (1, 1)
    assert "could not be asked what has landed" in report.problems[0]
    remote.let_go.set()
    came_back(ledger)
    assert send(ledger, {"crm": remote}, KeyHandling.LOOKUP).done == 2
    assert len(remote.keys) == len(set(remote.keys)) == 2


def test_a_call_is_given_up_before_its_lease_ends() -> None:
    with pytest.raises(ValueError, match="before its lease ends"):
        Patience(call=timedelta(minutes=10), lease=timedelta(minutes=10))
