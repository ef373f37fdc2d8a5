from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from crmsync.config.settings import Existing
from crmsync.errors import InvalidInputError
from crmsync.model.durations import parse_duration
from crmsync.rules.language import EmailStep, Recipient, TaskStep, UpdateStep
from crmsync.rules.reading.load import load_rules
from rules.rules_world import CATALOG, THEN, rules_from

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

SMALLEST = """\
rule: renewal-at-risk
description: A renewal is near and nobody has spoken with the customer.
subject: account
when:
  - renewal_date: {in_next: 30 days}
  - last_contact: {older_than: 14 days}
then:
  - task:
      assign_to: owner
      subject: "Call {{ account.name }}: renews {{ account.renewal_date | date }}"
      due: 1 business day
  - email:
      to: primary_contact
      template: renewal/check-in
"""

BAD = {
    "unknown-key": "rule: a\nsubject: account\nwhan: []\nwhen: [{tier: x}]\n" + THEN,
    "changes": (
        "rule: changes\nsubject: account\nrepeat_every: 0 days\non_change: stay\nwhen:\n"
        "  - tier: gold\n" + THEN
    ),
    "words": (
        "rule: words\nsubject: account\nwhen:\n"
        "  - some: {of: activities, where: [{kind: meetng}, {direction: [inbound, outbuond]}]}\n"
        "  - some: {of: activities, where: [{status: {is_not: canceled}}]}\n"
        "  - some: {of: promises, where: [{state: {was: {value: opn, at: 3 days}}}]}\n"
        "  - some: {of: promises, where: [{state: {changed: {to: Kept}}}]}\n" + THEN
    ),
    "past": (
        "rule: past\nsubject: account\nwhen:\n"
        "  - tier: {was: gold}\n"
        "  - tier: {was: {value: gold}}\n"
        "  - tier: {was: {value: gold, at: today}}\n"
        "  - tier: {was: {value: gold, at: never}}\n"
        "  - tier: {was: {value: [], at: 3 days}}\n"
        "  - tier: {changed: true}\n"
        "  - tier: {changed: {in_last: 3 moons}}\n"
        "  - tier: {changed: {form: gold}}\n"
        "  - tier: {changed: {from: 1}}\n"
        "  - renewal_date: {changed: {to: today}}\n"
        "  - industry: {changed: {in_last: 3 days}}\n"
        "  - owner.manager: {was: {value: x, at: 3 days}}\n"
        "  - last_contact: {changed: {in_last: 3 days}}\n"
        "  - count: {of: tickets, is: {changed: {in_last: 3 days}}}\n"
        "  - changed: {in_last: 3 days}\n"
        "  - tier: {was: {value: gold, at: 3 days, if_unknown: no}}\n" + THEN
    ),
    "indented-too-little": (
        "rule: flat\nsubject: account\nwhen: [{tier: x}]\nthen:\n"
        "  - task:\n    assign_to: owner\n    subject: Hello\n    text: Hello\n"
    ),
    "subject": "rule: c\nsubject: acount\nwhen: [{tier: x}]\n" + THEN,
    "missing": "rule: d\nsubject: account\n",
    "fields": (
        "rule: e\nsubject: account\nwhen:\n"
        "  - renewal_dat: {in_next: 30 days}\n"
        "  - last_contract: {older_than: 14 days}\n"
        "  - owner.activ: true\n"
        "  - onwer.active: true\n"
        "  - tier.name: x\n"
        "  - tickets.status: open\n"
        "  - tickets: open\n"
        "  - noneof: [{tier: x}]\n" + THEN
    ),
    "operators": (
        "rule: f\nsubject: account\nwhen:\n"
        "  - renewal_date: {in_nxt: 30 days}\n"
        "  - renewal_date: {contains: x}\n"
        "  - tier: {over: 3}\n"
        "  - tier: {}\n"
        "  - last_contact: 2026-01-01\n"
        "  - do_not_contact: [true]\n" + THEN
    ),
    "values": (
        "rule: g\nsubject: account\nwhen:\n"
        "  - renewal_date: {in_next: 30}\n"
        "  - renewal_date: {in_next: 30 dayz}\n"
        "  - renewal_date: {in_next: 12h}\n"
        "  - renewal_date: {in_next: 5000 business days}\n"
        "  - renewal_date: {before: soon}\n"
        "  - renewal_date: {after: last_contact}\n"
        "  - renewal_date: {between: [2026-02-01, 2026-01-01]}\n"
        "  - recurring_revenue: {over: '1000'}\n"
        "  - recurring_revenue: {over: 0.00001}\n"
        "  - recurring_revenue: {between: 5}\n"
        "  - open_tickets: 1.5\n"
        "  - do_not_contact: yes\n"
        "  - do_not_contact: 1\n"
        "  - tier: 5\n"
        "  - tier: true\n"
        "  - tier: {in: gold}\n"
        "  - tier: []\n"
        "  - tier:\n"
        "  - name: {matches: 'a(?=b)'}\n"
        "  - name: {matches: '['}\n"
        "  - tier: {is: gold, if_unknown: maybe}\n" + THEN
    ),
    "groups": (
        "rule: h\nsubject: account\nwhen:\n"
        "  - any: []\n"
        "  - tier\n"
        "  - segment: [a]\n"
        "  - segment: golde\n" + THEN
    ),
    "related": (
        "rule: i\nsubject: account\nwhen:\n"
        "  - some: {where: [{status: open}]}\n"
        "  - some: {of: tikets}\n"
        "  - some: {of: owner}\n"
        "  - none: {of: tickets, were: []}\n"
        "  - none: {of: tickets, where: [{state: open}]}\n"
        "  - count: {of: tickets}\n"
        "  - count: {of: tickets, is: many}\n"
        "  - sum: {of: deals, is: {over: 3}}\n"
        "  - sum: {of: deals, field: name, is: {over: 3}}\n"
        "  - some: tickets\n"
        "  - latest: {of: activities}\n" + THEN
    ),
    "steps": (
        "rule: j\nsubject: account\nwhen: [{tier: x}]\nthen:\n"
        "  - task: {assign_to: [ownr, team.renewal, primary_contact], subject: x}\n"
        "  - task: {assign_to: owner, subject: x, due: soon}\n"
        "  - task: {assign_to: owner, requires: [account.name, first name, 3]}\n"
        "  - task: {assign_to: owner, subject: x, if_exists: replace}\n"
        "  - email: {to: domain, template: x}\n"
        "  - email: {to: {rol: champion}, template: x, class: spam}\n"
        "  - wait: 3 days\n"
        "  - taks: {}\n"
        "  - note: {text: x}\n"
        "    email: {to: primary_contact, template: x}\n"
        "  - update: {fields: {teir: gold, last_contact: x, id: y, do_not_contact: yes}}\n"
        "  - {}\n"
        "  - note: hello\n"
        "  - {id: same, note: {text: x}}\n"
        "  - {id: same, note: {text: x}}\n"
        "  - after: 3 days\n"
        "    note: {text: x}\n"
    ),
    "options": (
        "rule: k\nsubject: account\nwhen: [{tier: x}]\nonce_per: [renewal_dat]\ncooldown: 10\n"
        "existing: enroll\nlabels: [1]\npriority: high\ndescription: [x]\n"
        "for: a while\nexpires: next year\n" + THEN
    ),
    "name": "rule: two words\nsubject: account\nwhen: [{tier: x}]\n" + THEN,
    "same-1": "rule: same\nsubject: account\nwhen: [{tier: x}]\n" + THEN,
    "same-2": "rule: same\nsubject: account\nwhen: [{tier: x}]\n" + THEN,
    "yaml": "rule: l\nsubject: account\nwhen: [{tier: x}\n" + THEN,
    "empty": "",
    "list": "- rule: m\n",
}
BAD_SEGMENTS = {
    "golden": "segment: golden\nsubject: account\nwhen: [{tire: gold}]\n",
    "circle-1": "segment: circle-1\nsubject: account\nwhen: [{segment: circle-2}]\n",
    "circle-2": "segment: circle-2\nsubject: account\nwhen: [{any: [{segment: circle-1}]}]\n",
    "people": "segment: people\nsubject: contact\nwhen: [{segment: none-such}]\n",
}


