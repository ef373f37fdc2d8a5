"""The command that runs the rules' own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from support.commands import call, call_json
from support.company import RULE, make_company

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
    assert (result.exit_code, result.stdout) == (
        0,
        "renewal-at-risk\n  ✓ nobody spoke with Acme\n\nNo failures in 1 test of 1 rule.\n",
    )
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
        "renewal-at-risk\n"
        "  ✗ nobody spoke with Acme\n"
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


TWO = RULE.replace("renewal-at-risk", "other")
HOSTILE = """\
rule: renewal-at-risk
name: "]]> <b>&amp; \\x01 \\u2028 \\uFFFE \\U0001F600 \\\"quoted\\\""
at: 2026-03-01T09:00
records: {account: [{id: "a<&>", name: "]]>", renewal_date: 2026-03-20}]}
expect: {no_match: ["a<&>"], actions: {"a<&>": nothing}}
"""


def test_only_the_tests_of_some_rules(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    (tmp_path / "rules" / "other.yaml").write_text(TWO, encoding="utf-8")
    _write(tmp_path, TEST)
    only = call_json("test", "--config", config, "--rule", "other")
    assert (only["tests"], only["untested"]) == ([], ["other"])
    one = call_json("test", "--config", config, "--rule", "renewal-at-risk")
    assert (len(one["tests"]), one["untested"]) == (1, [])
    nobody = call("test", "--config", config, "--rule", "othr")
    assert nobody.exit_code == 2
    assert "there is no rule “othr”" in nobody.stderr


def test_junit_tells_what_failed_and_where(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    _write(tmp_path, TEST)
    (tmp_path / "rules" / "tests" / "wrong.yaml").write_text(
        "- "
        + TEST.replace("\n", "\n  ").replace("match: [acme], no_match: [blue]", "no_match: acme"),
        encoding="utf-8",
    )
    report = tmp_path / "report.xml"
    result = call("test", "--config", config, "--junit", report)
    assert result.exit_code == 1
    suites = ET.parse(report).getroot()
    assert suites.tag == "testsuites"
    assert {key: suites.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "2",
        "failures": "1",
        "errors": "0",
    }
    good, wrong = suites
    assert (good.get("name"), good.get("failures")) == ("rules/tests/renewal.yaml", "0")
    (case,) = wrong
    known = {key: case.get(key) for key in ("classname", "name", "file", "line")}
    assert known == {
        "classname": "renewal-at-risk",
        "name": "nobody spoke with Acme",
        "file": "rules/tests/wrong.yaml",
        "line": "1",
    }
    assert float(case.get("time", "x")) >= 0
    (failure,) = case
    assert (failure.tag, failure.get("message")) == ("failure", "not as expected: acme")
    assert (failure.text or "").startswith("- acme: expected no_match\n+ acme: match\n    yes: ")


def test_junit_is_valid_whatever_a_test_is_called(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    _write(tmp_path, HOSTILE)
    report = tmp_path / "report.xml"
    assert call("test", "--config", config, "--junit", report).exit_code == 1
    (case,) = ET.parse(report).getroot().findall("testsuite/testcase")
    assert case.get("name") == ']]> <b>&amp; \ufffd \u2028 \ufffd \U0001f600 "quoted"'
    assert "a<&>: expected no_match" in (case[0].text or "")


def test_junit_tells_mistakes_that_keep_tests_from_running(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    _write(tmp_path, TEST.replace("rule: renewal-at-risk", "rule: renewal-at-rsk"))
    report = tmp_path / "report.xml"
    result = call("test", "--config", config, "--junit", report)
    assert result.exit_code == 1
    suites = ET.parse(report).getroot()
    assert (suites.get("tests"), suites.get("errors")) == ("1", "1")
    (case,) = suites.findall("testsuite/testcase")
    assert (case.get("file"), case.get("line")) == ("rules/tests/renewal.yaml", "1")
    assert "there is no rule “renewal-at-rsk”" in (case[0].get("message") or "")


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    config = make_company(tmp_path)
    _write(tmp_path, TEST)
    result = call("test", "--config", config, "--junit", tmp_path / "nowhere" / "report.xml")
    assert result.exit_code == 1
    assert "report.xml cannot be written: No such file or directory" in result.stderr
