"""Says of one subject why a rule matches it or not: every clause with what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crmsync.clock import readable
from crmsync.errors import UsageError
from crmsync.model.verdicts import Truth
from crmsync.rules.conditions import (
    HISTORY,
    TIMES,
    All,
    AnyOf,
    Clause,
    Column,
    Comparison,
    Condition,
    InSegment,
    Not,
    Operator,
    Quantifier,
    Related,
    clauses,
    parts,
)
from crmsync.rules.evaluation.evaluate import Evaluation, as_text
from crmsync.rules.evaluation.history import seen_of_past
from crmsync.rules.evaluation.predicates import clause_verdict, seen, tallied
from crmsync.rules.evaluation.reasons import why_unknown
from crmsync.rules.evaluation.rows import ID
from crmsync.rules.explaining.distance import distance
from crmsync.rules.explaining.evidence import Seen, Witnesses

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from zoneinfo import ZoneInfo

    import ibis.expr.types as ir

    from crmsync.config.yaml import Place
    from crmsync.model.records import Given
    from crmsync.rules.evaluation.evaluate import Subject
    from crmsync.rules.evaluation.rows import Rows
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.explaining.evidence import Evidence
    from crmsync.rules.language import Rule

_TALLIED = frozenset({Quantifier.SUM, Quantifier.AVG, Quantifier.MIN, Quantifier.MAX})


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What a verdict would become, and when (UTC), if no record changes."""

    at: datetime
    verdict: Truth


@dataclass(frozen=True, kw_only=True)
class ClauseReport:
    """A condition, and how it stands with one subject.

    Attributes:
        text: as written; for groups ``all``, ``any``, ``not``, ``none_of``.
        verdict: with ``if_unknown`` applied, so that the tree adds up.
        value: what the clause saw, as text; “never” and “nothing” where there was nothing.
        distance: how far from true, such as “3 of 14 days”; None where that says nothing.
        reason: why it is unknown, or what an unknown counted as; None where it is known.
        evidence: the records that counted, or the change that was seen; only where asked for.
        turns: its next turn, if no record changes; only where asked for, and found.
        parts: the conditions that it is made of.
    """

    text: str
    verdict: Truth
    place: Place
    value: str | None = None
    distance: str | None = None
    reason: str | None = None
    evidence: tuple[Evidence, ...] = ()
    turns: Turn | None = None
    parts: tuple[ClauseReport, ...] = ()

    @property
    def deciding(self) -> tuple[ClauseReport, ...]:
        """The clauses that made the verdict: of a group, those whose verdict is the group's."""
        if not self.parts:
            return (self,)
        if len(self.parts) == 1:
            return self.parts[0].deciding
        return tuple(
            clause
            for part in self.parts
            if part.verdict is self.verdict
            for clause in part.deciding
        )

    @property
    def because(self) -> tuple[str, ...]:
        """A sentence for each clause that made the verdict, with what it saw."""
        return tuple(_told(clause, self.verdict) for clause in self.deciding)


def _told(clause: ClauseReport, verdict: Truth) -> str:
    away = f" ({clause.distance})" if clause.distance else ""
    text = clause.text if clause.verdict is verdict else f"not {clause.text}"  # below a negation
    if clause.reason is not None:
        return f"{text} ({clause.reason})"
    if clause.value is None or clause.text.endswith(f": {clause.value}"):
        return text
    if clause.verdict is not verdict:
        return f"{text}, but {clause.value}{away}"
    return f"{text} is {clause.value}{away}"


def explain(rule: Rule, subject_id: str, world: World) -> ClauseReport:
    """How a rule stands with one subject, by the same expressions as `evaluate`.

    Args:
        subject_id: the global id.

    Raises:
        UsageError: there is no such record among the rule's subjects.
    """
    evaluation = Evaluation([rule], world, ids=[subject_id])
    reports = explain_all(evaluation, {rule.name: [subject_id]})[rule.name]
    if subject_id not in reports:
        raise UsageError(f"there is no {rule.subject} “{subject_id}” that rules can see")
    return reports[subject_id]


