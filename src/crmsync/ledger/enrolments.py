"""Enrolments in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync.errors import StoreBusyError
from crmsync.ledger.batches import rows_where
from crmsync.ledger.schema import enrolment, rule_state, rule_text, step_outcome
from crmsync.ledger.values.enrolments import (
    CONTACTED,
    OPEN,
    ROUND,
    Enrolment,
    EnrolmentRef,
    EnrolmentSnapshot,
    EnrolmentStatus,
    History,
    StepOutcome,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from crmsync.ledger.values.enrolments import End, Transitions


def read_snapshot(connection: sa.Connection) -> EnrolmentSnapshot:
    """All that deciding on enrolments needs to remember."""
    columns = enrolment.c
    last_active = sa.func.max(columns.entered_at).filter(columns.status.in_(CONTACTED))
    histories = connection.execute(
        sa.select(columns.rule, columns.subject, sa.func.count(), last_active).group_by(
            columns.rule, columns.subject
        )
    )
    again = connection.execute(
        sa.select(columns.rule, columns.subject, sa.func.max(step_outcome.c.at))
        .join(step_outcome, columns.id == step_outcome.c.enrolment_id)
        .where(step_outcome.c.step.startswith(ROUND))
        .group_by(columns.rule, columns.subject)
    )
    rounds = {(rule, subject): at for rule, subject, at in again}
    used = connection.execute(
        sa.select(columns.rule, columns.key, columns.subject).where(
            columns.status != EnrolmentStatus.LAPSED, columns.key.startswith("{")
        )
    )
    lapsed = connection.execute(
        sa.select(columns.rule, columns.key, columns.id).where(
            columns.status == EnrolmentStatus.LAPSED
        )
    )
    return EnrolmentSnapshot(
        open=read_enrolments(connection, statuses=OPEN),
        histories={
            (rule, subject): History(
                enrolments=count,
                last_active_at=None if at is None else max(at, rounds.get((rule, subject), at)),
            )
            for rule, subject, count, at in histories
        },
        used_keys={(rule, key): subject for rule, key, subject in used},
        lapsed={(rule, key): number for rule, key, number in lapsed},
        seen_rules={row.rule: row.asks for row in connection.execute(sa.select(rule_state))},
    )


def read_enrolments(
    connection: sa.Connection,
    *,
    statuses: Collection[EnrolmentStatus] = (),
    rule: str | None = None,
    subject: str | None = None,
) -> tuple[Enrolment, ...]:
    """Enrolments in the order in which they were first recorded."""
    query = sa.select(enrolment).order_by(enrolment.c.id)
    if statuses:
        query = query.where(enrolment.c.status.in_(sorted(statuses)))
    if rule is not None:
        query = query.where(enrolment.c.rule == rule)
    if subject is not None:
        query = query.where(enrolment.c.subject == subject)
    return tuple(_enrolment(row) for row in connection.execute(query))


def _enrolment(row: sa.Row[Any]) -> Enrolment:
    return Enrolment(
        id=row.id,
        ref=EnrolmentRef(rule=row.rule, subject=row.subject, key=row.key),
        rule_version=row.rule_version,
        steps=tuple(row.steps),
        status=EnrolmentStatus(row.status),
        entered_at=row.entered_at,
        holds_since=row.holds_since,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        goal=row.goal,
        next_step=row.next_step,
        next_due_at=row.next_due_at,
    )


def read_outcomes(connection: sa.Connection) -> dict[EnrolmentRef, dict[str, StepOutcome]]:
    """What became of the steps of active enrolments that are over without an effect."""
    found: dict[EnrolmentRef, dict[str, StepOutcome]] = {}
    columns = (enrolment.c.rule, enrolment.c.subject, enrolment.c.key)
    rows = connection.execute(
        sa.select(*columns, step_outcome)
        .join(enrolment, enrolment.c.id == step_outcome.c.enrolment_id)
        .where(enrolment.c.status == EnrolmentStatus.ACTIVE)
    )
    for row in rows:
        ref = EnrolmentRef(rule=row.rule, subject=row.subject, key=row.key)
        found.setdefault(ref, {})[row.step] = StepOutcome(
            enrolment=ref, step=row.step, result=row.result, at=row.at, reason=row.reason
        )
    return found


def move_enrolments(connection: sa.Connection, transitions: Transitions, *, run_id: int) -> None:
    """Record the moves of a run.

    Raises:
        StoreBusyError: another run has moved one of them since the snapshot was read.
    """
    _end(connection, transitions)
    _activate(connection, transitions, run_id)
    _reopen(connection, transitions, run_id)
    _insert(connection, transitions, run_id)
    _go_on(connection, transitions)
    _keep_texts(connection, transitions)
    outdated = [*transitions.gone_rules, *transitions.new_rules]
    if outdated:
        connection.execute(sa.delete(rule_state).where(rule_state.c.rule.in_(outdated)))
    if transitions.new_rules:
        connection.execute(
            sa.insert(rule_state),
            [
                {"rule": rule, "asks": asks, "first_seen_at": transitions.at}
                for rule, asks in transitions.new_rules.items()
            ],
        )


def _keep_texts(connection: sa.Connection, transitions: Transitions) -> None:
    """Those that are not kept yet."""
    texts = {(text.rule, text.version): text.source for text in transitions.texts}
    missing = texts.keys() - read_texts(connection, texts.keys()).keys()
    if missing:
        connection.execute(
            sa.insert(rule_text),
            [
                {
                    "rule": rule,
                    "version": version,
                    "source": texts[rule, version],
                    "first_seen_at": transitions.at,
                }
                for rule, version in sorted(missing)
            ],
        )


def read_texts(
    connection: sa.Connection, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """The texts of these rules and versions, as far as they are kept."""
    names = sorted({rule for rule, _ in wanted})
    rows = rows_where(connection, rule_text.c.rule, names, _TEXTS)
    found = {(row.rule, row.version): row.source for row in rows}
    return {key: source for key, source in found.items() if key in wanted}


_TEXTS = sa.select(rule_text)
_VERSIONS = (
    sa.select(enrolment.c.rule, enrolment.c.rule_version)
    .where(enrolment.c.status == EnrolmentStatus.ACTIVE.value)
    .distinct()
)


def read_versions(connection: sa.Connection) -> frozenset[tuple[str, str]]:
    """The rules and versions by which somebody entered who is inside."""
    return frozenset((row.rule, row.rule_version) for row in connection.execute(_VERSIONS))


def _end(connection: sa.Connection, transitions: Transitions) -> None:
    def values(end: End) -> dict[str, Any]:
        return {
            **_expected(end.enrolment),
            "new_status": end.status,
            "ended": transitions.at,
            "end_reason": end.reason,
            "reached": end.goal,
        }

    _update(
        connection,
        {
            "status": sa.bindparam("new_status"),
            # Of one that was over it is known since when.
            "ended_at": sa.func.coalesce(enrolment.c.ended_at, sa.bindparam("ended")),
            "end_reason": sa.bindparam("end_reason"),
            "goal": sa.bindparam("reached"),
            "next_step": None,
            "next_due_at": None,
        },
        [values(end) for end in transitions.end],
    )


def _activate(connection: sa.Connection, transitions: Transitions, run_id: int) -> None:
    _update(
        connection,
        _ENTERED,
        [
            {
                **_expected(activation.enrolment),
                "new_status": activation.status,
                "version": activation.rule_version,
                "new_steps": list(activation.steps),
                "entered": transitions.at,
                "since": activation.holds_since,
                "run": run_id,
            }
            for activation in transitions.activate
        ],
    )


def _reopen(connection: sa.Connection, transitions: Transitions, run_id: int) -> None:
    _update(
        connection,
        _ENTERED | {"subject": sa.bindparam("new_subject")},
        [
            {
                "which": enrol.reopens,
                "expected_status": EnrolmentStatus.LAPSED,
                "new_status": enrol.status,
                "new_subject": enrol.ref.subject,
                "version": enrol.rule_version,
                "new_steps": list(enrol.steps),
                "entered": transitions.at,
                "since": enrol.holds_since,
                "run": run_id,
            }
            for enrol in transitions.enrol
            if enrol.reopens is not None
        ],
    )


_ENTERED: dict[str, Any] = {
    "status": sa.bindparam("new_status"),
    "rule_version": sa.bindparam("version"),
    "steps": sa.bindparam("new_steps"),
    "entered_at": sa.bindparam("entered"),
    "holds_since": sa.bindparam("since"),
    "ended_at": None,
    "end_reason": None,
    "goal": False,
    "run_id": sa.bindparam("run"),
}


def _go_on(connection: sa.Connection, transitions: Transitions) -> None:
    """What is over, and what is due next; the ids are those of the living, so keys are asked."""
    which = sa.and_(
        enrolment.c.rule == sa.bindparam("of_rule"), enrolment.c.key == sa.bindparam("of_key")
    )
    outcomes = [
        {
            "of_rule": one.enrolment.rule,
            "of_key": one.enrolment.key,
            "step": one.step,
            "result": one.result,
            "at": one.at,
            "reason": one.reason,
        }
        for one in transitions.outcomes
    ]
    if outcomes:
        names = ("enrolment_id", "step", "result", "at", "reason")
        types = {"at": step_outcome.c.at.type}
        said = [sa.bindparam(name, type_=types.get(name, sa.Text())) for name in names[1:]]
        found = sa.select(enrolment.c.id, *said).where(which)
        connection.execute(sa.insert(step_outcome).from_select(list(names), found), outcomes)
    due = [
        {
            "of_rule": one.enrolment.rule,
            "of_key": one.enrolment.key,
            "coming": one.step,
            "due": one.at,
        }
        for one in transitions.next_due
    ]
    if due:
        values: dict[str, Any] = {
            "next_step": sa.bindparam("coming"),
            "next_due_at": sa.bindparam("due"),
        }
        connection.execute(sa.update(enrolment).where(which).values(values), due)


def _expected(known: Enrolment) -> dict[str, Any]:
    return {"which": known.id, "expected_status": known.status}


def _update(
    connection: sa.Connection, values: dict[str, Any], parameters: list[dict[str, Any]]
) -> None:
    if not parameters:
        return
    result = connection.execute(
        sa.update(enrolment)
        .where(
            enrolment.c.id == sa.bindparam("which"),
            enrolment.c.status == sa.bindparam("expected_status"),
        )
        .values(values),
        parameters,
    )
    if result.rowcount != len(parameters):
        raise moved_meanwhile()


def _insert(connection: sa.Connection, transitions: Transitions, run_id: int) -> None:
    entering = [enrol for enrol in transitions.enrol if enrol.reopens is None]
    if not entering:
        return
    try:
        connection.execute(
            sa.insert(enrolment),
            [
                {
                    "rule": enrol.ref.rule,
                    "rule_version": enrol.rule_version,
                    "subject": enrol.ref.subject,
                    "key": enrol.ref.key,
                    "steps": list(enrol.steps),
                    "status": enrol.status,
                    "entered_at": transitions.at,
                    "holds_since": enrol.holds_since,
                    "run_id": run_id,
                }
                for enrol in entering
            ],
        )
    except sa.exc.IntegrityError as error:
        raise moved_meanwhile() from error


def moved_meanwhile() -> StoreBusyError:
    """Another run has committed since this one read the ledger."""
    return StoreBusyError(
        "another run has recorded the same subjects meanwhile; nothing of this run was recorded; "
        "run again"
    )


def stop_enrolments(
    connection: sa.Connection, numbers: Sequence[int], *, at: datetime, reason: str
) -> None:
    """End active enrolments, by their numbers; they are not new while their conditions hold."""
    rows = [{"which": number, "expected_status": EnrolmentStatus.ACTIVE} for number in numbers]
    values: dict[str, Any] = {
        "status": EnrolmentStatus.OVER,
        "ended_at": at,
        "end_reason": reason,
        "next_step": None,
        "next_due_at": None,
    }
    _update(connection, values, rows)


def decide_previewed(
    connection: sa.Connection, numbers: Sequence[int], status: EnrolmentStatus, *, at: datetime
) -> None:
    """Move previewed enrolments, by their numbers, as a person says.

    Raises:
        StoreBusyError: one of them is no longer previewed.
    """
    _update(
        connection,
        {"status": sa.bindparam("new_status"), "entered_at": sa.bindparam("entered")},
        [
            {
                "which": number,
                "expected_status": EnrolmentStatus.PREVIEWED,
                "new_status": status,
                "entered": at,
            }
            for number in numbers
        ],
    )