def test_the_smallest_rule(tmp_path: Path) -> None:
    (rule,) = rules_from(tmp_path, {"renewal-at-risk": SMALLEST}).rules
    task, email = rule.then
    assert rule.name == "renewal-at-risk"
    assert rule.subject == "account"
    assert isinstance(task, TaskStep)
    assert (task.id, task.assign_to, str(task.due)) == ("task", ("owner",), "1 business day")
    assert isinstance(email, EmailStep)
    assert (email.to, email.sender) == (Recipient(path="primary_contact"), "owner")
    assert str(email.place) == "rules/renewal-at-risk.yaml:12:5"


def test_every_mistake_of_all_files_at_its_place(
    tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    with pytest.raises(InvalidInputError) as raised:
        rules_from(tmp_path, BAD, BAD_SEGMENTS)
    assert "\n".join(raised.value.problems) == snapshot


@pytest.mark.parametrize("name", sorted(set(BAD) - {"same-1", "same-2"}))
def test_each_bad_file_is_refused_alone(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        rules_from(tmp_path, {name: BAD[name]})
    assert all(problem.startswith(f"rules/{name}.yaml:") for problem in raised.value.problems)


def test_tests_are_no_rules_and_subfolders_are_read(tmp_path: Path) -> None:
    rules = rules_from(tmp_path, {"team/smallest": SMALLEST, "tests/smallest": "rule: nonsense"})
    assert [str(rule.place) for rule in rules.rules] == ["rules/team/smallest.yaml:1:7"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no such folder"):
        load_rules(tmp_path / "nowhere", tmp_path, CATALOG, [], tmp_path)


def test_options(tmp_path: Path) -> None:
    text = (
        "rule: a\nsubject: ticket\nonce_per: [ticket, account.renewal_date]\ncooldown: 10 days\n"
        "existing: enrol\nlabels: [care]\npriority: 70\nfor: 2 business days\n"
        "expires: 2027-06-30\nwhen: [{status: open}]\nthen:\n"
        "  - email: {to: {role: champion, otherwise: contact}, template: t, from: company,"
        " class: service}\n"
        "  - update: {record: account, fields: {status: 'at risk', renewal_date: '{{ today }}'}}\n"
        "  - task: {assign_to: [account.owner.manager, team.renewals], subject: x}\n"
        "  - task: {assign_to: owner, subject: x}\n"
    )
    (rule,) = rules_from(tmp_path, {"a": text}).rules
    assert rule.once_per == ("id", "account.renewal_date")
    assert rule.cooldown == parse_duration("10 days")
    assert (rule.must_last, rule.expires) == (parse_duration("2 business days"), date(2027, 6, 30))
    assert (rule.existing, rule.labels, rule.priority) == (Existing.ENROL, ("care",), 70)
    assert [step.id for step in rule.then] == ["email", "update", "task", "task-2"]
    email, update = rule.then[:2]
    assert isinstance(email, EmailStep)
    assert email.to == Recipient(role="champion", otherwise=Recipient(path="contact"))
    assert isinstance(update, UpdateStep)
    assert update.record == "account"


def test_whose_owner_is_meant(tmp_path: Path) -> None:
    steps = "then:\n  - email: {to: {role: champion}, template: t, approval: {expires: 2 days}}\n"
    named = {
        subject: f"rule: {subject}\nsubject: {subject}\nwhen: [{{id: x}}]\n{steps}"
        for subject in ("account", "contact", "ticket")
    }
    for rule in rules_from(tmp_path, named).rules:
        (email,) = rule.then
        owner = "account.owner" if rule.subject == "contact" else "owner"
        assert isinstance(email, EmailStep)
        assert email.approval is not None
        assert (email.sender, *email.approval.by) == (owner, owner)


def test_what_stands_at_the_account_is_found_there(tmp_path: Path) -> None:
    text = (
        "rule: a\nsubject: contact\nwhen: [{tier: gold}]\n"
        "then: [{task: {assign_to: owner, subject: x}}]\n"
    )
    with pytest.raises(InvalidInputError) as raised:
        rules_from(tmp_path, {"a": text})
    assert "\n".join(raised.value.problems) == (
        "rules/a.yaml:3:9: a contact has no field or fact “tier”; did you mean “account.tier”?\n"
        "rules/a.yaml:4:27: a contact has no reference “owner”; did you mean “account.owner”?"
    )


def test_a_rules_version_changes_with_its_segments_and_not_with_comments(tmp_path: Path) -> None:
    text = "rule: a\nsubject: account\nwhen: [{segment: golden}]\n" + THEN
    segment = "segment: golden\nsubject: account\nwhen: [{tier: gold}]\n"

    def version(rule: str, golden: str) -> str:
        return rules_from(tmp_path, {"a": rule}, {"golden": golden}).rules[0].version

    first = version(text, segment)
    assert version("# a comment\n" + text, segment) == first
    assert version(text, segment.replace("gold}", "silver}")) != first
    assert version(text.replace("hello", "good day"), segment) != first


def test_a_segment_about_another_subject(tmp_path: Path) -> None:
    text = "rule: a\nsubject: account\nwhen: [{segment: people}]\n" + THEN
    segment = "segment: people\nsubject: contact\nwhen: [{role: champion}]\n"
    with pytest.raises(InvalidInputError, match="is about contact, and not account"):
        rules_from(tmp_path, {"a": text}, {"people": segment})
