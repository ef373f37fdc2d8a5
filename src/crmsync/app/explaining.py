"""Why a record matches a rule, or does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from crmsync.app.correspondence import what_became_of
from crmsync.app.cycle import decide_from_remembered
from crmsync.app.deciding import chosen_rules, still_fresh, world_of
from crmsync.app.finding import find_record
from crmsync.app.results.explain import Clause, ExplainResult, RuleExplained
from crmsync.app.suppression import Stops
from crmsync.app.syncing import skipped
from crmsync.clock import readable
from crmsync.journeys.keys import round_of
from crmsync.ledger.states import State
from crmsync.ledger.values.enrolments import BEGUN, EnrolmentStatus
from crmsync.model.actions import SendEmail
from crmsync.model.notices import NoticeKind
from crmsync.model.verdicts import Truth
from crmsync.rules.conditions import clauses
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.explaining.assumptions import Assumptions
from crmsync.rules.explaining.explain import explain_all
from crmsync.rules.explaining.turns import LookedAhead, with_turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from crmsync.app.results.cycle import PlanResult
    from crmsync.app.workspace import Workspace
    from crmsync.config.yaml import Place
    from crmsync.ledger.values.effects import Effect
    from crmsync.ledger.values.enrolments import StepOutcome
    from crmsync.policy.correspondence import Notice
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.explaining.assumptions import AssumedField
    from crmsync.rules.explaining.evidence import Evidence
    from crmsync.rules.explaining.explain import ClauseReport, Turn
    from crmsync.rules.language import Rule
    from crmsync.warehouse.past import PastRecords
    from crmsync.warehouse.reader import Records

    # Of clauses, by place and text, what nobody knows to have been so.
    _Assumed = Mapping[tuple[Place, str], tuple[str, ...]]

_AHEAD = timedelta(days=366)  # how far it is looked for turns


def explain_subject(
    workspace: Workspace, wanted: str, *, only: Sequence[str] | None = None
) -> ExplainResult:
    """Every rule, or those of ``only``, for one record.

    Where something was read later than the present instant, the records are taken as they were at
    that instant, and nothing is said of what a run would do now.

    Args:
        wanted: its global id, its id in the CRM, its name, or a part of its name.

    Raises:
        UsageError: there is no such record, or more than one.
    """
    premises = workspace.premises
    rules = chosen_rules(premises.rules, only)
    with workspace.warehouse.reading() as records:
        past = _past_records(records, workspace.now)
        source = records if past is None else past
        tables = tuple(dict.fromkeys(rule.subject for rule in rules))
        then = "" if past is None else f" at {readable(workspace.now)}"
        table, subject, name = find_record(source, tables, wanted, then)
        world = world_of(premises, source)
        about = [rule for rule in rules if rule.subject == table]
        evaluation = Evaluation(about, world, ids=[subject])
        reports = explain_all(evaluation, {rule.name: [subject] for rule in about}, evidence=True)
        ahead = LookedAhead(reports={rule.name: reports[rule.name][subject] for rule in about})
        assumed = _assumed(workspace, past, world, about, subject)
        aliases = records.aliases().get(table, {})
        stops = () if past is not None else _stops(workspace, records, table, subject)
        # What was done for a record that was merged into this one was done for this one.
        ids = [subject, *sorted(old for old, survivor in aliases.items() if survivor == subject)]
        plan = None
        if past is None:
            until = world.now + _AHEAD
            lasting = world_of(premises, still_fresh(world, records, until))
            ahead = with_turns(about, subject, ahead.reports, lasting, until)
            plan = _plan(workspace, records, ahead.reports, ids)
    explained = tuple(
        _explained(rule, ahead, assumed, _notes(workspace, rule, ids, plan), zone=workspace.zone)
        for rule in about
    )
    return ExplainResult(
        at=workspace.now,
        subject=subject,
        subject_name=name,
        table=table,
        rules=explained,
        as_it_was=past is not None,
        stops=stops,
    )


def _plan(
    workspace: Workspace,
    records: Records,
    reports: Mapping[str, ClauseReport],
    ids: Sequence[str],
) -> PlanResult | None:
    """What a run would do now; None where it does nothing for this record, whatever it does."""
    inside = (
        enrolment.ended_at is None and enrolment.ref.rule in reports
        for record_id in ids
        for enrolment in workspace.ledger.enrolments(subject=record_id)
    )
    if all(report.verdict is Truth.NO for report in reports.values()) and not any(inside):
        return None
    sync = skipped(workspace, "nothing is read to explain")
    # By all rules, for what one takes of a cap is not there for another.
    return decide_from_remembered(workspace, records, sync, advance=lambda _label, _done: None).plan


def _past_records(records: Records, at: datetime) -> PastRecords | None:
    """The records as they were, where more was read since; else None."""
    later = [s.read_at for s in records.stream_states() if s.read_at is not None and s.read_at > at]
    return records.as_of(at) if later else None


def _assumed(
    workspace: Workspace,
    past: PastRecords | None,
    world: World,
    rules: Sequence[Rule],
    subject: str,
) -> _Assumed:
    """Of each clause, what of a past time is not known, in sentences."""
    if past is None:
        return {}
    assumptions = Assumptions(past, world, workspace.catalog.tables)
    # By place, since the clauses of a segment stand in every rule that uses it.
    asked = {(c.place, c.text): c for rule in rules for c in clauses(rule.when)}
    return {
        key: tuple(
            _as_sentence(field, workspace.zone)
            for field in assumptions.of_subject(clause, subject, workspace.now)
        )
        for key, clause in asked.items()
    }


def _as_sentence(assumed: AssumedField, zone: ZoneInfo) -> str:
    named = f"{assumed.table}.{assumed.field}"
    if assumed.tracked:
        return f"{named} is taken as it was first known, at {readable(assumed.before, zone)}"
    return f"{named} is taken as it is now: no history is kept of it"


def _explained(
    rule: Rule,
    ahead: LookedAhead,
    assumed: _Assumed,
    notes: tuple[str, ...],
    *,
    zone: ZoneInfo,
) -> RuleExplained:
    report, until = ahead.reports[rule.name], ahead.until.get(rule.name)
    return RuleExplained(
        rule=rule.name,
        description=rule.description,
        verdict=report.verdict,
        clauses=tuple(_clause(part, zone, assumed) for part in report.parts or (report,)),
        turns=_turn(report, zone),
        steady_until=None if until is None else until.astimezone(zone),
        notes=notes,
    )


def _notes(
    workspace: Workspace, rule: Rule, ids: Sequence[str], plan: PlanResult | None
) -> tuple[str, ...]:
    past = (note for subject in ids for note in _past(workspace, rule, subject))
    return (*past, *(() if plan is None else _next(rule, ids, plan)))


def _stops(workspace: Workspace, records: Records, table: str, subject: str) -> tuple[str, ...]:
    """What people have said about the record's account, and about its own address."""
    stops = Stops(workspace.ledger.stops(now=workspace.clock.now()), records)
    row = records.rows(table, [subject]).get(subject, {})
    account = subject if table == "account" else str(row.get("account"))
    email = str(row.get("email") or "")
    return (
        *(
            f"its account was muted {stop.told(workspace.zone)}"
            for stop in stops.of_account(account)
        ),
        *(
            f"its address was suppressed {stop.told(workspace.zone)}"
            for stop in stops.of_address(email)
        ),
        *(
            f"its address gets no commercial mail: said {stop.told(workspace.zone)}"
            for stop in stops.unsubscribed(email)
        ),
    )


