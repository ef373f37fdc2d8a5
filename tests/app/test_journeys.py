"""The way of an enrolment: waits, conditions on steps, choices, ends; told by rule tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.config.settings import Company
from rules.rules_world import rules_from
from support.rule_tests import VENDOR, run_tests_in, told

if TYPE_CHECKING:
    from pathlib import Path

BERLIN = Company(name="Vendor", email="hello@vendor.example", time_zone="Europe/Berlin")
TEMPLATE = "---\nsubject: Hello\nclass: commercial\n---\nHello {{ account.name }}\n"
# A Monday.
RECORDS = """\
at: 2026-03-02T09:00
records:
  user: [{id: jo, name: Jo, email: jo@vendor.example}]
  account: [{id: a, name: Acme, tier: gold, owner: jo, primary_contact: ann}]
  contact: [{id: ann, account: a, first_name: Ann, email: ann@acme.example}]
"""
CALL = "activity: [{id: call, account: a, kind: call, at: 2026-03-03T08:00}]"


def outcome(
    folder: Path,
    then: str,
    test: str,
    *,
    more: str = "",
    records: str = RECORDS,
    company: Company = VENDOR,
) -> str:
    """What fails in a test of a rule with these steps."""
    rule = f"rule: r\nsubject: account\nwhen: [{{tier: gold}}]\n{more}then:\n{then}"
    text = f"rule: r\n{records}{test}"
    rules = rules_from(folder, {"r": rule, "tests/t": text})
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "templates" / "hi.txt").write_text(TEMPLATE, encoding="utf-8")
    tests = folder / "rules" / "tests"
    (one,) = run_tests_in(tests, rules, company=company, templates=folder / "templates")
    return told(one)


def test_a_step_comes_some_days_after_the_one_before(tmp_path: Path) -> None:
    then = """\
  - note: {text: one}
  - after: 3 business days
    note: {text: two}
  - note: {text: beside two}
  - after: 1 day
    note: {text: three}
"""
    test = """\
expect:
  actions: {a: {note: {text: one}}}
later:
  - advance: 2 business days
    expect:
      actions: {a: nothing}
      held: {a: {step: note-2, reason: it comes 3 business days after what was before it}}
  - advance: 23 hours
    expect: {actions: {a: nothing}}
  - advance: 1 hour
    expect: {actions: {a: [{note: {text: two}}, {note: {text: beside two}}]}}
  - advance: 23 hours
    expect: {actions: {a: nothing}}
  - advance: 1 hour
    expect: {actions: {a: {note: {text: three}}}}
  - {advance: 30 days, expect: {actions: {a: nothing}, held: {a: nothing}}}
"""
    assert outcome(tmp_path, then, test) == ""


def test_a_wait_ends_when_its_time_is_over(tmp_path: Path) -> None:
    then = "  - wait: 2 days\n  - note: {text: one}\n  - wait: 12h\n  - note: {text: two}\n"
    test = """\
expect: {actions: {a: nothing}, held: {a: {step: wait, reason: it waits 2 days}}}
later:
  - {advance: 47 hours, expect: {actions: {a: nothing}}}
  - {advance: 2 hours, expect: {actions: {a: {note: {text: one}}}}}
  - {advance: 11 hours, expect: {actions: {a: nothing}}}
  - {advance: 1 hour, expect: {actions: {a: {note: {text: two}}}}}
"""
    assert outcome(tmp_path, then, test) == ""


BRIEF = """\
  - id: brief
    task: {assign_to: owner, subject: Call}
  - id: patience
    wait: {until: [{last_reply: {after: enrolled}}], at_most: 2 business days}
  - if: [{steps.brief: not_done}]
    note: {text: not done}
  - if: [{steps.brief: done}, {steps.patience: not_done}]
    note: {text: done}
  - if: {steps.patience: done}
    note: {text: answered}
"""


REPLY = "activity: [{id: m, account: a, kind: email, direction: inbound, at: 2026-03-03T08:00}]"


def test_without_an_answer_the_next_step_comes_when_the_wait_is_over(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [task]}}
later:
  - {advance: 1 day, expect: {actions: {a: nothing}}}
  - {advance: 1 day, expect: {actions: {a: {note: {text: not done}}}}}
  - {advance: 3 days, expect: {actions: {a: nothing}, held: {a: nothing}}}
"""
    assert outcome(tmp_path, BRIEF, test) == ""


