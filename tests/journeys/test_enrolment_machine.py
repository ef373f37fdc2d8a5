"""Enrolments under any course of conditions, authors' changes and time."""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import ExitStack
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

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

from crmsync.config.settings import Existing
from crmsync.ledger.store import Ledger
from crmsync.ledger.values.enrolments import OPEN, EnrolmentStatus, HeldBecause
from journeys.rule_world import COMPANY, Cycle, a_rule, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.ledgers import EmptyLedgers

SUBJECTS = ("crm:1", "crm:2", "crm:3")
COOLDOWN = timedelta(days=3)
LASTING = timedelta(days=2)
# What is said of a subject: that it does not match, is missing or unknown, or matches with a tier.
SAID = st.sampled_from([None, "missing", "unknown", "", "gold", "tin"])


class Enrolments(RuleBasedStateMachine):
    """Whatever happens, nobody is contacted more often than the rule says."""

    def __init__(self, empty_ledgers: EmptyLedgers) -> None:
        super().__init__()
        self.empty_ledgers = empty_ledgers
        self.closing = ExitStack()

    @initialize(existing=st.sampled_from(Existing), cooling=st.booleans())
    def begin(self, existing: Existing, cooling: bool) -> None:
        at = self.closing.enter_context(self.empty_ledgers())
        self.ledger = self.closing.enter_context(Ledger(at))
        self.cycle = Cycle(self.ledger, existing)
        self.cooldown = "3 days" if cooling else None
        self.once_per: tuple[str, ...] = ()
        self.lasting = False
        self.expires: date | None = None
        # Since when each subject has not been seen to be anything but a match.
        self.holds_since: dict[str, datetime] = {}
        self.may_activate = dict.fromkeys(SUBJECTS, existing is Existing.ENROL)
        self.activations: dict[str, list[datetime]] = {subject: [] for subject in SUBJECTS}
        self.contacts: Counter[str] = Counter()

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.closing.close()

    @rule()
    def the_author_says_once_per_or_no_longer(self) -> None:
        self.once_per = () if self.once_per else ("tier",)

    @rule()
    def the_author_says_for_or_no_longer(self) -> None:
        self.lasting = not self.lasting

    @rule()
    def the_author_says_that_it_expires_today_or_no_longer(self) -> None:
        today = self.cycle.now.astimezone(ZoneInfo(COMPANY.time_zone)).date()
        self.expires = None if self.expires else today

    @rule(hours=st.sampled_from([1, 24, 72, 100]))
    def time_passes(self, hours: int) -> None:
        self.cycle.now += timedelta(hours=hours)

    @rule(said=st.fixed_dictionaries(dict.fromkeys(SUBJECTS, SAID)))
    def a_run(self, said: dict[str, str | None]) -> None:
        tested = a_rule(
            steps=["mail"],
            once_per=self.once_per,
            cooldown=self.cooldown,
            must_last="2 days" if self.lasting else None,
            expires=self.expires,
        )
        matches = {
            subject: (value,) if self.once_per else ()
            for subject, value in said.items()
            if value not in {None, "missing", "unknown"}
        }
        unknown = [subject for subject, value in said.items() if value == "unknown"]
        missing = [subject for subject, value in said.items() if value == "missing"]
        before = {one.ref.subject for one in self.ledger.enrolments(statuses=OPEN)}
        transitions = self.cycle.plan([tested], verdict(tested, matches, unknown), missing=missing)
        ends = {end.enrolment.ref.subject for end in transitions.end}
        assert ends.isdisjoint(missing), "nobody has seen its conditions turn false"
        waiting = {one.subject for one in transitions.held if one.because is HeldBecause.MISSING}
        assert waiting == before & set(missing)
        self._remember_what_holds(said, matches, before)
        entering = [(move.ref.subject, move.status) for move in transitions.enrol]
        entering += [(move.enrolment.ref.subject, move.status) for move in transitions.activate]
        for subject, status in entering:
            if status is EnrolmentStatus.ACTIVE:
                assert subject in matches
                assert self.may_activate[subject], "it had matched, or may have, all along"
                self.activations[subject].append(self.cycle.now)
                if self.lasting:
                    assert self.cycle.now - self.holds_since[subject] >= LASTING
                if self.expires is not None:
                    zone = ZoneInfo(COMPANY.time_zone)
                    assert self.cycle.now.astimezone(zone).date() <= self.expires
        told = {one.subject for one in transitions.held} | {subject for subject, _ in entering}
        quiet = {one.ref.subject for one in self.ledger.enrolments(statuses=OPEN)}
        assert matches.keys() <= told | quiet, "whoever matches is inside, or is told why not"
        self.contacts.update(due.key for due in self.cycle.due)
        self.cycle.commit(transitions, steps=None)
        for subject, value in said.items():
            # Who has been seen not to match is new when it does; so is another tier.
            is_gone = value == "missing" and subject not in before
            if (
                value is None
                or is_gone
                or (self.once_per and value not in {"", "missing", "unknown"})
            ):
                self.may_activate[subject] = True

    def _remember_what_holds(
        self, said: dict[str, str | None], matches: Mapping[str, tuple[str, ...]], before: set[str]
    ) -> None:
        for subject, value in said.items():
            if value is None or (value == "missing" and subject not in before):
                self.holds_since.pop(subject, None)
            elif subject in matches:
                self.holds_since.setdefault(subject, self.cycle.now)

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def nobody_is_contacted_twice_by_one_enrolment(self) -> None:
        assert all(count == 1 for count in self.contacts.values())

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def a_subject_is_in_a_rule_once_at_a_time(self) -> None:
        inside = Counter(e.ref.subject for e in self.ledger.enrolments(statuses=OPEN))
        assert all(count == 1 for count in inside.values())

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def a_value_of_once_per_is_used_once(self) -> None:
        used = Counter(
            enrolment.ref.key
            for enrolment in self.ledger.enrolments()
            if enrolment.ref.key.startswith("{")
        )
        assert all(count == 1 for count in used.values())

    @precondition(lambda self: hasattr(self, "ledger"))
    @invariant()
    def a_cooldown_lies_between_two_enrolments(self) -> None:
        if self.cooldown is not None:
            for instants in self.activations.values():
                for earlier, later in itertools.pairwise(instants):
                    assert later - earlier >= COOLDOWN


def test_enrolments(empty_ledgers: EmptyLedgers) -> None:
    run_state_machine_as_test(
        lambda: Enrolments(empty_ledgers),  # type: ignore[arg-type]  # it says that a function will do
        settings=settings(max_examples=30, stateful_step_count=14, deadline=None),
    )
