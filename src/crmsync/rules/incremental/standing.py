"""How rules stood when they were last evaluated, brought up to the present.

Only those subjects are evaluated again whom the clock or a changed record may concern; the
verdicts of all others are kept. The answer is the one that evaluating everybody gives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.model.verdicts import RuleVerdicts
from crmsync.rules.conditions import clauses
from crmsync.rules.evaluation.asked import Asked
from crmsync.rules.evaluation.evaluate import FEW, Evaluation, Subject, evaluate
from crmsync.rules.incremental.narrowed import narrowed
from crmsync.rules.turning.touched import touched
from crmsync.rules.turning.turning import Turning

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule

    Tables = tuple[str, ...]
    Said = Mapping[str, tuple[str, ...]]
    ByClock = Mapping[str, Collection[str] | None]
    Changed = Callable[[str, Sequence[Rule]], Collection[str] | None]

# Of more than this share, to evaluate everybody costs less than to tell them apart.
_MOST_TOUCHED = 0.25
# Of fewer, too: what it costs does not depend on how many they are.
_FEWEST = 20_000


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Verdicts, and all that they depend on beside the records.

    Attributes:
        at: the instant for which they hold.
        verdicts: by the rule's name.
        basis: by the rule's name, what of the rule and the installation they depend on; where
            it differs, they are of no use.
        fresh: the connections that could be trusted, by the tables that clauses rest on.
    """

    at: datetime
    verdicts: Mapping[str, RuleVerdicts]
    basis: Mapping[str, str]
    fresh: Mapping[Tables, Tables] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What rules say now.

    Attributes:
        again: how many subjects were looked at anew, by table.
        evaluation: of all rules and everybody, where one was made; can be asked for more.
    """

    standing: Standing
    again: Mapping[str, int]
    evaluation: Evaluation | None = None


def evaluated(  # noqa: PLR0917  all that it depends on
    rules: Sequence[Rule],
    world: World,
    basis: Mapping[str, str],
    before: Standing | None = None,
    changed: Changed | None = None,
    by_clock: ByClock | None = None,
) -> Evaluated:
    """The verdicts of rules at the world's present.

    Args:
        basis: by the rule's name; see `Standing`.
        before: how they stood; None where nobody remembers.
        changed: answers, for a table and rules about it, which of its records may be concerned by
            records that have changed since; None for all. Where it is not given, none has changed.
        by_clock: by table, whom the clock may concern since then, where that is known; None for
            everybody.
    """
    if before is not None and before.at == world.now and changed is None and before.basis == basis:
        return Evaluated(standing=before, again={})
    is_small = before is not None and _is_small(before)
    if by_clock is None and is_small:
        before = None
    if not any(_is_kept(rule, basis, before, world) for rule in rules):
        return _of_everybody(rules, world, basis)
    everybody = Evaluation(rules, world)
    verdicts: dict[str, RuleVerdicts] = {}
    again: dict[str, int] = {}
    for table in dict.fromkeys(rule.subject for rule in rules):
        about = [rule for rule in rules if rule.subject == table]
        kept = [rule for rule in about if _is_kept(rule, basis, before, world)]
        new = [rule for rule in about if rule not in kept]
        if kept and before is not None:
            ids = _whom(table, kept, world, before, changed, by_clock)
            if ids is None:
                new, kept = about, []
            elif not ids and changed is None:
                verdicts |= {rule.name: before.verdicts[rule.name] for rule in kept}
                again[table] = 0
            else:
                verdicts |= _renewed(table, kept, world, before, ids)
                again[table] = len(ids)
        if new:
            if is_small and new == about:
                verdicts |= everybody.subject(table).verdicts()
            else:
                verdicts |= evaluate(new, world)
            again[table] = max(verdicts[rule.name].subjects for rule in new)
    standing = Standing(
        at=world.now,
        verdicts={rule.name: verdicts[rule.name] for rule in rules},
        basis={rule.name: basis[rule.name] for rule in rules},
        fresh=_fresh(rules, world),
    )
    return Evaluated(standing=standing, again=again, evaluation=everybody if is_small else None)


def _is_small(before: Standing) -> bool:
    """Whether to evaluate everybody costs less than to tell them apart."""
    return max((said.subjects for said in before.verdicts.values()), default=0) < _FEWEST


def _of_everybody(rules: Sequence[Rule], world: World, basis: Mapping[str, str]) -> Evaluated:
    # Of few, what was computed can be asked for more; of many it says no more than the verdicts.
    tables = {rule.subject for rule in rules}
    few = all(world.count(table) < FEW for table in tables)
    evaluation = Evaluation(rules, world) if few else None
    verdicts = evaluate(rules, world) if evaluation is None else evaluation.verdicts
    standing = Standing(
        at=world.now,
        verdicts=verdicts,
        basis={rule.name: basis[rule.name] for rule in rules},
        fresh=_fresh(rules, world),
    )
    again = {rule.subject: verdicts[rule.name].subjects for rule in rules}
    return Evaluated(standing=standing, again=again, evaluation=evaluation)


def _is_kept(rule: Rule, basis: Mapping[str, str], before: Standing | None, world: World) -> bool:
    return (
        before is not None
        and before.at <= world.now
        and rule.name in before.verdicts
        and before.basis.get(rule.name) == basis[rule.name]
    )


def _whom(  # noqa: PLR0917  all that it depends on
    table: str,
    rules: Sequence[Rule],
    world: World,
    before: Standing,
    changed: Changed | None,
    by_clock: ByClock | None,
) -> set[str] | None:
    """Who is looked at again; None for everybody."""
    of_clock = () if by_clock is None else by_clock.get(table, ())
    if of_clock is None:
        return None
    known = None if by_clock is None else set(of_clock)
    ids = _concerned(table, rules, world, before, changed, known)
    return None if ids and _is_small(before) else ids


def _concerned(  # noqa: PLR0917  all that it depends on
    table: str,
    rules: Sequence[Rule],
    world: World,
    before: Standing,
    changed: Changed | None,
    by_clock: set[str] | None,
) -> set[str] | None:
    """Who is to be looked at again; None where that is everybody, or nearly so."""
    found: set[str] = set()
    if changed is not None:
        of_changes = changed(table, rules)
        if of_changes is None:
            return None
        found |= set(of_changes)
    found |= _touched(table, rules, world, before) if by_clock is None else by_clock
    for rule in rules:
        # The reasons tell how long ago a stream was read.
        if _is_stale(rule, world, before):
            found |= before.verdicts[rule.name].unknown.keys()
    most = max(before.verdicts[rule.name].subjects for rule in rules)
    return None if len(found) > _MOST_TOUCHED * most else found


def _touched(table: str, rules: Sequence[Rule], world: World, before: Standing) -> set[str]:
    """Those whom the clock may concern since then."""
    asked = [clause for rule in rules for clause in clauses(rule.when)]
    columns = [column for rule in rules for column in rule.once_per_columns]
    then = world.at(before.at)
    return touched(Turning(then, table, asked, columns, until=world.now, fresh=before.fresh))


def _is_stale(rule: Rule, world: World, before: Standing) -> bool:
    """Whether something that a rule rests on could not be trusted then, or cannot be now."""
    connections = {state.connection for state in world.freshness.states}
    return any(
        connections != set(fresh)
        for tables in rests_of(rule)
        for fresh in (before.fresh.get(tables, ()), world.freshness.fresh_connections(tables))
    )


def _fresh(rules: Sequence[Rule], world: World) -> dict[Tables, Tables]:
    rests = {tables for rule in rules for tables in rests_of(rule)}
    return {tables: world.freshness.fresh_connections(tables) for tables in sorted(rests)}


def rests_of(rule: Rule) -> list[Tables]:
    """The tables that must be fresh together for what a rule asks of related records."""
    return [tables for tables in Asked.by([rule.when], rule.once_per_columns).tables if tables]


def _of_some(
    rules: Sequence[Rule], world: World, table: str, ids: set[str]
) -> Mapping[str, RuleVerdicts]:
    few = narrowed(world, rules, table, ids)
    subject = Subject(rules, table, few.world, few.chosen, carried=few.carried, only_verdicts=True)
    return subject.verdicts(len(ids))


def _renewed(
    table: str, rules: Sequence[Rule], world: World, before: Standing, ids: set[str]
) -> dict[str, RuleVerdicts]:
    """The verdicts as they were, but for some subjects."""
    again = _of_some(rules, world, table, ids) if ids else {}
    subjects = world.count(table)
    found = {}
    for rule in rules:
        was, now = before.verdicts[rule.name], again.get(rule.name)
        found[rule.name] = RuleVerdicts(
            rule=rule.name,
            matches=_but_for(ids, was.matches, {} if now is None else now.matches),
            unknown=_but_for(ids, was.unknown, {} if now is None else now.unknown),
            subjects=subjects,
        )
    return found


def _but_for(ids: set[str], was: Said, now: Said) -> Said:
    found = dict(was)
    for known in ids & found.keys():
        del found[known]
    return found | dict(now)
