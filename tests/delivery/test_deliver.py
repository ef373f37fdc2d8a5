from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.clock import FixedClock
from crmsync.config.secrets import Secret
from crmsync.delivery.deliver import Target, deliver
from crmsync.delivery.settings import Patience
from crmsync.errors import (
    AuthError,
    ConnectorError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.ledger.states import State
from crmsync.model.actions import ActionKind, KeyHandling, Receipt
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
    from collections.abc import Callable, Sequence

    from crmsync.ledger.store import Ledger
    from crmsync.model.actions import Action

TRIED = [State.PLANNED, State.READY, State.SENDING]


def test_what_is_ready_lands_once_and_is_done(ledger: Ledger) -> None:
    keys = plan(ledger, [new_effect(1), new_effect(2, kind=ActionKind.EMAIL)])
    remote = FakeRemote()

    report = send(ledger, remote)

    assert remote.keys == keys
    assert (report.done, report.already, report.waiting, report.problems) == (2, 0, 0, ())
    done = ledger.effects(states=[State.DONE])
    assert [effect.remote_id for effect in done] == [f"remote-{key}" for key in keys]
    assert [effect.attempts for effect in done] == [1, 1]
    assert all(effect.worker is None and effect.lease_until is None for effect in done)
    assert path_of(ledger, done[0]) == [*TRIED, State.DONE]

    assert send(ledger, remote).done == 0
    assert len(remote.calls) == 2, "a mail goes by itself"


def test_what_is_applied_is_what_was_planned(ledger: Ledger) -> None:
    effects = [new_effect(n, kind=kind) for n, kind in enumerate(ActionKind) if kind != "update"]
    plan(ledger, effects)
    remote = FakeRemote()
    send(ledger, remote)
    assert remote.landed == [new.action for new in effects]


def test_a_receipt_that_says_already_is_counted(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1), new_effect(2)])
    remote = FakeRemote(native=True)
    remote.land(new_effect(2).action)
    report = send(ledger, remote)
    assert (report.done, report.already) == (2, 1)
    assert len(remote.landed) == 2


