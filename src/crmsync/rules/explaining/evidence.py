"""What a clause saw, by name: the records that counted, and the changes.

Asked only of the few subjects that are explained: everything is restricted to their ids before it
is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis

from crmsync.model.records import NOTHING
from crmsync.model.tables import natural_time
from crmsync.rules.conditions import (
    HISTORY,
    TIMES,
    Change,
    Clause,
    Comparison,
    Quantifier,
    Related,
)
from crmsync.rules.evaluation import history
from crmsync.rules.evaluation.asked import Asked
from crmsync.rules.evaluation.rows import latest_rows, related_rows, tally_key
from crmsync.rules.explaining.words import record_words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    import ibis.expr.types as ir

    from crmsync.model.records import Given
    from crmsync.rules.conditions import Column
    from crmsync.rules.evaluation.world import World

_MOST = 3
_SMALLEST_OR_LARGEST = frozenset({Quantifier.MIN, Quantifier.MAX})


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A record that a verdict rests on, or a change of one of its fields.

    Attributes:
        table: of the record.
        record: its global id.
        words: what a person would call it: ``email “Re: renewal”``, ``tier from gold to silver``.
        at: when it happened; an instant (aware) or a day; None where nothing says so.
        by: who did it, by name; None where nobody is named.
        url: where a person finds it in the CRM; None where the CRM gives no link.
    """

    table: str
    record: str
    words: str
    at: datetime | date | None = None
    by: str | None = None
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a clause saw of one subject.

    Attributes:
        near: the id of the record that the clause is about, at the end of its path.
        value: what was compared.
        then: of ``was``, the instant that is meant.
    """

    near: str
    value: object = None
    then: datetime | None = None


class Witnesses:
    """Finds evidence, each kind with one query for all subjects.

    Args:
        asked: clauses, each with what it saw of every subject, by the subject's id.
    """

    def __init__(self, world: World, asked: Sequence[tuple[Clause, Mapping[str, Seen]]]) -> None:
        self._world = world
        self._asked = asked
        self._found: dict[tuple[object, tuple[str, ...]], dict[str, list[dict[str, Any]]]] = {}

    def changes(self) -> list[dict[str, list[Evidence]]]:
        """For each clause, by subject, the change that ``changed`` and ``was`` saw."""
        return [
            self._changes_of(clause, seen)
            if isinstance(clause, Comparison) and clause.test.operator in HISTORY
            else {}
            for clause, seen in self._asked
        ]

    def everything(self) -> list[dict[str, list[Evidence]]]:
        """For each clause, by subject, what it rests on."""
        changes = self.changes()
        chosen = [self._chosen(clause, seen) for clause, seen in self._asked]
        named: dict[str, set[str]] = {}
        for lines in chosen:
            for rows in lines.values():
                for row in rows:
                    named.setdefault(row["table"], set()).add(row["record"])
        words = {
            (table, i): told
            for table, ids in named.items()
            for i, told in record_words(self._world, table, ids).items()
        }
        return [
            change
            | {
                subject: [
                    Evidence(
                        table=row["table"],
                        record=row["record"],
                        at=row["at"],
                        **words[row["table"], row["record"]],
                    )
                    for row in rows
                    if (row["table"], row["record"]) in words
                ]
                for subject, rows in lines.items()
            }
            for change, lines in zip(changes, chosen, strict=True)
        ]

    # -- records

    def _chosen(self, clause: Clause, seen: Mapping[str, Seen]) -> dict[str, list[dict[str, Any]]]:
        """By subject, the rows that are shown."""
        near = {saw.near for saw in seen.values()}
        if not near:
            return {}
        if isinstance(clause, Related):
            given = self._world.given(Asked.by([clause]))
            rows = self._fetched(_related_key(clause), lambda: self._related(clause), near, given)
            exact = clause.quantifier in _SMALLEST_OR_LARGEST
        elif clause.column.fact is not None:
            column = clause.column
            rows = self._fetched(column.fact, lambda: self._fact(column), near)
            exact = column.type in TIMES
        else:
            return {}
        return {
            subject: _latest([r for r in rows.get(saw.near, ()) if not exact or _gave(r, saw)])
            for subject, saw in seen.items()
        }

    def _fetched(
        self,
        key: object,
        build: Callable[[], ir.Table | None],
        near: Collection[str],
        given: Given = NOTHING,
    ) -> dict[str, list[dict[str, Any]]]:
        ids = tuple(sorted(near))
        if (key, ids) not in self._found:
            found = self._found[key, ids] = {}
            rows = build()
            if rows is not None:
                rows = rows.filter(rows.id.isin(ids)).distinct()
                for row in self._world.query(rows, given).to_pylist():
                    found.setdefault(row["id"], []).append(row)
        return self._found[key, ids]

    def _fact(self, column: Column) -> ir.Table | None:
        return None if column.fact is None else self._world.fact_evidence(column.fact)

    def _related(self, clause: Related) -> ir.Table:
        target = clause.of.relation.target
        rows = related_rows(self._world, clause)
        if clause.quantifier is Quantifier.LATEST:
            rows = latest_rows(self._world, rows)
        elif clause.quantifier is Quantifier.EVERY:
            rows = rows.filter(rows.counts & ~rows.each)
        else:
            rows = rows.filter(rows.counts)
        times = self._world.table(target)
        times = times.select(far_id="id", at=natural_time(target))
        value = {"value": rows.value} if "value" in rows.columns else {}
        rows = rows.select(id=rows.record, table=ibis.literal(target), record=rows.id, **value)
        return rows.left_join(times, [("record", "far_id")]).drop("far_id")

    # -- changes

    def _changes_of(
        self, clause: Comparison, seen: Mapping[str, Seen]
    ) -> dict[str, list[Evidence]]:
        column = clause.column
        near = sorted({saw.near for saw in seen.values()})
        if not near:
            return {}
        changes = self._world.changes(column.owner, column.name)
        changes = changes.filter(changes.id.isin(near))
        if isinstance(clause.test.operand, Change):
            changes = history.fitting(changes, clause.test.operand)
            changes = changes.filter(changes["at"] <= self._world.tables.now)
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self._world.query(changes.order_by("at", "place")).to_pylist():
            found.setdefault(row["id"], []).append(row)
        urls = record_words(self._world, column.owner, found)
        return {
            subject: [
                Evidence(
                    table=column.owner,
                    record=saw.near,
                    words=f"{column.name} from {_named(row['old'])} to {_named(row['new'])}",
                    at=row["at"],
                    url=urls.get(saw.near, {}).get("url"),
                )
                for row in _deciding(found.get(saw.near, []), saw.then)
            ]
            for subject, saw in seen.items()
        }


def _deciding(changes: list[dict[str, Any]], then: datetime | None) -> list[dict[str, Any]]:
    """The latest change; of a time in the past, the one that made the value that it had then."""
    before = [row for row in changes if then is None or row["at"] <= then]
    after = [row for row in changes if then is not None and row["at"] > then]
    return before[-1:] or after[:1]


def _related_key(clause: Related) -> object:
    return clause.quantifier, tally_key(clause)


def _gave(row: Mapping[str, Any], saw: Seen) -> bool:
    """Whether a record has the value that was seen."""
    return bool(saw.value is not None and row.get("value", row["at"]) == saw.value)


def _latest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    dated = [row for row in rows if row["at"] is not None]
    undated = [row for row in rows if row["at"] is None]
    dated.sort(key=lambda row: (row["at"], row["record"]), reverse=True)
    undated.sort(key=lambda row: row["record"])
    return [*dated, *undated][:_MOST]


def _named(value: object) -> str:
    from crmsync.rules.evaluation.evaluate import as_text  # noqa: PLC0415  evaluate is made of the same rows

    return as_text(value) or "nothing"
