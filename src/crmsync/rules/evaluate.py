"""Evaluates rules: who matches, and of whom it cannot be said."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import sqlglot.expressions as sge

from crmsync.model.verdicts import RuleVerdicts
from crmsync.rules.conditions import clauses
from crmsync.rules.predicates import predicate, seen
from crmsync.rules.reasons import reason_columns, sentence
from crmsync.rules.rows import ID, Rows
from crmsync.rules.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    import ibis.expr.types as ir

    from crmsync.model.records import RecordSource
    from crmsync.plugins.contract import Fact
    from crmsync.rules.language import Rule

_numbers = itertools.count(1)


def evaluate(  # noqa: PLR0913  everything that a verdict depends on
    rules: Sequence[Rule],
    source: RecordSource,
    facts: Sequence[Fact],
    *,
    now: datetime,
    company_zone: ZoneInfo,
    country: str | None,
    bound: Callable[[str], timedelta],
) -> Mapping[str, RuleVerdicts]:
    """The verdicts of rules at an instant, by the rule's name.

    What several rules of a subject ask of it is computed once.

    Args:
        now: aware; the only present that the rules know.
        company_zone: where today is told for a subject without a time zone of its own.
        country: whose public holidays are no business days; None counts only weekends.
        bound: how old what was read of a table may be, before clauses about it are unknown.
    """
    world = World(source, facts, now=now, company_zone=company_zone, country=country, bound=bound)
    verdicts: dict[str, RuleVerdicts] = {}
    for subject in dict.fromkeys(rule.subject for rule in rules):
        verdicts |= _evaluate_subject(world, subject, [r for r in rules if r.subject == subject])
    return {rule.name: verdicts[rule.name] for rule in rules}


def _evaluate_subject(world: World, subject: str, rules: Sequence[Rule]) -> dict[str, RuleVerdicts]:
    rows = Rows(
        world,
        subject,
        [rule.when for rule in rules],
        [column for rule in rules for column in rule.once_per_columns],
    )
    with _kept(world, rows.expression()) as wide:
        subjects = int(wide.count().to_pyarrow().as_py())
        return {rule.name: _verdicts(rows, wide, rule, subjects) for rule in rules}


@contextmanager
def _kept(world: World, expression: ir.Table) -> Iterator[ir.Table]:
    """The wide table, computed once and kept for as long as the rules read it."""
    backend = world.source.backend
    name = f"crmsync_rows_{next(_numbers)}"
    table = backend.create_table(name, expression, temp=True)
    try:
        yield table
    finally:
        # Not backend.drop_table: Ibis 12 names the table where sqlglot 30.30 no longer looks.
        named = sge.table_(name, db="main", catalog="temp", quoted=True)
        backend.raw_sql(sge.Drop(kind="TABLE", tables=[named]))


def _verdicts(rows: Rows, wide: ir.Table, rule: Rule, subjects: int) -> RuleVerdicts:
    once_per = {
        f"once_{i}": seen(rows, wide, column).value
        for i, column in enumerate(rule.once_per_columns)
    }
    verdict = wide.select(id=wide[ID], verdict=predicate(rows, wide, rule.when), **once_per)
    found = verdict.filter(verdict.verdict | verdict.verdict.isnull()).to_pyarrow().to_pydict()
    columns = [found[name] for name in once_per]
    matches: dict[str, tuple[str, ...]] = {}
    unknown: list[str] = []
    for i, (record_id, is_match) in enumerate(zip(found["id"], found["verdict"], strict=True)):
        if is_match:
            matches[record_id] = tuple(as_text(column[i]) for column in columns)
        else:
            unknown.append(record_id)
    return RuleVerdicts(
        rule=rule.name,
        matches=matches,
        unknown=_reasons(rows, wide, rule) if unknown else {},
        subjects=subjects,
    )


def _reasons(rows: Rows, wide: ir.Table, rule: Rule) -> dict[str, tuple[str, ...]]:
    """For each subject of which it cannot be said, a sentence for each undecided clause."""
    held = [clause for clause in clauses(rule.when) if clause.unknown_as is None]
    columns: dict[str, ir.Value] = {}
    for i, clause in enumerate(held):
        columns[f"code_{i}"], columns[f"connection_{i}"] = reason_columns(rows, wide, clause)
    undecided = wide.filter(predicate(rows, wide, rule.when).isnull())
    found = undecided.select(id=undecided[ID], **columns).to_pyarrow().to_pylist()
    sentences: dict[tuple[int, int, str | None], str] = {}
    reasons: dict[str, tuple[str, ...]] = {}
    for row in found:
        told: list[str] = []
        for i, clause in enumerate(held):
            code, connection = row[f"code_{i}"], row[f"connection_{i}"]
            if code is None:
                continue
            key = (i, code, connection)
            if key not in sentences:
                sentences[key] = sentence(rows.world, clause, code, connection)
            told.append(sentences[key])
        reasons[row["id"]] = tuple(dict.fromkeys(told))
    return reasons


def as_text(value: object) -> str:
    """A value as it stands in keys and reports; empty for nothing."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Decimal():
            return f"{value.normalize():f}"
        case datetime() | date():
            return value.isoformat()
        case _:
            return str(value)
