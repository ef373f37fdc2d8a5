from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.config.settings import Existing
from crmsync.delivery.commit import commit_plan
from crmsync.errors import StoreBusyError
from crmsync.journeys.keys import effect_key
from crmsync.ledger.claims import Settlement, claim_ready, settle_effects
from crmsync.ledger.states import State
from crmsync.ledger.values.effects import NewEffect, Withheld
from crmsync.ledger.values.enrolments import Transitions
from crmsync.ledger.values.runs import Answer, Decision
from crmsync.model.actions import AddNote
from journeys.rule_world import Cycle, a_rule, verdict

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.journeys.due import OpenStep
    from crmsync.ledger.store import Ledger

BRIEF, MAIL = ("crm:1", "brief"), ("crm:1", "mail")


def effect_of(
    due: OpenStep,
    state: State = State.READY,
    *,
    text: str = "Seen",
    not_before: datetime | None = None,
) -> NewEffect:
    return NewEffect(
        enrolment=due.enrolment,
        step=due.step.id,
        connection="crm",
        action=AddNote(key=due.key, text=text),
        state=state,
        reason="because",
        not_before=not_before,
    )


def test_all_steps_of_a_new_enrolment_are_due_in_their_order(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    cycle.plan([rule], verdict(rule, ["crm:2", "crm:1"]))
    assert cycle.due_steps() == [BRIEF, MAIL, ("crm:2", "brief"), ("crm:2", "mail")]
    first = cycle.due[0]
    assert first.key == effect_key(first.enrolment, "brief")


def test_a_step_stays_due_until_it_has_an_effect(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    cycle.run(rule, ["crm:1"], steps=["brief"])
    assert cycle.due_steps() == [BRIEF, MAIL]
    cycle.run(rule, ["crm:1"])
    assert cycle.due_steps() == [MAIL]
    cycle.run(rule, ["crm:1"], steps=None)
    assert cycle.due_steps() == [MAIL]
    cycle.run(rule, ["crm:1"])
    assert cycle.due_steps() == []


def test_a_step_waits_while_its_subject_is_unknown(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    cycle.run(rule, ["crm:1"])
    cycle.run(rule, unknown=["crm:1"])
    assert cycle.due_steps() == []
    cycle.run(rule, ["crm:1"])
    assert cycle.due_steps() == [BRIEF, MAIL]


def test_nothing_is_due_any_more_once_the_conditions_are_false(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    cycle.run(rule, ["crm:1"])
    cycle.run(rule)
    assert cycle.due_steps() == []


def test_a_step_that_was_added_later_is_not_due_for_those_inside(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(a_rule(steps=["brief"]), ["crm:1"])
    longer = a_rule(steps=["extra", "brief"], version="2")
    cycle.run(longer, ["crm:1", "crm:2"])
    assert cycle.due_steps() == [BRIEF, ("crm:2", "extra"), ("crm:2", "brief")]


def test_the_next_enrolment_of_a_subject_has_keys_of_its_own(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(steps=["brief"])
    cycle.run(rule, ["crm:1"], steps=None)
    cycle.run(rule)
    cycle.run(rule, ["crm:1"], steps=None)
    keys = [effect.key for effect in ledger.effects()]
    assert len(set(keys)) == 2


def test_a_deferred_step_stays_due_and_is_composed_anew(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(steps=["brief"])
    morning = cycle.now + timedelta(hours=20)
    transitions = cycle.plan([rule], verdict(rule, ["crm:1"]))
    run_id = ledger.start_run("run", at=cycle.now, started_at=cycle.now)
    late = effect_of(cycle.due[0], State.DEFERRED, text="old", not_before=morning)
    commit_plan(ledger, run_id, transitions, [late])

    # What it waits for may have changed before its time comes.
    cycle.now = morning - timedelta(seconds=1)
    again = cycle.plan([rule], verdict(rule, ["crm:1"]))
    assert cycle.due_steps() == [BRIEF]
    second = ledger.start_run("run", at=cycle.now, started_at=cycle.now)
    commit_plan(ledger, second, again, [effect_of(cycle.due[0], text="new")])

    (effect,) = ledger.effects()
    assert effect.action == AddNote(key=effect.key, text="new")
    assert (effect.state, effect.run_id, effect.not_before) == (State.READY, second, None)
    assert [record.after for record in ledger.history_of(effect.id)] == [
        State.PLANNED,
        State.DEFERRED,
        State.PLANNED,
        State.READY,
    ]


def test_a_dropped_step_is_settled(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(steps=["brief"])
    transitions = cycle.plan([rule], verdict(rule, ["crm:1"]))
    run_id = ledger.start_run("run", at=cycle.now, started_at=cycle.now)
    commit_plan(ledger, run_id, transitions, [effect_of(cycle.due[0], State.DROPPED)])
    cycle.run(rule, ["crm:1"])
    assert cycle.due_steps() == []
    assert ledger.effects()[0].error == "because"


def test_the_end_of_an_enrolment_takes_back_what_waits(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(steps=["brief"])
    cycle.run(rule, ["crm:1", "crm:2"], steps=None, delivered=False)
    cycle.run(rule, ["crm:2"], delivered=False)
    first, second = ledger.effects()
    assert (first.state, second.state) == (State.DROPPED, State.READY)
    assert first.error == "its enrolment ended: its conditions no longer hold"


def test_previewed_subjects_have_no_due_steps(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger, Existing.PREVIEW), a_rule()
    cycle.run(rule, ["crm:1"])
    assert cycle.due_steps() == []


def test_what_still_waits_is_asked_about_anew_with_its_key_and_its_attempts(
    ledger: Ledger,
) -> None:
    cycle, rule = Cycle(ledger), a_rule(steps=["brief"])
    cycle.run(rule, ["crm:1"], steps=None, delivered=False)
    with ledger.writing() as connection:
        (claimed,) = claim_ready(
            connection, "crm", worker="w", now=cycle.now, lease_until=cycle.now, limit=1
        )
        later = cycle.now + timedelta(hours=1)
        failed = Settlement(
            effect=claimed, after=State.READY, reason="503", error="503", not_before=later
        )
        settle_effects(connection, [failed], worker="w", at=cycle.now)
    transitions = cycle.plan([rule], verdict(rule, ["crm:1"]))
    assert cycle.due_steps() == []

    cycle.now = later
    transitions = cycle.plan([rule], verdict(rule, ["crm:1"]))
    assert [due.key for due in cycle.due] == [claimed.key]
    run_id = ledger.start_run("run", at=later, started_at=later)
    commit_plan(ledger, run_id, transitions, [effect_of(cycle.due[0], text="new")])
    (effect,) = ledger.effects()
    assert effect.action == AddNote(key=claimed.key, text="new")
    assert (effect.state, effect.attempts, effect.run_id) == (State.READY, 1, run_id)
    assert (effect.not_before, effect.error) == (None, "503")


def test_what_is_withheld_is_no_longer_ready_and_stays_due(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(steps=["brief"])
    cycle.run(rule, ["crm:1", "crm:2"], steps=None, delivered=False)
    on_its_way, waiting = ledger.effects()
    with ledger.writing() as connection:
        claim_ready(connection, "crm", worker="w", now=cycle.now, lease_until=cycle.now, limit=1)
    transitions = cycle.plan([rule], verdict(rule, ["crm:1", "crm:2"]))
    assert cycle.due_steps() == [("crm:2", "brief")]
    run_id = ledger.start_run("run", at=cycle.now, started_at=cycle.now)
    withheld = [Withheld(key=one.key, reason="no address") for one in (on_its_way, waiting)]
    commit_plan(ledger, run_id, transitions, withheld=withheld)
    on_its_way, waiting = ledger.effects()
    assert on_its_way.state is State.SENDING
    assert (waiting.state, waiting.error) == (State.PLANNED, "no address")

    cycle.run(rule, ["crm:1", "crm:2"], steps=None, delivered=False)
    assert ledger.effects()[1].state is State.READY
    assert cycle.due_steps() == [("crm:2", "brief")]


def test_what_may_have_landed_is_not_composed_anew(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(steps=["brief"])
    cycle.run(rule, ["crm:1"], steps=None, delivered=False)
    known = cycle.due[0]
    with ledger.writing() as connection:
        (claimed,) = claim_ready(
            connection, "crm", worker="w", now=cycle.now, lease_until=cycle.now, limit=1
        )
        doubtful = Settlement(effect=claimed, after=State.READY, reason="again", in_doubt=True)
        settle_effects(connection, [doubtful], worker="w", at=cycle.now)
    transitions = cycle.plan([rule], verdict(rule, ["crm:1"]))
    assert cycle.due_steps() == []
    run_id = ledger.start_run("run", at=cycle.now, started_at=cycle.now)
    with pytest.raises(StoreBusyError):
        commit_plan(ledger, run_id, transitions, [effect_of(known)])
    commit_plan(ledger, run_id, transitions, withheld=[Withheld(key=known.key, reason="no")])
    assert ledger.effects()[0].state is State.READY


def test_an_effect_is_recorded_once_only_and_the_rest_of_its_run_with_it(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(steps=["brief"])
    cycle.run(rule, ["crm:1"], steps=None)
    known = effect_of(cycle.due[0])
    other = cycle.plan([rule], verdict(rule, ["crm:1", "crm:2"]))
    decision = Decision(
        rule=rule.name,
        subject="crm:1",
        step="brief",
        answer=Answer.PASS,
        gate="",
        reason="every gate let it pass",
    )
    before = ledger.enrolment_snapshot()
    run_id = ledger.start_run("run", at=cycle.now, started_at=cycle.now)
    with pytest.raises(StoreBusyError):
        commit_plan(ledger, run_id, other, [known], [decision])
    assert ledger.enrolment_snapshot() == before
    assert ledger.decisions(run_id=run_id) == ()
    assert len(ledger.effects()) == 1


def test_an_effect_needs_its_enrolment(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(steps=["brief"])
    cycle.plan([rule], verdict(rule, ["crm:1"]))
    run_id = ledger.start_run("run", at=cycle.now, started_at=cycle.now)
    with pytest.raises(StoreBusyError):
        commit_plan(ledger, run_id, Transitions(at=cycle.now), [effect_of(cycle.due[0])])
    assert ledger.effects() == ()


def test_decisions_are_kept_by_run_and_subject(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    run_id = ledger.start_run("run", at=cycle.now, started_at=cycle.now)
    tomorrow = cycle.now + timedelta(days=1)
    made = [
        Decision(
            rule="r",
            subject=f"crm:{n}",
            step=None,
            answer=answer,
            gate="suppression",
            reason="because",
            until=tomorrow if answer is Answer.DEFER else None,
        )
        for n, answer in enumerate(Answer)
    ]
    commit_plan(ledger, run_id, Transitions(at=cycle.now), (), made)
    assert ledger.decisions(run_id=run_id) == tuple(made)
    assert ledger.decisions(run_id=run_id, subject="crm:2") == (made[2],)
    assert ledger.decisions(run_id=run_id + 1) == ()
