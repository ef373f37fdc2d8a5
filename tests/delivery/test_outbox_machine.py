"""The outbox under any order of claims, crashes, answers and time."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

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
from crmsync.errors import (
    AuthError,
    ChangedError,
    QuotaError,
    RejectedError,
    TransientError,
    UncertainError,
)
from crmsync.ledger.claims import claim_ready
from crmsync.ledger.decided import decide_effects
from crmsync.ledger.schema import history, transition
from crmsync.ledger.states import ALLOWED, WAITING, State
from crmsync.ledger.store import Ledger
from crmsync.ledger.values.effects import Withheld
from crmsync.ledger.values.enrolments import End, EnrolmentStatus, Transitions
from crmsync.model.actions import ActionKind, KeyHandling
from delivery.outbox_world import NOON, WAITS, FakeRemote, new_effect, plan, send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.ledger.values.effects import Effect, NewEffect
    from crmsync.model.actions import Action
    from support.ledgers import EmptyLedgers

ANSWERS = (
    "lands",
    "transient",
    "quota",
    "auth",
    "rejected",
    "changed",
    "uncertain and landed",
    "uncertain and lost",
)


# How the gates leave what they were asked about.
ASKED = (State.READY, State.READY, State.DEFERRED, State.AWAITING, State.DROPPED)


class Outbox(RuleBasedStateMachine):
    """Runs, workers, people and remotes do anything, time passes; nothing is doubled or lost."""

    def __init__(self, empty_ledgers: EmptyLedgers, seen: set[tuple[State, State]]) -> None:
        super().__init__()
        self.empty_ledgers = empty_ledgers
        self.seen = seen
        self.closing = ExitStack()

    @initialize(handling=st.sampled_from(KeyHandling))
    def begin(self, handling: KeyHandling) -> None:
        at = self.closing.enter_context(self.empty_ledgers())
        self.ledger = self.closing.enter_context(Ledger(at))
        self.handling = handling
        self.remote = FakeRemote(native=handling is KeyHandling.NATIVE)
        self.now = NOON
        self.planned: list[str] = []
        self.there: set[State] = set()  # which states there are effects in
        self.crashed: list[tuple[Effect, ...]] = []
        self.mails = True  # by another connection than the customer's

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            try:
                self.settle_everything()
            finally:
                self.closing.close()

    @rule(states=st.lists(st.sampled_from(ASKED), min_size=1, max_size=4))
    def plan_more(self, states: list[State]) -> None:
        first = len(self.planned)
        effects = [self.asked(number, state) for number, state in enumerate(states, first)]
        self.planned += plan(self.ledger, effects, at=self.now)

    def asked(self, number: int, state: State) -> NewEffect:
        later = self.now + timedelta(hours=1) if state is State.DEFERRED else None
        kind = ActionKind.WITHDRAWAL if number % 3 == 0 else ActionKind.TASK
        if self.mails and number % 3 == 1:
            return new_effect(
                number, kind=ActionKind.EMAIL, connection="post", state=state, not_before=later
            )
        return new_effect(number, kind=kind, state=state, not_before=later)

    def steps(self, *states: State) -> list[Effect]:
        """The effects that a rule asked for."""
        found = self.ledger.effects(states=states)
        return [one for one in found if one.action.kind is not ActionKind.LOG]

    @precondition(lambda self: self.there & WAITING)
    @rule(data=st.data(), state=st.sampled_from(ASKED))
    def ask_again(self, data: st.DataObject, state: State) -> None:
        """A later run composes what still waits, and the gates answer anything."""
        inside = {one.ref for one in self.ledger.enrolments(statuses=[EnrolmentStatus.ACTIVE])}
        waiting = [e for e in self.steps(*WAITING) if e.enrolment in inside]
        if waiting:
            effect = data.draw(st.sampled_from(waiting))
            self.commit(effects=[self.asked(self.planned.index(effect.key), state)])

    @precondition(lambda self: State.READY in self.there)
    @rule(data=st.data())
    def withhold(self, data: st.DataObject) -> None:
        ready = [effect.key for effect in self.steps(State.READY)]
        if ready:
            key = data.draw(st.sampled_from(ready))
            self.commit(withheld=[Withheld(key=key, reason="its account was muted")])

    def commit(self, **decided: Any) -> None:
        run_id = self.ledger.start_run("run", at=self.now, started_at=self.now)
        commit_plan(self.ledger, run_id, Transitions(at=self.now), **decided)

    @precondition(lambda self: self.there & WAITING)
    @rule(data=st.data())
    def a_person_drops_what_waits(self, data: st.DataObject) -> None:
        waiting = self.ledger.effects(states=WAITING)
        self.decide(data.draw(st.sampled_from(waiting)), State.DROPPED)

    @precondition(lambda self: State.REJECTED in self.there)
    @rule(data=st.data(), after=st.sampled_from([State.PLANNED, State.DROPPED]))
    def a_person_decides_about_what_was_rejected(self, data: st.DataObject, after: State) -> None:
        rejected = self.ledger.effects(states=[State.REJECTED])
        self.decide(data.draw(st.sampled_from(rejected)), after)

    @precondition(lambda self: State.UNCERTAIN in self.there)
    @rule(data=st.data(), drop=st.booleans())
    def a_person_decides_about_what_is_uncertain(self, data: st.DataObject, *, drop: bool) -> None:
        """They have looked at the remote."""
        uncertain = self.ledger.effects(states=[State.UNCERTAIN])
        effect = data.draw(st.sampled_from(uncertain))
        found = State.DONE if effect.key in self.remote.keys else State.PLANNED
        self.decide(effect, State.DROPPED if drop else found)

    def decide(self, effect: Effect, after: State) -> None:
        with self.ledger.writing() as connection:
            decide_effects(
                connection,
                [effect],
                after,
                by="Jo",
                at=self.now,
                reason="Jo says so",
                is_free=lambda _holder, _until: True,
                loggers=["crm"],
            )

    @precondition(lambda self: self.there & {State.READY, State.SENDING, State.UNCERTAIN})
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
            "changed": ChangedError("a person has taken it over"),
        }.get(kind, UncertainError("broken off"))

    def send(self, size: int = 3) -> None:
        send(
            self.ledger,
            self.remote,
            handling=self.handling,
            at=self.now,
            wall_clock=self.now,
            batch_size=size,
            post=True,
        )
        self.remote.answers = []

    @precondition(lambda self: State.READY in self.there)
    @rule(
        got_through=st.integers(0, 3),
        size=st.integers(1, 3),
        name=st.sampled_from(["crm", "post"]),
    )
    def claim_and_die(self, got_through: int, size: int, name: str) -> None:
        with self.ledger.writing() as connection:
            effects = claim_ready(
                connection,
                name,
                worker=f"dead-{len(self.crashed)}",
                now=self.now,
                lease_until=self.now + WAITS.lease,
                limit=size,
            )
        self.crashed.append(effects)
        for effect in effects[:got_through]:
            self.remote.land(effect.action)

    @precondition(lambda self: self.there & {State.SENDING, State.UNCERTAIN})
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
            moves = connection.execute(
                sa.select(history.c.effect_id, transition)
                .join(transition, transition.c.id == history.c.transition_id)
                .order_by(transition.c.id)
            ).all()
        for move in moves:
            if move.effect_id not in where:
                assert (move.before, move.after) == (None, State.PLANNED)
            else:
                assert move.before == where[move.effect_id]
                assert State(move.after) in ALLOWED[State(move.before)]
                self.seen.add((State(move.before), State(move.after)))
            where[move.effect_id] = State(move.after)
        assert where == {effect.id: effect.state for effect in self.ledger.effects()}
        self.there = set(where.values())

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def done_means_landed_and_rejected_means_not(self) -> None:
        there = set(self.remote.keys)
        for effect in self.ledger.effects():
            if effect.state is State.DONE:
                assert effect.key in there
            # What takes a task back is applied again without a look: it does no harm.
            looked_for = effect.action.kind is not ActionKind.WITHDRAWAL
            moving = {State.DONE, State.SENDING}
            if effect.state not in moving and not effect.in_doubt and looked_for:
                assert effect.key not in there
            if effect.state is not State.DROPPED:
                assert effect.in_doubt == (effect.state is State.UNCERTAIN)
            assert effect.attempts <= WAITS.most_attempts

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def what_was_mailed_has_its_log_and_nothing_else_has(self) -> None:
        effects = self.ledger.effects()
        mailed = [
            f"log-{one.key}"
            for one in effects
            if one.action.kind is ActionKind.EMAIL and one.state is State.DONE
        ]
        logs = [one.key for one in effects if one.action.kind is ActionKind.LOG]
        assert sorted(logs) == sorted(mailed)

    def settle_everything(self) -> None:
        """In the end, whatever happened, everything is settled, and nothing was lost."""
        self.let_all_out()
        for _ in range(2):  # a mail that a person finds at the remote is logged afterwards
            for _ in range(WAITS.most_attempts + 2):
                self.now += timedelta(days=1)
                self.send()
            for effect in self.ledger.effects(states=[State.UNCERTAIN]):
                assert self.handling is KeyHandling.UNSAFE
                found = effect.key in self.remote.keys
                self.decide(effect, State.DONE if found else State.DROPPED)
        effects = self.ledger.effects()
        assert [effect.key for effect in self.steps()] == self.planned
        self.what_was_mailed_has_its_log_and_nothing_else_has()
        there = set(self.remote.keys)
        for effect in effects:
            assert effect.state in {State.DONE, State.REJECTED, State.DROPPED}
            if effect.action.kind is not ActionKind.WITHDRAWAL or effect.state is State.DONE:
                landed = effect.key in there and not effect.in_doubt
                assert (effect.state is State.DONE) == landed
        self.nothing_is_there_twice()
        self.every_move_is_in_the_table_and_ends_where_the_effect_is()

    def let_all_out(self) -> None:
        inside = {one.ref for one in self.ledger.enrolments(statuses=[EnrolmentStatus.ACTIVE])}
        waiting = self.steps(*WAITING)
        numbers = [self.planned.index(e.key) for e in waiting if e.enrolment in inside]
        self.commit(effects=[self.asked(number, State.READY) for number in numbers])
        for effect in waiting:
            if effect.enrolment not in inside and effect.state is not State.READY:
                self.decide(effect, State.DROPPED)


def test_outbox(empty_ledgers: EmptyLedgers) -> None:
    run_state_machine_as_test(
        lambda: Outbox(empty_ledgers, set()),  # type: ignore[arg-type]  # it says that a function will do
        settings=settings(max_examples=25, stateful_step_count=15, deadline=None),
    )


def test_what_takes_back_may_have_landed_while_it_is_tried_again(
    empty_ledgers: EmptyLedgers,
) -> None:
    world = Outbox(empty_ledgers, set())
    world.begin(KeyHandling.NATIVE)
    world.plan_more([State.READY])
    world.deliver(["uncertain and landed"], 1)
    world.deliver(["transient"], 1)
    world.done_means_landed_and_rejected_means_not()
    world.teardown()


def test_each_move_of_the_table_is_made_by_somebody(empty_ledgers: EmptyLedgers) -> None:
    """One way through the same machine that makes all of them, and ends like any other."""
    seen: set[tuple[State, State]] = set()
    world = Outbox(empty_ledgers, seen)
    world.begin(KeyHandling.LOOKUP)
    world.mails = False

    def decide(number: int, after: State) -> None:
        by_key = {effect.key: effect for effect in world.ledger.effects()}
        world.decide(by_key[world.planned[number]], after)

    def let_out(number: int) -> None:
        world.commit(effects=[world.asked(number, State.READY)])

    # The gates answer each thing, and then another; a person drops what waits.
    world.plan_more([State.READY, State.DEFERRED, State.AWAITING, State.DROPPED])
    let_out(1)
    let_out(2)
    world.plan_more([State.DEFERRED, State.AWAITING, State.READY])
    for number in (4, 5, 6):
        decide(number, State.DROPPED)
    world.commit(withheld=[Withheld(key=world.planned[1], reason="its account was muted")])
    # People have changed what was to be taken back, and the remote refuses the other, twice.
    world.deliver(["changed", "rejected"], 3)
    decide(2, State.PLANNED)
    let_out(2)
    world.deliver(["rejected"], 3)
    decide(2, State.DROPPED)
    # One lands, one is to come again, one lands unseen; of two a person finds nothing.
    world.plan_more([State.READY] * 5)
    broken = "uncertain and lost"
    world.deliver(["lands", "transient", broken, "uncertain and landed", broken], 5)
    decide(9, State.PLANNED)
    decide(11, State.DROPPED)
    world.send()
    # Broken off as often as is allowed.
    world.plan_more([State.READY, State.READY])
    for _ in range(WAITS.most_attempts):
        world.deliver([broken, broken], 2)
    world.send()
    world.teardown()
    assert seen == {(before, after) for before, targets in ALLOWED.items() for after in targets}
