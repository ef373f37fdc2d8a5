"""`for` and `expires`: when a match is not enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from crmsync.config.settings import Existing
from crmsync.journeys.enrolments import decide_enrolments
from crmsync.journeys.merges import follow_merges
from crmsync.ledger.store import Ledger
from crmsync.ledger.values.enrolments import EnrolmentStatus
from journeys.rule_world import COMPANY, MONDAY, Cycle, a_rule, ended, entered, held, verdict

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.ledger.values.enrolments import Transitions
    from crmsync.rules.language import Rule

WAITING, ACTIVE, LAPSED = EnrolmentStatus.WAITING, EnrolmentStatus.ACTIVE, EnrolmentStatus.LAPSED
PREVIEWED, ENDED = EnrolmentStatus.PREVIEWED, EnrolmentStatus.ENDED
LASTING = a_rule(steps=["mail"], must_last="3 days")
DATED = a_rule(steps=["mail"], must_last="3 days", once_per=("renewal_date",))


def activated(transitions: Transitions) -> list[str]:
    return [move.enrolment.ref.subject for move in transitions.activate if move.status is ACTIVE]


def test_a_match_waits_until_its_conditions_have_held_long_enough(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    first = cycle.run(LASTING, ["crm:1"], days=2.9)
    assert (entered(first), held(first), cycle.due) == (
        {"crm:1": WAITING},
        {"crm:1": "waiting"},
        (),
    )
    assert first.held[0].until == MONDAY + timedelta(days=3)
    assert first.held[0].reason == (
        "waits since 2026-03-02 13:00 CET, due on 2026-03-05 13:00 CET: "
        "its conditions must hold for 3 days"
    )
    second = cycle.run(LASTING, ["crm:1"], days=0.1)
    assert (second.enrol, second.activate, held(second)) == ((), (), {"crm:1": "waiting"})
    third = cycle.run(LASTING, ["crm:1"], steps=None)
    assert (activated(third), held(third)) == (["crm:1"], {})
    assert cycle.due_steps() == [("crm:1", "mail")]
    (enrolment,) = ledger.enrolments()
    assert (enrolment.status, enrolment.holds_since) == (ACTIVE, MONDAY)
    assert enrolment.entered_at == MONDAY + timedelta(days=3)
    assert cycle.run(LASTING, ["crm:1"]).activate == ()
    assert cycle.due == ()


def test_waiting_survives_that_the_ledger_is_closed(tmp_path: Path) -> None:
    for day in range(4):
        with Ledger(tmp_path / "ledger.sqlite") as opened:
            cycle = Cycle(opened, now=MONDAY + timedelta(days=day))
            last = cycle.run(LASTING, ["crm:1"])
    assert activated(last) == ["crm:1"]


def test_conditions_that_turn_false_end_the_waiting_and_free_its_place(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(LASTING, ["crm:1"], days=2)
    assert ended(cycle.run(LASTING, days=1.5)) == {"crm:1": "its conditions no longer hold"}
    again = cycle.run(LASTING, ["crm:1"], days=2.9)
    assert entered(again) == {"crm:1": WAITING}
    assert held(cycle.run(LASTING, ["crm:1"], days=0.1)) == {"crm:1": "waiting"}
    assert activated(cycle.run(LASTING, ["crm:1"])) == ["crm:1"]
    assert cycle.statuses() == {"crm:1": [LAPSED, ACTIVE]}


def test_an_unknown_neither_starts_the_waiting_anew_nor_ends_it(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(LASTING, ["crm:1"], days=2)
    unclear = cycle.run(LASTING, unknown=["crm:1"], days=2)
    assert (unclear.end, unclear.activate, held(unclear)) == ((), (), {"crm:1": "unknown"})
    still = cycle.run(LASTING, unknown=["crm:1"])
    assert (still.activate, held(still)) == ((), {"crm:1": "unknown"})
    assert activated(cycle.run(LASTING, ["crm:1"])) == ["crm:1"]


def test_who_is_unknown_does_not_begin_to_wait(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(LASTING)
    assert entered(cycle.run(LASTING, unknown=["crm:1"], days=5)) == {}
    assert entered(cycle.run(LASTING, ["crm:1"])) == {"crm:1": WAITING}


def test_a_missing_record_goes_on_waiting(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(LASTING, ["crm:1"], days=4)
    gone = cycle.plan([LASTING], verdict(LASTING), missing=["crm:1"])
    assert (gone.end, gone.activate, held(gone)) == ((), (), {"crm:1": "missing"})
    assert activated(cycle.run(LASTING, ["crm:1"])) == ["crm:1"]


def test_business_days_are_those_of_the_company(ledger: Ledger) -> None:
    # From Thursday before Easter 2026, in Germany: Friday and Monday are holidays.
    cycle = Cycle(ledger, now=datetime(2026, 4, 2, 12, tzinfo=UTC))
    waits = cycle.run(a_rule(must_last="1 business day"), ["crm:1"])
    assert waits.held[0].until == datetime(2026, 4, 7, 12, tzinfo=UTC)


def test_an_author_who_changes_for_changes_it_for_those_who_wait(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(LASTING, ["crm:1"], days=1)
    assert held(cycle.run(replace(LASTING, version="2"), ["crm:1"], days=0)) == {"crm:1": "waiting"}
    shorter = a_rule(steps=["mail"], must_last="1 day", version="2")
    assert activated(cycle.plan([shorter], verdict(shorter, ["crm:1"]))) == ["crm:1"]
    without = a_rule(steps=["mail", "note"], version="3")
    assert activated(cycle.run(without, ["crm:1"])) == ["crm:1"]
    (enrolment,) = ledger.enrolments()
    assert (enrolment.rule_version, enrolment.steps) == ("3", ("mail", "note"))


def test_adding_for_takes_nobody_out_who_is_in(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(a_rule(), ["crm:1"])
    added = cycle.run(a_rule(must_last="3 days", version="2"), ["crm:1"])
    assert (added.end, added.activate, added.held) == ((), (), ())


# With `once_per` and `cooldown`


def test_under_once_per_the_waiting_goes_on_when_the_values_change(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(DATED, {"crm:1": ("2026-05-01",)}, days=2)
    assert held(cycle.run(DATED, {"crm:1": ("2026-06-01",)}, days=1)) == {"crm:1": "waiting"}
    done = cycle.run(DATED, {"crm:1": ("2026-06-01",)}, steps=None)
    assert entered(done) == {"crm:1": ACTIVE}
    assert done.enrol[0].ref.key == '{"renewal_date": "2026-06-01"}'
    assert cycle.due_steps() == [("crm:1", "mail")]
    # Other values are another enrolment, and the conditions have held all the time.
    moved = cycle.run(DATED, {"crm:1": ("2026-05-01",)}, steps=None)
    assert entered(moved) == {"crm:1": ACTIVE}
    assert ended(cycle.run(DATED)) == {"crm:1": "its conditions no longer hold"}
    used = cycle.run(DATED, {"crm:1": ("2026-05-01",)}, days=9)
    assert (entered(used), held(used)) == ({}, {"crm:1": "once_per"})
    assert cycle.statuses() == {"crm:1": [LAPSED, ENDED, ENDED]}


def test_of_two_who_wait_for_the_same_value_the_first_gets_it(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    both = {"crm:1": ("x",), "crm:2": ("x",)}
    cycle.run(DATED, {"crm:2": ("x",)}, days=1)
    assert entered(cycle.run(DATED, both, days=2)) == {"crm:1": WAITING}
    first = cycle.run(DATED, both, days=1)
    assert (entered(first), held(first)) == ({"crm:2": ACTIVE}, {"crm:1": "waiting"})
    second = cycle.run(DATED, both)
    assert (entered(second), held(second)) == ({}, {"crm:1": "once_per"})
    assert "crm:2 was enrolled" in second.held[0].reason


def test_an_empty_value_holds_and_the_waiting_goes_on(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(DATED, {"crm:1": ("x",)}, days=3)
    assert held(cycle.run(DATED, {"crm:1": ("",)})) == {"crm:1": "empty_key"}
    assert entered(cycle.run(DATED, {"crm:1": ("x",)})) == {"crm:1": ACTIVE}


def test_a_cooldown_and_the_waiting_run_side_by_side(ledger: Ledger) -> None:
    rule = a_rule(steps=["mail"], must_last="2 days", cooldown="10 days")
    cycle = Cycle(ledger)
    cycle.run(rule, ["crm:1"], days=2)
    assert activated(cycle.run(rule, ["crm:1"], days=1)) == ["crm:1"]  # on day 2
    cycle.run(rule, days=1)
    assert held(cycle.run(rule, ["crm:1"], days=7)) == {"crm:1": "waiting"}  # on day 4
    cooling = cycle.run(rule, ["crm:1"])  # on day 11: it has held for seven days
    assert (activated(cooling), held(cooling)) == ([], {"crm:1": "cooldown"})
    assert cooling.held[0].until == MONDAY + timedelta(days=12)
    assert activated(cycle.run(rule, ["crm:1"])) == ["crm:1"]


# With `existing`


def test_who_was_previewed_long_enough_does_not_wait_again(ledger: Ledger) -> None:
    cycle = Cycle(ledger, Existing.PREVIEW)
    assert entered(cycle.run(LASTING, ["crm:1"], days=2)) == {"crm:1": PREVIEWED}
    said = replace(LASTING, existing=Existing.ENROL, version="2")
    begins = cycle.run(said, ["crm:1"], days=1)
    assert (activated(begins), held(begins)) == ([], {"crm:1": "waiting"})
    assert cycle.statuses() == {"crm:1": [WAITING]}
    assert activated(cycle.run(said, ["crm:1"])) == ["crm:1"]


def test_who_was_unknown_when_the_rule_was_new_waits_from_when_it_is_known(
    ledger: Ledger,
) -> None:
    cycle = Cycle(ledger, Existing.PREVIEW)
    cycle.run(LASTING, unknown=["crm:1"], days=9)
    said = replace(LASTING, existing=Existing.ENROL, version="2")
    waits = cycle.run(said, ["crm:1"], days=3)
    assert waits.held[0].until == MONDAY + timedelta(days=12)
    assert activated(cycle.run(said, ["crm:1"])) == ["crm:1"]


def test_a_previewed_value_of_once_per_becomes_active_under_its_own_key(ledger: Ledger) -> None:
    cycle = Cycle(ledger, Existing.PREVIEW)
    cycle.run(DATED, {"crm:1": ("x",)}, days=1)
    said = replace(DATED, existing=Existing.ENROL, version="2")
    cycle.run(said, {"crm:1": ("x",)}, days=2)
    assert activated(cycle.run(said, {"crm:1": ("x",)})) == ["crm:1"]
    assert cycle.statuses() == {"crm:1": [ACTIVE]}


# Merged records


@pytest.mark.parametrize("rule", [LASTING, replace(DATED, once_per=("tier",))])
def test_of_merged_records_that_wait_the_survivor_is_enrolled_once(
    ledger: Ledger, rule: Rule
) -> None:
    said: dict[str, tuple[str, ...]] = dict.fromkeys(
        ("crm:1", "crm:2"), ("gold",) if rule.once_per else ()
    )
    cycle = Cycle(ledger)
    cycle.run(rule, {"crm:1": said["crm:1"]}, days=1)
    cycle.run(rule, said, days=3)
    survivor = verdict(rule, {"crm:2": said["crm:2"]})
    for day in range(2):
        snapshot = follow_merges(
            ledger.enrolment_snapshot(), [rule], {"account": {"crm:1": "crm:2"}}
        )
        moves = decide_enrolments(
            [rule],
            {rule.name: survivor},
            snapshot,
            now=cycle.now,
            existing=Existing.ENROL,
            company=COMPANY,
        )
        assert moves.held == ()
        active = [*activated(moves), *entered(moves)]
        assert active == (["crm:2"] if day == 0 else [])
        cycle.commit(moves)


# `expires`


def test_a_rule_enrols_until_its_last_day_has_ended_where_the_company_is(ledger: Ledger) -> None:
    rule = a_rule(steps=["mail"], expires=date(2026, 3, 2))
    cycle = Cycle(ledger, now=datetime(2026, 3, 2, 22, 59, tzinfo=UTC))
    assert entered(cycle.run(rule, ["crm:1"], days=0)) == {"crm:1": ACTIVE}
    cycle.now = datetime(2026, 3, 2, 23, tzinfo=UTC)  # midnight in Zurich
    after = cycle.run(rule, ["crm:1", "crm:2"])
    assert (entered(after), ended(after), held(after)) == ({}, {}, {"crm:2": "expired"})
    assert after.held[0].reason == "the rule expired on 2026-03-02 and enrols nobody any more"
    assert cycle.due_steps() == [("crm:1", "mail")]  # who is inside goes on


def test_who_waits_or_is_previewed_when_a_rule_expires_is_not_enrolled(ledger: Ledger) -> None:
    expiring = replace(LASTING, expires=date(2026, 3, 3))
    cycle = Cycle(ledger)
    cycle.run(expiring, ["crm:1"], days=5)
    assert held(cycle.run(expiring, ["crm:1"])) == {"crm:1": "expired"}
    longer = replace(expiring, expires=date(2026, 12, 31), version="2")
    assert activated(cycle.run(longer, ["crm:1"])) == ["crm:1"]


def test_a_rule_that_is_new_and_expired_remembers_who_matched(ledger: Ledger) -> None:
    rule = a_rule(expires=date(2026, 1, 1))
    cycle = Cycle(ledger, Existing.PREVIEW)
    assert held(cycle.run(rule, ["crm:1"])) == {"crm:1": "expired"}
    assert cycle.statuses() == {"crm:1": [PREVIEWED]}
    said = replace(rule, existing=Existing.ENROL)
    assert (cycle.run(said, ["crm:1"]).activate, cycle.due) == ((), ())


def test_other_values_of_once_per_are_not_enrolled_after_the_end(ledger: Ledger) -> None:
    rule = a_rule(once_per=("renewal_date",), expires=date(2026, 3, 2))
    cycle = Cycle(ledger)
    cycle.run(rule, {"crm:1": ("2026-05-01",)})
    moved = cycle.run(rule, {"crm:1": ("2026-06-01",)})
    assert (entered(moved), held(moved)) == ({}, {"crm:1": "expired"})