def test_a_task_is_done_when_people_have_done_it(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [task]}}
later:
  - {advance: 1 day, done: {a: brief}, expect: {actions: {a: nothing}}}
  - {advance: 1 day, expect: {actions: {a: {note: {text: done}}}}}
  - {advance: 3 days, expect: {actions: {a: nothing}, held: {a: nothing}}}
"""
    assert outcome(tmp_path, BRIEF, test) == ""


def test_an_answer_ends_the_wait_at_once(tmp_path: Path) -> None:
    test = f"""\
expect: {{actions: {{a: [task]}}}}
later:
  - advance: 1 day
    records: {{{REPLY}}}
    expect: {{actions: {{a: {{note: {{text: not done}}}}}}}}
  - {{advance: 1 hour, expect: {{actions: {{a: {{note: {{text: answered}}}}}}}}}}
"""
    assert outcome(tmp_path, BRIEF, test) == ""


@pytest.mark.parametrize(("tier", "came"), [("gold", "one"), ("silver", "two"), ("tin", "three")])
def test_the_first_branch_that_holds_is_taken(tmp_path: Path, tier: str, came: str) -> None:
    then = """\
  - choose:
      - if: [{industry: gold}]
        then: [{note: {text: one}}]
      - if: [{industry: [silver, gold]}]
        then: [{note: {text: two}}]
      - otherwise: [{note: {text: three}}]
  - after: 1 day
    note: {text: last}
"""
    test = f"""\
later:
  - advance: 1 hour
    expect: {{actions: {{a: nothing}}}}
  - advance: 23 hours
    records: {{account: [{{id: a, industry: silver}}]}}
    expect: {{actions: {{a: {{note: {{text: last}}}}}}}}
expect: {{actions: {{a: {{note: {{text: {came}}}}}}}}}
"""
    records = RECORDS.replace("tier: gold", f"tier: gold, industry: {tier}")
    rule = f"rule: r\nsubject: account\nwhen: [{{tier: gold}}]\nthen:\n{then}"
    rules = rules_from(tmp_path, {"r": rule, "tests/t": f"rule: r\n{records}{test}"})
    (one,) = run_tests_in(tmp_path / "rules" / "tests", rules)
    assert told(one) == ""


MAILS = """\
  - email: {to: primary_contact, template: hi}
  - after: 2 days
    id: reminder
    email: {to: primary_contact, template: hi}
  - after: 1 day
    note: {text: at last}
"""


def test_whom_people_have_spoken_with_gets_no_reminder(tmp_path: Path) -> None:
    test = f"""\
expect: {{actions: {{a: [email]}}}}
later:
  - advance: 2 days
    records: {{{CALL}}}
    expect: {{actions: {{a: nothing}}}}
  - {{advance: 1 day, expect: {{actions: {{a: [note]}}}}}}
"""
    assert outcome(tmp_path, MAILS, test) == ""


def test_nobody_is_reminded_while_it_is_not_known_whether_they_answered(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [email]}}
later:
  - advance: 2 days
    unread: [activity]
    expect: {actions: {a: nothing}, held: {a: {step: reminder, reason: {contains: last_contact}}}}
  - {advance: 1 hour, unread: [], expect: {actions: {a: [email]}}}
"""
    assert outcome(tmp_path, MAILS, test) == ""


def test_a_mail_can_be_sent_all_the_same(tmp_path: Path) -> None:
    then = MAILS.replace(
        "template: hi}\n  - after: 1", "template: hi, despite_contact: true}\n  - after: 1"
    )
    test = f"""\
expect: {{actions: {{a: [email]}}}}
later:
  - {{advance: 2 days, records: {{{CALL}}}, expect: {{actions: {{a: [email]}}}}}}
"""
    assert outcome(tmp_path, then, test) == ""


UNTIL = """\
until:
  - {last_reply: {after: enrolled}, goal: true}
  - industry: gambling
"""


