"""An enrolment on its way, whatever customers, colleagues and authors do meanwhile."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from crmsync.journeys.keys import round_of
from crmsync.ledger.states import State
from crmsync.ledger.store import Ledger
from crmsync.ledger.values.enrolments import BEGUN
from crmsync.model.actions import AddNote, SendEmail
from support.changing import Changing

_ORDER = ("note", "email", "note-2")
_TEXT = """\
rule: r
subject: account
when: [{tier: gold}]
%s
then:
  - note: {text: "%s one"}
  - wait: {until: [{industry: steel}], at_most: 2 days}
  - email: {to: primary_contact, template: hi}
  - after: 1 day
    if: [{status: active}]
    note: {text: "%s last"}
"""
_UNTIL = "until: [{last_contact: {after: enrolled}, goal: true}, {status: lost}]"


class OnTheWay(RuleBasedStateMachine):
    """Nothing is done twice, nor after the end, nor against what people have done meanwhile."""

    @initialize(until=st.booleans(), repeats=st.booleans())
    def begin(self, until: bool, repeats: bool) -> None:
        self.closing = ExitStack()
        folder = Path(self.closing.enter_context(TemporaryDirectory()))
        ledger = self.closing.enter_context(Ledger(folder / "ledger.sqlite"))
        self.account = {
            "id": "a",
            "name": "Acme",
            "tier": "gold",
            "status": "active",
            "owner": "jo",
            "primary_contact": "ann",
        }
        records = {
            "user": [{"id": "jo", "name": "Jo", "email": "jo@vendor.example"}],
            "account": [self.account],
            "contact": [{"id": "ann", "account": "a", "email": "ann@acme.example"}],
            "activity": [],
        }
        self.company = Changing(folder=folder, ledger=ledger, records=records)
        self.until, self.repeats = until, repeats
        self.letters: dict[str, str] = {}
        self.count = 0
        self.on_change = "finish"
        self.write()
        self.run()

    def teardown(self) -> None:
        if hasattr(self, "closing"):
            self.closing.close()

    def write(self) -> None:
        """The author saves the rule, each time with other words."""
        self.count += 1
        letter = f"text{self.count}"
        more = [f"on_change: {self.on_change}"]
        more += [_UNTIL] if self.until else []
        more += ["repeat_every: 4 days"] if self.repeats else []
        self.company.says(_TEXT % ("\n".join(more), letter, letter))
        self.letters[self.company.rule.version] = letter

    @rule(on_change=st.sampled_from(["finish", "restart", "stop"]))
    def the_author_edits_the_rule(self, on_change: str) -> None:
        self.on_change = on_change
        self.write()
        self.run(hours=72)
        self.run(hours=48)

    @rule()
    def a_person_calls(self) -> None:
        calls = self.company.records["activity"]
        soon = self.company.now + timedelta(minutes=1)
        at = soon.replace(tzinfo=None).isoformat()
        calls.append({"id": f"c{len(calls)}", "account": "a", "kind": "call", "at": at})

    @rule()
    def a_person_calls_somebody_who_has_just_entered(self) -> None:
        for tier in ("tin", "gold"):
            self.account["tier"] = tier
            self.run(hours=1)
        self.a_person_calls()
        self.run(hours=72)

    @rule(
        change=st.sampled_from(
            [
                {"tier": "tin"},
                {"tier": "gold"},
                {"industry": "steel"},
                {"industry": None},
                {"status": "lost"},
                {"status": "active"},
                {"do_not_contact": True},
                {"do_not_contact": False},
            ]
        )
    )
    def the_customer_changes(self, change: dict[str, object]) -> None:
        self.account |= change  # type: ignore[arg-type]  # keys are drawn from its own

    @precondition(lambda self: hasattr(self, "company"))
    @rule(hours=st.sampled_from([1, 24, 48, 72]))
    def time_passes_and_a_run_comes(self, hours: int) -> None:
        self.run(hours=hours)

    @precondition(lambda self: hasattr(self, "company"))
    @rule()
    def a_run_comes_while_activities_were_not_read(self) -> None:
        self.run(hours=72)
        self.run(hours=48, unread=True)

    def run(self, *, hours: int = 1, unread: bool = False) -> None:
        """A run, and what must hold of what it sent."""
        before = len(self.company.landed)
        self.company.run(hours=hours, unread=["activity"] if unread else [])
        landed = self.company.landed[before:]
        assert not (unread and self.until and landed), "nobody knows whether its end has come"
        self._mails([one for one in landed if isinstance(one, SendEmail)], unread=unread)
        self._effects({one.key: one for one in landed if isinstance(one, AddNote)})

    def _mails(self, mails: list[SendEmail], *, unread: bool) -> None:
        assert not (mails and unread), "nobody knows whether people have spoken with them"
        assert not (mails and self.account.get("do_not_contact")), "the gates are asked each time"
        for mail in mails:
            (effect,) = (one for one in self.company.ledger.effects() if one.key == mail.key)
            enrolment = next(
                one for one in self.company.ledger.enrolments() if one.ref == effect.enrolment
            )
            outcomes = self.company.ledger.step_outcomes().get(effect.enrolment, {})
            begun = {round_of(k)[1]: o.at for k, o in outcomes.items() if o.result == BEGUN}
            number = round_of(effect.step)[1]
            since = max(enrolment.entered_at, begun.get(number - 1, enrolment.entered_at))
            since = since.replace(tzinfo=None)
            calls = [c["at"] for c in self.company.records["activity"]]
            assert all(at <= since.isoformat() for at in calls), "people come first"

    def _effects(self, notes: dict[str, AddNote]) -> None:
        ledger = self.company.ledger
        keys = Counter(one.key for one in self.company.landed)
        assert all(count == 1 for count in keys.values()), "each effect lands once"
        enrolments = {one.ref: one for one in ledger.enrolments()}
        effects = ledger.effects()
        steps = Counter((one.enrolment, one.step) for one in effects)
        assert all(count == 1 for count in steps.values()), "a step has one effect, ever"
        last: dict[tuple[object, int], int] = {}
        for effect in (one for one in effects if one.state is State.DONE):
            enrolment = enrolments[effect.enrolment]
            if enrolment.ended_at is not None:
                assert effect.updated_at <= enrolment.ended_at, "nothing comes after the end"
            step, number = round_of(effect.step)
            place = _ORDER.index(step)
            assert place >= last.get((effect.enrolment, number), 0), "steps keep their order"
            last[effect.enrolment, number] = place
            if effect.key in notes:
                letter = notes[effect.key].text.split()[0]
                assert letter == self.letters[enrolment.rule_version], "by the text of entering"
                present = self.letters[self.company.rule.version]
                assert self.on_change == "finish" or letter == present


def test_on_the_way() -> None:
    run_state_machine_as_test(
        OnTheWay,
        settings=settings(
            max_examples=20,
            stateful_step_count=8,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
