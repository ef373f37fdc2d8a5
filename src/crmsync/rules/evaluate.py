"""Evaluates rules: who matches, and of whom it cannot be said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from crmsync.model.records import Given
from crmsync.model.verdicts import RuleVerdicts
from crmsync.rules.asked import Asked
from crmsync.rules.conditions import clauses
from crmsync.rules.predicates import predicate, seen
from crmsync.rules.reasons import why_unknown
from crmsync.rules.rows import ID, Rows
from crmsync.warehouse.variables import given_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import ibis.expr.types as ir
    import pyarrow as pa

    from crmsync.rules.language import Rule
    from crmsync.rules.world import World

WIDE = "wide"  # the kept table of subjects, as queries name it


def evaluate(rules: Sequence[Rule], world: World) -> Mapping[str, RuleVerdicts]:
    """The verdicts of rules, by the rule's name."""
    return Evaluation(rules, world).verdicts


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

    def subject(self, table: str) -> Subject:
        """The rules about the records of one table."""
        if table not in self._subjects:
            rules = [rule for rule in self.rules if rule.subject == table]
            self._subjects[table] = Subject(rules, table, self.world, self._ids)
        return self._subjects[table]

    @cached_property
    def verdicts(self) -> Mapping[str, RuleVerdicts]:
        """Who matches and of whom it cannot be said, by the rule's name."""
        found: dict[str, RuleVerdicts] = {}
        for table in dict.fromkeys(rule.subject for rule in self.rules):
            found |= self.subject(table).verdicts()
        return {rule.name: found[rule.name] for rule in self.rules}


class Subject:
    """The records of one table, with every column that its rules ask of them."""

    def __init__(
        self, rules: Sequence[Rule], table: str, world: World, ids: Iterable[str] | None
    ) -> None:
        self._asked = [_Asked(rule=rule, number=i) for i, rule in enumerate(rules)]
        self._table = table
        self.world = world
        self._once_per = [column for rule in rules for column in rule.once_per_columns]
        asked = Asked.by([rule.when for rule in rules], self._once_per)
        self._only_wanted = ids is not None
        self.key = " ".join(
            [
                table,
                "wanted" if ids is not None else "all",
                world.reaches(asked),
                *(rule.version for rule in rules),
            ]
        )
        self.given = world.given(asked)
        given = self.given if ids is None else self.given | world.ids(ids)
        kept = world.source.keep(world.compiled(f"wide {self.key}", lambda: self._wide), given)
        self.given |= Given(tables={WIDE: kept})
        if ids is None:
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
            zone=True,
        )

    @cached_property
    def _wide(self) -> ir.Table:
        rows = self._rows
        answers: dict[str, ir.Value] = {}
        for asked in self._asked:
            answers[asked.verdict] = predicate(rows, asked.rule.when)
            values = [seen(rows, column).value for column in asked.rule.once_per_columns]
            answers |= zip(asked.once_per, values, strict=True)
        return rows.wide.mutate(**answers)

    @cached_property
    def rows(self) -> Rows:
        """The rows as they are kept, to be asked for more with what is `given`."""
        return self._rows.among(given_table(WIDE, dict(self._wide.schema())))

    def rows_wanted(self) -> Rows:
        """Those of them that the query is given in its table ``wanted_ids``."""
        return self.rows.only_wanted()

    def verdicts(self) -> dict[str, RuleVerdicts]:
        """Of all rules, by name."""
        query = self.world.source.query
        subjects = query(self.world.compiled(f"count {self.key}", self._count), self.given)
        concerned = query(self.world.compiled(f"concerned {self.key}", self._concerned), self.given)
        held = [asked for asked in self._asked if concerned[asked.verdict].null_count]
        reasons = self._reasons(held, concerned) if held else {}
        return {
            asked.rule.name: RuleVerdicts(
                rule=asked.rule.name,
                matches=_matches(asked, concerned),
                unknown=reasons.get(asked.rule.name, {}),
                subjects=subjects[0][0].as_py(),
            )
            for asked in self._asked
        }

    def _count(self) -> ir.Table:
        wide = self.rows.wide
        return wide.aggregate(rows=wide.count())

    def _concerned(self) -> ir.Table:
        wide = self.rows.wide
        # Only where every rule says no, so does this.
        some = reduce(or_, (wide[asked.verdict] for asked in self._asked)).fill_null(True)
        columns = [name for asked in self._asked for name in (asked.verdict, *asked.once_per)]
        return wide.filter(some).select(ID, *columns)

    def _reasons(
        self, held: Sequence[_Asked], concerned: pa.Table
    ) -> dict[str, dict[str, tuple[str, ...]]]:
        """For each subject of which it cannot be said, a sentence for each undecided clause."""
        of_rule = [[c for c in clauses(a.rule.when) if c.unknown_as is None] for a in held]
        all_clauses = [clause for rule_clauses in of_rule for clause in rule_clauses]

        def rows() -> Rows:
            wide = self.rows.wide
            undecided = reduce(or_, (wide[asked.verdict].isnull() for asked in held))
            return self.rows.among(wide.filter(undecided))

        key = f"{self.key} {[asked.number for asked in held]}"
        why = why_unknown(self.world, rows, all_clauses, self.given, key)
        reasons = {}
        end = 0
        for asked, own in zip(held, of_rule, strict=True):
            start, end = end, end + len(own)
            ids = concerned[ID].filter(pc.is_null(concerned[asked.verdict])).to_pylist()
            reasons[asked.rule.name] = {
                i: tuple(dict.fromkeys(filter(None, why[i][start:end]))) for i in ids
            }
        return reasons


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A rule, and where in the wide table its answers stand."""

    rule: Rule
    number: int

    @property
    def verdict(self) -> str:
        return f"verdict_{self.number}"

    @property
    def once_per(self) -> list[str]:
        return [f"once_{self.number}_{i}" for i in range(len(self.rule.once_per_columns))]


def _matches(asked: _Asked, concerned: pa.Table) -> dict[str, tuple[str, ...]]:
    """The global ids of those that match, each with the values of ``once_per``."""
    matching = concerned.filter(concerned[asked.verdict]).select([ID, *asked.once_per])
    ids, *values = (column.to_pylist() for column in matching.columns)
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