def test_an_end_comes_before_the_next_step_and_lasts(tmp_path: Path) -> None:
    then = "  - note: {text: one}\n  - after: 2 days\n    note: {text: two}\n"
    test = f"""\
expect: {{enrolled: a, actions: {{a: {{note: {{text: one}}}}}}}}
later:
  - advance: 2 days
    records: {{{REPLY}}}
    expect: {{match: a, not_enrolled: a, actions: {{a: nothing}}}}
  - advance: 9 days
    expect: {{not_enrolled: a, actions: {{a: nothing}}, held: {{a: {{contains: is over}}}}}}
  - {{advance: 1 day, records: {{account: [{{id: a, tier: tin}}]}}, expect: {{not_enrolled: a}}}}
  - advance: 1 day
    records: {{account: [{{id: a, tier: gold}}]}}
    expect: {{enrolled: a, actions: {{a: {{note: {{text: one}}}}}}}}
"""
    assert outcome(tmp_path, then, test, more=UNTIL) == ""


def test_with_until_the_conditions_need_not_hold_on(tmp_path: Path) -> None:
    then = "  - note: {text: one}\n  - after: 2 days\n    note: {text: two}\n"
    test = """\
expect: {actions: {a: {note: {text: one}}}}
later:
  - advance: 2 days
    records: {account: [{id: a, tier: tin}]}
    expect: {no_match: a, enrolled: a, actions: {a: {note: {text: two}}}}
  - advance: 2 days
    records: {account: [{id: a, industry: gambling}]}
    expect: {not_enrolled: a}
"""
    assert outcome(tmp_path, then, test, more=UNTIL) == ""


def test_whose_end_has_come_already_gets_nothing(tmp_path: Path) -> None:
    then = "  - note: {text: one}\n"
    test = """\
expect: {actions: {a: nothing}}
later: [{advance: 1 day, expect: {not_enrolled: a, actions: {a: nothing}}}]
"""
    more = "until: [{industry: {present: false}}]\n"
    assert outcome(tmp_path, then, test, more=more) == ""


def test_nothing_is_done_while_it_is_not_known_whether_the_end_has_come(tmp_path: Path) -> None:
    then = "  - note: {text: one}\n  - after: 2 days\n    note: {text: two}\n"
    test = """\
expect: {actions: {a: {note: {text: one}}}}
later:
  - advance: 2 days
    unread: [activity]
    expect: {enrolled: a, actions: {a: nothing}, held: {a: {contains: cannot be said}}}
  - {advance: 1 hour, unread: [], expect: {actions: {a: {note: {text: two}}}}}
"""
    assert outcome(tmp_path, then, test, more=UNTIL) == ""


REQUIRING = """\
  - email: {to: primary_contact, template: hi, requires: [contact.first_name, account.name]}
  - after: 2 days
    note: {text: at last, requires: account.tier}
"""


def test_a_value_that_is_required_and_empty_skips_a_step_that_others_wait_for(
    tmp_path: Path,
) -> None:
    test = """\
later:
  - advance: 1 hour
    records: {contact: [{id: ann, first_name: Ann}]}
    expect: {actions: {a: nothing}, held: {a: {step: note, reason: {contains: 2 days}}}}
  - advance: 2 days
    expect: {actions: {a: {note: {text: at last}}}}
expect:
  actions: {a: nothing}
  held: {a: {step: email, reason: "skipped: contact.first_name is empty"}}
"""
    records = RECORDS.replace("first_name: Ann, ", "")
    assert outcome(tmp_path, REQUIRING, test, records=records) == ""


def test_the_last_step_waits_for_what_it_requires(tmp_path: Path) -> None:
    then = "  - note: {text: one}\n  - note: {text: two, requires: account.industry}\n"
    test = """\
expect:
  actions: {a: {note: {text: one}}}
  held: {a: {step: note-2, reason: account.industry is empty}}
later:
  - advance: 1 day
    records: {account: [{id: a, industry: steel}]}
    expect: {actions: {a: {note: {text: two}}}}
"""
    assert outcome(tmp_path, then, test) == ""


