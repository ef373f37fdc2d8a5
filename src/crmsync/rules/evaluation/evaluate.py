"""Evaluates rules: who matches, and of whom it cannot be said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property, partial
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from crmsync.model.records import Answers, Given
from crmsync.model.verdicts import RuleVerdicts
from crmsync.rules.conditions import clauses
from crmsync.rules.evaluation.asked import Asked
from crmsync.rules.evaluation.candidates import candidates, how_many
from crmsync.rules.evaluation.predicates import holds, seen, verdict_of_held
from crmsync.rules.evaluation.reasons import why_unknown
from crmsync.rules.evaluation.rows import ID, Rows
from crmsync.warehouse.variables import given_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from crmsync.rules.conditions import Column
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule

WIDE = "wide"  # the kept table of subjects, as queries name it
RULE = "rule"
VERDICT = "verdict"
FEW = 20_000  # of so few subjects everything is soonest known, and can then be asked for more
_MOST_NARROWED = 25  # rules; more leave nearly everybody
_MOST_CANDIDATES = 0.6  # of all subjects; to choose more costs more than it spares
_BATCH = 100  # rules in one query; DuckDB parses unions as a tree that must not get too deep


class Form(StrEnum):
    """How the verdicts about the records of a table are found.

    Attributes:
        WHOLE: every value that is asked for, of everybody.
        SHARED: of everybody as much as the verdicts depend on.
        NARROWED: the same, but of nobody whom the records' own fields rule out.
    """

    WHOLE = "whole"
    SHARED = "shared"
    NARROWED = "narrowed"


def evaluate(
    rules: Sequence[Rule], world: World, form: Form | None = None
) -> Mapping[str, RuleVerdicts]:
    """The verdicts of rules, by the rule's name.

    Args:
        form: as it is cheapest where it is None; all say the same.
    """
    found: dict[str, RuleVerdicts] = {}
    for table in dict.fromkeys(rule.subject for rule in rules):
        about = [rule for rule in rules if rule.subject == table]
        found |= _evaluated(about, table, world, form)
    return {rule.name: found[rule.name] for rule in rules}


def _evaluated(
    rules: Sequence[Rule], table: str, world: World, form: Form | None
) -> dict[str, RuleVerdicts]:
    subjects = world.count(table)
    narrows = form is Form.NARROWED
    if form is None:
        form = Form.WHOLE if subjects < FEW else Form.SHARED
        narrows = form is Form.SHARED and len(rules) <= _MOST_NARROWED
    chosen = candidates(world, rules, table, once_per(rules)) if narrows else None
    if chosen is not None and form is not Form.NARROWED:
        chosen = chosen if how_many(world, chosen) <= _MOST_CANDIDATES * subjects else None
    subject = Subject(
        rules,
        table,
        world,
        chosen,
        carried=chosen is not None,
        only_verdicts=form is not Form.WHOLE,
    )
    return subject.verdicts(subjects)


def once_per(rules: Iterable[Rule]) -> list[Column]:
    """What rules are once per, each column once."""
    return list(dict.fromkeys(column for rule in rules for column in rule.once_per_columns))


class Evaluation:
    """Rules over one world. What several of them ask of a subject is computed once.

    The wide table of each subject is kept in a temporary table, for as long as this is.
    What is asked is compiled once for the same rules: to evaluate them at many instants, make an
    evaluation in ``world.at(instant)`` for each.

    Args:
        rules: each name once.
        ids: only these records, by global id; None for all.
    """

    def __init__(
        self, rules: Sequence[Rule], world: World, *, ids: Iterable[str] | None = None
    ) -> None:
        self.rules = tuple(rules)
        self.world = world
        self._ids = ids
        self._subjects: dict[str, Subject] = {}

    @property
    def is_of_everybody(self) -> bool:
        """Whether it can be asked for any record."""
        return self._ids is None

    def subject(self, table: str) -> Subject:
        """The rules about the records of one table."""
        if table not in self._subjects:
            rules = [rule for rule in self.rules if rule.subject == table]
            wanted = None if self._ids is None else self.world.ids(self._ids)
            self._subjects[table] = Subject(rules, table, self.world, wanted)
        return self._subjects[table]

    @cached_property
    def verdicts(self) -> Mapping[str, RuleVerdicts]:
        """Who matches and of whom it cannot be said, by the rule's name."""
        found: dict[str, RuleVerdicts] = {}
        for table in dict.fromkeys(rule.subject for rule in self.rules):
            found |= self.subject(table).verdicts()
        return {rule.name: found[rule.name] for rule in self.rules}