def explain_all(
    evaluation: Evaluation, wanted: Mapping[str, Collection[str]], *, evidence: bool = False
) -> Mapping[str, Mapping[str, ClauseReport]]:
    """How rules stand with subjects, by rule and global id; absent where there is no record.

    Args:
        wanted: global ids by the rule's name.
        evidence: also name the records that counted.
    """
    reports: dict[str, Mapping[str, ClauseReport]] = {}
    rules = [rule for rule in evaluation.rules if wanted.get(rule.name)]
    for table in dict.fromkeys(rule.subject for rule in rules):
        about = [rule for rule in rules if rule.subject == table]
        asked = [clause for rule in about for clause in clauses(rule.when)]
        ids = {record_id for rule in about for record_id in wanted[rule.name]}
        subject = evaluation.subject(table)
        given = subject.given | evaluation.world.ids(ids)
        key = f"{subject.key} of {' '.join(rule.version for rule in about)}"
        reporters = _reporters(subject, asked, given, key, evidence=evidence)
        for rule in about:
            found = [record_id for record_id in wanted[rule.name] if record_id in reporters]
            reports[rule.name] = {i: reporters[i].report(rule.when) for i in found}
    return reports


def _reporters(
    subject: Subject, asked: Sequence[Clause], given: Given, key: str, *, evidence: bool
) -> dict[str, _Reporter]:
    """One query for the clauses, and more where some are unknown, or evidence is wanted."""
    world = subject.world

    def build() -> ir.Table:
        rows = subject.rows_wanted()
        columns: dict[str, ir.Value] = {"id": rows.wide[ID], "zone": rows.own_zone()}
        for i, clause in enumerate(asked):
            columns |= {f"{name}_{i}": value for name, value in _columns(rows, clause).items()}
        return rows.wide.select(**columns)

    found = world.source.query(world.compiled(f"explain {key}", build), given)
    unknown = [i for i in range(len(asked)) if found[f"own_{i}"].null_count]
    why: Mapping[str, list[str | None]] = {}
    if unknown:
        clauses_of = [asked[i] for i in unknown]
        key = f"{key} {unknown}"
        why = why_unknown(world, subject.rows_wanted, clauses_of, given, key)
    reporters = {}
    lines = found.to_pylist()
    seen_by_all = _evidence(world, asked, lines, evidence=evidence)
    for line in lines:
        reasons = dict(zip(unknown, why.get(line["id"], ()), strict=True))
        proof = [of_clause.get(line["id"], ()) for of_clause in seen_by_all]
        reporters[line["id"]] = _Reporter(world, asked, line, reasons, proof)
    return reporters


def _evidence(
    world: World, asked: Sequence[Clause], lines: Sequence[dict[str, Any]], *, evidence: bool
) -> Sequence[Mapping[str, Sequence[Evidence]]]:
    """For each clause, by subject; changes also where nothing else is, since they are the value."""
    saw = [
        {
            line["id"]: Seen(
                near=line[f"near_{i}"], value=line[f"value_{i}"], then=line.get(f"then_{i}")
            )
            for line in lines
            if line[f"near_{i}"] is not None and line[f"own_{i}"] is not None
        }
        for i in range(len(asked))
    ]
    witnesses = Witnesses(world, list(zip(asked, saw, strict=True)))
    return witnesses.everything() if evidence else witnesses.changes()


