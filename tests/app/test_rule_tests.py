"""The command that runs the rules' own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.commands import call, call_json
from support.company import make_company

if TYPE_CHECKING:
    from pathlib import Path

TEST = """\
rule: renewal-at-risk
name: nobody spoke with Acme
at: 2026-03-01T09:00
records:
  account: [{id: acme, renewal_date: 2026-03-20}, {id: blue, renewal_date: 2026-09-01}]
expect: {match: [acme], no_match: [blue]}
"""


def _write(folder: Path, text: str) -> None:
    (folder / "rules" / "tests").mkdir(exist_ok=True)
    (folder / "rules" / "tests" / "renewal.yaml").write_text(text, encoding="utf-8")


def test_tests_that_pass_are_counted_and_nothing_is_read(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    _write(tmp_path, TEST)
    (tmp_path / "crm" / "accounts.csv").unlink()
    result = call("test", "--config", config)
    assert (result.exit_code, result.stdout) == (0, "No failures in 1 test of 1 rule.\n")
    assert not (tmp_path / "state").exists()


def test_a_test_that_fails_shows_what_decided(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    _write(tmp_path, TEST.replace("match: [acme], no_match: [blue]", "no_match: [acme, blue]"))
    result = call("test", "--config", config)
    assert result.exit_code == 1
    assert result.stdout == (
        "renewal-at-risk: nobody spoke with Acme [rules/tests/renewal.yaml:1:1]\n"
        "- acme: expected no_match\n"
        "+ acme: match\n"
        "    yes: renewal_date: {in_next: 30 days}, saw 2026-03-20 (19 of at most 30 days) "
        "[rules/renewal-at-risk.yaml:5:5]\n"
        "    yes: last_contact: {older_than: 14 days}, saw never "
        "[rules/renewal-at-risk.yaml:6:5]\n"
        "\n"
        "1 failed of 1 test of 1 rule.\n"
    )
    (test,) = call_json("test", "--config", config)["tests"]
    (failure,) = test["failures"]
    assert (failure["subject"], failure["expected"], failure["actual"]) == (
        "acme",
        "no_match",
        "match",
    )


def test_rules_without_a_test_are_named(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    result = call("test", "--config", config)
    assert result.exit_code == 0
    assert "There are no tests in" in result.stdout
    _write(tmp_path, TEST)
    (tmp_path / "rules" / "other.yaml").write_text(
        "rule: other\nsubject: account\nwhen: [{tier: gold}]\nthen: [{note: {text: x}}]\n",
        encoding="utf-8",
    )
    assert "Without a test: other." in call("test", "--config", config).stdout
    assert call_json("test", "--config", config)["untested"] == ["other"]


def test_a_mistake_in_a_test_is_told_with_its_place(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    _write(tmp_path, TEST.replace("rule: renewal-at-risk", "rule: renewal-at-rsk"))
    result = call("test", "--config", config)
    assert result.exit_code == 1
    assert result.stderr == (
        "rules/tests/renewal.yaml:1:7: there is no rule “renewal-at-rsk”; "
        "did you mean “renewal-at-risk”?\n"
    )
