"""The same rule with another threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.errors import UsageError
from crmsync.rules.conditions import clauses
from crmsync.rules.reading.variants import find_threshold, operand_of, thresholds, variant
from rules.rules_world import CATALOG, rule_of, verdicts_of

if TYPE_CHECKING:
    from pathlib import Path

WHEN = """\
  - last_contact: {older_than: 14 days, if_unknown: no}
  - recurring_revenue: {at_least: 1000, under: 5000}
  - any:
      - renewal_date: {in_next: 30 days}
      - not: [{renewal_date: {in_next: 90 days}}]
  - tier: [gold, silver]
  - name: {present: true}
  - count: {of: tickets, where: [{opened_at: {in_last: 7 days}}], is: {at_most: 2}}
  - sum: {of: deals.amount, is: {over: 10}}
"""
ADDRESSES = [
    "last_contact.older_than",
    "recurring_revenue.at_least",
    "recurring_revenue.under",
    "renewal_date.in_next",
    "renewal_date.in_next",
    "tickets.count.at_most",
    "tickets.opened_at.in_last",
    "deals.amount.sum.over",
]


def test_every_threshold_has_an_address(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, WHEN)
    assert [threshold.address for threshold in thresholds(rule.when)] == ADDRESSES


@pytest.mark.parametrize(
    ("address", "value", "text"),
    [
        ("last_contact.older_than", "3 weeks", "last_contact: {older_than: 21 days}"),
        ("last_contact", "7d", "last_contact: {older_than: 7 days}"),
        ("recurring_revenue.under", "4000.5", "recurring_revenue: {under: 4000.5}"),
        ("renewal_date.in_next#2", "60 days", "renewal_date: {in_next: 60 days}"),
        ("tickets.count.at_most", "5", "tickets.count: {at_most: 5}"),
        ("tickets.opened_at.in_last", "12h", "tickets.opened_at: {in_last: 12 hours}"),
        ("deals.amount.sum.over", "99", "deals.amount.sum: {over: 99}"),
    ],
)
def test_one_clause_is_replaced(tmp_path: Path, address: str, value: str, text: str) -> None:
    rule = rule_of(tmp_path, WHEN)
    threshold = find_threshold(rule, address)
    changed = variant(rule, threshold, operand_of(threshold, value, CATALOG), number=3)
    before = [(one.address, one.test) for one in thresholds(rule.when)]
    after = [(one.address, one.test) for one in thresholds(changed.when)]
    differing = [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert len(differing) == 1
    assert before[differing[0]][0] == threshold.address
    assert [one.clause.text for one in thresholds(changed.when)][differing[0]] == text
    assert (changed.name, changed.version == rule.version) == ("tested#3", False)


def test_the_same_value_is_the_same_rule(tmp_path: Path) -> None:
    rule = rule_of(tmp_path, WHEN)
    for address in ("last_contact.older_than", "tickets.count.at_most"):
        threshold = find_threshold(rule, address)
        value = str(threshold.test.operand)
        same = variant(rule, threshold, operand_of(threshold, value, CATALOG), number=1)
        assert same.when == rule.when


def test_a_threshold_decides_anew_what_an_unknown_counts_as(tmp_path: Path) -> None:
    """``at_most: 2`` holds while nobody knows of tickets; ``at_most: -1`` could never pass."""
    rule = rule_of(tmp_path, "  - open_tickets: {at_most: 2}\n")
    (clause,) = clauses(rule.when)
    assert clause.unknown_as is None
    threshold = find_threshold(rule, "open_tickets")
    changed = variant(rule, threshold, operand_of(threshold, "-1", CATALOG), number=1)
    (clause,) = clauses(changed.when)
    assert clause.unknown_as is False
    said = verdicts_of(changed, {"account": [{"id": "a"}]}, unread=["ticket"])
    assert (said.matches, said.unknown) == ({}, {})


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("recurring_revenue", "recurring_revenue.at_least (recurring_revenue: {at_least: 1000}"),
        ("renewal_date.in_next", "renewal_date.in_next#2 (renewal_date: {in_next: 90 days}"),
        ("renewal_date.in_next#3", "renewal_date.in_next#1"),
        ("last_contct.older_than", "did you mean “last_contact.older_than”?"),
        ("tier.in", "known here: deals.amount.sum.over, last_contact.older_than, "),
    ],
)
def test_what_is_not_one_threshold_is_told(tmp_path: Path, address: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_threshold(rule_of(tmp_path, WHEN), address)
    assert told in str(raised.value)


def test_a_rule_without_thresholds(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no threshold that could be swept"):
        find_threshold(rule_of(tmp_path, "  - name: {present: true}\n"), "name")


@pytest.mark.parametrize("value", ["soon", "[1, 2]", "{", "last_reply", ""])
def test_a_value_that_does_not_fit_is_a_sentence(tmp_path: Path, value: str) -> None:
    threshold = find_threshold(rule_of(tmp_path, WHEN), "last_contact")
    with pytest.raises(UsageError):
        operand_of(threshold, value, CATALOG)
