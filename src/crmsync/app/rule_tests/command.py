"""Runs the tests of an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.deciding import chosen_rules
from crmsync.app.rule_tests.results import RulesTested, RuleTested
from crmsync.app.rule_tests.run import Setting, run_rule_tests
from crmsync.rules.reading.load import TESTS
from crmsync.rules.unit_tests.load import load_rule_tests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crmsync.app.workspace import Workspace


def run_tests(
    workspace: Workspace,
    *,
    advance: Callable[[str, int], None],
    only: Sequence[str] | None = None,
) -> RulesTested:
    """Run the tests of the rules, with the facts, tables and templates of this installation.

    Args:
        only: the names of some rules; all where it is None.

    Raises:
        UsageError: there is no rule of a name in ``only``.
        InvalidInputError: rules or tests hold mistakes.
    """
    settings = workspace.installation.settings
    chosen = [rule.name for rule in chosen_rules(workspace.rules.rules, only)]
    folder = workspace.folder("rules", settings.rules) / TESTS
    tests = load_rule_tests(
        folder,
        workspace.rules,
        workspace.catalog,
        zone=workspace.zone,
        country=settings.company.country,
        shown_relative_to=workspace.installation.folder,
    )
    setting = Setting(
        config=settings,
        catalog=workspace.catalog,
        facts=workspace.plugins.facts,
        templates=workspace.templates,
    )
    found: list[RuleTested] = []
    for tested in run_rule_tests((test for test in tests if test.rule.name in chosen), setting):
        found.append(tested)
        advance("testing", 1)
    named = {test.rule for test in found}
    return RulesTested(
        folder=str(folder),
        tests=tuple(found),
        untested=tuple(name for name in chosen if name not in named),
    )
