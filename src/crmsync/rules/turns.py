"""At which instant clauses and rules would turn for one subject, if no record changes.

Candidates are the instants at which the clock meets a time that a clause looks at
(`crmsync.rules.turning`); at each, in order, the rules are evaluated as if it were the present.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from crmsync.rules.conditions import clauses
from crmsync.rules.evaluate import Evaluation
from crmsync.rules.explain import ClauseReport, Turn, explain_all
from crmsync.rules.turning import Turning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from crmsync.rules.language import Rule
    from crmsync.rules.world import World

# How many instants are tried for one subject: each costs a few queries.
_MOST_TRIED = 40

_Reports = dict[str, ClauseReport]


@dataclass(frozen=True, kw_only=True)
class LookedAhead:
    """Reports with their turns, by the rule's name.

    Attributes:
        until: nothing turns before then but what the report tells; after it nobody has looked.
            Absent where nobody has looked at all.
    """

    reports: Mapping[str, ClauseReport]
    until: Mapping[str, datetime] = field(default_factory=dict)


def with_turns(
    rules: Sequence[Rule],
    subject: str,
    reports: Mapping[str, ClauseReport],
    world: World,
    until: datetime,
) -> LookedAhead:
    """The reports of rules about one subject, each clause with its next turn.

    Args:
        rules: about the same table.
        reports: how they stand now, by the rule's name.
    """
    asked = [(rule, clause) for rule in rules for clause in clauses(rule.when)]
    turning = Turning(world, rules[0].subject, [clause for _, clause in asked], until=until)
    candidates: dict[tuple[bool, datetime], set[int]] = {}
    for moment in turning.moments([subject]):
        candidates.setdefault((moment.daily, moment.at), set()).add(moment.clause)
    ends = {rule.name: until for rule in rules}
    tried: dict[datetime, _Reports] = {}
    turned: dict[int, datetime] = {}
    # What changes every day comes last: its instants are many.
    for (_, at), numbers in sorted(candidates.items(), key=lambda candidate: candidate[0]):
        open_numbers = {number for number in numbers if number not in turned or turned[number] > at}
        if at in tried or not open_numbers:
            continue
        if len(tried) == _MOST_TRIED:
            for name in {asked[number][0].name for number in open_numbers}:
                ends[name] = min(ends[name], at)
            continue
        tried[at] = _reports(rules, subject, world.at(at))
        for number in _turned(rules, reports, tried[at]):
            turned[number] = min(at, turned.get(number, at))
    later = sorted(tried.items(), key=lambda one: one[0])
    ahead = {
        name: _with_turns(now, [(at, by[name]) for at, by in later if at < ends[name]])
        for name, now in reports.items()
    }
    return LookedAhead(reports=ahead, until=ends)


def _reports(rules: Sequence[Rule], subject: str, world: World) -> _Reports:
    evaluation = Evaluation(rules, world, ids=[subject])
    reports = explain_all(evaluation, {rule.name: [subject] for rule in rules})
    return {name: of_subject[subject] for name, of_subject in reports.items()}


def _turned(
    rules: Sequence[Rule], before: Mapping[str, ClauseReport], after: Mapping[str, ClauseReport]
) -> set[int]:
    """The numbers of the clauses of which nothing more is to be found out.

    A clause has turned, and so has its rule.
    """
    found, number = set(), 0
    for rule in rules:
        was, now = before[rule.name], after[rule.name]
        for leaf_was, leaf_now in zip(_leaves(was), _leaves(now), strict=True):
            if leaf_was.verdict is not leaf_now.verdict and was.verdict is not now.verdict:
                found.add(number)
            number += 1
    return found


def _leaves(report: ClauseReport) -> Iterator[ClauseReport]:
    if not report.parts:
        yield report
    for part in report.parts:
        yield from _leaves(part)


def _with_turns(now: ClauseReport, later: Sequence[tuple[datetime, ClauseReport]]) -> ClauseReport:
    turn = next(
        (
            Turn(at=at, verdict=report.verdict)
            for at, report in later
            if report.verdict is not now.verdict
        ),
        None,
    )
    parts = tuple(
        _with_turns(part, [(at, report.parts[i]) for at, report in later])
        for i, part in enumerate(now.parts)
    )
    return replace(now, turns=turn, parts=parts)