def _columns(rows: Rows, clause: Clause) -> dict[str, ir.Value]:
    """What is fetched of a clause."""
    hops = clause.column.hops if isinstance(clause, Comparison) else clause.of.hops
    columns: dict[str, ir.Value] = {"own": clause_verdict(rows, clause), "near": rows.id_of(hops)}
    if isinstance(clause, Comparison) and clause.test.operator in HISTORY:
        columns["value"] = seen_of_past(rows, clause.column, clause.test)
        columns["since"] = rows.known(clause.column, "since")
        if clause.test.operator is Operator.WAS:
            columns["then"] = rows.past(clause.column, clause.test, "then")
    elif isinstance(clause, Comparison):
        columns["value"] = seen(rows, clause.column).value
        if isinstance(clause.test.operand, Column):
            columns["other"] = seen(rows, clause.test.operand).value
    elif clause.quantifier is Quantifier.LATEST:
        columns["value"] = rows.tally(clause, "time")
    elif clause.quantifier in _TALLIED:
        columns["value"] = tallied(rows, clause).value
    else:
        columns["value"] = rows.tally(clause, "yes").fill_null(0)
        columns["unsure"] = rows.tally(clause, "maybe").fill_null(0)
    return columns


class _Reporter:
    """Puts into words what was fetched of one record."""

    def __init__(
        self,
        world: World,
        asked: Sequence[Clause],
        line: dict[str, Any],
        reasons: Mapping[int, str | None],
        evidence: Sequence[Sequence[Evidence]],
    ) -> None:
        self._calendar = world.calendar(line["zone"])
        self._zone = world.company.zone
        self._line = line
        self._reasons = reasons
        self._evidence = evidence
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

    def _clause(self, clause: Clause) -> ClauseReport:
        i = self._numbers[id(clause)]
        own, value = self._line[f"own_{i}"], self._line[f"value_{i}"]
        verdict = _truth(clause.unknown_as if own is None else own)
        reason = away = None
        if own is None:
            counted = f"; counts as {verdict} here" if verdict is not Truth.UNKNOWN else ""
            reason = f"{self._reasons[i]}{self._known(i)}{counted}"
        elif clause.test is not None:
            away = distance(value, clause.test, self._calendar)
        return ClauseReport(
            text=clause.text,
            verdict=verdict,
            place=clause.place,
            value=self._shown(clause, value, i, known=own is not None),
            distance=away,
            reason=reason,
            evidence=tuple(self._evidence[i]),
        )

    def _shown(self, clause: Clause, value: object, i: int, *, known: bool) -> str | None:
        if isinstance(clause, Comparison) and clause.test.operator is Operator.CHANGED:
            return self._change(value, i) if known else None
        if value is None:
            return "never" if known and _is_time_fact(clause) else "nothing" if known else None
        text = _shown_value(value, self._zone)
        if f"other_{i}" in self._line:
            return (
                f"{text}, against {_shown_value(self._line[f'other_{i}'], self._zone) or 'nothing'}"
            )
        if isinstance(clause, Related) and f"unsure_{i}" in self._line:
            unsure = self._line[f"unsure_{i}"]
            kind = "found"
            if clause.quantifier is Quantifier.EVERY:
                kind = "exception" if value == 1 else "exceptions"
            return f"{text} {kind}" + (f", {unsure} undecided" if unsure else "")
        return text

    def _known(self, i: int) -> str:
        """Since when the past of the field that a clause asks about is known."""
        since = self._line.get(f"since_{i}")
        return "" if since is None else f" (known since {_shown_value(since, self._zone)})"

    def _change(self, at: object, i: int) -> str:
        if at is None:
            return "not changed so"
        change = self._evidence[i][0].words.partition(" ")[2] if self._evidence[i] else ""
        return f"changed {change} at {_shown_value(at, self._zone)}"


def _shown_value(value: object, zone: ZoneInfo) -> str:
    return readable(value, zone) if isinstance(value, datetime) else as_text(value)


def _is_time_fact(clause: Clause) -> bool:
    if isinstance(clause, Related):
        return clause.column is not None and clause.column.type in TIMES
    fact = clause.column.fact
    may_be = fact is not None and bool(fact.rests_on) and not fact.is_state
    return may_be and clause.column.type in TIMES


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
