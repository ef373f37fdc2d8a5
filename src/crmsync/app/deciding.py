"""From what is known to what would be done: evaluate, enrol, compose, ask the gates."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.app.asking import Asking
from crmsync.app.basis import basis_of
from crmsync.app.gather import gather
from crmsync.app.inhibition import Inhibition
from crmsync.app.outages import unless_unread
from crmsync.app.results.cycle import HeldBack, PlanResult, RuleCount
from crmsync.app.steps import Steps
from crmsync.app.suppression import Stops
from crmsync.app.texts import texts_of
from crmsync.errors import UsageError
from crmsync.journeys.enrolments import decide_enrolments
from crmsync.journeys.inside import Inside
from crmsync.journeys.merges import follow_merges
from crmsync.journeys.resting import keep_out
from crmsync.journeys.texts import last_rounds, rounds_begun
from crmsync.journeys.walked import next_due
from crmsync.ledger.values.enrolments import EnrolmentStatus
from crmsync.model.tables import split_global_id
from crmsync.policy.breaker import circuit_breaker
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.evaluation.world import World
from crmsync.rules.incremental.standing import evaluated

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from crmsync.app.asking import Ends
    from crmsync.app.premises import Premises
    from crmsync.app.results.sync import SyncResult
    from crmsync.app.steps import Outbox
    from crmsync.journeys.compose import Composed
    from crmsync.journeys.texts import Texts
    from crmsync.journeys.walked import Walked
    from crmsync.ledger.stops import Stop
    from crmsync.ledger.values.effects import NewEffect, Withheld
    from crmsync.ledger.values.enrolments import EnrolmentSnapshot, Transitions
    from crmsync.ledger.values.runs import Decision
    from crmsync.model.records import LiveRecords, RecordSource
    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.incremental.standing import Changed, Evaluated, Standing
    from crmsync.rules.language import Rule
    from crmsync.warehouse.reader import Records


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What a cycle has decided: to be shown, or to be recorded as it stands.

    Attributes:
        evaluation: of those of whom something is said; can be asked for as long as the records
            can be read.
        standing: what the rules said.
        composed: the actions of the due steps by key, before any gate was asked.
        stops: what people had said by then.
        earlier: rules as they were, by which some of those inside go.
        good_until: when (UTC) the hours of something end that may go out now; None where no hours
            matter.
    """

    plan: PlanResult
    evaluation: Evaluation
    standing: Standing
    composed: Mapping[str, Composed]
    transitions: Transitions
    effects: tuple[NewEffect, ...]
    decisions: tuple[Decision, ...]
    withheld: tuple[Withheld, ...]
    stops: tuple[Stop, ...]
    earlier: tuple[Rule, ...] = ()
    good_until: datetime | None = None


def _nobody(_label: str, _done: int) -> None:
    """Nobody is told."""


def decide(
    premises: Premises,
    records: LiveRecords,
    sync: SyncResult,
    *,
    only: Sequence[str] | None = None,
    before: Standing | None = None,
    changed: Callable[[World], Changed | None] | None = None,
    answer: Evaluated | None = None,
    advance: Callable[[str, int], None] = _nobody,
) -> Decided:
    """Decide for the premises' now, from these records.

    Args:
        sync: how the records came in; the plan shows it.
        only: the names of some rules; all where it is None.
        before: how the rules stood earlier: only those are looked at again whom the clock may
            concern, or records that have changed since.
        changed: told the world, answers what `evaluated` is to know of these, or None where
            nobody can tell; not given where the records are the same.
        answer: what the rules say now of these records, where they were asked already.
        advance: told what goes on, and how much of it was done since.

    Raises:
        UsageError: there is no rule of a name in ``only``.
    """
    rules = chosen_rules(premises.rules, only)
    advance("evaluating rules", 0)
    world = world_of(premises, records)
    if answer is None:
        answer = _answer(rules, premises, world, before, changed)
    elif answer.evaluation is not None:
        world = answer.evaluation.world
    advance("evaluating rules", len(rules))
    moves = _moves(premises, records, world, rules, answer.standing.verdicts)
    wanted = _wanted(rules, moves)
    evaluation = answer.evaluation or _of_some(rules, world, wanted)
    stops = premises.ledger.stops(now=world.now)
    steps = Steps(
        premises=premises,
        records=records,
        evaluation=evaluation,
        world=world,
        book=gather(records, world, premises.catalog, wanted, (*rules, *moves.texts.rules)),
        outbox=moves.outbox,
        inhibition=Inhibition(premises.rules, records, moves.snapshot, moves.transitions),
        stops=Stops(stops, records),
        advance=advance,
    )
    steps.take(moves.walked.due)
    transitions = moves.transitions
    transitions = replace(transitions, outcomes=(*transitions.outcomes, *steps.outcomes))
    plan = PlanResult(
        at=world.now.astimezone(world.company.zone),
        sync=sync,
        rules=_counts(rules, answer.standing.verdicts, moves.snapshot, transitions),
        actions=tuple(steps.actions),
        held=(*steps.held, *_held_back(rules, moves, steps)),
        stopped=circuit_breaker(
            steps.let_out, accounts=records.count("account"), policy=premises.config.policy
        ),
        previewed=_previewed(rules, moves.snapshot, transitions),
    )
    return Decided(
        plan=plan,
        evaluation=evaluation,
        standing=answer.standing,
        composed=steps.composed,
        transitions=transitions,
        effects=tuple(steps.effects),
        decisions=tuple(steps.decisions),
        withheld=tuple(steps.withheld()),
        good_until=min(steps.ends, default=None),
        stops=stops,
        earlier=moves.texts.rules,
    )


