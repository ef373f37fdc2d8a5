"""Runs the unit tests that lie beside the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crmsync.app.results import RulesTested, RuleTested, WrongVerdict
from crmsync.rules.unit_tests import run_rule_tests

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.app.workspace import Workspace
    from crmsync.rules.unit_tests import Outcome


def run_tests(workspace: Workspace, *, advance: Callable[[str, int], None]) -> RulesTested:
    """Run every test of the rules, with the facts and tables of this installation.

    Raises:
        InvalidInputError: rules or tests hold mistakes.
    """
    settings = workspace.installation.settings
    rules = workspace.rules
    folder = workspace.folder("rules", settings.rules) / "tests"
    tests: list[RuleTested] = []
    for outcome in run_rule_tests(
        folder,
        rules,
        workspace.plugins.facts,
        workspace.catalog,
        company_zone=ZoneInfo(settings.company.time_zone),
        country=settings.company.country,
        bound=lambda table: settings.freshness.bound(table).length,
        shown_relative_to=workspace.installation.folder,
    ):
        tests.append(_tested(outcome))
        advance("testing", 1)
    named = {test.rule for test in tests}
    return RulesTested(
        folder=str(folder),
        tests=tuple(tests),
        untested=tuple(rule.name for rule in rules.rules if rule.name not in named),
    )


def _tested(outcome: Outcome) -> RuleTested:
    return RuleTested(
        rule=outcome.rule,
        test=outcome.test,
        place=str(outcome.place),
        failures=tuple(
            WrongVerdict(
                subject=failure.subject,
                expected=failure.expected,
                actual=failure.actual,
                because=failure.because,
            )
            for failure in outcome.failures
        ),
    )
