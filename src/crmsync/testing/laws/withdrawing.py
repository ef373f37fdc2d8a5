"""Laws of taking back: a task goes, unless people have worked on it, and nothing else goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.errors import ChangedError, ConnectorError, TransientError, UncertainError
from crmsync.model.actions import ActionKind, CreateTask, KeyHandling, Receipt, WithdrawTask
from crmsync.testing.laws.steps import (
    applied,
    apply_one,
    assert_once,
    connected,
    landed,
    need,
    outcomes,
    sample_actions,
)
from crmsync.testing.remote import Failure, Feature

if TYPE_CHECKING:
    from crmsync.testing.remote import RemoteUnderTest


class WithdrawingLaws:
    """What holds where the spec names withdrawals."""

    def test_a_task_is_taken_back_and_nothing_else(self, remote: RemoteUnderTest) -> None:
        """Beside it, in one batch, other actions land; what was made with it stays."""
        _need_withdrawals(remote)
        beside = sample_actions(remote, "beside")
        for action in beside:
            applied(remote, action)
        first, second = _made(remote, "first"), _made(remote, "second")
        after = sample_actions(remote, "after")
        with connected(remote) as connector:
            answers = outcomes(remote, connector, [first, *after, second])
        for action, answer in zip([first, *after, second], answers, strict=True):
            assert isinstance(answer, Receipt), f"a sound {action.kind} was refused: {answer!r}"
            assert answer.key == action.key, f"{action.key} was answered for {answer.key}"
        for withdrawal in (first, second):
            _assert_gone(remote, withdrawal, "after it was taken back")
        assert_once(remote, [*beside, *after], "beside tasks that were taken back")

    def test_what_people_have_worked_on_stays(self, remote: RemoteUnderTest) -> None:
        """A task that was completed, or worded anew, is somebody's; ChangedError says so."""
        _need_withdrawals(remote)
        completed, reworded = _made(remote, "completed"), _made(remote, "reworded")
        remote.complete_task(completed.task.key)
        remote.reword_task(reworded.task.key, "Called; they want an offer by Friday.")
        for withdrawal in (completed, reworded):
            answer = apply_one(remote, withdrawal)
            assert isinstance(answer, ChangedError), (
                f"people have worked on the task: ChangedError was due, not {answer!r}"
            )
            assert str(answer).strip(), "the error does not say what has changed"
            assert landed(remote, withdrawal.task), "a task that people had worked on is gone"

    def test_taking_back_twice_does_no_harm(self, remote: RemoteUnderTest) -> None:
        """So a withdrawal whose answer was lost is applied again without a look."""
        _need_withdrawals(remote)
        declared = remote.spec.actions[ActionKind.WITHDRAWAL]
        assert declared is KeyHandling.NATIVE, (
            f"withdrawals are applied again unasked, so they are NATIVE, not {declared}"
        )
        twice = _made(remote, "twice")
        applied(remote, twice)
        with connected(remote) as connector:
            answers = outcomes(remote, connector, [twice, twice])
        _assert_receipts(answers, "was taken back before")
        _assert_gone(remote, twice, "after the third time")
        never = WithdrawTask(
            key="key-never-back", task=_task(remote, "never"), remote_id=twice.remote_id
        )
        _assert_receipts([apply_one(remote, never)], "is not there any more")

    def test_a_crash_while_taking_back_is_mended(self, remote: RemoteUnderTest) -> None:
        """The task may be gone or not: nobody guesses, and the second time it is."""
        _need_withdrawals(remote)
        need(remote, Failure.UNCERTAIN)
        withdrawal = _made(remote, "crash")
        remote.fail_next(Failure.UNCERTAIN)
        answer = apply_one(remote, withdrawal)
        assert isinstance(answer, Receipt | UncertainError | TransientError), (
            f"the answer was lost: UncertainError was due, not {answer!r}"
        )
        if isinstance(answer, TransientError):
            assert not _is_gone(remote, withdrawal), "nothing happened, it says, but it is gone"
        applied(remote, withdrawal)
        _assert_gone(remote, withdrawal, "after a crash and a second time")


def _need_withdrawals(remote: RemoteUnderTest) -> None:
    need(remote, Feature.WRITES)
    if not {ActionKind.WITHDRAWAL, ActionKind.TASK} <= remote.spec.actions.keys():
        pytest.skip("the spec names no withdrawals, or no tasks")


def _task(remote: RemoteUnderTest, label: str) -> CreateTask:
    task = remote.action(ActionKind.TASK, f"key-{label}", "plain", f"back-{label}")
    assert isinstance(task, CreateTask), "action(TASK) makes a CreateTask"
    return task


def _made(remote: RemoteUnderTest, label: str) -> WithdrawTask:
    """A task is made; the action that takes it back."""
    task = _task(remote, label)
    receipt = applied(remote, task)
    assert_once(remote, [task], "before it is taken back")
    return WithdrawTask(key=f"key-{label}-back", task=task, remote_id=receipt.remote_id)


def _is_gone(remote: RemoteUnderTest, withdrawal: WithdrawTask) -> bool:
    return all(effect.closed for effect in landed(remote, withdrawal.task))


def _assert_gone(remote: RemoteUnderTest, withdrawal: WithdrawTask, after: str) -> None:
    assert _is_gone(remote, withdrawal), (
        f"{after}, the task {withdrawal.task.key} still stands there for somebody to do; where "
        "the remote closes tasks, `effects` tells it in Effect.closed"
    )


def _assert_receipts(answers: list[Receipt | ConnectorError], why: str) -> None:
    for answer in answers:
        assert isinstance(answer, Receipt), f"a task that {why} was answered by {answer!r}"
