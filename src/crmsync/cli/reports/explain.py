"""Report of explain."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.text import Text
from rich.tree import Tree

from crmsync.cli.reports.words import safe
from crmsync.clock import readable
from crmsync.observe import printable, redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from crmsync.app.results.explain import Clause, ExplainResult, RuleExplained
    from crmsync.rules.explaining.evidence import Evidence
    from crmsync.rules.explaining.explain import Turn

_COLOURS = {"yes": "green", "no": "red", "unknown": "yellow"}


def print_explain(out: Console, result: ExplainResult) -> None:
    """A tree for each rule."""
    out.print(
        f"[bold]{escape(result.subject_name)}[/] ({result.table} {escape(result.subject)}) "
        f"at {readable(result.at)}{', as it was then' if result.as_it_was else ''}"
    )
    for stop in result.stops:
        out.print(f"[red]{safe(stop)}[/]", soft_wrap=True)
    for rule in result.rules:
        out.print()
        tree = Tree(
            f"{_verdict(rule.verdict)} [bold]{escape(rule.rule)}[/]  {escape(rule.description)}"
        )
        _grow(tree, rule.clauses)
        if rule.steady_until is not None:
            tree.add(f"[dim]{_ahead(rule, rule.steady_until)}[/]")
        for note in rule.notes:
            tree.add(f"[dim]{safe(note)}[/]")
        out.print(tree)


def _verdict(verdict: str) -> str:
    return f"[{_COLOURS[verdict]}]{verdict:<7}[/]"


def _turn(turn: Turn) -> str:
    return f"{turn.verdict} from {readable(turn.at)} on"


def _ahead(rule: RuleExplained, until: datetime) -> str:
    """When the rule turns if nothing but the time changes."""
    if rule.turns:
        return f"if nothing changes: {_turn(rule.turns)}"
    return f"if nothing changes: {rule.verdict} until {readable(until)} at least"


def _grow(tree: Tree, clauses: Sequence[Clause]) -> None:
    for clause in clauses:
        seen = f"  is {safe(clause.seen)}" if clause.seen else ""
        distance = f"  [dim]({escape(clause.distance)})[/]" if clause.distance else ""
        turns = f"  [dim]→ {_turn(clause.turns)}[/]" if clause.turns else ""
        told = f"{_verdict(clause.verdict)} {escape(clause.text)}{seen}{distance}{turns}"
        branch = tree.add(told)
        for evidence in clause.evidence:
            branch.add(_shown(evidence))
        for sentence in clause.assumed:
            branch.add(f"[yellow]assumed:[/] {safe(sentence)}")
        _grow(branch, clause.clauses)


def _shown(evidence: Evidence) -> Text:
    """When, what, by whom; and where to look it up."""
    at = evidence.at
    when = ""
    if at is not None:
        when = f"{readable(at) if isinstance(at, datetime) else at.isoformat()}  "
    by = f" by {evidence.by}" if evidence.by else ""
    told = Text(printable(redact(f"{when}{evidence.words}{by}")))
    if evidence.url:
        # A line of its own where it does not fit, and never cut.
        told.append(f"  {redact(evidence.url)}", style="dim")
    return told
