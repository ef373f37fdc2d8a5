"""The ledger as the rest of crmsync sees it."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import sqlalchemy as sa

from crmsync.ledger import effects, enrolments
from crmsync.ledger.engine import Sole
from crmsync.ledger.migrate import is_current, migrate
from crmsync.ledger.reviews import read_reviewed
from crmsync.ledger.schema import connection_pause, decision, effect, history, run, transition
from crmsync.ledger.sqlite import SqliteDatabase
from crmsync.ledger.states import State
from crmsync.ledger.stops import read_stops
from crmsync.ledger.values.effects import TransitionRecord
from crmsync.ledger.values.enrolments import OPEN
from crmsync.ledger.values.runs import Answer, Decision, RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from crmsync.ledger.engine import Database
    from crmsync.ledger.reviews import Reviewed
    from crmsync.ledger.stops import Stop
    from crmsync.ledger.values.effects import Effect, MadeTask, StepState
    from crmsync.ledger.values.enrolments import (
        Enrolment,
        EnrolmentRef,
        EnrolmentSnapshot,
        EnrolmentStatus,
        StepOutcome,
    )
    from crmsync.model.actions import ActionKind

_Answer = TypeVar("_Answer")


class Ledger:
    """Made where there is none, brought up to date when it is opened.

    Args:
        at: a SQLite file, whose folder must exist; or the URL of a PostgreSQL database.
        wait_seconds: how long to wait while another process writes.

    Raises:
        StoreError: it cannot be opened, is damaged, or is newer than this version of crmsync.
        StoreBusyError: another process held it for longer than the wait.
    """

    def __init__(self, at: Path | str, *, wait_seconds: float = 30.0) -> None:
        self._database = open_database(at, wait_seconds=wait_seconds)
        if not isinstance(at, Path):
            # A command opens it and ends; a server likes to be told.
            weakref.finalize(self, self._database.close)
        try:
            with self.reading() as connection:
                current = is_current(connection)
            if not current:
                with self.writing() as connection:
                    self._database.hold_migrations(connection)
                    migrate(connection, self.name)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What sentences call it."""
        return self._database.name

    def close(self) -> None:
        """Let go of it."""
        self._database.close()

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """One transaction that writes; SQLite has one writer at a time, so keep it short."""
        return self._database.writing()

    def write(self, work: Callable[[sa.Connection], _Answer]) -> _Answer:
        """`writing`, begun anew where a server went away before anything was recorded."""
        return self._database.write(work)

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """One consistent view."""
        return self._database.reading()

    def evaluating(self, *, since: datetime) -> AbstractContextManager[object]:
        """Be the only process that decides, until the end of the block; others may deliver.

        Args:
            since: the present instant, told to whoever is refused meanwhile.

        Raises:
            StoreBusyError: another process decides now; the sentence says which, since when.
        """
        return self._database.alone(Sole.EVALUATOR, since=since)

    def serving(self, *, since: datetime) -> AbstractContextManager[Callable[[], None]]:
        """Be the only daemon, until the end of the block; others may run, one at a time.

        What is given makes sure of it once more, and raises the same where it is no longer so.

        Args:
            since: the present instant, told to whoever is refused meanwhile.

        Raises:
            StoreBusyError: there is another daemon; the sentence says which, since when.
        """
        return self._database.alone(Sole.DAEMON, since=since)

    def daemon(self, *, now: datetime) -> str | None:
        """Which process is the daemon, and since when, in the zone of ``now``; None for none."""
        return self._database.who(Sole.DAEMON, now=now)

    # Runs

    def start_run(self, kind: str, *, at: datetime, started_at: datetime, **undo: int | str) -> int:
        """Record that a run begins; answers with its number.

        Args:
            undo: what an undo has beside the rest, as of `RunRecord`.
        """
        with self.writing() as connection:
            number: int = connection.execute(
                sa.insert(run)
                .values(kind=kind, at=at, started_at=started_at, counts={}, **undo)
                .returning(run.c.id)
            ).scalar_one()
            return number

    def finish_run(
        self,
        run_id: int,
        *,
        finished_at: datetime,
        counts: Mapping[str, int],
        error: str | None = None,
    ) -> None:
        """Record how a run ended."""
        with self.writing() as connection:
            connection.execute(
                sa.update(run)
                .where(run.c.id == run_id)
                .values(finished_at=finished_at, counts=dict(counts), error=error)
            )

    def last_runs(self, limit: int = 10, *, kind: str | None = None) -> tuple[RunRecord, ...]:
        """The latest runs, the last one first."""
        query = sa.select(run).order_by(run.c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(run.c.kind == kind)
        with self.reading() as connection:
            return tuple(_run(row) for row in connection.execute(query))

    def run(self, number: int) -> RunRecord | None:
        """The run of that number; None where there is none."""
        with self.reading() as connection:
            row = connection.execute(sa.select(run).where(run.c.id == number)).one_or_none()
            return None if row is None else _run(row)

    def undone(self) -> Mapping[int, Sequence[RunRecord]]:
        """By the number of a run, how it was undone, the first time first."""
        found: dict[int, list[RunRecord]] = {}
        query = sa.select(run).where(run.c.undoes.is_not(None)).order_by(run.c.id)
        with self.reading() as connection:
            for row in connection.execute(query):
                found.setdefault(row.undoes, []).append(_run(row))
        return found

    # What a cycle begins with

    def enrolment_snapshot(self) -> EnrolmentSnapshot:
        """All that deciding on enrolments needs to remember."""
        with self.reading() as connection:
            return enrolments.read_snapshot(connection)

    def step_states(self) -> Mapping[EnrolmentRef, Mapping[str, StepState]]:
        """For each open enrolment, the steps that are in the outbox, or have been."""
        with self.reading() as connection:
            return effects.read_step_states(connection, OPEN)

    def rule_texts(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """The texts of these rules and versions, as far as they are kept."""
        with self.reading() as connection:
            return enrolments.read_texts(connection, wanted)

    def versions_inside(self) -> Collection[tuple[str, str]]:
        """The rules and versions by which somebody entered who is inside."""
        with self.reading() as connection:
            return enrolments.read_versions(connection)

    def made_tasks(self, rules: Collection[str], subjects: Collection[str]) -> Sequence[MadeTask]:
        """The tasks that rules have made for these subjects, the oldest first."""
        with self.reading() as connection:
            return effects.read_made_tasks(connection, rules, subjects)

    def stops(self, *, now: datetime) -> tuple[Stop, ...]:
        """Whom people have said to leave alone, as it holds at an instant; the oldest first."""
        with self.reading() as connection:
            return read_stops(connection, now=now)

    def reviewed(self) -> tuple[Reviewed, ...]:
        """What awaits approval, and what else waits after a person has spoken of it."""
        with self.reading() as connection:
            return read_reviewed(connection)

    def step_outcomes(self) -> Mapping[EnrolmentRef, Mapping[str, StepOutcome]]:
        """For each active enrolment, the steps that are over without having made anything."""
        with self.reading() as connection:
            return enrolments.read_outcomes(connection)

    # What people ask

    def enrolments(
        self,
        *,
        statuses: Collection[EnrolmentStatus] = (),
        rule: str | None = None,
        subject: str | None = None,
    ) -> tuple[Enrolment, ...]:
        """Enrolments, oldest first; of all statuses where none is given."""
        with self.reading() as connection:
            return enrolments.read_enrolments(
                connection, statuses=statuses, rule=rule, subject=subject
            )

    def effects(
        self,
        *,
        run_id: int | None = None,
        states: Collection[State] = (),
        kinds: Collection[ActionKind] = (),
        subject: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> tuple[Effect, ...]:
        """Effects, oldest first; in any state, and of any kind, where none is given.

        Args:
            since: only those that were last moved, or that are left alone until, then or later.
        """
        with self.reading() as connection:
            return effects.read_effects(
                connection,
                run_id=run_id,
                states=states,
                kinds=kinds,
                subject=subject,
                since=since,
                limit=limit,
            )

    def effect_counts(self) -> Mapping[State, int]:
        """How many effects are in each state; states without any are left out."""
        with self.reading() as connection:
            rows = connection.execute(
                sa.select(effect.c.state, sa.func.count()).group_by(effect.c.state)
            )
            return {State(state): count for state, count in rows}

    def connections_with_work(self) -> frozenset[str]:
        """The connections that have effects to be sent, or to be found out about."""
        at_work = [State.READY, State.SENDING, State.UNCERTAIN]
        with self.reading() as connection:
            query = sa.select(effect.c.connection).where(effect.c.state.in_(at_work)).distinct()
            return frozenset(connection.scalars(query))

    def ready_by_connection(self) -> Mapping[str, int]:
        """How many effects are ready for each connection, those for later included."""
        with self.reading() as connection:
            counts = connection.execute(
                sa.select(effect.c.connection, sa.func.count())
                .where(effect.c.state == State.READY)
                .group_by(effect.c.connection)
            )
            return dict(counts.all())

    def history_of(self, effect_id: int) -> tuple[TransitionRecord, ...]:
        """All moves of an effect, the first one first."""
        query = (
            sa.select(transition)
            .join(history, history.c.transition_id == transition.c.id)
            .where(history.c.effect_id == effect_id)
            .order_by(transition.c.id)
        )
        with self.reading() as connection:
            return tuple(
                TransitionRecord(
                    effect_id=effect_id,
                    before=None if row.before is None else State(row.before),
                    after=State(row.after),
                    at=row.at,
                    reason=row.reason,
                    actor=row.actor,
                )
                for row in connection.execute(query)
            )

    def decisions(self, *, run_id: int, subject: str | None = None) -> tuple[Decision, ...]:
        """The decisions of a run, in the order in which they were made."""
        query = sa.select(decision).where(decision.c.run_id == run_id).order_by(decision.c.id)
        if subject is not None:
            query = query.where(decision.c.subject == subject)
        with self.reading() as connection:
            return tuple(_decision(row) for row in connection.execute(query))

    # Connections that asked to be left alone

    def pause_connection(self, name: str, *, until: datetime, reason: str) -> None:
        """Leave a connection alone until then; a later pause replaces an earlier one."""
        with self.writing() as connection:
            connection.execute(sa.delete(connection_pause).where(_is_connection(name)))
            connection.execute(
                sa.insert(connection_pause).values(connection=name, until=until, reason=reason)
            )

    def pauses(self, *, at: datetime) -> Mapping[str, tuple[datetime, str]]:
        """Connections that are to be left alone at that instant: until when, and why."""
        query = sa.select(connection_pause).where(connection_pause.c.until > at)
        with self.reading() as connection:
            return {row.connection: (row.until, row.reason) for row in connection.execute(query)}


def open_database(at: Path | str, *, wait_seconds: float) -> Database:
    """The database of a ledger, whatever its schema is; the arguments are those of `Ledger`."""
    if isinstance(at, Path):
        return SqliteDatabase(at, wait_seconds=wait_seconds)
    from crmsync.ledger.postgresql import PostgresDatabase  # noqa: PLC0415  seldom needed

    return PostgresDatabase(at, wait_seconds=wait_seconds)


def record_decisions(
    connection: sa.Connection, run_id: int, decisions: Sequence[Decision], *, at: datetime
) -> None:
    """Record why steps were, or were not, taken."""
    if not decisions:
        return
    connection.execute(
        sa.insert(decision),
        [
            {
                "run_id": run_id,
                "rule": made.rule,
                "subject": made.subject,
                "step": made.step,
                "answer": made.answer,
                "gate": made.gate,
                "reason": made.reason,
                "until": made.until,
                "at": at,
            }
            for made in decisions
        ],
    )


def _run(row: sa.Row[Any]) -> RunRecord:
    return RunRecord(**row._mapping)


def _is_connection(name: str) -> sa.ColumnElement[bool]:
    return connection_pause.c.connection == name


def _decision(row: sa.Row[Any]) -> Decision:
    return Decision(
        rule=row.rule,
        subject=row.subject,
        step=row.step,
        answer=Answer(row.answer),
        gate=row.gate,
        reason=row.reason,
        until=row.until,
    )
