"""Mails go one by one: before each it is asked whether it is still to go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from crmsync.clock import FixedClock
from crmsync.delivery.deliver import Target, deliver
from crmsync.errors import (
    AuthError,
    NobodyThereError,
    QuotaError,
    TransientError,
    UncertainError,
)
from crmsync.ledger.states import State
from crmsync.ledger.stops import StopKind, say_stop
from crmsync.model.actions import ActionKind, RecordRef, SendEmail
from delivery.outbox_world import NOON, WAITS, FakeRemote, new_effect, plan, spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crmsync.delivery.tally import DeliveryReport
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect, NewEffect
    from crmsync.model.actions import Action

_CLASSES = ("commercial", "commercial", "service", "commercial")


@dataclass(kw_only=True)
class _Passing:
    """A clock that is put forward by whatever takes time."""

    instant: datetime = NOON

    def now(self) -> datetime:
        return self.instant


def _record(ledger: Ledger, classes: Sequence[str] = _CLASSES) -> list[str]:
    """A task, then a mail to ann1, ann2, …, about accounts of the same numbers."""
    mails = [
        _mail(number, to=f"Ann <ann{number}@customer.example>", email_class=email_class)
        for number, email_class in enumerate(classes, 1)
    ]
    return plan(ledger, [new_effect(0), *mails])


def _mail(number: int, *, to: str, email_class: str = "commercial") -> NewEffect:
    new = new_effect(number, kind=ActionKind.EMAIL)
    assert isinstance(new.action, SendEmail)
    about = (RecordRef(table="account", id=f"A{number}"),)
    action = replace(new.action, recipient=to, email_class=email_class, about=about)
    return replace(new, action=action)


def _go(
    ledger: Ledger,
    remote: FakeRemote,
    *,
    stop: Callable[[], bool] = lambda: False,
    lease_clock: _Passing | None = None,
    mails_at_once: int = 1,
) -> DeliveryReport:
    return deliver(
        ledger,
        {"crm": Target(writes=remote, spec=replace(spec(), mails_at_once=mails_at_once))},
        clock=FixedClock(instant=NOON),
        lease_clock=lease_clock or FixedClock(instant=NOON),
        patience=WAITS,
        random=Random(7),
        stop=stop,
    )


def _states(ledger: Ledger) -> list[State]:
    return [effect.state for effect in ledger.effects()]


def _last(ledger: Ledger, effect: Effect) -> tuple[str, str]:
    move = ledger.history_of(effect.id)[-1]
    return move.reason, move.actor


@pytest.mark.parametrize(
    ("kind", "target", "kept"),
    [
        (StopKind.UNSUBSCRIBED, "ann2@customer.example", 2),
        (StopKind.UNSUBSCRIBED, "ann3@customer.example", None),  # which is service
        (StopKind.UNSUBSCRIBED, "ann1@customer.example", None),  # which is out
        (StopKind.ADDRESS, "ann3@customer.example", 3),
        (StopKind.NOBODY_THERE, "ann3@customer.example", 3),
        (StopKind.TRUSTED, "ann3@customer.example", None),  # which lifts
        (StopKind.ACCOUNT, "crm:A4", 4),
    ],
)
def test_what_is_said_while_a_batch_goes_out_counts_for_what_is_not_out(
    ledger: Ledger, kind: StopKind, target: str, kept: int | None
) -> None:
    keys = _record(ledger)
    remote = FakeRemote()

    def meanwhile(actions: Sequence[Action]) -> object:
        with ledger.writing() as connection:
            say_stop(connection, kind, target, by="Jo", at=NOON, reason="asked to")
        return [remote.land(action) for action in actions]

    remote.answers = [lambda actions: [remote.land(one) for one in actions], meanwhile]
    report = _go(ledger, remote)
    assert remote.keys == [key for number, key in enumerate(keys) if number != kept]
    assert remote.calls == [[key] for key in remote.keys], "each by itself"
    expected = [State.PLANNED if number == kept else State.DONE for number in range(5)]
    assert _states(ledger) == expected
    if kept is not None:
        held = ledger.effects()[kept]
        reason, actor = _last(ledger, held)
        assert (held.attempts, actor) == (0, "Jo")
        assert "by Jo" in reason
        assert "asked to" in reason
    assert (report.done, report.waiting) == (5 - (kept is not None), 0)


def test_where_many_mails_go_by_one_call_it_is_asked_about_each_of_them(ledger: Ledger) -> None:
    keys = _record(ledger)
    remote = FakeRemote()

    def meanwhile(actions: Sequence[Action]) -> object:
        with ledger.writing() as connection:
            say_stop(connection, StopKind.ADDRESS, "ann2@customer.example", by="Jo", at=NOON)
        return [remote.land(action) for action in actions]

    remote.answers = [meanwhile]
    _go(ledger, remote, mails_at_once=3)
    assert remote.calls == [[keys[0]], [keys[1], keys[3]], [keys[4]]]
    assert _states(ledger)[2] is State.PLANNED


def test_a_mailbox_that_is_not_there_is_not_tried_again_by_the_same_batch(ledger: Ledger) -> None:
    plan(ledger, [_mail(1, to="ann@customer.example"), _mail(2, to="ann@customer.example")])
    remote = FakeRemote()
    remote.answers = [lambda _: [NobodyThereError("no such mailbox")]]
    _go(ledger, remote)
    assert len(remote.calls) == 1
    assert _states(ledger) == [State.REJECTED, State.PLANNED]


def test_before_each_mail_it_is_asked_whether_to_go_on(ledger: Ledger) -> None:
    keys = _record(ledger)
    remote = FakeRemote()
    _go(ledger, remote, stop=lambda: len(remote.calls) == 2)
    assert remote.keys == keys[:2]
    assert _states(ledger) == [State.DONE] * 2 + [State.READY] * 3
    assert [effect.attempts for effect in ledger.effects()] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize("error", [QuotaError("used up", until=NOON), AuthError("revoked")])
def test_what_stops_a_connection_stops_the_rest_of_a_batch(
    ledger: Ledger, error: Exception
) -> None:
    keys = _record(ledger)
    remote = FakeRemote()
    remote.answers = [lambda actions: [remote.land(one) for one in actions], lambda _: [error]]
    report = _go(ledger, remote)
    assert remote.calls == [[keys[0]], [keys[1]]]
    assert [effect.attempts for effect in ledger.effects()] == [1, 0, 0, 0, 0]
    assert (report.waiting, len(report.problems)) == (4, 1)


def test_a_remote_that_hangs_for_each_is_not_tried_for_all(ledger: Ledger) -> None:
    plan(ledger, [_mail(number, to=f"ann{number}@customer.example") for number in range(5)])
    clock, remote = _Passing(), FakeRemote()

    def slowly(_: Sequence[Action]) -> object:
        clock.instant += timedelta(seconds=40)
        return [TransientError("it timed out")]

    remote.answers = [slowly] * 9
    report = _go(ledger, remote, lease_clock=clock)
    assert len(remote.calls) == 2
    assert [effect.attempts for effect in ledger.effects()] == [1, 1, 0, 0, 0]
    assert report.waiting == 5


def test_only_of_the_mail_in_hand_is_unknown_what_became_of_it(ledger: Ledger) -> None:
    _record(ledger)
    remote = FakeRemote()
    seen = []

    def land(actions: Sequence[Action]) -> object:
        seen.append(_states(ledger))
        return [remote.land(one) for one in actions]

    remote.answers = [land] * 5
    _go(ledger, remote)
    assert [states.index(State.SENDING) for states in seen] == [0, 1, 2, 3, 4]
    assert all(states.count(State.SENDING) == 1 for states in seen)
    assert [states.count(State.DONE) for states in seen] == [0, 1, 2, 3, 4]


def test_where_it_is_interrupted_what_was_sent_is_known(ledger: Ledger) -> None:
    _record(ledger)
    remote = FakeRemote()
    remote.answers = [lambda actions: [remote.land(one) for one in actions], KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        _go(ledger, remote)
    assert _states(ledger) == [State.DONE, State.UNCERTAIN] + [State.READY] * 3


def test_where_one_mail_after_the_other_is_in_doubt_the_rest_waits(ledger: Ledger) -> None:
    """Each of them may be work for a person, so a server that swallows mails does not get all."""
    keys = _record(ledger)
    lost = UncertainError("no answer behind the mail")
    remote = FakeRemote(answers=[lambda actions: [remote.land(one) for one in actions], lost, lost])
    report = _go(ledger, remote)
    assert [keys[0]] == remote.keys
    assert len(remote.calls) == 3
    assert (report.uncertain, report.waiting) == (2, 2)
    assert "one mail after the other" in report.problems[-1]
    (paused,) = ledger.pauses(at=NOON).items()
    assert paused[0] == "crm"
    assert paused[1][0] == NOON + timedelta(minutes=15)


def test_one_mail_in_doubt_between_others_holds_up_nobody(ledger: Ledger) -> None:
    def land(actions: Sequence[Action]) -> object:
        return [remote.land(one) for one in actions]

    _record(ledger)
    lost = UncertainError("no answer behind the mail")
    remote = FakeRemote(answers=[land, lost, land, lost, land])
    report = _go(ledger, remote)
    assert (report.done, report.uncertain, report.waiting) == (3, 2, 0)
    assert ledger.pauses(at=NOON) == {}
