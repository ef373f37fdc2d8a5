"""Report of test."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.text import Text

from crmsync.cli.reports.words import count, listed, safe
from crmsync.observe import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from crmsync.app.rule_tests.results import Mismatch, RulesTested, RuleTested

_STYLES = {"-": "red", "+": "green"}
_ODD_WORDS = "bold underline"
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
# Below this two lines are not the same line with other words in it.
_ALIKE = 0.5


def print_tests(out: Console, result: RulesTested) -> None:
    """Each test that failed, with what was expected and what decided; then how each rule fared."""
    if not result.tests:
        out.print(f"There are no tests in {escape(result.folder)}; docs/rule-tests.md shows how.")
        return
    failed = [test for test in result.tests if test.failures]
    for test in failed:
        _print_failed(out, test)
    _print_rules(out, result)
    tests = f"{count(len(result.tests), 'test')} of {count(len(result.rules), 'rule')}"
    if failed:
        out.print(f"[red]{len(failed)} failed[/] of {tests}.")
    else:
        out.print(f"[green]No failures[/] in {tests}.")
    if result.untested:
        out.print(f"Without a test: {escape(listed(list(result.untested)))}.", soft_wrap=True)


def _print_rules(out: Console, result: RulesTested) -> None:
    """A line for each rule, and below it what each of its tests shows."""
    for rule in result.rules:
        tests = [test for test in result.tests if test.rule == rule]
        out.print(f"[bold]{escape(rule)}[/]", soft_wrap=True)
        for test in tests:
            sign = "[red]✗[/]" if test.failures else "[green]✓[/]"
            out.print(f"  {sign} {safe(test.test)}", soft_wrap=True)
    out.print()


def _print_failed(out: Console, test: RuleTested) -> None:
    out.print(
        f"[bold]{escape(test.rule)}[/]: {safe(test.test)} \\[{escape(test.place)}]",
        soft_wrap=True,
    )
    for wrong in test.failures:
        if wrong.stage:
            out.print(f"[bold]{escape(wrong.stage)}[/] \\[{escape(wrong.place)}]", soft_wrap=True)
        for line in _coloured(wrong):
            out.print(line, soft_wrap=True)
        for sentence in wrong.because:
            out.print(f"    {safe(sentence)}", soft_wrap=True)
    out.print()


def _coloured(wrong: Mismatch) -> list[Text]:
    """The lines of the diff; of two lines that are nearly the same, the odd words stand out."""
    lines = [redact(line) for line in wrong.diff]
    texts = [Text(line, style=_STYLES.get(line[:1], "")) for line in lines]
    for i, (line, following) in enumerate(pairwise(lines)):
        if line.startswith("- ") and following.startswith("+ "):
            odd = _odd_words(line[2:], following[2:])
            for text, spans in zip(texts[i : i + 2], odd, strict=True):
                for start, end in spans:
                    text.stylize(_ODD_WORDS, start + 2, end + 2)
    return texts


def _odd_words(
    expected: str, actual: str
) -> tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]]]:
    """Where two lines differ, word by word; nowhere where they have little in common."""
    words = _WORDS.findall(expected), _WORDS.findall(actual)
    matcher = SequenceMatcher(None, *words, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return (), ()
    spans: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for tag, i, end, j, last in matcher.get_opcodes():
        if tag == "equal":
            continue
        for side, (start, stop) in enumerate(((i, end), (j, last))):
            if start < stop:
                begin = len("".join(words[side][:start]))
                spans[side].append((begin, begin + len("".join(words[side][start:stop]))))
    return spans