@dataclass(frozen=True, kw_only=True)
class _Moves:
    """Who enters which rule, leaves it, and goes on in it: before any step is composed.

    Attributes:
        snapshot: what the ledger remembers of enrolments.
        outbox: how far the steps of enrolments have come.
        texts: of rules as they were, by which some of those inside go.
    """

    snapshot: EnrolmentSnapshot
    outbox: Outbox
    texts: Texts
    ends: Ends
    walked: Walked
    transitions: Transitions


def _moves(
    premises: Premises,
    records: LiveRecords,
    world: World,
    rules: tuple[Rule, ...],
    verdicts: Mapping[str, RuleVerdicts],
) -> _Moves:
    snapshot = follow_merges(
        premises.ledger.enrolment_snapshot(), premises.rules, records.aliases()
    )
    missing = _missing(records, rules, verdicts, snapshot, premises.connections)
    verdicts = _unless_unread(world, rules, verdicts, snapshot, missing)
    outbox = premises.ledger.step_states()
    asking = Asking(premises=premises, records=records, world=world, rules=rules, states=outbox)
    texts = texts_of(premises, rules, snapshot, world)
    ends = asking.ends(snapshot, verdicts, missing, texts)
    transitions = decide_enrolments(
        premises.rules,
        verdicts,
        snapshot,
        now=world.now,
        existing=premises.config.existing,
        company=premises.config.company,
        missing=missing,
        ended=ends.ended,
        texts=texts,
    )
    transitions = keep_out(transitions, premises.resting)
    outcomes = premises.ledger.step_outcomes()
    begun = rounds_begun(transitions, outcomes)
    walked = asking.walked(
        Inside(
            rules=rules,
            verdicts=verdicts,
            snapshot=snapshot,
            transitions=transitions,
            states=outbox,
            outcomes={**outcomes, **begun},
            resting={**ends.unsure, **dict.fromkeys(texts.anew - begun.keys(), "")},
            missing=missing,
            earlier=texts.earlier,
            expired={r.name for r in rules if r.expires and r.expires < world.company.today},
        )
    )
    return _Moves(
        snapshot=snapshot,
        outbox=outbox,
        texts=texts,
        ends=ends,
        walked=walked,
        transitions=replace(
            transitions,
            outcomes=(*last_rounds(begun), *walked.outcomes),
            next_due=next_due(walked, snapshot),
        ),
    )


def _answer(
    rules: Sequence[Rule],
    premises: Premises,
    world: World,
    before: Standing | None,
    changed: Callable[[World], Changed | None] | None,
) -> Evaluated:
    of_changes = None if changed is None or before is None else changed(world)
    if changed is not None and of_changes is None:
        before = None
    return evaluated(rules, world, basis_of(premises, rules), before, of_changes)


def _of_some(
    rules: Sequence[Rule], world: World, wanted: Mapping[str, Collection[str]]
) -> Evaluation:
    return Evaluation(rules, world, ids={i for ids in wanted.values() for i in ids})


def _wanted(rules: Sequence[Rule], moves: _Moves) -> dict[str, set[str]]:
    """By table, the ids of the records that something is to be said of."""
    tables = {rule.name: rule.subject for rule in rules}
    wanted: dict[str, set[str]] = {}
    for step in moves.walked.due:
        wanted.setdefault(step.rule.subject, set()).add(step.enrolment.subject)
    for waits in moves.walked.waits:
        wanted.setdefault(waits.rule.subject, set()).add(waits.enrolment.subject)
    for ref in moves.ends.unsure:
        wanted.setdefault(tables[ref.rule], set()).add(ref.subject)
    for held in moves.transitions.held:
        wanted.setdefault(tables[held.rule], set()).add(held.subject)
    return wanted


def _held_back(rules: Sequence[Rule], moves: _Moves, steps: Steps) -> Iterator[HeldBack]:
    """Who waits for a step's time, whose end may have come, and who is held from a whole rule."""
    tables = {rule.name: rule.subject for rule in rules}

    def held(rule: str, table: str, subject: str, reason: str) -> HeldBack:
        name = steps.name(table, subject)
        account = steps.account(table, subject)
        return HeldBack(
            rule=rule, subject=subject, subject_name=name, account=account, reason=reason
        )

    for waits in moves.walked.waits:
        rule, subject = waits.rule, waits.enrolment.subject
        one = held(rule.name, rule.subject, subject, waits.reason)
        yield replace(one, step=waits.step, until=waits.until)
    for ref, reason in sorted(moves.ends.unsure.items()):
        yield held(ref.rule, tables[ref.rule], ref.subject, reason)
    for by_rule in moves.transitions.held:
        one = held(by_rule.rule, tables[by_rule.rule], by_rule.subject, by_rule.reason)
        yield replace(one, until=by_rule.until)