def test_it_is_sending_in_the_ledger_before_the_connector_is_called(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    seen: list[State] = []
    remote = FakeRemote()

    def look(actions: Sequence[Action]) -> object:
        seen.append(only(ledger).state)
        return [remote.land(action) for action in actions]

    remote.answers = [look]
    send(ledger, remote)
    assert seen == [State.SENDING]


def test_batches_are_as_large_as_the_connector_says(ledger: Ledger) -> None:
    keys = plan(ledger, [new_effect(n) for n in range(7)])
    remote = FakeRemote()
    steps: list[tuple[int, int]] = []
    deliver(
        ledger,
        {"crm": Target(writes=remote, spec=spec(batch_size=3))},
        clock=FixedClock(instant=NOON),
        progress=lambda settled, total: steps.append((settled, total)),
    )
    assert remote.calls == [keys[:3], keys[3:6], keys[6:]]
    assert steps[-1] == (7, 7)
    assert [settled for settled, _ in steps] == sorted(settled for settled, _ in steps)


def test_results_settle_one_by_one(ledger: Ledger) -> None:
    keys = plan(ledger, [new_effect(n) for n in range(5)])
    answers = [
        Receipt(key=keys[0], remote_id="r0"),
        RejectedError("INVALID_OWNER: user 7 is inactive"),
        TransientError("502 Bad Gateway"),
        UncertainError("the connection broke after the request"),
        Receipt(key=keys[4], remote_id="r4", url="https://crm.example/r4"),
    ]
    report = send(ledger, FakeRemote(answers=[lambda _: answers]))
    assert [effect.state for effect in ledger.effects()] == [
        State.DONE,
        State.REJECTED,
        State.READY,
        State.UNCERTAIN,
        State.DONE,
    ]
    assert ledger.effects()[1].error == "INVALID_OWNER: user 7 is inactive"
    assert ledger.effects()[4].url == "https://crm.example/r4"
    assert (report.done, report.rejected, report.waiting, report.uncertain) == (2, 1, 1, 1)
    assert "may have landed, or not: the connection broke" in report.problems[0]


def test_a_transient_error_is_tried_again_later_and_not_before(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote(answers=[TransientError("503")])
    assert send(ledger, remote).waiting == 1

    effect = only(ledger)
    assert effect.not_before is not None
    wait = effect.not_before - NOON
    assert WAITS.first_wait / 2 <= wait <= WAITS.first_wait
    assert effect.error == "503"

    send(ledger, remote, at=effect.not_before - timedelta(microseconds=1))
    assert len(remote.calls) == 1
    assert send(ledger, remote, at=effect.not_before).done == 1
    assert only(ledger).attempts == 2


def test_waits_double_up_to_a_limit_and_repeat_from_the_same_seed() -> None:
    patience = Patience(first_wait=timedelta(seconds=10), longest_wait=timedelta(minutes=1))
    seeded = [(attempts, Random(3)) for attempts in range(1, 60)]
    waits = [patience.wait(attempts, random).total_seconds() for attempts, random in seeded]
    share = waits[0] / 10
    assert 0.5 <= share <= 1
    assert waits[:4] == pytest.approx([10 * share, 20 * share, 40 * share, 60 * share])
    assert set(waits[3:]) == {waits[3]}
    assert len({patience.wait(1, random) for random in map(Random, range(20))}) == 20


@pytest.mark.parametrize("attempts", [0, -1])
def test_there_is_always_a_limit_of_attempts(attempts: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Patience(most_attempts=attempts)


def test_the_remotes_own_wait_is_honoured(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    asked = timedelta(minutes=7)
    send(ledger, FakeRemote(answers=[TransientError("429", retry_after=asked)]))
    assert only(ledger).not_before == NOON + asked


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(timedelta.max, timedelta(days=7)), (timedelta(days=-3), timedelta(seconds=10))],
)
def test_a_wait_that_cannot_be_meant_is_bounded(
    ledger: Ledger, asked: timedelta, wait: timedelta
) -> None:
    plan(ledger, [new_effect(1)])
    send(ledger, FakeRemote(answers=[TransientError("429", retry_after=asked)]))
    assert only(ledger).not_before == NOON + wait


def test_a_plugin_that_gives_numbers_for_times_is_waited_for_all_the_same(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    seconds: Any = 30
    remote = FakeRemote(answers=[TransientError("429", retry_after=seconds)])
    assert send(ledger, remote).waiting == 1
    later = NOON + timedelta(hours=1)
    remote.answers = [QuotaError("used up", until=seconds)]
    report = send(ledger, remote, at=later)
    assert report.waiting == 1
    assert "left alone until 2026-03-02 15:00 CET" in report.problems[0]


def test_at_last_it_is_a_dead_letter_with_the_remotes_words(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote(answers=[TransientError(f"503 for the {n}. time") for n in range(1, 9)])
    for day in range(8):
        send(ledger, remote, at=NOON + timedelta(days=day))
    assert len(remote.calls) == WAITS.most_attempts
    effect = only(ledger)
    assert effect.state is State.REJECTED
    assert effect.error == "given up after 3 attempts: 503 for the 3. time"


def test_a_remote_that_says_later_to_everything_is_not_asked_on(ledger: Ledger) -> None:
    plan(ledger, [new_effect(n) for n in range(6)])
    remote = FakeRemote(answers=[TransientError("down")])
    report = send(ledger, remote, batch_size=2)
    assert len(remote.calls) == 1
    assert report.waiting == 6


def test_a_used_up_quota_stops_the_connection_until_then(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1), new_effect(2), new_effect(3)])
    midnight = NOON + timedelta(hours=12)
    remote = FakeRemote()
    remote.answers = [
        lambda actions: [remote.land(actions[0]), QuotaError("used up", until=midnight)]
    ]
    report = send(ledger, remote, batch_size=2)
    assert (report.done, report.waiting) == (1, 2)
    assert report.problems == (
        "the connection “crm” is left alone until 2026-03-03 01:00 CET: used up",
    )
    assert [effect.attempts for effect in ledger.effects()] == [1, 0, 0]

    early = send(ledger, remote, at=midnight - timedelta(seconds=1))
    assert len(remote.calls) == 1
    assert "left alone until" in early.problems[0]
    assert send(ledger, remote, at=midnight).done == 2


def test_a_quota_instant_without_a_zone_is_utc(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    naive = datetime(2026, 3, 3)  # noqa: DTZ001  what a careless plugin hands over
    send(ledger, FakeRemote(answers=[QuotaError("used up", until=naive)]))
    assert only(ledger).not_before == NOON + timedelta(hours=12)


def test_refused_credentials_pause_the_connection_and_lose_nothing(ledger: Ledger) -> None:
    plan(ledger, [new_effect(n) for n in range(4)])
    remote = FakeRemote(answers=[AuthError("the token was revoked")])
    report = send(ledger, remote, batch_size=2)
    assert len(remote.calls) == 1
    assert report.waiting == 4
    assert report.problems == ("the connection “crm” is paused for now: the token was revoked",)
    assert {effect.attempts for effect in ledger.effects()} == {0}

    assert send(ledger, remote).done == 4


def test_a_rejection_raised_for_several_is_of_one_of_them(ledger: Ledger) -> None:
    """What has landed before it is no dead letter, and what has not is not lost."""
    keys = plan(ledger, [new_effect(number) for number in range(3)])
    refused = keys[1]
    remote = FakeRemote()

    def one_is_refused(actions: Sequence[Action]) -> object:
        answers = []
        for action in actions:
            if action.key == refused:
                raise RejectedError("the owner is inactive")
            answers.append(remote.land(action))
        return answers

    remote.answers = [one_is_refused] * 9
    assert send(ledger, remote).uncertain == 3
    for _ in range(WAITS.most_attempts):
        send(ledger, remote)
    assert [effect.state for effect in ledger.effects()] == [
        State.DONE,
        State.REJECTED,
        State.DONE,
    ]
    assert ledger.effects()[1].error == "the owner is inactive"
    assert sorted(remote.keys) == sorted({*keys} - {refused})


def test_a_rejection_raised_for_one_is_one(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    report = send(ledger, FakeRemote(answers=[RejectedError("the object type is disabled")]))
    assert report.rejected == 1


class _Strange:
    """Not what the contract says."""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (RuntimeError("a defect of the plugin"), "a defect of the plugin"),
        (ConnectorError("something"), "something"),
        (UncertainError("timed out"), "timed out"),
        (KeyError(), "KeyError"),
        (lambda _: [], "answered 2 actions with 0 results"),
        (lambda _: None, "NoneType"),
        (lambda actions: [Receipt(key=actions[0].key, remote_id="1")] * 3, "with 3 results"),
        (lambda _: [_Strange(), _Strange()], "_Strange, neither receipt nor error"),
        (
            lambda actions: [Receipt(key=a.key, remote_id="1") for a in reversed(actions)],
            "the receipt of another action",
        ),
    ],
)
def test_where_nobody_can_say_what_landed_it_is_uncertain(
    ledger: Ledger, answer: BaseException | Callable[[Sequence[Action]], object], words: str
) -> None:
    plan(ledger, [new_effect(1), new_effect(2)])
    report = send(ledger, FakeRemote(answers=[answer]), handling=KeyHandling.UNSAFE)
    assert report.uncertain == 2
    assert {effect.state for effect in ledger.effects()} == {State.UNCERTAIN}
    assert all(words in (effect.error or "") for effect in ledger.effects())
    assert len(report.problems) == 1


def test_an_interruption_while_sending_is_uncertain_and_goes_on(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    with pytest.raises(KeyboardInterrupt):
        send(ledger, FakeRemote(answers=[KeyboardInterrupt()]))
    assert only(ledger).state is State.UNCERTAIN


def test_a_kind_that_the_connector_cannot_do_is_rejected_without_a_call(ledger: Ledger) -> None:
    keys = plan(ledger, [new_effect(1, kind=ActionKind.EMAIL), new_effect(2)])
    remote = FakeRemote()
    target = Target(writes=remote, spec=spec(kinds=[ActionKind.TASK]))
    report = deliver(ledger, {"crm": target}, clock=FixedClock(instant=NOON))
    assert remote.calls == [[keys[1]]]
    assert (report.done, report.rejected) == (1, 1)
    assert ledger.effects()[0].error == "the connection “crm” cannot do “email”"


def test_effects_of_a_connection_that_is_not_there_wait_and_are_reported(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1, connection="old"), new_effect(2)])
    report = send(ledger, FakeRemote())
    assert (report.done, report.waiting) == (1, 1)
    assert report.problems == ("1 effects wait for the connection “old”, which is not there",)


def test_only_connections_with_work_need_to_be_opened(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1, connection="old"), new_effect(2), new_effect(3)])
    assert ledger.connections_with_work() == {"old", "crm"}
    send(ledger, FakeRemote(answers=[UncertainError("broken off")]), handling=KeyHandling.UNSAFE)
    assert ledger.connections_with_work() == {"old", "crm"}
    plan(ledger, [new_effect(4, connection="other", state=State.DROPPED)])
    assert ledger.connections_with_work() == {"old", "crm"}


