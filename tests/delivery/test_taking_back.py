"""What an undo records, on both engines, and how it is handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.delivery.commit import commit_plan
from crmsync.errors import AuthError, ChangedError, ConnectorError, RejectedError, TransientError
from crmsync.ledger.claims import claim_ready
from crmsync.ledger.states import State
from crmsync.ledger.undoing import Left, read_left, take_back, withdrawal_key
from crmsync.ledger.values.enrolments import End, EnrolmentStatus, Transitions
from crmsync.model.actions import ActionKind, Receipt, WithdrawTask
from delivery.outbox_world import (
    NOON,
    WAITS,
    FakeRemote,
    new_effect,
    path_of,
    plan,
    send,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect
    from crmsync.model.actions import Action

WHY = "run 1 was undone by Jo"


def undo(ledger: Ledger, number: int = 1) -> Left:
    run = ledger.start_run("undo", at=NOON, started_at=NOON, undoes=number, said_by="Jo", reason="")
    with ledger.writing() as connection:
        left = read_left(connection, number)
        take_back(connection, left, left.tasks, run_id=run, by="Jo", at=NOON, reason=WHY)
    return left


def withdrawals(ledger: Ledger) -> tuple[Effect, ...]:
    return ledger.effects(kinds=[ActionKind.WITHDRAWAL])


def states(ledger: Ledger) -> list[State]:
    return [effect.state for effect in ledger.effects()]


def test_tasks_are_taken_back_and_all_else_is_dropped(ledger: Ledger) -> None:
    refused, task, mail, waits = (
        new_effect(1),
        new_effect(2),
        new_effect(3, kind=ActionKind.EMAIL),
        new_effect(4, state=State.DEFERRED, not_before=NOON + WAITS.lease),
    )
    plan(ledger, [refused, task, mail, waits])
    remote = FakeRemote()
    remote.answers = [
        lambda actions: [RejectedError("no"), *(remote.land(action) for action in actions[1:])]
    ]
    send(ledger, remote)
    left = undo(ledger)
    assert [one.key for one in left.tasks] == [task.action.key]
    assert [one.key for one in left.rejected] == [refused.action.key]
    assert [one.key for one in left.waiting] == [waits.action.key]
    statuses = [one.status for one in ledger.enrolments()]
    assert statuses == [EnrolmentStatus.OVER] * 4
    assert {one.end_reason for one in ledger.enrolments()} == {WHY}
    dropped, done = State.DROPPED, State.DONE
    assert states(ledger) == [dropped, done, done, dropped, State.READY]
    (withdrawal,) = withdrawals(ledger)
    assert withdrawal.key == withdrawal_key(task.action.key)
    assert isinstance(withdrawal.action, WithdrawTask)
    assert withdrawal.action.task == task.action
    assert withdrawal.action.remote_id == f"remote-{task.action.key}"
    assert path_of(ledger, withdrawal) == [State.PLANNED, State.READY]
    # Whatever run comes next hands it over: no gate is asked.
    with ledger.writing() as connection:
        (claimed,) = claim_ready(
            connection, "crm", worker="w", now=NOON, lease_until=NOON, limit=9, run_id=99
        )
    assert claimed.key == withdrawal.key


def test_twice_does_nothing_more(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1), new_effect(2)])
    remote = FakeRemote()
    send(ledger, remote)
    undo(ledger)
    undo(ledger)
    assert len(withdrawals(ledger)) == 2
    send(ledger, remote)
    assert states(ledger) == [State.DONE] * 4
    left = undo(ledger)
    assert (left.inside, left.waiting, left.rejected) == (frozenset(), (), ())
    assert states(ledger) == [State.DONE] * 4
    assert len(remote.calls) == 2


def _answers(*errors: ConnectorError) -> object:
    return lambda _actions: list(errors)


def test_what_people_made_theirs_is_left_alone_for_good(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    send(ledger, remote)
    undo(ledger)
    remote.answers = [_answers(ChangedError("it was completed"))]  # type: ignore[list-item]  # a callable
    report = send(ledger, remote)
    assert (report.rejected, report.waiting) == (0, 0)
    (withdrawal,) = withdrawals(ledger)
    assert (withdrawal.state, withdrawal.error) == (State.DROPPED, "it was completed")
    undo(ledger)
    assert withdrawals(ledger) == (withdrawal,)


def test_only_a_withdrawal_is_left_alone_as_changed(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote(answers=[_answers(ChangedError("changed"))])  # type: ignore[list-item]  # a callable
    assert send(ledger, remote).rejected == 1


def test_what_the_remote_refuses_is_tried_again_by_the_next_undo(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    send(ledger, remote)
    undo(ledger)
    remote.answers = [_answers(RejectedError("you may not"))]  # type: ignore[list-item]  # a callable
    assert send(ledger, remote).rejected == 1
    undo(ledger)
    assert send(ledger, remote).done == 1
    assert withdrawals(ledger)[0].state is State.DONE


@pytest.mark.parametrize("error", [TransientError("later"), AuthError("who are you?")])
def test_a_remote_that_is_away_is_asked_again(ledger: Ledger, error: ConnectorError) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    send(ledger, remote)
    undo(ledger)
    remote.answers = [error]
    send(ledger, remote)
    assert withdrawals(ledger)[0].state is State.READY
    assert send(ledger, remote, at=NOON + WAITS.longest_wait).done == 1


def test_after_a_crash_it_is_taken_back_once_more_without_a_search(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    remote = FakeRemote()
    send(ledger, remote)
    undo(ledger)
    with ledger.writing() as connection:
        claim_ready(
            connection, "crm", worker="dead", now=NOON, lease_until=NOON + WAITS.lease, limit=9
        )

    def already(actions: Sequence[Action]) -> list[Receipt]:
        return [Receipt(key=action.key, remote_id="r", already=True) for action in actions]

    remote.answers = [already]
    report = send(ledger, remote, wall_clock=NOON + WAITS.lease)
    assert (report.done, report.already) == (1, 1)
    assert remote.searches == []
    (withdrawal,) = withdrawals(ledger)
    assert path_of(ledger, withdrawal) == [
        State.PLANNED,
        State.READY,
        State.SENDING,
        State.UNCERTAIN,
        State.READY,
        State.SENDING,
        State.DONE,
    ]


def test_that_a_customer_leaves_does_not_stop_it(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    send(ledger, FakeRemote())
    undo(ledger)
    (enrolment,) = ledger.enrolments()
    gone = Transitions(at=NOON, end=(End(enrolment=enrolment, reason="gone"),))
    commit_plan(ledger, ledger.start_run("run", at=NOON, started_at=NOON), gone)
    assert ledger.enrolments()[0].status is EnrolmentStatus.ENDED
    assert withdrawals(ledger)[0].state is State.READY


def test_it_is_no_step_of_the_rule(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    send(ledger, FakeRemote())
    undo(ledger)
    (steps,) = ledger.step_states().values()
    assert steps["task"].state is State.DONE


def test_what_another_run_wrote_is_no_matter_of_this_one(ledger: Ledger) -> None:
    first = plan(ledger, [new_effect(1)])
    second = plan(ledger, [new_effect(2)])
    send(ledger, FakeRemote())
    left = undo(ledger, 2)
    assert [one.key for one in left.effects] == second
    by_key = {one.ref.subject: one.status for one in ledger.enrolments()}
    assert by_key == {"crm:1": EnrolmentStatus.ACTIVE, "crm:2": EnrolmentStatus.OVER}
    assert [one.key for one in undo(ledger, 1).effects] == first


def test_whoever_it_went_on_with_is_stopped_and_what_others_did_is_told(ledger: Ledger) -> None:
    plan(ledger, [new_effect(1)])
    send(ledger, FakeRemote())
    run = ledger.start_run("run", at=NOON, started_at=NOON)
    later = [
        new_effect(1, step="second"),
        new_effect(1, step="third", state=State.DEFERRED, not_before=NOON + WAITS.lease),
    ]
    commit_plan(ledger, run, Transitions(at=NOON), later)
    send(ledger, FakeRemote())
    left = undo(ledger, run)
    assert [one.step for one in left.tasks] == ["second"]
    assert [one.step for one in left.waiting] == ["third"]
    assert left.by_others == {1: 1}
    assert ledger.enrolments()[0].status is EnrolmentStatus.OVER
    assert [one.step for one in withdrawals(ledger)] == ["second"]
