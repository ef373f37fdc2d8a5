"""A rule with a schedule lets people in only when that comes; those inside are looked after."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.ledger.values.enrolments import EnrolmentStatus, Held, HeldBecause

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from crmsync.ledger.values.enrolments import EnrolmentRef, Transitions


def keep_out(transitions: Transitions, resting: Mapping[str, datetime | None]) -> Transitions:
    """The moves without those by which somebody would become active in a rule that rests.

    Args:
        resting: by the rule's name, when its schedule comes next (UTC), if it ever does.
    """
    if not resting:
        return transitions

    def enters(ref: EnrolmentRef, status: EnrolmentStatus) -> bool:
        return status is EnrolmentStatus.ACTIVE and ref.rule in resting

    enrol = [move for move in transitions.enrol if enters(move.ref, move.status)]
    activate = [move for move in transitions.activate if enters(move.enrolment.ref, move.status)]
    held = tuple(
        Held(
            rule=ref.rule,
            subject=ref.subject,
            because=HeldBecause.RESTING,
            reason="it enters when the schedule of the rule comes",
            until=resting[ref.rule],
        )
        for ref in (*(move.ref for move in enrol), *(move.enrolment.ref for move in activate))
    )
    return replace(
        transitions,
        enrol=tuple(move for move in transitions.enrol if not enters(move.ref, move.status)),
        activate=tuple(
            move for move in transitions.activate if not enters(move.enrolment.ref, move.status)
        ),
        held=(*transitions.held, *held),
    )
