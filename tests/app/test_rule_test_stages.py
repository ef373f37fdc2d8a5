"""What a rule test can expect, over one instant and over several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.errors import InvalidInputError
from rules.rules_world import rules_from
from support.rule_tests import run_tests_in, told

if TYPE_CHECKING:
    from pathlib import Path

    from crmsync.app.rule_tests.results import RuleTested

RULE = """\
rule: r
subject: account
when: [{tier: gold}]
then:
  - task: {assign_to: owner, subject: "Call {{ account.name }}", due: 1 day}
  - update: {fields: {status: at risk}}
  - note: {text: "Line one\\nabout {{ account.name }}\\nline three"}
"""
RECORDS = """\
  user: [{id: jo, name: Jo, email: jo@vendor.example}]
  account: [{id: a, name: Acme, tier: gold, owner: jo}, {id: b, name: Blue, owner: jo}]
"""


def run_of(folder: Path, expect: str, *, rule: str = RULE, first: str = "") -> RuleTested:
    """The test with what is expected at first, and whatever follows."""
    text = f"rule: r\nat: 2026-03-02T09:00\n{first}records:\n{RECORDS}{expect}"
    rules = rules_from(folder, {"r": rule, "tests/t": text})
    (one,) = run_tests_in(folder / "rules" / "tests", rules)
    return one


def test_actions_are_compared_as_far_as_they_are_said(tmp_path: Path) -> None:
    expect = """\
expect:
  enrolled: a
  not_enrolled: [b]
  actions:
    a:
      - {step: task, task: {assign_to: jo, due: 2026-03-03}}
      - update: {record: a, fields: {status: at risk}}
      - note: {text: "Line one\\nabout Acme\\nline three\\n"}
    b: nothing
  held: {a: nothing, b: []}
"""
    assert told(run_of(tmp_path, expect)) == ""


def test_what_differs_is_shown_line_by_line_with_its_step(tmp_path: Path) -> None:
    expect = """\
expect:
  actions:
    a:
      - task: {subject: Call Acme, due: null}
      - update: {fields: {status: lost, tier: gold}}
      - note: {text: "Line one\\nabout Blue\\nline three"}
"""
    assert told(run_of(tmp_path, expect)) == (
        "  a:\n"
        "    task:\n"
        "      subject: Call Acme\n"
        "-     due: none\n"
        "+     due: 2026-03-03\n"
        "    update:\n"
        "      fields:\n"
        "-       status: lost\n"
        "+       status: at risk\n"
        "-       tier: gold\n"
        "+       tier: none\n"
        "    note:\n"
        "      text:\n"
        "        Line one\n"
        "-       about Blue\n"
        "+       about Acme\n"
        "        line three\n"
        "    written by the step at rules/r.yaml:5:5\n"
        "    written by the step at rules/r.yaml:6:5\n"
        "    written by the step at rules/r.yaml:7:5"
    )


def test_an_action_too_many_or_too_few_is_told_with_what_decided(tmp_path: Path) -> None:
    expect = "expect: {actions: {a: [task, note], b: [task]}}\n"
    one = run_of(tmp_path, expect)
    assert told(one) == (
        "  a:\n"
        "    task:\n"
        "+   update:\n"
        "+     record: a\n"
        "+     fields:\n"
        "+       status: at risk\n"
        "    note:\n"
        "    yes: tier: gold, saw gold [rules/r.yaml:3:9]\n"
        "  b:\n"
        "-   task:\n"
        "+   nothing\n"
        "    no: tier: gold, because tier: it is empty; counts as no here "
        "[rules/r.yaml:3:9]"
    )
    assert [failure.subject for failure in one.failures] == ["a", "b"]
    assert [failure.place for failure in one.failures] == [
        "rules/tests/t.yaml:6:23",
        "rules/tests/t.yaml:6:40",
    ]


def test_over_the_stages_enrolments_and_records_live_on(tmp_path: Path) -> None:
    rule = RULE.replace("then:", "cooldown: 10 days\nthen:")
    expect = """\
