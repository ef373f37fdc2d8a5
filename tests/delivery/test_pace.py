"""How many mails go out in a minute, whoever asks, and how often it is begun anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from crmsync.clock import FixedClock
from crmsync.config.settings import MailRate
from crmsync.delivery.deliver import Target, deliver
from crmsync.errors import UncertainError
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind, SendEmail
from delivery.outbox_world import NOON, FakeRemote, new_effect, plan, spec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crmsync.delivery.tally import DeliveryReport
    from crmsync.ledger.store import Ledger

_TURN = timedelta(seconds=70)  # a minute, and a little to spare
_BIG, _SMALL = "big.example", "small.example"


def record(ledger: Ledger, domains: Sequence[str], *, first: int = 0) -> list[str]:
    """A mail for each of the domains."""
    effects = []
    for number, domain in enumerate(domains, first):
        new = new_effect(number, kind=ActionKind.EMAIL)
        assert isinstance(new.action, SendEmail)
        to = f"Ann <ann{number}@{domain}>"
        effects.append(replace(new, action=replace(new.action, recipient=to)))
    return plan(ledger, effects)


def go(ledger: Ledger, remote: FakeRemote, rate: MailRate, *, seconds: float = 0) -> DeliveryReport:
    """A delivery that knows nothing but what stands in the ledger."""
    at = NOON + timedelta(seconds=seconds)
    return deliver(
        ledger,
        {"crm": Target(writes=remote, spec=spec(batch_size=3), rate=rate)},
        clock=FixedClock(instant=at),
        lease_clock=FixedClock(instant=at),
        random=Random(7),
    )


def waits(ledger: Ledger) -> list[datetime | None]:
    return sorted(one.not_before for one in ledger.effects(states=[State.READY]))  # type: ignore[type-var]  # none is None


def test_a_minute_s_mails_are_the_same_for_all_who_deliver(ledger: Ledger) -> None:
    record(ledger, [_BIG] * 8)
    remote, rate = FakeRemote(), MailRate(per_minute=3)
    report = go(ledger, remote, rate)
    assert (report.done, report.waiting, report.problems) == (3, 5, ())
    turns = [NOON + _TURN] * 3 + [NOON + 2 * _TURN] * 2
    assert waits(ledger) == turns, "each has a turn of its own"
    assert go(ledger, remote, rate, seconds=59).done == 0
    assert go(ledger, remote, rate, seconds=71).done == 3
    assert go(ledger, remote, rate, seconds=130).done == 0
    assert go(ledger, remote, rate, seconds=141).done == 2
    assert len(set(remote.keys)) == 8
    (last, *_) = ledger.effects()
    assert last.attempts == 1, "to wait is no attempt"


def test_who_comes_anew_does_not_break_the_bound(ledger: Ledger) -> None:
    remote, rate = FakeRemote(), MailRate(per_minute=2)
    record(ledger, [_BIG] * 2)
    go(ledger, remote, rate)
    record(ledger, [_BIG] * 2, first=2)
    assert go(ledger, remote, rate, seconds=30).done == 0
    assert go(ledger, remote, rate, seconds=101).done == 2


def test_one_domain_does_not_keep_the_others_back(ledger: Ledger) -> None:
    record(ledger, [*[_BIG] * 5, _SMALL])
    remote = FakeRemote()
    rate = MailRate(per_minute_and_domain=2)
    assert go(ledger, remote, rate).done == 3
    assert isinstance(remote.landed[-1], SendEmail)
    assert remote.landed[-1].recipient.endswith(f"@{_SMALL}>")
    assert waits(ledger) == [NOON + _TURN] * 2 + [NOON + 2 * _TURN]
    reasons = {ledger.history_of(one.id)[-1].reason for one in ledger.effects(states=[State.READY])}
    assert reasons == {"2 mails went to big.example within a minute, as rate allows"}


def test_what_may_have_gone_out_counts(ledger: Ledger) -> None:
    record(ledger, [_BIG] * 2)
    remote = FakeRemote(answers=[UncertainError("the line broke")])
    assert go(ledger, remote, MailRate(per_minute=1)).uncertain == 1
    assert remote.landed == []
    assert len(remote.calls) == 1, "the other one waits"


def test_tasks_go_out_at_any_rate(ledger: Ledger) -> None:
    mails = [new_effect(number, kind=ActionKind.EMAIL) for number in range(2)]
    plan(ledger, [*mails, *(new_effect(number) for number in range(2, 6))])
    report = go(ledger, FakeRemote(), MailRate(per_minute=1))
    assert (report.done, report.waiting) == (5, 1)