class Subject:
    """The records of one table, with every column that its rules ask of them.

    Args:
        chosen: gives queries the ids of some in their table ``wanted_ids``; None for all.
        carried: that table also has their fields.
        only_verdicts: a fact need say no more than what verdicts depend on.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        table: str,
        world: World,
        chosen: Given | None,
        *,
        carried: bool = False,
        only_verdicts: bool = False,
    ) -> None:
        self._asked = [_Asked(rule=rule, number=i) for i, rule in enumerate(rules)]
        self._table = table
        self.world = world
        asked = Asked.by([rule.when for rule in rules], self._once_per)
        self._only_wanted = chosen is not None
        self._carried = carried
        self._only_verdicts = only_verdicts
        self.key = " ".join(
            [
                table,
                "carried" if carried else "wanted" if chosen is not None else "all",
                "verdicts" if only_verdicts else "values",
                world.meets(asked),
                *(rule.version for rule in rules),
            ]
        )
        self.given = world.given(asked)
        given = self.given if chosen is None else self.given | chosen
        wide = world.compiled(f"wide {self.key}", lambda: self._rows.wide)
        kept = world.source.keep(wide, given)
        self.given |= Given(tables={WIDE: kept})
        if chosen is None and not only_verdicts:
            for fact, record, value in self._rows.own_facts():
                world.remember(fact, kept, record, value)

    @cached_property
    def _rows(self) -> Rows:
        whens = [asked.rule.when for asked in self._asked]
        return Rows(
            self.world,
            self._table,
            whens,
            self._once_per,
            only_wanted=self._only_wanted,
            carried=self._carried,
            only_verdicts=self._only_verdicts,
            zone=True,
        )

    @cached_property
    def rows(self) -> Rows:
        """The rows as they are kept, to be asked for more with what is `given`."""
        return self._rows.among(given_table(WIDE, dict(self._rows.wide.schema())))

    def rows_wanted(self) -> Rows:
        """Those of them that the query is given in its table ``wanted_ids``."""
        return self.rows.only_wanted()

    def verdicts(self, subjects: int | None = None) -> dict[str, RuleVerdicts]:
        """Of all rules, by name.

        Args:
            subjects: how many there are; None where they are to be counted.
        """
        query = self.world.source.query
        if subjects is None:
            count = query(self.world.compiled(f"count {self.key}", self._count), self.given)
            subjects = int(count[0][0].as_py())
        found: dict[int, pa.Table] = {}
        for asked in self._batches():
            key = f"answers {self.key} from {asked[0].number}"
            answers = query(self.world.compiled(key, partial(self._answers, asked)), self.given)
            by_rule = _by_rule(answers)
            found |= {a.number: by_rule.get(a.number, answers[:0]) for a in asked}
        held = [asked for asked in self._asked if found[asked.number][VERDICT].null_count]
        reasons = self._reasons(held, found) if held else {}
        return {
            asked.rule.name: RuleVerdicts(
                rule=asked.rule.name,
                matches=_matches(found[asked.number], self._once(asked)),
                unknown=reasons.get(asked.rule.name, {}),
                subjects=subjects,
            )
            for asked in self._asked
        }

    def _batches(self) -> Iterator[list[_Asked]]:
        for start in range(0, len(self._asked), _BATCH):
            yield self._asked[start : start + _BATCH]

    def _count(self) -> ir.Table:
        wide = self.rows.wide
        return wide.aggregate(rows=wide.count())

    @cached_property
    def _once_per(self) -> list[Column]:
        """What rules are once per, each column once."""
        return once_per(asked.rule for asked in self._asked)

    def _once(self, asked: _Asked) -> list[str]:
        """The columns of answers that have what a rule is once per."""
        return [f"once_{self._once_per.index(c)}" for c in asked.rule.once_per_columns]

    def _answers(self, asked: Sequence[_Asked]) -> Answers:
        """A row for each rule and record of which it does not say no."""
        # Each by a filter of its own: it asks the next clause only of those whom the last has left.
        rows = self.rows
        values = {f"once_{i}": seen(rows, c).value for i, c in enumerate(self._once_per)}
        return Answers(
            table=rows.wide,
            filters=[holds(rows, one.rule.when, perhaps=True) for one in asked],
            columns=[self._columns(rows, one, values) for one in asked],
        )

    def _columns(
        self, rows: Rows, asked: _Asked, values: Mapping[str, ir.Value]
    ) -> dict[str, ir.Value]:
        own = self._once(asked)
        once = {
            name: value if name in own else ibis.null(value.type())
            for name, value in values.items()
        }
        return {
            ID: rows.wide[ID],
            RULE: ibis.literal(asked.number, "int32"),
            VERDICT: verdict_of_held(rows, asked.rule.when),
            **once,
        }

    def _reasons(
        self, held: Sequence[_Asked], found: Mapping[int, pa.Table]
    ) -> dict[str, dict[str, tuple[str, ...]]]:
        """For each subject of which it cannot be said, a sentence for each undecided clause."""
        of_rule = [[c for c in clauses(a.rule.when) if c.unknown_as is None] for a in held]
        all_clauses = [clause for rule_clauses in of_rule for clause in rule_clauses]
        undecided = {a.number: _undecided(found[a.number]) for a in held}
        wanted = self.world.ids(i for ids in undecided.values() for i in ids)
        key = f"{self.key} {[asked.number for asked in held]}"
        given = self.given | wanted
        why = why_unknown(self.world, self.rows_wanted, all_clauses, given, key)
        reasons = {}
        end = 0
        for asked, own in zip(held, of_rule, strict=True):
            start, end = end, end + len(own)
            reasons[asked.rule.name] = {
                i: tuple(dict.fromkeys(filter(None, why[i][start:end])))
                for i in undecided[asked.number]
            }
        return reasons


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A rule, and by which number its answers name it."""

    rule: Rule
    number: int


