"""Which of the instants at which clauses may turn can turn their rule.

A rule says no as long as one of the conditions that must all hold does. So nothing that its other
clauses do counts, until the first instant at which that condition may turn itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.rules.conditions import clauses, conjuncts
from crmsync.rules.evaluation.predicates import holds
from crmsync.rules.evaluation.rows import ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import ibis.expr.types as ir

    from crmsync.rules.conditions import Condition
    from crmsync.rules.evaluation.evaluate import Evaluation
    from crmsync.rules.language import Rule
    from crmsync.rules.turning.turning import Moment, Turning

    # The number of a rule, and that of one of its conditions, among all of them.
    _Part = tuple[int, int]


def telling(
    moments: Iterable[Moment], rules: Sequence[Rule], evaluation: Evaluation, turning: Turning
) -> list[Moment]:
    """Those of the moments at which a rule may turn, in order.

    Args:
        moments: of clauses of the rules, numbered in the order in which rules have them; others,
            of values that rules are once per, are all kept.
        rules: about the same table.
        evaluation: of these rules, among others, at the instant from which the moments count.
    """
    moments = list(moments)
    parts = [(i, part) for i, rule in enumerate(rules) for part in conjuncts(rule.when)]
    of_clause: list[_Part] = [
        (rule, number) for number, (rule, part) in enumerate(parts) for _ in clauses(part)
    ]
    first: dict[tuple[int, str], datetime] = {}
    for moment in moments:
        if moment.clause < len(of_clause):
            first.setdefault((of_clause[moment.clause][1], moment.subject), moment.at)
    at_any_time = {
        of_clause[clause][1] for clause in turning.at_any_time if clause < len(of_clause)
    }
    # None for as long as is looked ahead.
    opens: dict[tuple[int, str], datetime | None] = {}
    subjects = {moment.subject for moment in moments}
    for number, subject in _saying_no(rules, parts, subjects, evaluation):
        if number in at_any_time:
            continue
        rule = parts[number][0]
        earliest, before = (
            first.get((number, subject)),
            opens.get((rule, subject), turning.world.now),
        )
        later = None if earliest is None or before is None else max(earliest, before)
        opens[rule, subject] = later

    def counts(moment: Moment) -> bool:
        if moment.clause >= len(of_clause):
            return True
        key = (of_clause[moment.clause][0], moment.subject)
        if key not in opens:
            return True
        at = opens[key]
        return at is not None and moment.at >= at

    return [moment for moment in moments if counts(moment)]


def _saying_no(
    rules: Sequence[Rule],
    parts: Sequence[tuple[int, Condition]],
    subjects: Iterable[str],
    evaluation: Evaluation,
) -> Iterable[tuple[int, str]]:
    """The numbers of conditions that say no, each with the subject of which they do."""
    subject = evaluation.subject(rules[0].subject)
    world = subject.world

    def build() -> ir.Table:
        rows = subject.rows_wanted()
        says = {
            f"no_{i}": ~holds(rows, part, perhaps=True).fill_null(False)
            for i, (_, part) in enumerate(parts)
        }
        return rows.wide.select(rows.wide[ID].name(ID), **says)

    key = f"blocked {subject.key} of {' '.join(rule.version for rule in rules)}"
    found = world.source.query(world.compiled(key, build), subject.given | world.ids(subjects))
    ids = found[ID]
    for i in range(len(parts)):
        for record in ids.filter(found[f"no_{i}"]).to_pylist():
            yield i, record
