"""Effects are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync.errors import StoreError
from crmsync.ledger.batches import rows_where
from crmsync.ledger.payload import from_payload
from crmsync.ledger.schema import effect, enrolment
from crmsync.ledger.states import State
from crmsync.ledger.values.effects import Effect, MadeTask, StepState
from crmsync.ledger.values.enrolments import EnrolmentRef
from crmsync.model.actions import ActionKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from crmsync.model.actions import Action


SELECT_EFFECTS: sa.Select[Any] = sa.select(
    effect.c.id,
    effect.c.key,
    effect.c.run_id,
    enrolment.c.rule,
    enrolment.c.subject,
    enrolment.c.key.label("enrolment_key"),
    effect.c.step,
    effect.c.connection,
    effect.c.payload,
    effect.c.state,
    effect.c.attempts,
    effect.c.in_doubt,
    effect.c.updated_at,
    effect.c.not_before,
    effect.c.worker,
    effect.c.lease_until,
    effect.c.remote_id,
    effect.c.url,
    effect.c.error,
).join(enrolment, enrolment.c.id == effect.c.enrolment_id)


# Of a task that was there already, and was changed, its own id.
_MADE_OR_CHANGED = sa.case(
    (
        effect.c.kind == ActionKind.UPDATE.value,
        effect.c.payload["record"]["id"].as_string(),
    ),
    else_=effect.c.remote_id,
)
_PORTION = 500  # well below what any database takes as parameters of one statement
# What takes a task back, or logs a mail, is no step of a rule, and asks no gate.
OWN_STEP = "~"  # begins the names of steps of our own, that no rule has
IS_STEP = sa.and_(
    effect.c.kind.not_in([ActionKind.WITHDRAWAL.value, ActionKind.LOG.value]),
    sa.not_(effect.c.step.startswith(OWN_STEP)),
)


def read_effects(
    connection: sa.Connection,
    *,
    run_id: int | None = None,
    states: Collection[State] = (),
    kinds: Collection[ActionKind] = (),
    subject: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> tuple[Effect, ...]:
    """Effects in the order in which they were first recorded."""
    query = SELECT_EFFECTS.order_by(effect.c.id)
    if run_id is not None:
        query = query.where(effect.c.run_id == run_id)
    if states:
        query = query.where(effect.c.state.in_(sorted(states)))
    if kinds:
        query = query.where(effect.c.kind.in_(sorted(kinds)))
    if subject is not None:
        query = query.where(enrolment.c.subject == subject)
    if since is not None:
        query = query.where((effect.c.updated_at >= since) | (effect.c.not_before >= since))
    if limit is not None:
        query = query.limit(limit)
    return tuple(effect_of(row) for row in connection.execute(query).all())


def read_effects_by_id(connection: sa.Connection, ids: Sequence[int]) -> tuple[Effect, ...]:
    """Effects by their numbers, in the order in which they were first recorded."""
    return tuple(effect_of(row) for row in rows_where(connection, effect.c.id, ids, _IN_ORDER))


_IN_ORDER = SELECT_EFFECTS.order_by(effect.c.id)


def read_made_tasks(
    connection: sa.Connection, rules: Collection[str], subjects: Collection[str]
) -> list[MadeTask]:
    """The tasks that rules have made for these subjects, the oldest first."""
    columns = (enrolment.c.rule, enrolment.c.subject, enrolment.c.key.label("enrolment_key"))
    asked = (
        sa.select(*columns, effect.c.step, effect.c.connection, effect.c.remote_id)
        .add_columns(effect.c.updated_at.label("at"), effect.c.id)
        .join(enrolment, enrolment.c.id == effect.c.enrolment_id)
        .where(
            effect.c.kind == ActionKind.TASK.value,
            effect.c.state == State.DONE,
            effect.c.remote_id.is_not(None),
            enrolment.c.rule.in_(sorted(rules)),
        )
    )
    found: dict[int, MadeTask] = {}
    wanted = sorted(subjects)
    for start in range(0, len(wanted), _PORTION):
        portion = wanted[start : start + _PORTION]
        for row in connection.execute(asked.where(enrolment.c.subject.in_(portion))):
            found[row.id] = MadeTask(
                rule=row.rule,
                subject=row.subject,
                enrolment_key=row.enrolment_key,
                step=row.step,
                connection=row.connection,
                remote_id=row.remote_id,
                at=row.at,
            )
    return [found[number] for number in sorted(found)]


def read_step_states(
    connection: sa.Connection, statuses: Collection[str]
) -> dict[EnrolmentRef, dict[str, StepState]]:
    """How far the steps of the enrolments with these statuses have come."""
    found: dict[EnrolmentRef, dict[str, StepState]] = {}
    rows = connection.execute(
        sa.select(
            enrolment.c.rule,
            enrolment.c.subject,
            enrolment.c.key,
            effect.c.step,
            effect.c.key.label("effect_key"),
            effect.c.state,
            effect.c.in_doubt,
            effect.c.not_before,
            effect.c.updated_at,
            effect.c.connection,
            _MADE_OR_CHANGED.label("remote_id"),
            effect.c.error,
        )
        .join(enrolment, enrolment.c.id == effect.c.enrolment_id)
        .where(enrolment.c.status.in_(sorted(statuses)), IS_STEP)
    )
    for row in rows:
        ref = EnrolmentRef(rule=row.rule, subject=row.subject, key=row.key)
        found.setdefault(ref, {})[row.step] = StepState(
            key=row.effect_key,
            state=State(row.state),
            at=row.updated_at,
            connection=row.connection,
            in_doubt=row.in_doubt,
            not_before=row.not_before,
            remote_id=row.remote_id,
            error=row.error,
        )
    return found


def number_of(connection: sa.Connection, keys: Sequence[str]) -> dict[str, int]:
    """By their keys, the ledger's numbers of those effects that are there."""
    return {row.key: row.id for row in rows_where(connection, effect.c.key, keys, _NUMBERS)}


_NUMBERS = sa.select(effect.c.key, effect.c.id)


def effect_of(row: tuple[Any, ...]) -> Effect:
    """An effect from a row of `SELECT_EFFECTS`."""
    number, key, run_id, rule, subject, enrolment_key, step, connection, payload, *rest = row
    state, attempts, in_doubt, updated_at, not_before, worker, lease_until, *rest = rest
    remote_id, url, error = rest
    return Effect(
        id=number,
        key=key,
        run_id=run_id,
        enrolment=EnrolmentRef(rule=rule, subject=subject, key=enrolment_key),
        step=step,
        connection=connection,
        action=action_of(key, payload),
        state=State(state),
        attempts=attempts,
        in_doubt=in_doubt,
        updated_at=updated_at,
        not_before=not_before,
        worker=worker,
        lease_until=lease_until,
        remote_id=remote_id,
        url=url,
        error=error,
    )


def action_of(key: str, payload: dict[str, Any]) -> Action:
    """What the effect of this key is to do.

    Raises:
        StoreError: it is not what was stored.
    """
    action = from_payload(payload)
    if action.key != key:
        raise StoreError(f"the ledger is damaged: effect {key} holds an action of another key")
    return action
