from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from crmsync.app.shipped import shipped
from crmsync.rules.operators import HISTORY_OPERATORS, OPERATORS
from rules.rules_world import FACTS, THEN, rules_from, verdicts_of
from support.rule_tests import run_tests_in, told

_DOCS = Path(__file__).parents[2] / "docs"
_BLOCKS = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LANGUAGE = _BLOCKS.findall((_DOCS / "rule-language.md").read_text(encoding="utf-8"))
_SEGMENTS = {"key-accounts": next(b for b in _LANGUAGE if b.startswith("segment:"))}
_WHOLE = [block for block in _LANGUAGE if block.startswith("rule:")]
_CONDITIONS = [block for block in _LANGUAGE if block.startswith("- ")]

# One account that every snippet of the page is about, and one that none is about.
_RECORDS: dict[str, list[dict[str, Any]]] = {
    "user": [{"id": "gone", "active": False}],
    "account": [
        {
            "id": "acme",
            "name": "Acme Corp",
            "owner": "gone",
            "tier": "gold",
            "status": "active",
            "history": {
                "tier": [{"was": "platinum", "until": "2026-02-01"}],
                "status": [{"was": "onboarding", "until": "2026-01-01T00:00"}],
            },
            "recurring_revenue": 2000,
            "customer_since": "2026-02-28",
            "created_at": "2026-01-01T00:00",
            "renewal_date": "2026-03-20",
        },
        {
            "id": "other",
            "name": "Other",
            "customer_since": "2026-03-01",
            "created_at": "2025-12-31T23:59:59",
            "renewal_date": "2026-04-01",
            "industry": "gambling",
        },
    ],
    "contact": [{"id": "c", "account": "acme", "role": "champion", "unsubscribed": False}],
    "activity": [
        {"id": "m1", "account": "other", "kind": "meeting", "at": "2026-02-27T10:00"},
        {"id": "m2", "account": "acme", "kind": "meeting", "at": "2025-10-01T10:00"},
    ],
    "ticket": [
        {"id": "old", "account": "acme", "status": "open", "opened_at": "2026-02-24T09:00"},
        {
            "id": "new",
            "account": "acme",
            "status": "open",
            "priority": "high",
            "opened_at": "2026-02-27T09:00",
            "history": {"status": [{"was": "closed", "until": "2026-02-28"}]},
        },
    ],
    "deal": [{"id": "d", "account": "acme", "amount": 1000.01, "currency": "EUR", "open": True}],
    "order": [{"id": "o", "account": "acme", "at": "2026-02-01T00:00"}],
    "feedback": [
        {"id": "f", "account": "acme", "instrument": "nps", "score": 6, "at": "2026-02-01T00:00"}
    ],
    "usage": [
        {"id": "u1", "account": "acme", "day": "2026-01-15", "count": 5},
        {"id": "u2", "account": "acme", "day": "2026-02-15", "count": 4},
    ],
}
_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_page_has_its_snippets() -> None:
    assert (len(_WHOLE), len(_CONDITIONS)) == (8, 8)


@pytest.mark.parametrize("block", _CONDITIONS, ids=range(len(_CONDITIONS)))
def test_conditions_of_the_page_match_one_account_and_not_the_other(
    tmp_path: Path, block: str
) -> None:
    text = f"rule: r\nsubject: account\nwhen:\n{indent(block, '  ')}{THEN}"
    (rule,) = rules_from(tmp_path, {"r": text}, _SEGMENTS).rules
    records = _RECORDS
    if "if_unknown: no" in block:  # about accounts without an open ticket
        records = {**_RECORDS, "ticket": []}
    assert set(verdicts_of(rule, records, now=_NOW).matches) == {"acme"}


@pytest.mark.parametrize(
    ("block", "matches"),
    list(zip(_WHOLE, ["acme", "acme", "old", "acme", "acme", "old", "acme", "acme"], strict=True)),
)
def test_rules_of_the_page(tmp_path: Path, block: str, matches: str) -> None:
    (rule,) = rules_from(tmp_path, {"r": block}, _SEGMENTS).rules
    assert set(verdicts_of(rule, _RECORDS, now=_NOW).matches) == {matches}


def test_the_page_names_every_operator_and_every_fact() -> None:
    page = (_DOCS / "rule-language.md").read_text(encoding="utf-8")
    every = (*OPERATORS.values(), HISTORY_OPERATORS)
    operators = {str(operator) for fitting in every for operator in fitting}
    facts = {fact.spec.name for fact in FACTS}
    assert {name for name in operators | facts if f"`{name}" not in page} == set()


def test_the_tests_of_the_page_about_rule_tests(tmp_path: Path) -> None:
    lost = "rule: lost-gold\nsubject: account\nwhen: [{tier: {changed: {from: gold}}}]\n" + THEN
    texts = {"smallest": _WHOLE[0], "lost": lost, "collapsed": _WHOLE[1], "journey": _WHOLE[3]}
    rules = rules_from(tmp_path, texts)
    page = (_DOCS / "rule-tests.md").read_text(encoding="utf-8")
    folder = tmp_path / "rules" / "tests"
    folder.mkdir()
    blocks = _BLOCKS.findall(page)
    for i, block in enumerate(blocks):
        (folder / f"test-{i}.yaml").write_text(block, encoding="utf-8")
    outcomes = run_tests_in(folder, rules, templates=shipped("templates"))
    (failure,) = re.findall(r"^```text\n(.*?)\n```$", page, re.DOTALL | re.MULTILINE)
    assert page.count("<!-- fails: rule-test -->") == 1
    assert [told(outcome) for outcome in outcomes] == [""] * (len(blocks) - 1) + [failure]
    assert len(blocks) == 7
