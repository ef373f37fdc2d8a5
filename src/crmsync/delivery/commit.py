"""What a run has decided, recorded at one stroke before any of it is attempted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.ledger.enrolments import move_enrolments
from crmsync.ledger.outbox import drop_skipped, drop_waiting, record_effects, withhold
from crmsync.ledger.stops import check_stops
from crmsync.ledger.store import record_decisions
from crmsync.ledger.values.enrolments import SKIPPED, EnrolmentStatus
from crmsync.observe.failpoints import passing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from crmsync.ledger.stops import Stop
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import NewEffect, Withheld
    from crmsync.ledger.values.enrolments import Transitions
    from crmsync.ledger.values.runs import Decision


def commit_plan(
    ledger: Ledger,
    run_id: int,
    transitions: Transitions,
    effects: Sequence[NewEffect] = (),
    decisions: Sequence[Decision] = (),
    *,
    withheld: Sequence[Withheld] = (),
    stops: Sequence[Stop] | None = None,
) -> int:
    """Record enrolment moves, effects and decisions in one transaction: all of them, or none.

    What an enrolment that ended or begins anew has waiting in the outbox is dropped; the answer is
    how many that were.
    What is withheld is no longer ready, until a later run's gates let it pass.
    ``stops`` are those that the gates knew of; None leaves out holding them against the ledger's.

    Raises:
        StoreBusyError: another run has recorded some of the same meanwhile, or a person has said
            that somebody is to be left alone; run again.
        StoreError: the ledger cannot be written.
    """
    at, actor = transitions.at, f"run {run_id}"
    ended = {end.enrolment.id: f"its enrolment ended: {end.reason}" for end in transitions.end}
    anew = "its enrolment begins anew"
    ended |= {
        move.enrolment.id: anew
        for move in transitions.activate
        if move.enrolment.status is EnrolmentStatus.ACTIVE
    }

    skipped = [one for one in transitions.outcomes if one.result == SKIPPED]

    def record(connection: sa.Connection) -> int:
        if stops is not None:
            check_stops(connection, stops, now=at)
        move_enrolments(connection, transitions, run_id=run_id)
        dropped = drop_waiting(connection, ended, at=at, actor=actor)
        drop_skipped(connection, skipped, at=at, actor=actor)
        record_effects(connection, effects, run_id=run_id, at=at)
        withhold(connection, withheld, at=at, actor=actor)
        record_decisions(connection, run_id, decisions, at=at)
        passing("plan.recording")
        return dropped

    return ledger.write(record)
