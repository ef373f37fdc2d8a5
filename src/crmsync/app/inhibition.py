"""Which inhibiting rules an account is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.journeys.due import active_enrolments
from crmsync.rules.inhibition import inhibitors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmsync.ledger.values.enrolments import EnrolmentSnapshot, Transitions
    from crmsync.model.records import LiveRecords
    from crmsync.rules.language import Rule

_ACCOUNT = "account"


class Inhibition:
    """Who is in a rule that inhibits others, once the transitions hold."""

    def __init__(
        self,
        rules: Iterable[Rule],
        records: LiveRecords,
        snapshot: EnrolmentSnapshot,
        transitions: Transitions,
    ) -> None:
        rules = tuple(rules)
        self._inhibitors = inhibitors(rules)
        inhibiting = frozenset().union(*self._inhibitors.values())
        inside: dict[str, set[str]] = {}
        for ref, _, _ in active_enrolments(snapshot, transitions):
            if ref.rule in inhibiting:
                inside.setdefault(ref.rule, set()).add(ref.subject)
        self._accounts = {
            rule.name: _accounts(records, rule.subject, inside[rule.name])
            for rule in rules
            if rule.name in inside
        }

    def of(self, rule: str, account: str | None) -> tuple[str, ...]:
        """The names of the rules that keep a rule from acting for an account (global id)."""
        return tuple(
            name
            for name in sorted(self._inhibitors[rule])
            if account in self._accounts.get(name, ())
        )


def _accounts(records: LiveRecords, table: str, subjects: set[str]) -> frozenset[str]:
    if table == _ACCOUNT:
        return frozenset(subjects)
    rows = records.rows(table, subjects).values()
    return frozenset(row[_ACCOUNT] for row in rows if row.get(_ACCOUNT))
