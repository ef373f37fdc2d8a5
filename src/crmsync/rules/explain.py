"""Says of one subject why a rule matches it or not: every clause with what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crmsync.errors import UsageError
from crmsync.model.verdicts import Truth
from crmsync.rules.conditions import (
    TIMES,
    All,
    AnyOf,
    Column,
    Comparison,
    Condition,
    InSegment,
    Not,
    Quantifier,
    Related,
    clauses,
    parts,
)
from crmsync.rules.distance import distance
from crmsync.rules.evaluate import as_text
from crmsync.rules.predicates import clause_verdict, predicate, seen, tallied
from crmsync.rules.reasons import reason_columns, sentence
from crmsync.rules.rows import ID, Rows
from crmsync.rules.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from zoneinfo import ZoneInfo

    import ibis.expr.types as ir

    from crmsync.config.yaml import Place
    from crmsync.model.records import RecordSource
    from crmsync.plugins.contract import Fact
    from crmsync.rules.language import Rule

_TALLIED = frozenset({Quantifier.SUM, Quantifier.AVG, Quantifier.MIN, Quantifier.MAX})


@dataclass(frozen=True, kw_only=True)
class ClauseReport:
    """A condition, and how it stands with one subject.

    Attributes:
        text: as written; for groups ``all``, ``any``, ``not``, ``none_of``.
        verdict: with ``if_unknown`` applied, so that the tree adds up.
        value: what the clause saw, as text; “never” and “nothing” where there was nothing.
        distance: how far from true, such as “3 of 14 days”; None where that says nothing.
        reason: why it is unknown, or what an unknown counted as; None where it is known.
        parts: the conditions that it is made of.
    """

    text: str
    verdict: Truth
    place: Place
    value: str | None = None
    distance: str | None = None
    reason: str | None = None
    parts: tuple[ClauseReport, ...] = ()


def explain(  # noqa: PLR0913  everything that a verdict depends on
    rule: Rule,
    subject_id: str,
    source: RecordSource,
    facts: Sequence[Fact],
    *,
    now: datetime,
    company_zone: ZoneInfo,
    country: str | None,
    bound: Callable[[str], timedelta],
) -> ClauseReport:
    """How a rule stands with one subject, by the same expressions as `evaluate`.

    Args:
        subject_id: the global id.
        now: aware; with the rest as for `evaluate`.

    Raises:
        UsageError: there is no such record among the rule's subjects.
    """
    world = World(source, facts, now=now, company_zone=company_zone, country=country, bound=bound)
    reports = explain_all(rule, [subject_id], world)
    if subject_id not in reports:
        raise UsageError(f"there is no {rule.subject} “{subject_id}” that rules can see")
    return reports[subject_id]


def explain_all(rule: Rule, subject_ids: Sequence[str], world: World) -> Mapping[str, ClauseReport]:
    """The same for several subjects in one query, by global id; absent where there is no record."""
    rows = Rows(world, rule.subject, [rule.when], ids=list(subject_ids), zone=True)
    wide = rows.expression()
    asked = list(clauses(rule.when))
    columns: dict[str, ir.Value] = {"id": wide[ID]}
    if rows.zone is not None:
        columns["zone"] = seen(rows, wide, rows.zone).value
    for i, clause in enumerate(asked):
        for name, value in _columns(rows, wide, clause).items():
            columns[f"{name}_{i}"] = value
    lines = world.source.backend.to_pyarrow(wide.select(**columns)).to_pylist()
    return {line["id"]: _Reporter(world, asked, line).report(rule.when) for line in lines}


def _columns(rows: Rows, wide: ir.Table, clause: Comparison | Related) -> dict[str, ir.Value]:
    """What is fetched of a clause."""
    columns: dict[str, ir.Value] = {
        "verdict": predicate(rows, wide, clause),
        "own": clause_verdict(rows, wide, clause),
    }
    columns["code"], columns["connection"] = reason_columns(rows, wide, clause)
    if isinstance(clause, Comparison):
        columns["value"] = seen(rows, wide, clause.column).value
        if isinstance(clause.test.operand, Column):
            columns["other"] = seen(rows, wide, clause.test.operand).value
    elif clause.quantifier is Quantifier.LATEST:
        columns["value"] = rows.tally(wide, clause, "time")
    elif clause.quantifier in _TALLIED:
        columns["value"] = tallied(rows, wide, clause).value
    else:
        columns["value"] = rows.tally(wide, clause, "yes").fill_null(0)
        columns["unsure"] = rows.tally(wide, clause, "maybe").fill_null(0)
    return columns


class _Reporter:
    def __init__(
        self, world: World, asked: list[Comparison | Related], line: dict[str, Any]
    ) -> None:
        self._world = world
        self._line = line
        self._calendar = world.calendar(line.get("zone"))
        # By identity: the same clause may stand twice, at two places.
        self._numbers = {id(clause): i for i, clause in enumerate(asked)}

    def report(self, condition: Condition) -> ClauseReport:
        if isinstance(condition, Comparison | Related):
            return self._clause(condition)
        below = tuple(self.report(part) for part in parts(condition))
        truths = [_VALUES[part.verdict] for part in below]
        return ClauseReport(
            text=condition.text,
            verdict=_truth(_combined(condition, truths)),
            place=condition.place,
            parts=below,
        )

    def _clause(self, clause: Comparison | Related) -> ClauseReport:
        i = self._numbers[id(clause)]
        own, verdict = self._line[f"own_{i}"], _truth(self._line[f"verdict_{i}"])
        value = self._line[f"value_{i}"]
        reason = away = None
        if own is None:
            code = self._line[f"code_{i}"]
            why = sentence(self._world, clause, int(code), self._line[f"connection_{i}"])
            counted = f"; counts as {verdict} here" if verdict is not Truth.UNKNOWN else ""
            reason = f"{why}{counted}"
        elif clause.test is not None:
            away = distance(value, clause.test, self._calendar)
        return ClauseReport(
            text=clause.text,
            verdict=verdict,
            place=clause.place,
            value=self._shown(clause, value, i, known=own is not None),
            distance=away,
            reason=reason,
        )

    def _shown(
        self, clause: Comparison | Related, value: object, i: int, *, known: bool
    ) -> str | None:
        if value is None:
            return "never" if known and _is_time_fact(clause) else "nothing" if known else None
        text = _readable(value)
        if f"other_{i}" in self._line:
            return f"{text}, against {_readable(self._line[f'other_{i}']) or 'nothing'}"
        if isinstance(clause, Related) and f"unsure_{i}" in self._line:
            unsure = self._line[f"unsure_{i}"]
            kind = "exceptions" if clause.quantifier is Quantifier.EVERY else "found"
            return f"{text} {kind}" + (f", {unsure} undecided" if unsure else "")
        return text


def _readable(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else as_text(value)


def _is_time_fact(clause: Comparison | Related) -> bool:
    if isinstance(clause, Related):
        return clause.column is not None and clause.column.type in TIMES
    fact = clause.column.fact
    return fact is not None and bool(fact.rests_on) and clause.column.type in TIMES


_VALUES = {Truth.YES: True, Truth.NO: False, Truth.UNKNOWN: None}


def _truth(value: bool | None) -> Truth:
    return Truth.UNKNOWN if value is None else Truth.YES if value else Truth.NO


def _combined(condition: Condition, truths: list[bool | None]) -> bool | None:
    """SQL's three values."""
    match condition:
        case All():
            return False if False in truths else None if None in truths else True
        case AnyOf():
            return True if True in truths else None if None in truths else False
        case Not():
            return None if truths[0] is None else not truths[0]
        case InSegment():
            return truths[0]
        case _:
            raise TypeError(f"{condition!r} is no group")
