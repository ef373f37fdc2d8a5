"""What people say about effects and enrolments, on either engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from crmsync.delivery.commit import commit_plan
from crmsync.errors import StoreBusyError
from crmsync.journeys.keys import effect_key, running_key
from crmsync.ledger.decided import decide_effects, effects_beginning
from crmsync.ledger.enrolments import decide_previewed
from crmsync.ledger.reviews import (
    Verdict,
    read_reviewed_one,
    say_of_effects,
    say_of_enrolments,
    word_effect,
)
from crmsync.ledger.states import State
from crmsync.ledger.values.effects import NewEffect
from crmsync.ledger.values.enrolments import Enrol, EnrolmentRef, EnrolmentStatus, Transitions
from crmsync.model.actions import AddNote
from delivery.outbox_world import NOON

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.ledger.store import Ledger

_REF = EnrolmentRef(rule="r", subject="crm:A1", key=running_key("crm:A1", 1))
_KEY = effect_key(_REF, "note")


def _recorded(ledger: Ledger, state: State, status: EnrolmentStatus) -> None:
    run = ledger.start_run("run", at=NOON, started_at=NOON)
    enrol = Enrol(ref=_REF, rule_version="1", steps=("note",), status=status, holds_since=NOON)
    new = NewEffect(
        enrolment=_REF,
        step="note",
        connection="crm",
        action=AddNote(key=_KEY, text="Hello"),
        state=state,
        reason="Jo must approve it first",
    )
    commit_plan(ledger, run, Transitions(at=NOON, enrol=(enrol,)), [new])


def test_a_word_is_kept_with_the_action_and_moves_it(ledger: Ledger) -> None:
    _recorded(ledger, State.AWAITING, EnrolmentStatus.ACTIVE)
    (reviewed,) = ledger.reviewed()
    assert (reviewed.approval, reviewed.edit) == (None, None)
    worded = replace(reviewed.effect, action=AddNote(key=_KEY, text="Dear Ann"))
    with ledger.writing() as connection:
        word_effect(connection, worded.id, worded.action)
        for verdict in (Verdict.EDITED, Verdict.APPROVED):
            say_of_effects(connection, [worded], verdict, by="Jo", at=NOON, reason="")
        decide_effects(
            connection,
            effects_beginning(connection, _KEY[:5], 2),
            State.PLANNED,
            by="Jo",
            at=NOON,
            reason="Jo approved it",
            is_free=lambda _worker, _until: True,
        )
    (reviewed,) = ledger.reviewed()
    assert (reviewed.effect.state, reviewed.effect.action) == (State.PLANNED, worded.action)
    assert reviewed.approval is not None
    assert reviewed.edit is not None
    assert (reviewed.approval.action, reviewed.edit.said_by) == (worded.action, "Jo")
    with ledger.reading() as connection:
        assert read_reviewed_one(connection, worded.id) == reviewed


def test_nobody_decides_about_what_has_moved_on_or_is_at_work(ledger: Ledger) -> None:
    _recorded(ledger, State.AWAITING, EnrolmentStatus.ACTIVE)
    (seen,) = ledger.effects()

    def free(_worker: str | None, _until: datetime | None) -> bool:
        return True

    def busy(_worker: str | None, _until: datetime | None) -> bool:
        return False

    for effect, is_free, words in (
        (replace(seen, state=State.READY), free, "has moved on meanwhile, it is awaiting"),
        (seen, busy, "another process is still busy with"),
    ):
        with pytest.raises(StoreBusyError, match=words), ledger.writing() as connection:
            decide_effects(
                connection,
                [effect],
                State.DROPPED,
                by="Jo",
                at=NOON,
                reason="no",
                is_free=is_free,
            )
    assert ledger.effects() == (seen,)


def test_a_previewed_enrolment_is_decided_about_once(ledger: Ledger) -> None:
    _recorded(ledger, State.DROPPED, EnrolmentStatus.PREVIEWED)
    (known,) = ledger.enrolments()
    with ledger.writing() as connection:
        decide_previewed(connection, [known.id], EnrolmentStatus.WAITING, at=NOON)
        say_of_enrolments(
            connection, [known.id], Verdict.ENROLLED, by="Jo", at=NOON, reason="a good list"
        )
    assert [one.status for one in ledger.enrolments()] == [EnrolmentStatus.WAITING]
    with pytest.raises(StoreBusyError), ledger.writing() as connection:
        decide_previewed(connection, [known.id], EnrolmentStatus.IGNORED, at=NOON)
