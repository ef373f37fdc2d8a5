from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from crmsync.config.settings import Existing
from crmsync.errors import StoreBusyError
from crmsync.ledger.schema import rule_state
from crmsync.ledger.values.enrolments import EnrolmentStatus
from journeys.rule_world import MONDAY, Cycle, a_rule, ended, entered, held, verdict

if TYPE_CHECKING:
    from crmsync.ledger.store import Ledger

ACTIVE, PREVIEWED = EnrolmentStatus.ACTIVE, EnrolmentStatus.PREVIEWED
IGNORED = EnrolmentStatus.IGNORED
ENDED, LAPSED = EnrolmentStatus.ENDED, EnrolmentStatus.LAPSED

DATED = a_rule(once_per=("account", "renewal_date"))


def dated(day: str, subject: str = "crm:1") -> dict[str, tuple[str, ...]]:
    return {subject: (subject, day)}


def test_a_match_enters_and_is_not_new_again_while_it_lasts(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    assert entered(cycle.run(rule, ["crm:1", "crm:2"])) == {"crm:1": ACTIVE, "crm:2": ACTIVE}
    for _ in range(3):
        again = cycle.run(rule, ["crm:1", "crm:2"])
        assert (again.enrol, again.end, again.held) == ((), (), ())


def test_it_is_new_again_once_the_conditions_were_false(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    cycle.run(rule, ["crm:1"])
    assert ended(cycle.run(rule)) == {"crm:1": "its conditions no longer hold"}
    second = cycle.run(rule, ["crm:1"])
    assert entered(second) == {"crm:1": ACTIVE}
    assert second.enrol[0].ref.key == '["crm:1", 2]'
    assert cycle.statuses() == {"crm:1": [ENDED, ACTIVE]}


def test_who_is_unknown_neither_enters_nor_leaves(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    cycle.run(rule, ["crm:1"])
    unclear = cycle.run(rule, unknown=["crm:1", "crm:2"])
    assert (unclear.enrol, unclear.end) == ((), ())
    assert held(unclear) == {"crm:1": "unknown", "crm:2": "unknown"}
    assert unclear.held[0].reason == "the activities were last read 3 days ago"


def test_a_rule_without_verdicts_keeps_everybody_where_they_are(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    cycle.run(rule, ["crm:1"])
    failed = cycle.plan([rule])
    assert (failed.enrol, failed.end, failed.gone_rules) == ((), (), ())


def test_a_rule_that_is_gone_ends_its_enrolments_and_comes_back_as_new(ledger: Ledger) -> None:
    cycle, rule, other = Cycle(ledger, Existing.PREVIEW), a_rule(), a_rule("other")
    cycle.run(rule)
    cycle.run(rule, ["crm:1"])
    gone = cycle.run(other)
    assert ended(gone) == {"crm:1": "the rule is no longer there"}
    assert (gone.gone_rules, gone.new_rules) == (("renewal-at-risk",), {"other": "this"})
    assert entered(cycle.run(rule, ["crm:1"])) == {"crm:1": PREVIEWED}


def test_a_new_version_writes_to_nobody_again(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(a_rule(version="1"), ["crm:1"])
    changed = cycle.run(a_rule(version="2"), ["crm:1"])
    assert (changed.enrol, changed.end, changed.new_rules) == ((), (), {})
    assert ledger.enrolments()[0].rule_version == "1"


# `existing`


def test_preview_lists_those_who_match_already_and_contacts_nobody(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger, Existing.PREVIEW), a_rule()
    first = cycle.run(rule, ["crm:1"])
    assert entered(first) == {"crm:1": PREVIEWED}
    assert held(first) == {"crm:1": "preview"}
    assert "crmsync review enrol renewal-at-risk crm:1" in first.held[0].reason
    assert cycle.due == ()

    second = cycle.run(rule, ["crm:1", "crm:2"])
    assert entered(second) == {"crm:2": ACTIVE}
    assert held(second) == {"crm:1": "preview"}
    assert cycle.due_steps() == [("crm:2", "brief"), ("crm:2", "mail")]


def test_a_previewed_one_that_turns_false_may_match_anew(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger, Existing.PREVIEW), a_rule()
    cycle.run(rule, ["crm:1"])
    cycle.run(rule)
    assert cycle.statuses() == {"crm:1": [LAPSED]}
    assert entered(cycle.run(rule, ["crm:1"])) == {"crm:1": ACTIVE}


def test_a_previewed_key_of_once_per_is_free_again_after_it_lapsed(ledger: Ledger) -> None:
    cycle = Cycle(ledger, Existing.PREVIEW)
    cycle.run(DATED, dated("2026-05-01"))
    cycle.run(DATED)
    assert entered(cycle.run(DATED, dated("2026-05-01"))) == {"crm:1": ACTIVE}
    assert cycle.statuses() == {"crm:1": [ACTIVE]}
    cycle.run(DATED)
    assert held(cycle.run(DATED, dated("2026-05-01"))) == {"crm:1": "once_per"}


def test_saying_enrol_turns_the_previewed_active(ledger: Ledger) -> None:
    cycle = Cycle(ledger, Existing.PREVIEW)
    cycle.run(a_rule(), ["crm:1", "crm:2", "crm:3"])
    said = a_rule(existing=Existing.ENROL, version="2", steps=["brief", "note"])
    opened = cycle.run(said, ["crm:1"], unknown=["crm:2"])
    assert [move.enrolment.ref.subject for move in opened.activate] == ["crm:1"]
    assert cycle.due_steps() == [("crm:1", "brief"), ("crm:1", "note")]
    assert cycle.statuses() == {"crm:1": [ACTIVE], "crm:2": [PREVIEWED], "crm:3": [LAPSED]}
    activated = ledger.enrolments(subject="crm:1")[0]
    assert (activated.rule_version, activated.steps) == ("2", ("brief", "note"))
    assert activated.entered_at == MONDAY + timedelta(days=1)
    assert cycle.run(said, ["crm:1"]).activate == ()


def test_the_rules_own_word_wins_over_the_configs(ledger: Ledger) -> None:
    cycle = Cycle(ledger, Existing.PREVIEW)
    assert entered(cycle.run(a_rule(existing=Existing.ENROL), ["crm:1"])) == {"crm:1": ACTIVE}


def test_ignore_passes_over_those_who_match_already_until_they_match_anew(
    ledger: Ledger,
) -> None:
    cycle, rule = Cycle(ledger, Existing.IGNORE), a_rule()
    assert entered(cycle.run(rule, ["crm:1"])) == {"crm:1": IGNORED}
    assert held(cycle.run(rule, ["crm:1", "crm:2"])) == {"crm:1": "ignored"}
    assert entered(cycle.run(rule)) == {}
    assert entered(cycle.run(rule, ["crm:1"])) == {"crm:1": ACTIVE}


@pytest.mark.parametrize(
    ("existing", "status"), [(Existing.PREVIEW, PREVIEWED), (Existing.IGNORE, IGNORED)]
)
def test_who_was_unknown_at_first_is_no_new_match_once_it_is_known(
    ledger: Ledger, existing: Existing, status: EnrolmentStatus
) -> None:
    cycle, rule = Cycle(ledger, existing), a_rule()
    cycle.run(rule, unknown=["crm:1", "crm:2"])
    later = cycle.run(rule, ["crm:1"])
    assert entered(later) == {}
    assert cycle.statuses() == {"crm:1": [status], "crm:2": [LAPSED]}
    assert cycle.due == ()
    assert entered(cycle.run(rule, ["crm:2"])) == {"crm:2": ACTIVE}


def test_under_once_per_too_who_was_unknown_at_first_stays_previewed(ledger: Ledger) -> None:
    cycle = Cycle(ledger, Existing.PREVIEW)
    cycle.run(DATED, unknown=["crm:1"])
    assert entered(cycle.run(DATED, dated("2026-05-01"))) == {"crm:1": PREVIEWED}
    assert entered(cycle.run(DATED, dated("2026-05-01"))) == {}
    assert cycle.due == ()
    assert entered(cycle.run(DATED, dated("2027-05-01"))) == {"crm:1": ACTIVE}


def test_who_had_an_empty_value_at_first_stays_previewed(ledger: Ledger) -> None:
    cycle = Cycle(ledger, Existing.PREVIEW)
    assert held(cycle.run(DATED, dated(""))) == {"crm:1": "empty_key"}
    assert entered(cycle.run(DATED, dated("2026-05-01"))) == {"crm:1": PREVIEWED}
    assert entered(cycle.run(a_rule(), ["crm:1"])) == {}
    assert cycle.due == ()


def test_a_rule_that_has_looked_at_nobody_is_still_new(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger, Existing.PREVIEW), a_rule()
    nobody = cycle.plan([rule], verdict(rule, subjects=0))
    cycle.commit(nobody)
    assert nobody.new_rules == {}
    assert entered(cycle.run(rule, ["crm:1"])) == {"crm:1": PREVIEWED}


@pytest.mark.parametrize(
    ("existing", "status"),
    [(Existing.PREVIEW, PREVIEWED), (Existing.IGNORE, IGNORED), (Existing.ENROL, ACTIVE)],
)
def test_a_rule_that_asks_something_else_treats_who_matches_now_as_a_new_one_does(
    ledger: Ledger, existing: Existing, status: EnrolmentStatus
) -> None:
    cycle, narrow = Cycle(ledger), a_rule(existing=existing)
    cycle.run(narrow)
    cycle.run(narrow, ["crm:1"])
    wide = a_rule(existing=existing, version="2", asks="more")
    changed = cycle.run(wide, ["crm:1", "crm:2"])
    assert (entered(changed), changed.end) == ({"crm:2": status}, ())
    assert changed.new_rules == {"renewal-at-risk": "more"}
    # Who matches later is new to it, and it is no more changed.
    after = cycle.run(wide, ["crm:1", "crm:2", "crm:3"])
    assert (entered(after), after.new_rules) == ({"crm:3": ACTIVE}, {})


def test_a_rule_that_does_something_else_asks_the_same(ledger: Ledger) -> None:
    cycle = Cycle(ledger, Existing.PREVIEW)
    cycle.run(a_rule())
    said = cycle.run(a_rule(version="2", steps=["note"]), ["crm:1"])
    assert (entered(said), said.new_rules) == ({"crm:1": ACTIVE}, {})


def test_what_an_older_crmsync_has_not_kept_is_not_held_against_a_rule(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger, Existing.PREVIEW), a_rule()
    cycle.run(rule)
    ledger.write(lambda connection: connection.execute(sa.update(rule_state).values(asks=None)))
    said = cycle.run(rule, ["crm:1"])
    assert (entered(said), said.new_rules) == ({"crm:1": ACTIVE}, {"renewal-at-risk": "this"})


# `once_per`


def test_once_per_is_once_for_each_value_ever(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    first = cycle.run(DATED, dated("2026-05-01"))
    assert first.enrol[0].ref.key == '{"account": "crm:1", "renewal_date": "2026-05-01"}'
    assert ended(cycle.run(DATED)) == {"crm:1": "its conditions no longer hold"}

    again = cycle.run(DATED, dated("2026-05-01"))
    assert (entered(again), held(again)) == ({}, {"crm:1": "once_per"})
    assert again.held[0].reason == (
        "it was enrolled for renewal_date 2026-05-01 already, and once_per allows that once"
    )

    assert entered(cycle.run(DATED, dated("2027-05-01"))) == {"crm:1": ACTIVE}


def test_other_values_end_the_enrolment_and_begin_another(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(DATED, dated("2026-05-01"))
    moved = cycle.run(DATED, dated("2026-06-01"))
    assert ended(moved) == {"crm:1": "what once_per names is another now: renewal_date 2026-06-01"}
    assert entered(moved) == {"crm:1": ACTIVE}
    back = cycle.run(DATED, dated("2026-05-01"))
    assert (entered(back), held(back)) == ({}, {"crm:1": "once_per"})
    assert cycle.statuses() == {"crm:1": [ENDED, ENDED]}


def test_once_per_counts_over_all_subjects(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(once_per=("account",))
    tickets = {"crm:t2": ("crm:a",), "crm:t1": ("crm:a",), "crm:t3": ("crm:b",)}
    first = cycle.run(rule, tickets)
    assert entered(first) == {"crm:t1": ACTIVE, "crm:t3": ACTIVE}
    assert held(first) == {"crm:t2": "once_per"}
    assert first.held[0].reason.startswith("crm:t1 was enrolled")
    assert held(cycle.run(rule, {"crm:t2": ("crm:a",)})) == {"crm:t2": "once_per"}


def test_an_empty_value_holds_and_says_which(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    empty = cycle.run(DATED, dated(""))
    assert (entered(empty), held(empty)) == ({}, {"crm:1": "empty_key"})
    assert empty.held[0].reason.endswith("this is empty: renewal_date")

    cycle.run(DATED, dated("2026-05-01"))
    assert ended(cycle.run(DATED, dated(""))) == {}


def test_adding_or_changing_once_per_writes_to_nobody_again(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    cycle.run(a_rule(), ["crm:1"])
    added = cycle.run(DATED, dated("2026-05-01"))
    assert (added.enrol, added.end) == ((), ())
    wider = a_rule(once_per=("account", "renewal_date", "tier"))
    changed = cycle.run(wider, {"crm:1": ("crm:1", "2026-05-01", "gold")})
    assert (changed.enrol, changed.end) == ((), ())


# `cooldown`


def test_a_cooldown_holds_until_it_is_over(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule(cooldown="10 days")
    cycle.run(rule, ["crm:1"])
    cycle.run(rule)
    cooling = cycle.run(rule, ["crm:1"], days=7.9)
    assert (entered(cooling), held(cooling)) == ({}, {"crm:1": "cooldown"})
    assert cooling.held[0].until == MONDAY + timedelta(days=10)
    assert held(cycle.run(rule, ["crm:1"], days=0.1)) == {"crm:1": "cooldown"}
    assert cycle.now == MONDAY + timedelta(days=10)
    assert entered(cycle.run(rule, ["crm:1"])) == {"crm:1": ACTIVE}


def test_a_cooldown_holds_other_values_of_once_per_too(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    rule = a_rule(once_per=("account", "renewal_date"), cooldown="10 days")
    cycle.run(rule, dated("2026-05-01"))
    moved = cycle.run(rule, dated("2026-06-01"), days=9)
    assert (entered(moved), held(moved)) == ({}, {"crm:1": "cooldown"})
    assert entered(cycle.run(rule, dated("2026-06-01"))) == {"crm:1": ACTIVE}


def test_what_contacted_nobody_starts_no_cooldown(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger, Existing.PREVIEW), a_rule(cooldown="10 days")
    cycle.run(rule, ["crm:1"])
    cycle.run(rule)
    assert entered(cycle.run(rule, ["crm:1"])) == {"crm:1": ACTIVE}


def test_a_cooldown_in_business_days_passes_over_holidays(ledger: Ledger) -> None:
    # From Thursday before Easter 2026, in Germany: Friday and Monday are holidays.
    cycle = Cycle(ledger, now=datetime(2026, 4, 2, 22, 30, tzinfo=UTC))
    rule = a_rule(cooldown="2 business days")
    cycle.run(rule, ["crm:1"])
    cycle.run(rule)
    cooling = cycle.run(rule, ["crm:1"])
    # 22:30 UTC is already Friday in Zurich, so Tuesday and Wednesday are counted.
    assert cooling.held[0].until == datetime(2026, 4, 7, 22, 30, tzinfo=UTC)


# A plan and its run


def test_the_same_question_has_the_same_answer_in_any_order(ledger: Ledger) -> None:
    cycle = Cycle(ledger)
    rules = [a_rule("b"), a_rule("a", once_per=("tier",))]
    tiers = {"crm:3": ("gold",), "crm:1": ("gold",), "crm:2": ("tin",)}
    one = cycle.plan(rules, verdict(rules[0], ["crm:2", "crm:1"]), verdict(rules[1], tiers))
    two = cycle.plan(
        rules[::-1],
        verdict(rules[1], dict(sorted(tiers.items()))),
        verdict(rules[0], ["crm:1", "crm:2"]),
    )
    assert one == two
    assert [(enrol.ref.rule, enrol.ref.subject) for enrol in one.enrol] == [
        ("a", "crm:1"),
        ("a", "crm:2"),
        ("b", "crm:1"),
        ("b", "crm:2"),
    ]


def test_planning_changes_nothing(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    before = ledger.enrolment_snapshot()
    cycle.plan([rule], verdict(rule, ["crm:1"]))
    assert ledger.enrolment_snapshot() == before


def test_of_two_runs_planned_from_the_same_ledger_only_one_is_recorded(ledger: Ledger) -> None:
    cycle, rule = Cycle(ledger), a_rule()
    transitions = cycle.plan([rule], verdict(rule, ["crm:1"]))
    cycle.commit(transitions, steps=None)
    with pytest.raises(StoreBusyError, match="nothing of this run was recorded"):
        cycle.commit(transitions, steps=None)
    assert len(ledger.effects()) == 2

    ending = cycle.plan([rule], verdict(rule))
    cycle.commit(ending)
    with pytest.raises(StoreBusyError):
        cycle.commit(ending)
