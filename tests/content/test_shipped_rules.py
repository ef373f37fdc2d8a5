from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.app.shipped import shipped
from crmsync.config.settings import Company
from crmsync.config.yaml import load_yaml
from crmsync.facts.builtin import crmsync_facts
from crmsync.model.catalog import Catalog
from crmsync.model.tables import CANONICAL_TABLES
from crmsync.rules.language import asks_for_steps
from crmsync.rules.reading.load import RuleSet, load_rules
from support.rule_tests import run_tests_in, told

if TYPE_CHECKING:
    from crmsync.app.rule_tests.results import RuleTested

FOLDER = shipped("rules")
TEAMS = ("success", "support")
COMPANY = Company(
    name="Vendor", email="hello@vendor.example", time_zone="Europe/Zurich", country="CH"
)
# Whoever installs crmsync runs them with a company of their own.
ELSEWHERE = Company(
    name="Verkäufer", email="hallo@vendor.example", time_zone="Asia/Tokyo", locale="de_DE"
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog(tables=CANONICAL_TABLES, facts=tuple(fact.spec for fact in crmsync_facts()))


@pytest.fixture(scope="module")
def rules(catalog: Catalog) -> RuleSet:
    return load_rules(FOLDER, shipped("segments"), catalog, TEAMS, shown_relative_to=FOLDER.parent)


def run(folder: Path, rules: RuleSet, company: Company = COMPANY) -> list[RuleTested]:
    return run_tests_in(
        folder,
        rules,
        company=company,
        templates=shipped("templates"),
        teams={"success": ["lead@vendor.example"], "support": ["support@vendor.example"]},
        root=FOLDER.parent,
    )


@pytest.mark.parametrize("company", [COMPANY, ELSEWHERE], ids=["here", "elsewhere"])
def test_all_their_tests_pass(rules: RuleSet, company: Company) -> None:
    outcomes = run(FOLDER / "tests", rules, company)
    failures = [
        f"{outcome.place} {outcome.test}\n{told(outcome)}"
        for outcome in outcomes
        if outcome.failures
    ]
    assert not failures, "\n".join(failures)
    assert {outcome.rule for outcome in outcomes} == {rule.name for rule in rules.rules}


def test_each_has_a_test_of_its_own_with_matches_and_near_misses(rules: RuleSet) -> None:
    assert len(rules.rules) >= 10
    for rule in rules.rules:
        document = load_yaml(FOLDER / "tests" / f"{rule.name}.yaml")
        tests = document.data if isinstance(document.data, list) else [document.data]
        assert {test["rule"] for test in tests} == {rule.name}
        expected = {
            verdict: [subject for test in tests for subject in test["expect"].get(verdict, [])]
            for verdict in ("match", "no_match")
        }
        assert expected["match"], rule.name
        assert len(expected["no_match"]) >= 3, rule.name


def test_each_has_a_test_of_all_that_comes_of_it(rules: RuleSet) -> None:
    later = 0
    for rule in rules.rules:
        document = load_yaml(FOLDER / "tests" / f"{rule.name}.yaml")
        stages = [s for test in document.data for s in (test, *test.get("later", []))]
        later += len(stages) - len(document.data)
        most = max(len(_listed(a)) for s in stages for a in _actions(s).values())
        if any(asks_for_steps(step) for step in rule.way):
            most = max(_on_the_way(test) for test in document.data)
        assert most == len(rule.then), f"no test of {rule.name} expects all of its steps"
    assert later >= 10


def _on_the_way(test: dict[str, Any]) -> int:
    """The most that comes of one subject in a test, all of its stages taken together."""
    counts: Counter[str] = Counter()
    for stage in (test, *test.get("later", [])):
        for subject, actions in _actions(stage).items():
            counts[subject] += len(_listed(actions))
    return max(counts.values())


def _actions(stage: dict[str, Any]) -> dict[str, Any]:
    expect = stage.get("expect", {})
    return {"": [], **expect.get("actions", {})}


def _listed(actions: object) -> list[object]:
    if actions == "nothing":
        return []
    return actions if isinstance(actions, list) else [actions]


def test_each_is_named_as_its_file_and_says_what_it_is_for(rules: RuleSet) -> None:
    for rule in rules.rules:
        assert Path(rule.place.file).stem == rule.name
        assert rule.description.endswith("."), rule.name
        assert rule.labels, rule.name
        assert rule.once_per or rule.cooldown, f"{rule.name} could come again and again"


def test_a_wrong_expectation_is_found(rules: RuleSet, tmp_path: Path) -> None:
    text = (FOLDER / "tests" / "contact-bounced.yaml").read_text(encoding="utf-8")
    changed = text.replace("match: [champion, decides]", "match: [champion, decides, user]")
    changed = changed.replace("not-said, user,", "not-said,")
    assert changed != text
    (tmp_path / "contact-bounced.yaml").write_text(changed, encoding="utf-8")
    changed = changed.replace("due: 2026-03-13", "due: 2026-03-14")
    (tmp_path / "contact-bounced.yaml").write_text(changed, encoding="utf-8")
    verdicts, actions, _mailbox = run(tmp_path, rules)
    assert [failure.subject for failure in verdicts.failures] == ["user"]
    assert "-     due: 2026-03-14\n+     due: 2026-03-13" in told(actions)
    assert {outcome.rule for outcome in (verdicts, actions)} != {rule.name for rule in rules.rules}
