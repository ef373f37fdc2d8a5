from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from crmsync.app.shipped import shipped
from crmsync.config.settings import Freshness
from crmsync.config.yaml import load_yaml
from crmsync.facts.builtin import crmsync_facts
from crmsync.model.catalog import Catalog
from crmsync.model.tables import CANONICAL_TABLES
from crmsync.rules.load import RuleSet, load_rules
from crmsync.rules.unit_tests import run_rule_tests

if TYPE_CHECKING:
    from crmsync.rules.unit_tests import Outcome

FOLDER = shipped("rules")
TEAMS = ("success", "support")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog(tables=CANONICAL_TABLES, facts=tuple(fact.spec for fact in crmsync_facts()))


@pytest.fixture(scope="module")
def rules(catalog: Catalog) -> RuleSet:
    return load_rules(FOLDER, shipped("segments"), catalog, TEAMS, shown_relative_to=FOLDER.parent)


def run(folder: Path, rules: RuleSet, catalog: Catalog) -> list[Outcome]:
    outcomes = run_rule_tests(
        folder,
        rules,
        crmsync_facts(),
        catalog,
        company_zone=ZoneInfo("Europe/Zurich"),
        country="CH",
        bound=lambda table: Freshness().bound(table).length,
        shown_relative_to=FOLDER.parent,
    )
    return list(outcomes)


def test_all_their_tests_pass(rules: RuleSet, catalog: Catalog) -> None:
    outcomes = run(FOLDER / "tests", rules, catalog)
    failures = [
        f"{outcome.place} {outcome.test}\n{failure}"
        for outcome in outcomes
        for failure in outcome.failures
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


def test_each_is_named_as_its_file_and_says_what_it_is_for(rules: RuleSet) -> None:
    for rule in rules.rules:
        assert Path(rule.place.file).stem == rule.name
        assert rule.description.endswith("."), rule.name
        assert rule.labels, rule.name
        assert rule.once_per or rule.cooldown, f"{rule.name} could come again and again"


def test_a_wrong_expectation_is_found(rules: RuleSet, catalog: Catalog, tmp_path: Path) -> None:
    text = (FOLDER / "tests" / "contact-bounced.yaml").read_text(encoding="utf-8")
    changed = text.replace("match: [champion, decides]", "match: [champion, decides, user]")
    changed = changed.replace("not-said, user,", "not-said,")
    assert changed != text
    (tmp_path / "contact-bounced.yaml").write_text(changed, encoding="utf-8")
    (outcome,) = run(tmp_path, rules, catalog)
    assert [failure.subject for failure in outcome.failures] == ["user"]