def _by_rule(answers: pa.Table) -> dict[int, pa.Table]:
    """Answers by the number of their rule."""
    found: dict[int, list[pa.Table]] = {}
    begin = 0
    # Those of a rule stand together: to look for each rule among all would take longer.
    for chunk in answers[RULE].chunks:
        runs = pc.run_end_encode(chunk)
        ends = [begin + end for end in runs.run_ends.to_pylist()]
        for number, end in zip(runs.values.to_pylist(), ends, strict=True):
            found.setdefault(number, []).append(answers.slice(begin, end - begin))
            begin = end
    return {number: pa.concat_tables(parts) for number, parts in found.items()}


def _undecided(answers: pa.Table) -> list[str]:
    ids: list[str] = answers[ID].filter(pc.is_null(answers[VERDICT])).to_pylist()
    return ids


def _matches(answers: pa.Table, once_per: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The global ids of those that match, each with the values of ``once_per``."""
    matching = answers if not answers[VERDICT].null_count else answers.filter(answers[VERDICT])
    ids = matching[ID].to_pylist()
    if not once_per:
        return dict.fromkeys(ids, ())
    values = [matching[name].to_pylist() for name in once_per]
    return {
        record_id: tuple(as_text(column[i]) for column in values) for i, record_id in enumerate(ids)
    }


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