def _turn(report: ClauseReport, zone: ZoneInfo) -> Turn | None:
    return report.turns and replace(report.turns, at=report.turns.at.astimezone(zone))


def _clause(report: ClauseReport, zone: ZoneInfo, assumed: _Assumed) -> Clause:
    return Clause(
        text=report.text,
        verdict=report.verdict,
        seen=report.value or "",
        distance=report.reason or report.distance or "",
        place=str(report.place),
        turns=_turn(report, zone),
        evidence=tuple(_in_zone(evidence, zone) for evidence in report.evidence),
        assumed=assumed.get((report.place, report.text), ()),
        clauses=tuple(_clause(part, zone, assumed) for part in report.parts),
    )


def _in_zone(evidence: Evidence, zone: ZoneInfo) -> Evidence:
    if not isinstance(evidence.at, datetime):
        return evidence
    return replace(evidence, at=evidence.at.astimezone(zone))


def _next(rule: Rule, ids: Sequence[str], plan: PlanResult) -> Iterator[str]:
    """What a run would do about it now, or why it would not."""
    for action in plan.actions:
        if action.rule == rule.name and action.subject in ids:
            title = f": {action.title}" if action.title else ""
            state = "next" if action.state == "ready" else f"{action.state} ({action.reason})"
            if action.not_before is not None:
                until = readable(action.not_before, plan.at.tzinfo)
                state = f"{action.state} until {until} ({action.reason})"
            yield f"{state}: {action.kind} for {action.to}{title}"
    for held in plan.held:
        if held.rule == rule.name and held.subject in ids:
            step = f" {held.step}" if held.step else ""
            yield f"held{step}: {held.reason}"


