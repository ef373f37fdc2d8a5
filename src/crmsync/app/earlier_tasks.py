"""A task that a step made before, and that nobody has done yet, is not made a second time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from crmsync.clock import readable
from crmsync.journeys.keys import round_of
from crmsync.journeys.people import HeldError, NeedlessError
from crmsync.model.actions import CreateTask, RecordRef, Scalar, UpdateFields
from crmsync.model.tables import global_id, split_global_id
from crmsync.rules.language import IfExists, TaskStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, tzinfo

    from crmsync.app.premises import Premises
    from crmsync.journeys.compose import Composed
    from crmsync.journeys.due import OpenStep
    from crmsync.ledger.values.effects import MadeTask
    from crmsync.model.records import LiveRecords
    from crmsync.rules.evaluation.world import World

_ACTIVITY = "activity"
_OVER = frozenset({"completed", "cancelled"})
_UPDATE = "update"


class EarlierTasks:
    """Those of the steps that are due, found at once."""

    def __init__(
        self, premises: Premises, records: LiveRecords, world: World, due: Sequence[OpenStep]
    ) -> None:
        self._premises = premises
        self._records = records
        self._world = world
        self._due = [step for step in due if _looks_back(step)]

    def instead_of(self, step: OpenStep, composed: Composed) -> Composed:
        """What is done in the place of a new task; the same where there is none that is open.

        Raises:
            NeedlessError: one is open, and stays as it is.
            HeldError: nobody knows whether one is open.
        """
        action = composed.action
        if not isinstance(action, CreateTask) or not _looks_back(step):
            return composed
        task = self._open_task(step)
        if task is None:
            return composed
        told = f"its task of {readable(task.at, self._world.company.zone)} is still open"
        assert isinstance(step.step, TaskStep)  # noqa: S101  only tasks look back
        row = self._rows.get(global_id(task.connection, task.remote_id))
        if step.step.if_exists is IfExists.SKIP or row is None:
            raise NeedlessError(told)
        update = self._update(task, action, row)
        if update is None:
            raise NeedlessError(f"{told}, and nothing about it has changed that could be updated")
        return replace(composed, action=update)

    def _open_task(self, step: OpenStep) -> MadeTask | None:
        made = [task for task in self._made if _is_of(task, step, self._subjects(step))]
        if not made:
            return None
        task = made[-1]
        row = self._rows.get(global_id(task.connection, task.remote_id))
        if row is not None and row.get("status") in _OVER:
            return None
        doubts = self._world.freshness.reasons(task.connection, (_ACTIVITY,))
        read = [
            state.known_at
            for state in self._world.freshness.states
            if (state.connection, state.table) == (task.connection, _ACTIVITY)
        ]
        if not read:  # the connection has no activities that could be read
            return None
        if doubts:
            raise HeldError(f"whether its last task is still open is not known: {doubts[0]}")
        made_since = any(at is None or at < task.at for at in read)
        return task if row is not None or made_since else None

    def _update(
        self, task: MadeTask, action: CreateTask, row: Mapping[str, Any]
    ) -> UpdateFields | None:
        """The new words and days, as far as they can be written back."""
        if _UPDATE not in {str(kind) for kind in self._premises.abilities(task.connection)}:
            return None
        owner = row.get("owner")
        due = None if action.due is None else action.due.isoformat()
        wanted: dict[str, tuple[Scalar, Scalar]] = {
            "subject": (action.subject, row.get("subject")),
            "text": (action.body or row.get("text"), row.get("text")),
            "at": (due, _due_before(row.get("at"), due, self._world.company.zone)),
            "owner": (action.assignee, owner and split_global_id(owner)[1]),
        }
        changes: dict[str, Scalar] = {}
        expected: dict[str, Scalar] = {}
        stream = ""
        for name, (new, old) in wanted.items():
            found = self._remote_field(task, name)
            if found is not None and new is not None and new != old:
                stream, remote = found
                changes[remote], expected[remote] = new, old
        if not changes:
            return None
        return UpdateFields(
            key=action.key,
            record=RecordRef(table=_ACTIVITY, id=task.remote_id),
            stream=stream,
            changes=changes,
            expected=expected,
        )

    def _remote_field(self, task: MadeTask, name: str) -> tuple[str, str] | None:
        """The stream that the task stands in, and its field there; None where none can be told."""
        settings = self._premises.config.connections.get(task.connection)
        known = {} if settings is None else settings.streams
        if sum(stream.table == _ACTIVITY for stream in known.values()) <= 1:
            return self._premises.remote_field(task.connection, _ACTIVITY, name)
        stream = self._streams.get(global_id(task.connection, task.remote_id), "")
        remote = known[stream].remote_field(name) if stream in known else None
        return None if remote is None else (stream, remote)

    @cached_property
    def _streams(self) -> Mapping[str, str]:
        return self._records.streams_of(_ACTIVITY, self._rows)

    @cached_property
    def _made(self) -> Sequence[MadeTask]:
        rules = {step.rule.name for step in self._due}
        subjects = {subject for step in self._due for subject in self._subjects(step)}
        return self._premises.ledger.made_tasks(rules, subjects)

    @cached_property
    def _rows(self) -> Mapping[str, Mapping[str, Any]]:
        ids = {global_id(task.connection, task.remote_id) for task in self._made}
        return self._records.rows(_ACTIVITY, ids) if ids else {}

    @cached_property
    def _merged(self) -> Mapping[str, set[str]]:
        """The ids of merged records, by the one that survived."""
        found: dict[str, set[str]] = {}
        for aliases in self._records.aliases().values():
            for old, survivor in aliases.items():
                found.setdefault(survivor, set()).add(old)
        return found

    def _subjects(self, step: OpenStep) -> set[str]:
        subject = step.enrolment.subject
        return {subject, *self._merged.get(subject, ())}


def _due_before(at: datetime | None, due: str | None, zone: tzinfo) -> str | None:
    """When the task was due, as its remote is to be asked; the same as ``due`` where it stays so.

    A remote that keeps days was read as midnights here. One that keeps times has days by a clock of
    its own, which may not be ours, so it is asked for the time.
    """
    if at is None:
        return None
    here = at.astimezone(zone)
    days = {here.date().isoformat(), at.astimezone(UTC).date().isoformat()}
    return here.date().isoformat() if here.time() == time() or days == {due} else at.isoformat()


def _looks_back(step: OpenStep) -> bool:
    """Whether a task from before matters: of an earlier round always, of others where asked for."""
    if not isinstance(step.step, TaskStep) or step.step.if_exists is IfExists.CREATE:
        return False
    return step.round > 1 or step.step.if_exists is not None


def _is_of(task: MadeTask, step: OpenStep, subjects: set[str]) -> bool:
    assert isinstance(step.step, TaskStep)  # noqa: S101  only tasks look back
    if task.rule != step.rule.name or round_of(task.step)[0] != step.step.id:
        return False
    same = task.enrolment_key == step.enrolment.key
    return same or (step.step.if_exists is not None and task.subject in subjects)
