"""Report of test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from crmsync.cli.console import console, print_json
from crmsync.cli.reports.words import count, listed
from crmsync.observe import redact

if TYPE_CHECKING:
    from rich.console import Console

    from crmsync.app.results import RulesTested, RuleTested


def show_tests(result: RulesTested, *, as_json: bool) -> None:
    """Each test that failed, with what was expected and what decided; then how many there were."""
    if as_json:
        print_json(result)
        return
    out = console()
    if not result.tests:
        out.print(f"There are no tests in {escape(result.folder)}; docs/rule-tests.md shows how.")
        return
    failed = [test for test in result.tests if test.failures]
    for test in failed:
        _print_failed(out, test)
    tests = f"{count(len(result.tests), 'test')} of {count(len(result.rules), 'rule')}"
    if failed:
        out.print(f"[red]{len(failed)} failed[/] of {tests}.")
    else:
        out.print(f"[green]No failures[/] in {tests}.")
    if result.untested:
        out.print(f"Without a test: {escape(listed(list(result.untested)))}.", soft_wrap=True)


def _print_failed(out: Console, test: RuleTested) -> None:
    out.print(
        f"[bold]{escape(test.rule)}[/]: {escape(test.test)} \\[{escape(test.place)}]",
        soft_wrap=True,
    )
    for wrong in test.failures:
        out.print(f"[red]- {escape(wrong.subject)}: expected {wrong.expected}[/]", soft_wrap=True)
        out.print(f"[green]+ {escape(wrong.subject)}: {wrong.actual}[/]", soft_wrap=True)
        for sentence in wrong.because:
            out.print(f"    {escape(redact(sentence))}", soft_wrap=True)
    out.print()
