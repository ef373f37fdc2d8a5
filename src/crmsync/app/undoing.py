"""Takes back what a run has done, as far as it can be taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.app.delivering import find_out, hand_over
from crmsync.app.outbox import shown
from crmsync.app.results.undoing import NotUndone, UndoResult
from crmsync.app.runs import UNDO, find_run, shown_runs
from crmsync.clock import SystemClock
from crmsync.errors import CrmsyncError, UsageError
from crmsync.ledger.states import State
from crmsync.ledger.undoing import read_left, read_withdrawals, take_back
from crmsync.model.actions import (
    ActionKind,
    AddNote,
    CreateTask,
    CustomAction,
    SendEmail,
    UpdateFields,
)
from crmsync.observe.failpoints import passing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import sqlalchemy as sa

    from crmsync.app.workspace import Workspace
    from crmsync.delivery.tally import DeliveryReport
    from crmsync.ledger.undoing import Left
    from crmsync.ledger.values.effects import Effect
    from crmsync.ledger.values.runs import RunRecord


def preview_undo(workspace: Workspace, number: int, *, by: str, reason: str) -> UndoResult:
    """What `undo` would do now; nothing is changed.

    Raises:
        UsageError: there is no such run, or it is an undo itself.
    """
    run = _undoable(workspace, number)
    with workspace.ledger.reading() as connection:
        left = read_left(connection, number)
    undoing = _Undoing(workspace=workspace, run=run, left=left, by=by, reason=reason)
    return undoing.result(left.withdrawals, before=True)


def undo(
    workspace: Workspace,
    number: int,
    *,
    by: str,
    reason: str,
    advance: Callable[[str, int], None],
) -> UndoResult:
    """Stop a run's enrolments, drop what is not done, take its tasks back; say what stays.

    Harmless a second time, and after one that was broken off: it goes on.

    Raises:
        UsageError: there is no such run, or it is an undo itself.
        StoreBusyError: a run is going on; or a person has decided about the same meanwhile.
    """
    run = _undoable(workspace, number)
    since = SystemClock().now().astimezone(workspace.zone)
    with workspace.ledger.evaluating(since=since):
        now = preview_undo(workspace, number, by=by, reason=reason)
        return now if now.nothing else _undo(workspace, run, by, reason, advance)


def _undoable(workspace: Workspace, number: int) -> RunRecord:
    run = find_run(workspace, number)
    if run.kind == UNDO:
        raise UsageError(f"run {number} undid run {run.undoes}, and cannot be undone itself")
    return run


def _undo(
    workspace: Workspace,
    run: RunRecord,
    by: str,
    reason: str,
    advance: Callable[[str, int], None],
) -> UndoResult:
    ledger = workspace.ledger
    number = ledger.start_run(
        UNDO,
        at=workspace.clock.now(),
        started_at=SystemClock().now(),
        undoes=run.id,
        said_by=by,
        reason=reason,
    )
    passing("undo.started")
    try:
        found = find_out(workspace, number, advance=advance)
        said = f"run {run.id} was undone by {by}" + (f": {reason}" if reason else "")

        def record(connection: sa.Connection) -> _Undoing:
            left = read_left(connection, run.id)
            undoing = _Undoing(workspace=workspace, run=run, left=left, by=by, reason=reason)
            tasks = undoing.able
            at = workspace.clock.now()
            take_back(connection, left, tasks, run_id=number, by=by, at=at, reason=said)
            passing("undo.recording")
            return undoing

        undoing = ledger.write(record)
        passing("undo.recorded")
        report = hand_over(workspace, number, advance=advance)
        passing("undo.delivered")
        with ledger.reading() as connection:
            withdrawals = read_withdrawals(connection, undoing.left.effects)
        result = undoing.result(withdrawals, before=False, problems=_problems(found, report))
    except CrmsyncError as error:
        ledger.finish_run(number, finished_at=SystemClock().now(), counts={}, error=str(error))
        raise
    counts = {
        "taken back": len(result.taken_back),
        "left alone": len(result.changed),
        "dropped": len(result.dropped),
        "stopped": result.stopped,
    }
    ledger.finish_run(number, finished_at=SystemClock().now(), counts=counts)
    return result


def _problems(*reports: DeliveryReport) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problem for report in reports for problem in report.problems))


@dataclass(frozen=True, kw_only=True)
class _Undoing:
    """A run, and what it had left when that was looked at."""

    workspace: Workspace
    run: RunRecord
    left: Left
    by: str
    reason: str

    @property
    def able(self) -> list[Effect]:
        """The tasks whose connection can take them back."""
        return [task for task in self.left.tasks if self._can(task.connection)]

    def _can(self, connection: str) -> bool:
        return ActionKind.WITHDRAWAL in self.workspace.abilities(connection)

    def result(
        self, withdrawals: Mapping[str, Effect], *, before: bool, problems: tuple[str, ...] = ()
    ) -> UndoResult:
        """What became of each, or would.

        Args:
            withdrawals: as they stand, by the key of the task.
        """
        earlier = {key for key, one in self.left.withdrawals.items() if one.state is State.DONE}
        back, changed, unsettled = [], [], []
        for task in self.able:
            found = withdrawals.get(task.key)
            if found is not None and found.state is State.DROPPED:
                changed.append((task, found.error or "somebody has worked on it"))
            elif found is not None and not before and found.state is not State.DONE:
                unsettled.append((task, _unfinished(found)))
            elif task.key not in earlier:
                back.append(task)
        unsettled += [
            (one, _doubtful(one))
            for one in self.left.effects
            if one.state in {State.UNCERTAIN, State.SENDING}
        ]
        cannot = [(one, self._why_not(one)) for one in self.left.effects if self._stays(one)]
        return UndoResult(
            run=shown_runs(self.workspace, [self.run])[0],
            before=before,
            by=self.by,
            reason=self.reason,
            taken_back=shown(self.workspace, back),
            already=len(earlier),
            changed=self._told(changed),
            dropped=shown(self.workspace, [*self.left.waiting, *self.left.rejected]),
            stopped=len(self.left.inside),
            cannot=self._told(cannot),
            unsettled=self._told(unsettled),
            by_others=self.left.by_others,
            problems=problems,
        )

    def _told(self, found: Iterable[tuple[Effect, str]]) -> tuple[NotUndone, ...]:
        pairs = list(found)
        actions = shown(self.workspace, [effect for effect, _ in pairs])
        return tuple(
            NotUndone(action=action, why=why)
            for action, (_, why) in zip(actions, pairs, strict=True)
        )

    def _stays(self, effect: Effect) -> bool:
        is_task = isinstance(effect.action, CreateTask)
        return effect.state is State.DONE and not (is_task and self._can(effect.connection))

    def _why_not(self, effect: Effect) -> str:
        at = f"at “{effect.connection}”" + (f", {effect.url}" if effect.url else "")
        match effect.action:
            case SendEmail():
                logged = effect.source in self.workspace.loggers - {effect.connection}
                stays = f", and its log in “{effect.source}” stays" if logged else ""
                return f"a mail that was sent cannot be called back{stays}"
            case AddNote():
                return f"a note stays; take it away {at}"
            case CustomAction():
                return f"“{effect.action.name}” was done; undo it {at}"
            case UpdateFields(changes=changes, expected=expected):
                fields = ", ".join(
                    f"{name} was “{expected[name]}” before" if name in expected else name
                    for name in changes
                )
                return f"fields stay as they were set: {fields}; set them {at}"
            case _:
                return f"the connection “{effect.connection}” cannot take tasks back; close it {at}"


def _doubtful(effect: Effect) -> str:
    return (
        f"it may have landed, or not: look at “{effect.connection}”, then “crmsync landed "
        f"{effect.key}” and this undo again, or “crmsync drop {effect.key}”"
    )


def _unfinished(withdrawal: Effect) -> str:
    why = withdrawal.error or "it could not be reached"
    if withdrawal.state is State.REJECTED:
        return f"the remote refuses to take it back: {why}; this undo again tries once more"
    return f"it could not be taken back yet: {why}; the next run goes on, or this undo again"
