"""Merged records: who was contacted as the one that is gone was contacted as the survivor."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.journeys.keys import once_key, once_paths
from crmsync.ledger.values.enrolments import History

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync.ledger.values.enrolments import EnrolmentSnapshot
    from crmsync.rules.conditions import Column
    from crmsync.rules.language import Rule

    # By table, the ids of merged records, each with the survivor.
    Aliases = Mapping[str, Mapping[str, str]]


def follow_merges(
    snapshot: EnrolmentSnapshot, rules: Sequence[Rule], aliases: Aliases
) -> EnrolmentSnapshot:
    """The snapshot with survivors in the place of the records that were merged into them.

    An enrolment keeps its key, which is what makes it the one it is; what that key says now is in
    ``keys_now``. The ledger itself is left alone, so that a merge that is undone in the CRM is
    undone here.
    """
    if not any(aliases.values()):
        return snapshot
    subjects = {rule.name: aliases.get(rule.subject, {}) for rule in rules}

    def living(rule: str, subject: str) -> str:
        return subjects.get(rule, {}).get(subject, subject)

    known = {*snapshot.used_keys}
    known |= {(one.ref.rule, one.ref.key) for one in snapshot.open}
    keys_now = _keys_now(known, rules, aliases)
    used = {
        (rule, keys_now.get((rule, key), key)): living(rule, subject)
        for (rule, key), subject in snapshot.used_keys.items()
    }
    return replace(
        snapshot,
        open=tuple(
            replace(one, ref=replace(one.ref, subject=living(one.ref.rule, one.ref.subject)))
            for one in snapshot.open
        ),
        histories=_histories(snapshot, subjects),
        used_keys={**snapshot.used_keys, **used},
        keys_now=keys_now,
    )


def _histories(
    snapshot: EnrolmentSnapshot, subjects: Mapping[str, Mapping[str, str]]
) -> dict[tuple[str, str], History]:
    """A survivor was last active when any of its records was; its own enrolments are counted."""
    found = dict(snapshot.histories)
    for (rule, subject), history in snapshot.histories.items():
        survivor = subjects.get(rule, {}).get(subject)
        if survivor is None:
            continue
        own = found.get((rule, survivor), History())
        instants = [at for at in (own.last_active_at, history.last_active_at) if at is not None]
        found[rule, survivor] = replace(own, last_active_at=max(instants, default=None))
    return found


def _keys_now(
    known: set[tuple[str, str]], rules: Sequence[Rule], aliases: Aliases
) -> dict[tuple[str, str], str]:
    """The keys of ``once_per`` that name a merged record, each with what it says now."""
    columns = {rule.name: {c.path: c for c in rule.once_per_columns} for rule in rules}
    found: dict[tuple[str, str], str] = {}
    for rule, key in known:
        paths = once_paths(key)
        if not paths or rule not in columns:
            continue
        values = {
            path: _survivors(columns[rule].get(path), aliases).get(value, value)
            for path, value in json.loads(key).items()
        }
        now = once_key(tuple(values), tuple(values.values()))
        if now != key:
            found[rule, key] = now
    return found


def _survivors(column: Column | None, aliases: Aliases) -> Mapping[str, str]:
    """The aliases of the records that a column names; none where it names none."""
    if column is None:
        return {}
    return aliases.get(column.owner if column.name == "id" else column.references or "", {})
