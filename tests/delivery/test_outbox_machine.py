"""The outbox under any order of claims, crashes, answers and time."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crmsync.delivery.commit import commit_plan
from crmsync.errors import AuthError, QuotaError, RejectedError, TransientError, UncertainError
from crmsync.ledger.claims import claim_ready
from crmsync.ledger.schema import transition
from crmsync.ledger.states import ALLOWED, State
from crmsync.ledger.store import Ledger
from crmsync.ledger.values.enrolments import End, EnrolmentStatus, Transitions
from crmsync.model.actions import KeyHandling
from delivery.outbox_world import NOON, WAITS, FakeRemote, new_effect, plan, send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.ledger.values.effects import Effect
    from crmsync.model.actions import Action
    from support.ledgers import EmptyLedgers

ANSWERS = (
    "lands",
    "transient",
    "quota",
    "auth",
    "rejected",
    "uncertain and landed",
    "uncertain and lost",
)


class Outbox(RuleBasedStateMachine):
    """Workers claim and die, remotes answer anything, time passes; nothing is doubled or lost."""

    def __init__(self, empty_ledgers: EmptyLedgers) -> None:
        super().__init__()
        self.empty_ledgers = empty_ledgers
        self.closing = ExitStack()

    @initialize(handling=st.sampled_from([KeyHandling.NATIVE, KeyHandling.LOOKUP]))
    def begin(self, handling: KeyHandling) -> None:
        at = self.closing.enter_context(self.empty_ledgers())
        self.ledger = self.closing.enter_context(Ledger(at))
        self.handling = handling
        self.remote = FakeRemote(native=handling is KeyHandling.NATIVE)
        self.now = NOON
        self.planned: list[str] = []
        self.crashed: list[tuple[Effect, ...]] = []

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            try:
                self.settle_everything()
            finally:
                self.closing.close()

    @rule(count=st.integers(1, 4))
    def plan_more(self, count: int) -> None:
        first = len(self.planned)
        effects = [new_effect(number) for number in range(first, first + count)]
        self.planned += plan(self.ledger, effects, at=self.now)

    @rule(answers=st.lists(st.sampled_from(ANSWERS), max_size=6), size=st.integers(1, 3))
    def deliver(self, answers: list[str], size: int) -> None:
        script = iter(answers)

        def answer(actions: Sequence[Action]) -> object:
            return [self.answer(next(script, "lands"), action) for action in actions]

        self.remote.answers = [answer] * 20
        self.send(size)

    def answer(self, kind: str, action: Action) -> object:
        if kind == "lands":
            return self.remote.land(action)
        if kind == "uncertain and landed":
            self.remote.land(action)
        return {
            "transient": TransientError("503"),
            "quota": QuotaError("used up", until=self.now + timedelta(hours=1)),
            "auth": AuthError("revoked"),
            "rejected": RejectedError("no"),
        }.get(kind, UncertainError("broken off"))

    def send(self, size: int = 3) -> None:
        send(
            self.ledger,
            self.remote,
            handling=self.handling,
            at=self.now,
            wall_clock=self.now,
            batch_size=size,
        )
        self.remote.answers = []

    @rule(got_through=st.integers(0, 3), size=st.integers(1, 3))
    def claim_and_die(self, got_through: int, size: int) -> None:
        with self.ledger.writing() as connection:
            effects = claim_ready(
                connection,
                "crm",
                worker=f"dead-{len(self.crashed)}",
                now=self.now,
                lease_until=self.now + WAITS.lease,
                limit=size,
            )
        self.crashed.append(effects)
        for effect in effects[:got_through]:
            self.remote.land(effect.action)

    @rule(defect=st.sampled_from([TransientError("503"), RuntimeError("a defect")]))
    def deliver_without_being_able_to_look(self, defect: Exception) -> None:
        self.remote.find_error = defect
        self.send()
        self.remote.find_error = None

    @precondition(lambda self: self.planned)
    @rule(data=st.data())
    def end_an_enrolment(self, data: st.DataObject) -> None:
        enrolments = self.ledger.enrolments(statuses=[EnrolmentStatus.ACTIVE])
        if enrolments:
            ending = data.draw(st.sampled_from(enrolments))
            run_id = self.ledger.start_run("run", at=self.now, started_at=self.now)
            end = End(enrolment=ending, reason="its conditions no longer hold")
            commit_plan(self.ledger, run_id, Transitions(at=self.now, end=(end,)))

    @rule(minutes=st.sampled_from([1, 5, 11, 60, 600]))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def nothing_is_there_twice(self) -> None:
        keys = self.remote.keys
        assert len(keys) == len(set(keys))

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def every_move_is_in_the_table_and_ends_where_the_effect_is(self) -> None:
        where: dict[int, State] = {}
        with self.ledger.reading() as connection:
            moves = connection.execute(sa.select(transition).order_by(transition.c.id)).all()
        for move in moves:
            if move.effect_id not in where:
                assert (move.before, move.after) == (None, State.PLANNED)
            else:
                assert move.before == where[move.effect_id]
                assert State(move.after) in ALLOWED[State(move.before)]
            where[move.effect_id] = State(move.after)
        assert where == {effect.id: effect.state for effect in self.ledger.effects()}

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def done_means_landed_and_rejected_means_not(self) -> None:
        there = set(self.remote.keys)
        for effect in self.ledger.effects():
            if effect.state is State.DONE:
                assert effect.key in there
            if effect.state not in {State.DONE, State.SENDING} and not effect.in_doubt:
                assert effect.key not in there
            assert effect.in_doubt == (effect.state is State.UNCERTAIN)
            assert effect.attempts <= WAITS.most_attempts

    def settle_everything(self) -> None:
        """In the end, whatever happened, everything is settled, and nothing was lost."""
        for _ in range(WAITS.most_attempts + 2):
            self.now += timedelta(days=1)
            self.send()
        effects = self.ledger.effects()
        assert [effect.key for effect in effects] == self.planned
        there = set(self.remote.keys)
        for effect in effects:
            assert effect.state in {State.DONE, State.REJECTED, State.DROPPED}
            assert (effect.state is State.DONE) == (effect.key in there)


def test_outbox(empty_ledgers: EmptyLedgers) -> None:
    run_state_machine_as_test(
        lambda: Outbox(empty_ledgers),  # type: ignore[arg-type]  # it says that a function will do
        settings=settings(max_examples=25, stateful_step_count=12, deadline=None),
    )