def test_each_connection_gets_its_own_and_one_that_fails_stops_no_other(ledger: Ledger) -> None:
    keys = plan(ledger, [new_effect(1, connection="a"), new_effect(2, connection="b")])
    broken, good = FakeRemote(answers=[AuthError("no")]), FakeRemote()
    deliver(
        ledger,
        {"a": Target(writes=broken, spec=spec()), "b": Target(writes=good, spec=spec())},
        clock=FixedClock(instant=NOON),
    )
    assert (broken.keys, good.keys) == ([], [keys[1]])


def test_what_a_gate_deferred_or_dropped_is_not_sent(ledger: Ledger) -> None:
    plan(
        ledger,
        [
            new_effect(1, state=State.DEFERRED, not_before=NOON),
            new_effect(2, state=State.DROPPED),
            new_effect(3, not_before=NOON + timedelta(hours=1)),
        ],
    )
    remote = FakeRemote()
    send(ledger, remote)
    assert remote.calls == []
    assert send(ledger, remote, at=NOON + timedelta(hours=1)).done == 1


def test_secrets_do_not_get_into_the_ledger(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "s3cr3t-t0ken-value")
    Secret("env:CRM_TOKEN").reveal()
    plan(ledger, [new_effect(1)])
    send(ledger, FakeRemote(answers=[RejectedError("no access with s3cr3t-t0ken-value")]))
    assert only(ledger).error == "no access with [redacted]"
    reasons = [record.reason for record in ledger.history_of(only(ledger).id)]
    assert "s3cr3t" not in " ".join(reasons)


def test_a_run_sends_only_what_its_own_gates_have_let_pass(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    (second,) = plan(ledger, [new_effect(2)])
    remote = FakeRemote()
    target = {"crm": Target(writes=remote, spec=spec())}
    report = deliver(ledger, target, clock=FixedClock(instant=NOON), run_id=2)
    assert (remote.keys, report.done, report.waiting) == ([second], 1, 1)


@pytest.mark.parametrize("handling", [KeyHandling.NATIVE, KeyHandling.LOOKUP])
def test_what_has_not_landed_after_all_is_asked_about_before_it_is_sent(
    ledger: Ledger, handling: KeyHandling
) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote(answers=[UncertainError("broken off")])
    send(ledger, remote, handling=handling)
    target = {"crm": Target(writes=remote, spec=spec(handling))}
    report = deliver(ledger, target, clock=FixedClock(instant=NOON), run_id=2)
    assert (remote.keys, report.waiting, report.uncertain) == ([], 1, 0)
    assert not only(ledger).in_doubt