expect: {actions: {a: [task, update, note], b: nothing}}
later:
  - advance: 1 day
    records: {account: [{id: b, tier: gold}, {id: c, name: Cee, tier: gold, owner: jo}]}
    expect:
      match: [a, b, c]
      actions: {a: nothing, b: [task, update, note], c: [{task: {subject: Call Cee}}, update, note]}
  - at: 2026-03-04T09:00
    records: {account: [{id: a, tier: null}]}
    deleted: {account: [c]}
    expect: {no_match: a, not_enrolled: a, enrolled: b}
  - advance: 2 business days
    records: {account: [{id: a, tier: gold}]}
    expect:
      match: a
      actions: {a: nothing}
      held: {a: it was enrolled within the cooldown of 10 days}
  - advance: 1 week
    expect: {actions: {a: [task, update, note]}}
"""
    assert told(run_of(tmp_path, expect, rule=rule)) == ""
    wrong = run_of(tmp_path, expect.replace("advance: 1 week", "advance: 1 day"), rule=rule)
    (failure,) = wrong.failures
    assert failure.stage == "after 1 day, 2026-03-07 09:00 UTC"
    assert "it was enrolled within the cooldown of 10 days" in failure.because


def test_changes_over_the_stages_are_the_past_of_the_next(tmp_path: Path) -> None:
    rule = RULE.replace("{tier: gold}", "{tier: {changed: {from: gold, in_last: 5 days}}}")
    expect = """\
expect: {no_match: [a, b]}
later:
  - advance: 1 day
    records: {account: [{id: a, tier: silver}]}
    expect: {match: a, no_match: b}
  - advance: 5 days
    expect: {match: a}
  - advance: 1 minute
    expect: {no_match: a}
"""
    assert told(run_of(tmp_path, expect, rule=rule)) == ""


def test_a_stream_that_is_not_read_for_a_while(tmp_path: Path) -> None:
    rule = RULE.replace("[{tier: gold}]", "[{last_contact: {older_than: 14 days}}]")
    expect = """\
expect: {match: [a, b]}
later:
  - advance: 1 day
    unread: activity
    expect: {unknown: [a, b], enrolled: [a, b], held: {a: {contains: activit}}}
  - advance: 1 day
    expect: {unknown: a}
  - advance: 1 day
    unread: []
    expect: {match: a, held: {a: nothing}}
"""
    assert told(run_of(tmp_path, expect, rule=rule)) == ""


def test_a_new_rule_does_what_existing_says(tmp_path: Path) -> None:
    expect = "expect: {actions: {a: nothing}, held: {a: {contains: when the rule was new}}}\n"
    assert told(run_of(tmp_path, expect, first="new_rule: true\n")) == ""
    assert told(run_of(tmp_path, expect)) != ""


def test_ids_with_a_connection_stand_for_themselves(tmp_path: Path) -> None:
    rule = RULE.replace("{tier: gold}", '{id: "crm:1"}')
    text = (
        "rule: r\nat: 2026-03-02\nrecords:\n"
        '  account: [{id: "crm:1", name: Acme, owner: "crm:jo"}, {id: "1"}]\n'
        '  user: [{id: "crm:jo"}]\n'
        'expect: {match: "crm:1", no_match: "1", actions: {"crm:1": [task, update, note]}}\n'
    )
    rules = rules_from(tmp_path, {"r": rule, "tests/t": text})
    (one,) = run_tests_in(tmp_path / "rules" / "tests", rules)
    assert told(one) == ""


def test_every_mistake_in_what_is_expected_is_told(tmp_path: Path) -> None:
    expect = """\
new_rle: true
expect:
  matches: [a]
  enrolled: [a]
  not_enrolled: [a]
  actions:
    c: nothing
    a:
      - tsk
      - {task: {asign_to: jo, due: soon, subject: {contain: x}}, stp: task}
      - email: {to: {contains: x}, text: {contains: []}}
      - update: {fields: x}
      - {task: {}, note: {}}
      - note: hello
  held: [a]
later:
  - advance: 3 moons
    expect: {}
  - {advance: 1 day, at: 2026-03-09}
  - at: 2026-03-01
    deleted: {account: [c], acount: [a]}
  - soon