def _past(workspace: Workspace, rule: Rule, subject: str) -> list[str]:
    """What the ledger knows: whether it is in the rule, and what came of it; nothing later."""
    notes, zone, now = [], workspace.zone, workspace.now
    outcomes = workspace.ledger.step_outcomes()
    for enrolment in workspace.ledger.enrolments(rule=rule.name, subject=subject):
        if enrolment.entered_at > now:
            continue
        over = enrolment.ended_at is not None and enrolment.ended_at <= now
        status = EnrolmentStatus.ACTIVE if enrolment.ended_at and not over else enrolment.status
        told = f"in this rule since {readable(enrolment.entered_at, zone)} ({status})"
        if status is EnrolmentStatus.ACTIVE and enrolment.rule_version != rule.version:
            told += ", by the text of the rule as it was then"
        if enrolment.ended_at is not None and over:
            told += f", until {readable(enrolment.ended_at, zone)}: {enrolment.end_reason}"
            told += "; it reached its goal" if enrolment.goal else ""
        told += _begun_anew(outcomes.get(enrolment.ref, {}).values(), zone)
        notes.append(told)
    done = [
        effect
        for effect in workspace.ledger.effects(subject=subject)
        if effect.enrolment.rule == rule.name and effect.updated_at <= now
    ]
    fates = _fates(workspace, done)
    for effect in done:
        about = f": {effect.error}" if effect.error and effect.state is not State.DONE else ""
        about += fates.get(effect.key, "")
        # A step without an id of its own is called by its kind: task, task-2.
        kind, step = str(effect.action.kind), round_of(effect.step)[0]
        what = step if step.startswith(kind) else f"{kind} “{step}”"
        notes.append(f"{what} {effect.state} at {readable(effect.updated_at, zone)}{about}")
    return notes


def _fates(workspace: Workspace, effects: Sequence[Effect]) -> dict[str, str]:
    """What became of mails after they had gone out, by their keys: the end of a sentence."""
    sent = {
        one.action.message_id: one.key
        for one in effects
        if isinstance(one.action, SendEmail) and one.state in {State.DONE, State.UNCERTAIN}
    }
    if not sent:
        return {}
    with workspace.warehouse.reading() as records:
        told = what_became_of(records, list(sent), now=workspace.now)
    return {sent[message_id]: _fate(notice, workspace.zone) for message_id, notice in told.items()}


def _fate(notice: Notice, zone: ZoneInfo) -> str:
    if notice.kind is NoticeKind.COMPLAINT:
        return f", and called spam at {readable(notice.at, zone)}"
    why = f" ({notice.reason})" if notice.reason else ""
    return f", and came back at {readable(notice.at, zone)}{why}"


def _begun_anew(outcomes: Iterable[StepOutcome], zone: ZoneInfo) -> str:
    """That it is the third time, say, and since when; empty for the first."""
    rounds = {round_of(one.step)[1]: one.at for one in outcomes if one.result == BEGUN}
    if not rounds:
        return ""
    last = max(rounds)
    return f", for the {last}. time since {readable(rounds[last], zone)}"
