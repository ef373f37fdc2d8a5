"""Enrolments that are remembered and never written: for replaying the past.

What is committed here is remembered as `crmsync.ledger.enrolments` would remember it in a database.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.ledger.values.enrolments import (
    CONTACTED,
    OPEN,
    Enrolment,
    EnrolmentSnapshot,
    EnrolmentStatus,
    History,
)

if TYPE_CHECKING:
    from crmsync.ledger.values.enrolments import Activate, Enrol, Transitions


class VirtualEnrolments:
    """What a ledger would hold of enrolments, beginning with nothing."""

    def __init__(self) -> None:
        self._rows: dict[int, Enrolment] = {}
        self._open: dict[int, Enrolment] = {}
        self._of_subject: dict[tuple[str, str], set[int]] = {}
        self._histories: dict[tuple[str, str], History] = {}
        self._used: dict[tuple[str, str], str] = {}
        self._lapsed: dict[tuple[str, str], int] = {}
        self._seen: dict[str, str | None] = {}

    def snapshot(self) -> EnrolmentSnapshot:
        """All that deciding on enrolments needs to remember; valid until the next commit."""
        return EnrolmentSnapshot(
            open=tuple(self._open[number] for number in sorted(self._open)),
            histories=self._histories,
            used_keys=self._used,
            lapsed=self._lapsed,
            seen_rules=self._seen,
        )

    def commit(self, transitions: Transitions) -> None:
        """Remember the moves."""
        at = transitions.at
        for end in transitions.end:
            row = self._rows[end.enrolment.id]
            self._keep(
                replace(
                    row,
                    status=end.status,
                    ended_at=row.ended_at or at,
                    end_reason=end.reason,
                    goal=end.goal,
                )
            )
        for activation in transitions.activate:
            self._enter(self._rows[activation.enrolment.id], activation, transitions)
        for enrol in transitions.enrol:
            if enrol.reopens is None:
                number = len(self._rows) + 1
            else:
                number = enrol.reopens
                self._forget(self._rows[number])
            row = Enrolment(
                id=number,
                ref=enrol.ref,
                rule_version=enrol.rule_version,
                steps=enrol.steps,
                status=enrol.status,
                entered_at=at,
            )
            self._enter(row, enrol, transitions)
        for rule in transitions.gone_rules:
            self._seen.pop(rule, None)
        self._seen |= transitions.new_rules

    def _enter(self, row: Enrolment, move: Activate | Enrol, transitions: Transitions) -> None:
        self._keep(
            replace(
                row,
                status=move.status,
                rule_version=move.rule_version,
                steps=move.steps,
                entered_at=transitions.at,
                holds_since=move.holds_since,
                ended_at=None,
                end_reason=None,
                goal=False,
            )
        )

    def _keep(self, row: Enrolment) -> None:
        self._rows[row.id] = row
        rule, key = row.ref.rule, row.ref.key
        if row.status in OPEN:
            self._open[row.id] = row
        else:
            self._open.pop(row.id, None)
        if row.status is EnrolmentStatus.LAPSED:
            self._lapsed[rule, key] = row.id
            self._used.pop((rule, key), None)
        else:
            self._lapsed.pop((rule, key), None)
            if key.startswith("{"):
                self._used[rule, key] = row.ref.subject
        self._of_subject.setdefault((rule, row.ref.subject), set()).add(row.id)
        self._count(rule, row.ref.subject)

    def _forget(self, row: Enrolment) -> None:
        """The enrolment may go to another subject."""
        rule, subject = row.ref.rule, row.ref.subject
        self._of_subject[rule, subject].discard(row.id)
        self._count(rule, subject)

    def _count(self, rule: str, subject: str) -> None:
        rows = [self._rows[number] for number in self._of_subject[rule, subject]]
        if not rows:
            del self._histories[rule, subject]
            return
        entered = [row.entered_at for row in rows if row.status in CONTACTED]
        self._histories[rule, subject] = History(
            enrolments=len(rows), last_active_at=max(entered, default=None)
        )
