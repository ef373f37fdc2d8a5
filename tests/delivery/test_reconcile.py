from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.clock import FixedClock
from crmsync.delivery.deliver import Target, deliver
from crmsync.delivery.outcomes import landed
from crmsync.delivery.settings import Patience
from crmsync.errors import AuthError, QuotaError, RejectedError, TransientError, UncertainError
from crmsync.ledger.claims import claim_ready, settle_effects
from crmsync.ledger.states import State
from crmsync.model.actions import KeyHandling, Receipt
from delivery.outbox_world import (
    NOON,
    WAITS,
    FakeRemote,
    new_effect,
    only,
    path_of,
    plan,
    send,
    spec,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.delivery.tally import DeliveryReport
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect
    from crmsync.model.actions import Action

LEASE_OVER = NOON + WAITS.lease


def crash(ledger: Ledger, remote: FakeRemote, *, landed: bool, worker: str = "elsewhere") -> None:
    """A process claims, may get through, and is never heard of again."""
    for effect in claim(ledger, worker):
        if landed:
            remote.land(effect.action)


def claim(ledger: Ledger, worker: str) -> tuple[Effect, ...]:
    with ledger.writing() as connection:
        return claim_ready(
            connection, "crm", worker=worker, now=NOON, lease_until=LEASE_OVER, limit=100
        )


@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("handling", [KeyHandling.NATIVE, KeyHandling.LOOKUP])
def test_after_a_crash_each_effect_is_there_once(
    ledger: Ledger, handling: KeyHandling, landed: bool
) -> None:
    keys = plan(ledger, [new_effect(n) for n in range(3)])
    remote = FakeRemote(native=handling is KeyHandling.NATIVE)
    crash(ledger, remote, landed=landed)

    report = send(ledger, remote, handling=handling, wall_clock=LEASE_OVER)

    assert sorted(remote.keys) == sorted(keys)
    assert report.done == 3
    assert {effect.state for effect in ledger.effects()} == {State.DONE}
    assert remote.searches == [keys]
    assert remote.calls == ([] if landed else [keys])


def test_the_way_through_a_crash_is_written_down(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    crash(ledger, remote, landed=True)
    send(ledger, remote, handling=KeyHandling.LOOKUP, wall_clock=LEASE_OVER)
    effect = only(ledger)
    assert path_of(ledger, effect)[2:] == [State.SENDING, State.UNCERTAIN, State.DONE]
    history = ledger.history_of(effect.id)
    assert history[3].reason == (
        "the process that was sending it ended, or hung, before it knew the outcome"
    )
    assert history[4].reason == "the remote had it already"


def test_a_lease_that_runs_is_respected(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    crash(ledger, remote, landed=False)
    early = LEASE_OVER - timedelta(microseconds=1)
    assert send(ledger, remote, wall_clock=early).done == 0
    assert only(ledger).state is State.SENDING
    assert remote.calls == []
    assert remote.searches == []


@pytest.mark.parametrize("landed", [True, False])
def test_what_nobody_can_know_goes_to_a_person(ledger: Ledger, landed: bool) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    crash(ledger, remote, landed=landed)
    for day in range(3):
        later = LEASE_OVER + timedelta(days=day)
        report = send(ledger, remote, handling=KeyHandling.UNSAFE, at=later, wall_clock=later)
        assert report.uncertain == 1
        assert report.problems[0].startswith("1 effect on the connection “crm” may have landed")
        assert "settle by hand what “crmsync status” names" in report.problems[0]
    assert remote.calls == []
    assert only(ledger).state is State.UNCERTAIN
    assert only(ledger).worker is None


@pytest.mark.parametrize(
    "error",
    [
        TransientError("503"),
        AuthError("revoked"),
        QuotaError("used up", until=NOON + timedelta(days=1)),
    ],
)
def test_where_the_remote_cannot_be_asked_nothing_is_sent(ledger: Ledger, error: Exception) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    crash(ledger, remote, landed=True)
    remote.find_error = error
    plan(ledger, [new_effect(2)])
    report = send(ledger, remote, handling=KeyHandling.LOOKUP, wall_clock=LEASE_OVER)
    assert (report.uncertain, report.waiting) == (1, 1)
    assert remote.calls == []
    assert "could not be asked what has landed" in report.problems[0]

    remote.find_error = None
    later = NOON + timedelta(days=1)
    send(ledger, remote, handling=KeyHandling.LOOKUP, at=later, wall_clock=later)
    assert len(remote.keys) == len(set(remote.keys)) == 2


def test_a_defect_in_find_holds_the_uncertain_and_lets_the_rest_go(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote(find_error=RuntimeError("a defect"))
    crash(ledger, remote, landed=True)
    plan(ledger, [new_effect(2)])
    report = send(ledger, remote, handling=KeyHandling.LOOKUP, wall_clock=LEASE_OVER)
    assert (report.done, report.uncertain) == (1, 1)


def test_an_uncertain_answer_is_looked_up_by_the_next_delivery(ledger: Ledger) -> None:
    (key,) = plan(ledger, [new_effect(1)])
    remote = FakeRemote()

    def lands_but_breaks(actions: Sequence[Action]) -> object:
        remote.land(actions[0])
        raise UncertainError("the connection broke")

    remote.answers = [lands_but_breaks]
    assert send(ledger, remote, handling=KeyHandling.LOOKUP).uncertain == 1
    report = send(ledger, remote, handling=KeyHandling.LOOKUP)
    assert (report.done, report.already) == (1, 1)
    assert remote.keys == [key]


def test_a_dead_letter_is_certainly_not_there(ledger: Ledger) -> None:
    (key,) = plan(ledger, [new_effect(1)])
    remote = FakeRemote(native=True)

    def lands_but_breaks(actions: Sequence[Action]) -> object:
        remote.land(actions[0])
        raise UncertainError("the connection broke")

    remote.answers = [lands_but_breaks, RejectedError("the owner is inactive")]
    assert send(ledger, remote).uncertain == 1
    report = send(ledger, remote)
    assert (report.done, report.rejected, report.uncertain) == (1, 0, 0)
    assert remote.keys == [key]
    assert not only(ledger).in_doubt

    plan(ledger, [new_effect(2)])
    remote.answers = [UncertainError("broken off"), RejectedError("the owner is inactive")]
    assert send(ledger, remote).uncertain == 1
    assert send(ledger, remote).rejected == 1
    assert remote.keys == [key]


@pytest.mark.parametrize("handling", [KeyHandling.NATIVE, KeyHandling.LOOKUP])
def test_what_stays_uncertain_is_not_tried_for_ever(ledger: Ledger, handling: KeyHandling) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote(answers=[UncertainError("broke again")] * 9)
    for _ in range(9):
        send(ledger, remote, handling=handling, patience=Patience(most_attempts=3))
    assert len(remote.calls) == 3
    assert only(ledger).state is State.REJECTED
    assert "broke again" in (only(ledger).error or "")


def test_an_answer_after_the_lease_still_settles_what_is_uncertain(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    (slow,) = claim(ledger, "slow")
    send(ledger, FakeRemote(), handling=KeyHandling.UNSAFE, wall_clock=LEASE_OVER)
    assert only(ledger).state is State.UNCERTAIN
    receipt = Receipt(key=slow.key, remote_id="r1")
    with ledger.writing() as connection:
        late = settle_effects(connection, [landed(slow, receipt)], worker="slow", at=NOON)
    assert late == ()
    assert only(ledger).state is State.DONE


def test_an_answer_after_another_has_settled_it_changes_nothing(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    (slow,) = claim(ledger, "slow")
    send(ledger, FakeRemote(), handling=KeyHandling.NATIVE, wall_clock=LEASE_OVER)
    before = ledger.history_of(slow.id)
    with ledger.writing() as connection:
        receipt = Receipt(key=slow.key, remote_id="other")
        late = settle_effects(connection, [landed(slow, receipt)], worker="slow", at=NOON)
    assert late == (slow,)
    assert ledger.history_of(slow.id) == before
    assert only(ledger).remote_id == f"remote-{slow.key}"


def test_what_one_process_is_looking_up_no_other_looks_up(ledger: Ledger) -> None:
    (key,) = plan(ledger, [new_effect(1)])
    first = FakeRemote()
    crash(ledger, first, landed=False)
    second = FakeRemote(landed=first.landed)
    find = first.find

    def find_while_another_delivers(keys: Sequence[str]) -> object:
        found = find(keys)
        send(ledger, second, handling=KeyHandling.LOOKUP, wall_clock=LEASE_OVER)
        return found

    first.find = find_while_another_delivers  # type: ignore[method-assign, assignment]
    send(ledger, first, handling=KeyHandling.LOOKUP, wall_clock=LEASE_OVER)
    assert second.searches == []
    assert first.keys == [key]


@pytest.mark.parametrize("crashed", [True, False])
def test_nobody_looks_while_what_was_broken_off_may_still_land(
    ledger: Ledger, crashed: bool
) -> None:
    (key,) = plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    slow = Target(writes=remote, spec=spec(KeyHandling.LOOKUP, lands_within=timedelta(minutes=1)))

    def deliver_at(instant: datetime) -> DeliveryReport:
        clock = FixedClock(instant=instant)
        return deliver(ledger, {"crm": slow}, clock=clock, lease_clock=clock, patience=WAITS)

    if crashed:
        (action,) = [effect.action for effect in claim(ledger, "elsewhere")]
    else:
        action = ledger.effects()[0].action
        remote.answers = [TimeoutError("no answer")]
    began = LEASE_OVER
    assert deliver_at(began).uncertain == 1
    report = deliver_at(began + timedelta(seconds=59))
    assert (report.uncertain, remote.searches) == (1, [])
    assert report.problems[0] == (
        "1 effect on the connection “crm” may have landed, or may land yet; a later run asks there"
    )
    remote.land(action)
    report = deliver_at(began + timedelta(seconds=61))
    assert (report.done, report.already, remote.keys) == (1, 1, [key])


def test_what_was_broken_off_long_ago_is_looked_for_at_once(ledger: Ledger) -> None:
    """However late the next delivery is: by the end of its lease, the sending had ended."""
    (key,) = plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    crash(ledger, remote, landed=True)
    lands_within = timedelta(minutes=15)
    slow = Target(writes=remote, spec=spec(KeyHandling.LOOKUP, lands_within=lands_within))
    clock = FixedClock(instant=LEASE_OVER + lands_within)
    report = deliver(ledger, {"crm": slow}, clock=clock, lease_clock=clock, patience=WAITS)
    assert (report.done, report.already, remote.searches) == (1, 1, [[key]])


def test_what_may_land_yet_where_nobody_can_ask_is_left_to_a_person(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    slow = spec(KeyHandling.UNSAFE, lands_within=timedelta(minutes=1))
    broken = FakeRemote()
    broken.answers = [TimeoutError("no answer")]
    for after in (0, 59):
        clock = FixedClock(instant=NOON + timedelta(seconds=after))
        target = Target(writes=broken, spec=slow)
        report = deliver(ledger, {"crm": target}, clock=clock, lease_clock=clock, patience=WAITS)
    assert "it cannot be asked, so a person must say" in report.problems[0]
    assert "a later run asks" not in report.problems[0]