"""
    with pytest.raises(InvalidInputError) as raised:
        run_of(tmp_path, expect)
    problems = [p.removeprefix("rules/tests/t.yaml:") for p in raised.value.problems]
    assert "6:1: unknown key “new_rle” in a test; did you mean “new_rule”?" in problems
    with pytest.raises(InvalidInputError) as raised:
        run_of(tmp_path, expect.replace("new_rle", "new_rule"))
    problems = [p.removeprefix("rules/tests/t.yaml:") for p in raised.value.problems]
    assert problems == [
        "8:3: unknown key “matches”; did you mean “match”?",
        "10:17: “a” is expected twice",
        "12:8: there is no account “c” here; known here: a, b",
        "14:9: an action is one of task, email, note, update, or “nothing”, and not “tsk”",
        "15:66: unknown key “stp”; did you mean “step”?",
        "15:17: nothing is called “asign_to” in this task; did you mean “assign_to”?",
        "15:36: “due” is a day such as 2026-03-31, and not “soon”",
        "15:51: here stands a text or {contains: TEXT}, and not a mapping",
        "16:21: here stands a text, and not a mapping",
        "16:42: here stands a text or {contains: TEXT}, and not a mapping",
        "17:26: “fields” is {field: value}, and not “x”",
        "18:9: an action is one of task, email, note, update, or “nothing”, and not a mapping",
        "19:15: what is expected of this note is {key: value}, and not “hello”",
        "20:9: “held” is {ID: what comes}, and not a list",
        (
            "22:14: “3 moons” is not a duration; write for example 30 days, 12h, 2 weeks or "
            "3 business days"
        ),
        "23:13: “expect” names who is to match: {match: [...], no_match: [...]}",
        "24:5: what comes later needs either “advance: 3 days” or “at: TIME”",
        "25:9: this is not later than what is before it",
        "26:24: there is no account “c” here; known here: a, b",
        "26:29: there is no table “acount”; did you mean “account”?",
        ("27:5: “later” is a list of {advance: 3 days, …}, and not “soon”"),
    ]


def _mistakes(folder: Path, test: str) -> list[str]:
    rules = rules_from(folder, {"r": RULE, "tests/t": test})
    with pytest.raises(InvalidInputError) as raised:
        run_tests_in(folder / "rules" / "tests", rules)
    return [one.removeprefix("rules/tests/t.yaml:") for one in raised.value.problems]


def test_a_reference_to_a_record_that_is_not_written_is_told(tmp_path: Path) -> None:
    """A call with an account that is misspelt would be silence, and the test green."""
    test = """\
rule: r
at: 2026-03-02T09:00
records:
  account: [{id: acme, owner: jo}, {id: blue, parent: acmee}]
  ticket: [{id: t, account: late}, {id: u, account: nobody}]
expect: {no_match: [acme]}
later:
  - advance: 1 day
    deleted: {account: [acme]}
    records: {account: [{id: late}], activity: [{id: c, account: bleu}, {id: d, account: acme}]}
    expect: {no_match: [blue]}
"""
    known = "known here: acme, blue, late"
    assert _mistakes(tmp_path, test) == [
        "4:55: there is no account “acmee” here; did you mean “acme”?",
        f"5:53: there is no account “nobody” here; {known}",
        "10:66: there is no account “bleu” here; did you mean “blue”?",
    ]


def test_a_test_may_leave_out_a_table_that_its_records_refer_to(tmp_path: Path) -> None:
    rules = rules_from(
        tmp_path,
        {
            "r": RULE,
            "tests/t": "rule: r\nat: 2026-03-02T09:00\nrecords: {account: [{id: a, owner: jo}]}\n"
            "expect: {no_match: [a]}\n",
        },
    )
    (one,) = run_tests_in(tmp_path / "rules" / "tests", rules)
    assert told(one) == ""


def test_every_wrong_value_of_a_record_is_told_at_once(tmp_path: Path) -> None:
    test = """\
rule: r
records:
  account: [{id: a, tier: 3, do_not_contact: yes, renewal_date: 07.03.2026, nmae: x}]
expect: {no_match: [a]}
"""
    assert _mistakes(tmp_path, test) == [
        "1:1: “at:” is missing in this test",
        "3:27: account.tier is of type text, which “3” does not fit",
        "3:46: account.do_not_contact is of type boolean, which “yes” does not fit",
        "3:65: account.renewal_date is of type date, which “07.03.2026” does not fit",
        "3:77: account has no field “nmae”; did you mean “name”?",
    ]
