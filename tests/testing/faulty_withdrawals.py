"""Connectors that take tasks back with one fault each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from crmsync.errors import (
    ChangedError,
    ConnectorError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.model.actions import ActionKind, KeyHandling, Receipt, WithdrawTask
from crmsync.testing.memory import MemoryConnector
from crmsync.testing.reference import MemoryUnderTest
from testing.mutants import killed_by

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crmsync.model.actions import Action


class _TakesBackItsWay(MemoryConnector):
    """Does withdrawals itself; the rest as it should."""

    def apply(self, actions: Sequence[Action]) -> Sequence[Receipt | ConnectorError]:
        rest = iter(super().apply([a for a in actions if not isinstance(a, WithdrawTask)]))
        return [
            self.taken_back(action) if isinstance(action, WithdrawTask) else next(rest)
            for action in actions
        ]

    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        return super().apply([action])[0]


@killed_by("a_task_is_taken_back_and_nothing_else", "still stands there")
class SaysItTookBack(_TakesBackItsWay):
    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        return Receipt(key=action.key, remote_id=action.remote_id)


@killed_by("a_task_is_taken_back_and_nothing_else", "landed 0 times")
class TakesBackAllThatIsLikeIt(_TakesBackItsWay):
    """Looks for the task by its subject."""

    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        kept = [e for e in self._remote.effects if e.texts.get("subject") != action.task.subject]
        self._remote.effects = kept
        return Receipt(key=action.key, remote_id=action.remote_id)


@killed_by("a_task_is_taken_back_and_nothing_else", "was answered for")
class AnswersForTheTask(_TakesBackItsWay):
    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        answer = super().taken_back(action)
        return replace(answer, key=action.task.key) if isinstance(answer, Receipt) else answer


@killed_by("what_people_have_worked_on_stays", "ChangedError was due, not Receipt")
class TakesBackAnyway(_TakesBackItsWay):
    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        self._remote.effects = [e for e in self._remote.effects if e.key != action.task.key]
        return Receipt(key=action.key, remote_id=action.remote_id)


@killed_by("what_people_have_worked_on_stays", "ChangedError was due, not RejectedError")
class OnlyRefuses(_TakesBackItsWay):
    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        answer = super().taken_back(action)
        return RejectedError(str(answer)) if isinstance(answer, ChangedError) else answer


@killed_by("what_people_have_worked_on_stays", "is gone")
class LooksTooLate(TakesBackAnyway):
    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        before = _TakesBackItsWay.taken_back(self, action)
        super().taken_back(action)
        return before


@killed_by("taking_back_twice_does_no_harm", "taken back before was answered by RejectedError")
class MissesWhatIsGone(_TakesBackItsWay):
    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        answer = super().taken_back(action)
        if isinstance(answer, Receipt) and answer.already:
            return RejectedError("there is no such task")
        return answer


@killed_by("taking_back_twice_does_no_harm", "NATIVE, not lookup")
class WantsToBeAskedFirst(MemoryUnderTest):
    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        declared = {**self.spec.actions, ActionKind.WITHDRAWAL: KeyHandling.LOOKUP}
        self.spec = replace(self.spec, actions=declared)


@killed_by("a_crash_while_taking_back_is_mended", "UncertainError was due, not RejectedError")
class TakesALostAnswerForARefusal(_TakesBackItsWay):
    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        answer = super().taken_back(action)
        return RejectedError("it failed") if isinstance(answer, UncertainError) else answer


@killed_by("a_crash_while_taking_back_is_mended", "nothing happened, it says, but it is gone")
class TakesALostAnswerForNone(_TakesBackItsWay):
    def taken_back(self, action: WithdrawTask) -> Receipt | ConnectorError:
        answer = super().taken_back(action)
        return TransientError("it failed") if isinstance(answer, UncertainError) else answer
