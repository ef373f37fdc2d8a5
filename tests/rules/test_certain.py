from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from crmsync.rules.certain import certainties, certainty
from rules.oracle import Oracle
from rules.rules_world import rule_of
from rules.test_oracle import companies, compiled, nested

if TYPE_CHECKING:
    from pathlib import Path

NEVER = [
    "  - tier: gold\n  - tier: silver",
    "  - tier: [gold, silver]\n  - tier: {not_in: [silver, gold, basic]}",
    "  - tier: gold\n  - not: [{tier: gold}]",
    "  - renewal_date: {in_next: 30 days}\n  - renewal_date: {older_than: 1 day}",
    "  - last_contact: {older_than: 14 days, in_last: 7 days}",
    "  - recurring_revenue: {over: 100, under: 100}",
    "  - recurring_revenue: 5\n  - recurring_revenue: {is_not: 5}",
    "  - customer_since: {before: 2026-01-01}\n  - all: [{customer_since: {after: 2026-03-01}}]",
    "  - created_at: {between: [2026-01-01, 2026-01-31]}\n  - created_at: {after: 2026-01-31}",
    "  - owner.active: true\n  - owner.active: {is_not: true}",
    "  - tier: {present: false}\n  - tier: gold",
    "  - count: {of: tickets, is: {under: 0}}",
    "  - some: {of: tickets, where: [{status: open}, {status: closed}]}",
    "  - any: [{all: [{tier: a}, {tier: b}]}, {all: [{tier: c}, {tier: d}]}]",
]
ALWAYS = [
    "  - any: [{tier: gold}, {tier: {is_not: gold}}]",
    "  - any: [{tier: gold}, {not: [{tier: gold}]}]",
    "  - any:\n    - recurring_revenue: {over: 5}\n    - recurring_revenue: {at_most: 5}",
    (
        "  - any: [{renewal_date: {in_next: 5 days}}, {renewal_date: {is_not: today}},"
        " {renewal_date: {older_than: 0 days}}]"
    ),
    "  - any: [{do_not_contact: true}, {do_not_contact: false}]",
    "  - name: {contains: ''}",
    "  - name: {matches: '.*'}",
    "  - count: {of: tickets, is: {at_least: 0}}",
    "  - none_of: [{all: [{tier: gold}, {tier: silver}]}]",
]
DEPENDS = [
    "  - tier: gold\n  - status: silver",
    "  - any: [{tier: gold}, {tier: silver}]",
    "  - last_contact: {older_than: 14 days, further_than: 14 days}",  # never is both
    "  - last_contact: {older_than: 14 days, present: false}",
    "  - renewal_date: {in_next: 3 business days}\n  - renewal_date: {further_than: 9 days}",
    "  - recurring_revenue: {at_least: 5, at_most: 5}",
    "  - renewal_date: {after: 2026-01-01}\n  - renewal_date: {older_than: 5 days}",
    "  - tier: gold\n  - tier: {is: silver, if_unknown: yes}",
    "  - any: [{last_contact: {older_than: 14 days}}, {last_contact: {in_last: 7 days}}]",
    "  - tier: {present: true}\n  - tier: gold",
    "  - count: {of: tickets, is: 0}",
    "  - renewal_date: {between: [today, 2099-01-01]}\n  - renewal_date: {older_than: 1 day}",
    "  - created_at: {before: 2026-01-02, after: 2026-01-01}",
]

# Few values of few fields, so that clauses often contradict each other.
_CLAUSES = st.sampled_from(
    [
        {"tier": "gold"},
        {"tier": ["gold", "silver"]},
        {"tier": {"is_not": "gold"}},
        {"tier": {"present": False}},
        {"recurring_revenue": {"over": 1}},
        {"recurring_revenue": {"at_most": 1}},
        {"recurring_revenue": {"between": [0, 1]}},
        {"renewal_date": {"in_next": "1 day"}},
        {"renewal_date": {"in_last": "0 days"}},
        {"renewal_date": {"older_than": "1 day"}},
        {"renewal_date": {"after": "today"}},
        {"last_contact": {"older_than": "1 day"}},
        {"last_contact": {"in_last": "1 day"}},
        {"last_contact": {"further_than": "0 days"}},
        {"last_contact": {"present": False}},
        {"do_not_contact": True},
        {"do_not_contact": {"is_not": True}},
        {"count": {"of": "tickets", "is": {"at_least": 0}}},
        {"count": {"of": "tickets", "is": {"under": 0}}},
    ]
)
_CONDITIONS = st.lists(nested(_CLAUSES), min_size=1, max_size=3)


@pytest.mark.parametrize("when", NEVER)
def test_what_can_never_be_true_is_told_once(tmp_path: Path, when: str) -> None:
    found = certainties(rule_of(tmp_path, when))
    assert found
    assert not any("selects every" in one.sentence for one in found)


@pytest.mark.parametrize("when", ALWAYS)
def test_what_cannot_be_false_selects_everything(tmp_path: Path, when: str) -> None:
    *_, last = certainties(rule_of(tmp_path, when))
    assert last.sentence == "nothing here can be false, so the rule selects every account"
    assert str(last.place) == "rules/tested.yaml:4:3"


@pytest.mark.parametrize("when", DEPENDS)
def test_what_depends_on_records_is_not_told(tmp_path: Path, when: str) -> None:
    assert certainties(rule_of(tmp_path, when)) == []


def test_the_sentence_names_both_lines(tmp_path: Path) -> None:
    (found,) = certainties(rule_of(tmp_path, "  - tier: gold\n  - status: x\n  - tier: silver"))
    assert f"{found.place}: {found.sentence}" == (
        "rules/tested.yaml:6:5: “tier: silver” cannot be true together with “tier: gold” of "
        "line 4; for one or the other, write “any:”"
    )


@settings(max_examples=40, deadline=None)
@given(company=companies(), conditions=st.lists(_CONDITIONS, min_size=4, max_size=4))
def test_what_is_certain_is_so_for_every_record(
    company: dict[str, Any], conditions: list[list[dict[str, Any]]]
) -> None:
    records = company["records"]
    oracle = Oracle(records, now=company["now"], zone=company["zone"], unread=company["unread"])
    for rule in compiled(conditions):
        certain = certainty(rule.when)
        event(f"certain: {certain}")
        for record in records["account"]:
            verdict = oracle.verdict(rule.when, record, "account")
            if certain is False:
                assert verdict is not True, (conditions, record)
            if certain is True and _is_known(record) and "last_contact" not in str(conditions):
                assert verdict is not False, (conditions, record)


def _is_known(record: dict[str, Any]) -> bool:
    fields = ("tier", "recurring_revenue", "renewal_date", "do_not_contact")
    return all(record[name] is not None for name in fields)