def test_a_branch_that_is_not_taken_waits_for_nothing(tmp_path: Path) -> None:
    then = """\
  - choose:
      - if: {tier: gold}
        then: [{note: {text: one, requires: account.industry}}]
      - otherwise: [{wait: 1 day}, {note: {text: two}}]
"""
    test = """\
expect: {held: {a: {step: note, reason: account.industry is empty}}}
later:
  - advance: 1 day
    records: {account: [{id: a, industry: steel}]}
    expect: {actions: {a: {note: {text: one}}}}
"""
    assert outcome(tmp_path, then, test) == ""


AGAIN = "repeat_every: 7 days\n"
TASKS = """\
  - id: brief
    task: {assign_to: owner, subject: Call, if_exists: create}
  - after: 2 days
    if: [{steps.brief: not_done}]
    note: {text: not done}
"""


def test_while_the_conditions_hold_it_comes_again(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [task]}}
later:
  - advance: 2 days
    expect:
      actions: {a: [note]}
      held: {a: nothing}
  - advance: 4 days
    expect:
      actions: {a: nothing}
      held: {a: {step: brief#2, reason: it comes again 7 days after it came last}}
  - advance: 1 day
    expect: {actions: {a: [{step: brief#2, task: {subject: Call}}]}}
  - {advance: 2 days, done: {a: brief#2}, expect: {actions: {a: nothing}}}
  - {advance: 5 days, expect: {actions: {a: [{step: brief#3, task: {subject: Call}}]}}}
  - advance: 1 day
    records: {account: [{id: a, tier: tin}]}
    expect: {not_enrolled: a}
  - {advance: 30 days, expect: {actions: {a: nothing}, held: {a: nothing}}}
"""
    assert outcome(tmp_path, TASKS, test, more=AGAIN) == ""


def test_what_was_missed_comes_once_and_the_days_stay_the_same(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [note]}}
later:
  - {advance: 24 days, expect: {actions: {a: [note]}}}
  - {advance: 1 hour, expect: {actions: {a: nothing}}}
  - {at: 2026-03-30T08:59, expect: {actions: {a: nothing}}}
  - {at: 2026-03-30T09:00, expect: {actions: {a: [note]}}}
  - {at: 2026-04-05T09:00, expect: {actions: {a: nothing}}}
"""
    assert outcome(tmp_path, "  - note: {text: one}\n", test, more=AGAIN) == ""


@pytest.mark.parametrize(
    ("first", "second", "late", "fifth"),
    [
        # Clocks were put forward on Sunday, 29 March, and back on 25 October.
        ("2026-03-23", "2026-03-30", "2026-04-13", "2026-04-20"),
        ("2026-10-19", "2026-10-26", "2026-11-09", "2026-11-16"),
    ],
)
def test_what_comes_after_a_week_comes_at_the_same_time_of_day(
    tmp_path: Path, first: str, second: str, late: str, fifth: str
) -> None:
    records = RECORDS.replace("2026-03-02", first)
    after = "  - note: {text: one}\n  - after: 1 week\n    note: {text: two}\n"
    test = f"""\
expect: {{actions: {{a: [note]}}}}
later:
  - {{at: {second}T08:59, expect: {{actions: {{a: nothing}}}}}}
  - {{at: {second}T09:00, expect: {{actions: {{a: [note]}}}}}}
"""
    assert outcome(tmp_path, after, test, records=records, company=BERLIN) == ""
    test += f"""\
  - {{at: {late}T09:30, expect: {{actions: {{a: [note]}}}}}}
  - {{at: {fifth}T08:59, expect: {{actions: {{a: nothing}}}}}}
  - {{at: {fifth}T09:00, expect: {{actions: {{a: [note]}}}}}}
"""
    once = "  - note: {text: one}\n"
    assert outcome(tmp_path, once, test, more=AGAIN, records=records, company=BERLIN) == ""


def test_with_for_a_week_is_over_at_the_time_of_day_at_which_it_began(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: nothing}}
later:
  - {at: 2026-03-30T08:59, expect: {actions: {a: nothing}}}
  - {at: 2026-03-30T09:00, expect: {actions: {a: [note]}}}
"""
    records = RECORDS.replace("2026-03-02", "2026-03-23")
    then = "  - note: {text: one}\n"
    found = outcome(tmp_path, then, test, more="for: 7 days\n", records=records, company=BERLIN)
    assert found == ""


def test_business_days_lie_between_two_rounds(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [note]}}
later:
  - {at: 2026-03-04T09:00, expect: {actions: {a: nothing}}}
  - {at: 2026-03-06T10:00, expect: {actions: {a: [note]}}}
  - {at: 2026-03-10T08:00, expect: {actions: {a: nothing}}}
  - {at: 2026-03-10T09:00, expect: {actions: {a: [note]}}}
"""
    more = "repeat_every: 3 business days\n"
    assert outcome(tmp_path, "  - note: {text: one}\n", test, more=more) == ""


def test_a_round_waits_until_the_one_before_is_over(tmp_path: Path) -> None:
    then = "  - note: {text: one}\n  - wait: 10 days\n  - note: {text: two}\n"
    test = """\
expect: {actions: {a: {note: {text: one}}}}
later:
  - {advance: 8 days, expect: {actions: {a: nothing}}}
  - {advance: 3 days, expect: {actions: {a: {note: {text: two}}}}}
  - {advance: 1 hour, expect: {actions: {a: {note: {text: one}}}}}
"""
    assert outcome(tmp_path, then, test, more=AGAIN) == ""


def test_a_cooldown_lies_between_two_rounds_and_before_the_next_enrolment(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [note]}}
later:
  - {advance: 7 days, expect: {actions: {a: nothing}}}
  - {advance: 3 days, expect: {actions: {a: [note]}}}
  - {advance: 1 day, records: {account: [{id: a, tier: tin}]}, expect: {not_enrolled: a}}
  - advance: 1 day
    records: {account: [{id: a, tier: gold}]}
    expect: {not_enrolled: a, held: {a: {contains: cooldown}}}
  - {advance: 8 days, expect: {enrolled: a, actions: {a: [note]}}}
"""
    more = f"{AGAIN}cooldown: 10 days\n"
    assert outcome(tmp_path, "  - note: {text: one}\n", test, more=more) == ""


def test_with_until_it_begins_anew_only_while_its_conditions_hold(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [note]}}
later:
  - advance: 7 days
    records: {account: [{id: a, tier: tin}]}
    expect:
      enrolled: a
      actions: {a: nothing}
      held: {a: {step: note#2, reason: it begins anew once its conditions hold}}
  - {advance: 1 day, records: {account: [{id: a, tier: gold}]}, expect: {actions: {a: [note]}}}
  - {advance: 1 day, records: {account: [{id: a, industry: gambling}]}, expect: {not_enrolled: a}}
  - {advance: 30 days, expect: {actions: {a: nothing}}}
"""
    more = AGAIN + "until: [{industry: gambling}]\n"
    assert outcome(tmp_path, "  - note: {text: one}\n", test, more=more) == ""


def test_an_expired_rule_does_not_begin_anew(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [note]}}
later:
  - {advance: 7 days, expect: {actions: {a: [note]}}}
  - advance: 7 days
    expect: {enrolled: a, actions: {a: nothing}, held: {a: {contains: does not begin anew}}}
"""
    more = AGAIN + "expires: 2026-03-10\n"
    assert outcome(tmp_path, "  - note: {text: one}\n", test, more=more) == ""


def test_values_of_once_per_are_used_once_and_come_again(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [note]}}
later:
  - {advance: 7 days, expect: {actions: {a: [note]}}}
  - {advance: 1 day, records: {account: [{id: a, tier: tin}]}, expect: {not_enrolled: a}}
  - {advance: 7 days, records: {account: [{id: a, tier: gold}]}, expect: {not_enrolled: a}}
"""
    more = AGAIN + "once_per: account\n"
    assert outcome(tmp_path, "  - note: {text: one}\n", test, more=more) == ""


def test_a_mail_of_a_later_round_is_not_sent_to_whom_people_have_spoken_with_since(
    tmp_path: Path,
) -> None:
    test = f"""\
expect: {{actions: {{a: [email]}}}}
later:
  - advance: 1 day
    records: {{{CALL}}}
    expect: {{actions: {{a: nothing}}}}
  - advance: 6 days
    expect:
      actions: {{a: nothing}}
      held: {{a: {{step: email#3, reason: {{contains: comes again}}}}}}
  - {{advance: 7 days, expect: {{actions: {{a: [email]}}}}}}
  - advance: 7 days
    unread: [activity]
    expect: {{actions: {{a: nothing}}, held: {{a: {{contains: last_contact}}}}}}
  - {{advance: 1 hour, unread: [], expect: {{actions: {{a: [email]}}}}}}
"""
    then = "  - email: {to: primary_contact, template: hi}\n"
    assert outcome(tmp_path, then, test, more=AGAIN) == ""


def test_choices_and_waits_are_asked_anew_in_each_round(tmp_path: Path) -> None:
    then = """\
  - choose:
      - if: {industry: steel}
        then: [{note: {text: steel}}]
      - otherwise: [{note: {text: other}}]
  - id: patience
    wait: {until: [{industry: gas}], at_most: 2 days}
  - if: {steps.patience: done}
    note: {text: gas}
"""
    test = """\
expect: {actions: {a: {note: {text: other}}}}
later:
  - {advance: 2 days, records: {account: [{id: a, industry: steel}]}}
  - {advance: 5 days, expect: {actions: {a: {note: {text: steel}}}}}
  - advance: 1 day
    records: {account: [{id: a, industry: gas}]}
    expect: {actions: {a: {step: note-3#2, note: {text: gas}}}}
"""
    assert outcome(tmp_path, then, test, more=AGAIN) == ""


def test_an_open_task_is_updated_and_not_doubled(tmp_path: Path) -> None:
    then = """\
  - id: brief
    task: {assign_to: owner, subject: "Call, for {{ today | date }}", due: 1 day}
  - after: 1 day
    if: [{steps.brief: not_done}]
    note: {text: not done}
"""
    test = """\
expect: {actions: {a: [{task: {subject: "Call, for Mar 2, 2026", due: 2026-03-03}}]}}
later:
  - {advance: 1 day, expect: {actions: {a: [note]}}}
  - advance: 6 days
    expect:
      actions:
        a:
          - step: brief#2
            update: {fields: {subject: "Call, for Mar 9, 2026", at: 2026-03-10}}
  - {advance: 1 day, done: {a: brief#2}, expect: {actions: {a: nothing}}}
  - advance: 6 days
    expect: {actions: {a: [{step: brief#3, task: {due: 2026-03-17}}]}}
"""
    assert outcome(tmp_path, then, test, more=AGAIN) == ""


def test_an_open_task_that_says_the_same_is_left_alone(tmp_path: Path) -> None:
    test = """\
expect: {actions: {a: [task]}}
later:
  - advance: 7 days
    expect:
      actions: {a: nothing}
      held: {a: {step: brief#2, reason: {contains: is still open}}}
  - advance: 1 hour
    unread: [activity]
    expect: {actions: {a: nothing}}
  - advance: 7 days
    expect: {held: {a: [{step: brief#3, reason: {contains: not known}}]}}
  - {advance: 1 hour, unread: [], done: {a: brief}, expect: {actions: {a: [task]}}}
"""
    then = "  - id: brief\n    task: {assign_to: owner, subject: Call}\n"
    assert outcome(tmp_path, then, test, more=AGAIN) == ""


@pytest.mark.parametrize(
    ("said", "comes"),
    [("", "task"), (", if_exists: create", "task"), (", if_exists: skip", "")],
)
def test_a_task_of_an_earlier_enrolment_matters_where_it_is_asked_for(
    tmp_path: Path, said: str, comes: str
) -> None:
    then = f"  - task: {{assign_to: owner, subject: Call, due: 1 day{said}}}\n"
    test = f"""\
expect: {{actions: {{a: [task]}}}}
later:
  - {{advance: 1 day, records: {{account: [{{id: a, tier: tin}}]}}}}
  - advance: 1 day
    records: {{account: [{{id: a, tier: gold}}]}}
    expect: {{enrolled: a, actions: {{a: {f"[{comes}]" if comes else "nothing"}}}}}
"""
    assert outcome(tmp_path, then, test) == ""
