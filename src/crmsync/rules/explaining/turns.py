"""At which instant clauses and rules would turn for one subject, if no record changes.

Candidates are the instants at which the clock meets a time that a clause looks at
(`crmsync.rules.turning.turning`); at each, in order, the rules are evaluated as if it were the
present.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from crmsync.rules.conditions import clauses
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.explaining.explain import ClauseReport, Turn, explain_all
from crmsync.rules.turning.turning import Turning, full_hours

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule

# How many instants are tried for one subject: each costs a few queries.
_MOST_TRIED = 40

_Reports = dict[str, ClauseReport]
# A clause or group: the rule's name, and which part of which part of it.
_Node = tuple[str | int, ...]


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
    ends = {rule.name: until for rule in rules}
    tried: dict[datetime, _Reports] = {}
    chains = [chain for rule in rules for chain in _chains(reports[rule.name], (rule.name,))]
    turned: dict[_Node, datetime] = {}

    def is_open(number: int, at: datetime) -> bool:
        """Whether the clause, or a group that it stands in, is not known to have turned by then."""
        return any(node not in turned or turned[node] > at for node in chains[number])

    for at, numbers in _candidates(turning, subject):
        open_numbers = {number for number in numbers if is_open(number, at)}
        if at in tried or not open_numbers:
            continue
        if len(tried) == _MOST_TRIED:
            for name in {asked[number][0].name for number in open_numbers}:
                ends[name] = min(ends[name], at)
            continue
        tried[at] = _reports(rules, subject, world.at(at))
        for name, then in tried[at].items():
            for node in _turned(reports[name], then, (name,)):
                turned[node] = min(at, turned.get(node, at))
    later = sorted(tried.items(), key=lambda one: one[0])
    ahead = {
        name: _with_turns(now, [(at, by[name]) for at, by in later if at < ends[name]])
        for name, now in reports.items()
    }
    return LookedAhead(reports=ahead, until=ends)


def _candidates(turning: Turning, subject: str) -> Iterator[tuple[datetime, set[int]]]:
    """Instants, and the numbers of the clauses that may turn; the dearest of them last."""
    found: dict[tuple[bool, datetime], set[int]] = {}
    for moment in turning.moments([subject]):
        found.setdefault((moment.daily, moment.at), set()).add(moment.clause)
    if turning.at_any_time:
        for hour in full_hours(turning.world.now, turning.until):
            found.setdefault((True, hour), set()).update(turning.at_any_time)
    # What changes every day or hour comes last: its instants are many.
    for (_, at), numbers in sorted(found.items(), key=lambda one: one[0]):
        yield at, numbers


def _reports(rules: Sequence[Rule], subject: str, world: World) -> _Reports:
    evaluation = Evaluation(rules, world, ids=[subject])
    reports = explain_all(evaluation, {rule.name: [subject] for rule in rules})
    return {name: of_subject[subject] for name, of_subject in reports.items()}


def _chains(report: ClauseReport, node: _Node) -> Iterator[tuple[_Node, ...]]:
    """For each clause, itself and the groups that it stands in, up to the rule."""
    if not report.parts:
        yield (node,)
    for i, part in enumerate(report.parts):
        for chain in _chains(part, (*node, i)):
            yield (node, *chain)


def _turned(before: ClauseReport, after: ClauseReport, node: _Node) -> Iterator[_Node]:
    """The clauses and groups whose verdict is another one."""
    if before.verdict is not after.verdict:
        yield node
    for i, (was, now) in enumerate(zip(before.parts, after.parts, strict=True)):
        yield from _turned(was, now, (*node, i))


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
