"""What the ledger keeps for journeys: texts of rules, rounds, tasks that were made."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.delivery.commit import commit_plan
from crmsync.ledger.claims import Settlement, claim_ready, settle_effects
from crmsync.ledger.states import State
from crmsync.ledger.values.effects import NewEffect
from crmsync.ledger.values.enrolments import (
    BEGUN,
    Activate,
    Enrol,
    EnrolmentRef,
    EnrolmentStatus,
    RuleText,
    StepOutcome,
    Transitions,
)
from crmsync.model.actions import CreateTask, RecordRef, UpdateFields
from journeys.rule_world import MONDAY

if TYPE_CHECKING:
    from crmsync.ledger.store import Ledger
    from crmsync.model.actions import Action

REF = EnrolmentRef(rule="r", subject="crm:a", key='["crm:a", 1]')
ENTERS = Transitions(
    at=MONDAY,
    enrol=(
        Enrol(
            ref=REF,
            rule_version="1",
            steps=("brief",),
            status=EnrolmentStatus.ACTIVE,
            holds_since=MONDAY,
        ),
    ),
    texts=(RuleText(rule="r", version="1", source="first"),),
)


def commit(ledger: Ledger, transitions: Transitions, **actions: Action) -> None:
    """Record moves and actions, and let these land."""
    run = ledger.start_run("run", at=transitions.at, started_at=transitions.at)
    effects = [
        NewEffect(
            enrolment=REF,
            step=step.replace("_", "#"),
            connection="crm",
            action=action,
            state=State.READY,
            reason="every gate let it pass",
        )
        for step, action in actions.items()
    ]
    commit_plan(ledger, run, transitions, effects)
    at = transitions.at
    with ledger.writing() as connection:
        claimed = claim_ready(connection, "crm", worker="w", now=at, lease_until=at, limit=9)
        landed = [
            Settlement(
                effect=one, after=State.DONE, reason="it has it", remote_id=f"remote-{one.key}"
            )
            for one in claimed
        ]
        settle_effects(connection, landed, worker="w", at=at)


def test_a_text_is_kept_once_and_found_by_its_version(ledger: Ledger) -> None:
    commit(ledger, ENTERS)
    later = Transitions(
        at=MONDAY + timedelta(days=1),
        texts=(
            RuleText(rule="r", version="1", source="another"),
            RuleText(rule="r", version="2", source="second"),
        ),
    )
    commit(ledger, later)
    wanted = {("r", "1"), ("r", "2"), ("r", "3"), ("s", "1")}
    assert ledger.rule_texts(wanted) == {("r", "1"): "first", ("r", "2"): "second"}
    assert ledger.rule_texts({("r", "2")}) == {("r", "2"): "second"}
    assert ledger.rule_texts(set()) == {}


def test_a_cooldown_counts_from_the_latest_round(ledger: Ledger) -> None:
    commit(ledger, ENTERS)
    again = MONDAY + timedelta(days=7)
    begun = StepOutcome(enrolment=REF, step="#2", result=BEGUN, at=again, reason="again")
    commit(ledger, Transitions(at=again, outcomes=(begun,)))
    history = ledger.enrolment_snapshot().histories["r", "crm:a"]
    assert history.last_active_at == again
    assert history.enrolments == 1


def test_who_begins_anew_goes_by_another_version_and_nothing_old_waits(ledger: Ledger) -> None:
    run = ledger.start_run("run", at=MONDAY, started_at=MONDAY)
    waiting = NewEffect(
        enrolment=REF,
        step="brief",
        connection="crm",
        action=CreateTask(key="k", subject="Call"),
        state=State.DEFERRED,
        reason="it is night",
        not_before=MONDAY + timedelta(hours=9),
    )
    commit_plan(ledger, run, ENTERS, [waiting])
    (inside,) = ledger.enrolments()
    at = MONDAY + timedelta(hours=1)
    anew = Activate(enrolment=inside, rule_version="2", steps=("call",), holds_since=MONDAY)
    commit(ledger, Transitions(at=at, activate=(anew,)))
    (after,) = ledger.enrolments()
    assert after == replace(inside, rule_version="2", steps=("call",), entered_at=at)
    (effect,) = ledger.effects()
    assert (effect.state, effect.error) == (State.DROPPED, "its enrolment begins anew")


def test_a_task_is_known_by_its_own_id_also_where_it_was_updated(ledger: Ledger) -> None:
    commit(ledger, ENTERS, brief=CreateTask(key="k1", subject="Call"))
    record = RecordRef(table="activity", id="remote-k1")
    update = UpdateFields(key="k2", record=record, stream="tasks", changes={"Subject": "Call!"})
    commit(ledger, Transitions(at=MONDAY + timedelta(days=7)), brief_2=update)
    states = ledger.step_states()[REF]
    assert {step: state.remote_id for step, state in states.items()} == {
        "brief": "remote-k1",
        "brief#2": "remote-k1",
    }
    (made,) = ledger.made_tasks({"r"}, {"crm:a", "crm:b"})
    assert (made.step, made.remote_id, made.at) == ("brief", "remote-k1", MONDAY)
    assert not ledger.made_tasks({"r"}, {"crm:b"})
    assert not ledger.made_tasks({"s"}, {"crm:a"})
