"""A mail that one connection has sent is logged by another, once, on both engines."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

import pytest

from crmsync.clock import FixedClock
from crmsync.delivery.commit import commit_plan
from crmsync.delivery.deliver import Target, deliver
from crmsync.errors import RejectedError, TransientError, UncertainError
from crmsync.ledger.claims import claim_ready
from crmsync.ledger.decided import decide_effects
from crmsync.ledger.states import State
from crmsync.ledger.undoing import read_left, take_back
from crmsync.ledger.values.enrolments import End, Transitions
from crmsync.model.actions import ActionKind, KeyHandling, LogEmail, RecordRef, SendEmail
from delivery.outbox_world import (
    NOON,
    WAITS,
    FakeRemote,
    new_effect,
    path_of,
    plan,
    spec,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from crmsync.delivery.tally import DeliveryReport
    from crmsync.ledger.store import Ledger
    from crmsync.ledger.values.effects import Effect, NewEffect
    from crmsync.model.actions import Action

ABOUT = (RecordRef(table="account", id="1"), RecordRef(table="contact", id="c1"))


def mail(number: int) -> NewEffect:
    new = new_effect(number, kind=ActionKind.EMAIL, connection="post")
    assert isinstance(new.action, SendEmail)
    return replace(new, action=replace(new.action, html="<p>Hello</p>", about=ABOUT))


@dataclass
class Company:
    """A CRM that mail is logged in, and a mail server that knows nothing of it."""

    ledger: Ledger
    handling: KeyHandling = KeyHandling.LOOKUP
    loggers: Collection[str] = ("crm",)
    crm: FakeRemote = field(default_factory=FakeRemote)
    post: FakeRemote = field(default_factory=FakeRemote)

    def send(self, *, run_id: int | None = None, later: int = 0) -> DeliveryReport:
        at = NOON + later * WAITS.longest_wait
        return deliver(
            self.ledger,
            {
                "crm": Target(writes=self.crm, spec=spec(KeyHandling.LOOKUP)),
                "post": Target(
                    writes=self.post, spec=spec(self.handling, kinds=[ActionKind.EMAIL])
                ),
            },
            clock=FixedClock(instant=at),
            lease_clock=FixedClock(instant=at),
            loggers=self.loggers,
            patience=WAITS,
            random=Random(7),
            run_id=run_id,
        )

    @property
    def logs(self) -> tuple[Effect, ...]:
        return self.ledger.effects(kinds=[ActionKind.LOG])


@pytest.fixture
def company(ledger: Ledger) -> Company:
    return Company(ledger)


def test_a_mail_is_logged_as_it_was_sent_and_once(company: Company) -> None:
    plan(company.ledger, [mail(1)])
    report = company.send(run_id=1)
    assert (report.done, report.logged, report.problems) == (1, 1, ())
    (sent,) = company.post.landed
    (log,) = company.crm.landed
    assert isinstance(sent, SendEmail)
    assert log == LogEmail(
        key=f"log-{sent.key}",
        message_id=sent.message_id,
        sender=sent.sender,
        recipient=sent.recipient,
        subject=sent.subject,
        text=sent.text,
        html="<p>Hello</p>",
        about=ABOUT,
        at=sent.at,
    )
    assert company.send().logged == 0
    assert len(company.crm.landed) == 1
    (effect,) = company.logs
    assert path_of(company.ledger, effect) == [
        *(State.PLANNED, State.READY, State.SENDING, State.DONE)
    ]


@pytest.mark.parametrize(
    ("connection", "loggers"), [("crm", ["crm"]), ("post", []), ("post", ["post", "other"])]
)
def test_what_the_crm_sends_itself_or_cannot_log_has_no_log(
    company: Company, connection: str, loggers: list[str]
) -> None:
    company.loggers = loggers
    plan(company.ledger, [replace(mail(1), connection=connection)])
    assert company.send().done == 1
    assert company.logs == ()


def test_only_mails_are_logged(company: Company) -> None:
    tasks = [new_effect(1, connection="other"), new_effect(2, kind=ActionKind.NOTE)]
    plan(company.ledger, tasks)
    company.send()
    assert company.logs == ()


def test_a_mail_that_was_refused_or_waits_has_no_log(company: Company) -> None:
    plan(company.ledger, [mail(1), mail(2), mail(3)])
    company.post.answers = [
        lambda _: [RejectedError("no")],
        lambda _: [TransientError("later")],
    ]
    company.send()
    assert [one.key for one in company.logs] == [f"log-{company.post.landed[0].key}"]
    company.send(later=1)
    assert len(company.logs) == 2
    assert len(company.crm.landed) == 2


def test_a_mail_that_was_found_to_have_landed_is_logged(company: Company) -> None:
    plan(company.ledger, [mail(1), mail(2)])

    def broken(actions: Sequence[Action]) -> object:
        company.post.land(actions[0])
        return [UncertainError("cut")]

    company.post.answers = [broken, UncertainError("cut")]
    company.send()
    assert company.logs == ()
    report = company.send(later=1)
    assert report.logged == 2
    assert [log.key for log in company.crm.landed] == [
        f"log-{one.key}" for one in company.post.landed
    ]


@pytest.mark.parametrize(("after", "logs"), [(State.DONE, 1), (State.DROPPED, 0)])
def test_what_a_person_says_of_a_mail_decides(company: Company, after: State, logs: int) -> None:
    company.handling = KeyHandling.UNSAFE
    plan(company.ledger, [mail(1)])
    company.post.answers = [UncertainError("cut")]
    company.send()
    (effect,) = company.ledger.effects(states=[State.UNCERTAIN])
    decide(company, effect, after)
    assert company.send(later=1).logged == logs
    assert len(company.crm.landed) == logs


def decide(company: Company, effect: Effect, after: State) -> None:
    with company.ledger.writing() as connection:
        decide_effects(
            connection,
            [effect],
            after,
            by="Jo",
            at=NOON,
            reason="Jo says so",
            is_free=lambda _holder, _until: True,
            loggers=company.loggers,
        )


def test_a_log_whose_answer_was_lost_is_looked_for(company: Company) -> None:
    plan(company.ledger, [mail(1)])

    def broken(actions: Sequence[Action]) -> object:
        company.crm.land(actions[0])
        return [UncertainError("cut")]

    company.crm.answers = [broken]
    company.send()
    assert [log.state for log in company.logs] == [State.UNCERTAIN]
    company.send(later=1)
    assert [log.state for log in company.logs] == [State.DONE]
    assert len(company.crm.landed) == 1


def test_a_log_that_never_arrived_is_made_by_whatever_run_comes_next(company: Company) -> None:
    plan(company.ledger, [mail(1)])
    company.crm.answers = [UncertainError("cut")]
    company.send()
    assert company.send(run_id=99, later=1).logged == 1
    assert len(company.crm.landed) == 1


def test_a_log_that_was_refused_can_be_tried_again(company: Company) -> None:
    plan(company.ledger, [mail(1)])
    company.crm.answers = [lambda _actions: [RejectedError("no such contact")]]
    assert company.send().rejected == 1
    (log,) = company.logs
    assert (log.state, log.error) == (State.REJECTED, "no such contact")
    decide(company, log, State.PLANNED)
    assert company.send(later=1).logged == 1


def test_who_leaves_the_rule_has_their_mail_logged_all_the_same(company: Company) -> None:
    plan(company.ledger, [mail(1)])
    company.crm.answers = [TransientError("later")]
    company.send()
    (enrolment,) = company.ledger.enrolments()
    run_id = company.ledger.start_run("run", at=NOON, started_at=NOON)
    gone = Transitions(at=NOON, end=(End(enrolment=enrolment, reason="gone"),))
    commit_plan(company.ledger, run_id, gone)
    assert company.send(later=1).logged == 1


def test_an_undo_leaves_logs_where_they_are(company: Company) -> None:
    plan(company.ledger, [mail(1)])
    company.crm.answers = [TransientError("later")]
    company.send()
    run = company.ledger.start_run("undo", at=NOON, started_at=NOON, undoes=1)
    with company.ledger.writing() as connection:
        left = read_left(connection, 1)
        assert [one.action.kind for one in left.effects] == [ActionKind.EMAIL]
        assert left.waiting == ()
        take_back(connection, left, left.tasks, run_id=run, by="Jo", at=NOON, reason="wrong")
    assert company.send(later=1).logged == 1


def test_a_crash_before_the_outcome_is_recorded_leaves_no_log(company: Company) -> None:
    """The mail's outcome and its log are one transaction."""
    plan(company.ledger, [mail(1)])
    with company.ledger.writing() as connection:
        claim_ready(
            connection, "post", worker="dead", now=NOON, lease_until=NOON + WAITS.lease, limit=9
        )
    company.post.land(mail(1).action)
    assert company.logs == ()
    company.send(later=1)
    assert len(company.post.landed) == len(company.crm.landed) == 1