def _missing(
    records: LiveRecords,
    rules: Sequence[Rule],
    verdicts: Mapping[str, RuleVerdicts],
    snapshot: EnrolmentSnapshot,
    connections: Collection[str],
) -> dict[str, frozenset[str]]:
    """By rule, those inside of whom there is no record, or whose connection is gone."""
    found: dict[str, frozenset[str]] = {}
    for rule in rules:
        said = verdicts[rule.name]
        inside = {one.ref.subject for one in snapshot.open if one.ref.rule == rule.name}
        silent = inside - said.matches.keys() - said.unknown.keys()
        there = records.rows(rule.subject, silent) if silent else {}
        found[rule.name] = frozenset(
            subject
            for subject in silent
            if subject not in there or split_global_id(subject)[0] not in connections
        )
    return found


def _unless_unread(
    world: World,
    rules: Sequence[Rule],
    verdicts: Mapping[str, RuleVerdicts],
    snapshot: EnrolmentSnapshot,
    missing: Mapping[str, Collection[str]],
) -> dict[str, RuleVerdicts]:
    """By rule, its verdicts, by which nobody leaves on account of what cannot be trusted now."""
    inside: defaultdict[str, set[str]] = defaultdict(set)
    for one in snapshot.open:
        inside[one.ref.rule].add(one.ref.subject)
    return {
        rule.name: unless_unread(
            world, rule, verdicts[rule.name], inside[rule.name].difference(missing[rule.name])
        )
        for rule in rules
    }


def world_of(premises: Premises, records: RecordSource) -> World:
    """What rules and facts look at, at the premises' now."""
    config = premises.config

    def bound(table: str) -> timedelta:
        return config.freshness.bound(table).length

    return World(
        records,
        premises.facts,
        now=premises.clock.now(),
        company_zone=ZoneInfo(config.company.time_zone),
        country=config.company.country,
        bound=bound,
    )


def still_fresh(world: World, records: Records, until: datetime) -> Records:
    """The records, as if syncs went on in time and found nothing new."""
    freshness = world.freshness
    fresh = [s for s in freshness.states if not freshness.reasons(s.connection, [s.table])]
    return records.read_again([(state.connection, state.stream) for state in fresh], until)


def chosen_rules(rules: tuple[Rule, ...], only: Sequence[str] | None) -> tuple[Rule, ...]:
    """The rules of these names, or all.

    Raises:
        UsageError: there is no rule of one of the names.
    """
    if only is None:
        return rules
    unknown = set(only) - {rule.name for rule in rules}
    if unknown:
        known = ", ".join(rule.name for rule in rules)
        raise UsageError(f"there is no rule “{min(unknown)}”; there are: {known}")
    return tuple(rule for rule in rules if rule.name in only)


def _counts(
    rules: Sequence[Rule],
    verdicts: Mapping[str, RuleVerdicts],
    snapshot: EnrolmentSnapshot,
    transitions: Transitions,
) -> tuple[RuleCount, ...]:
    return tuple(
        RuleCount(
            rule=rule.name,
            description=rule.description,
            subject=rule.subject,
            looked_at=verdicts[rule.name].subjects,
            matches=len(verdicts[rule.name].matches),
            unknown=len(verdicts[rule.name].unknown),
            entering=_entering(rule, transitions),
            inside=sum(
                enrolment.ref.rule == rule.name and enrolment.status is EnrolmentStatus.ACTIVE
                for enrolment in snapshot.open
            ),
        )
        for rule in rules
    )


def _entering(rule: Rule, transitions: Transitions) -> int:
    """How many become active, those included who were previewed or have waited."""
    moves = [(move.ref, move.status) for move in transitions.enrol]
    moves += [(move.enrolment.ref, move.status) for move in transitions.activate]
    return sum(ref.rule == rule.name and status is EnrolmentStatus.ACTIVE for ref, status in moves)


def _previewed(rules: Sequence[Rule], snapshot: EnrolmentSnapshot, transitions: Transitions) -> int:
    """How many wait for a person's word then, those included of whom a clause is not known."""
    names = {rule.name for rule in rules}
    moved = {end.enrolment.id for end in transitions.end}
    moved |= {activation.enrolment.id for activation in transitions.activate}
    stay = [(one.ref, one.status) for one in snapshot.open if one.id not in moved]
    come = [(one.ref, one.status) for one in transitions.enrol]
    return sum(
        ref.rule in names and status is EnrolmentStatus.PREVIEWED for ref, status in (*stay, *come)
    )
