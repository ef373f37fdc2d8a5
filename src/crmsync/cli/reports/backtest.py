"""Report of backtest: tables for the terminal, JSON, or a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from crmsync.app.backtest.alarms import Verdict
from crmsync.cli.console import console, print_json
from crmsync.cli.reports.assumed import told
from crmsync.cli.reports.words import count, records, safe
from crmsync.clock import readable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from crmsync.app.backtest.results import BacktestResult

_MOST_LISTED = 20
_COLOURS = {Verdict.TRUE: "green", Verdict.FALSE: "red", Verdict.MISSED: "red"}


def show_backtest(result: BacktestResult, *, html: Path | None, as_json: bool) -> None:
    """The figures, who fired and was missed, and what of it is assumed."""
    if html is not None:
        from crmsync.cli.reports.backtest_page import write_page

        write_page(result, html)
    if as_json:
        print_json(result)
        return
    out = console()
    _print_head(out, result)
    _print_score(out, result)
    _print_months(out, result)
    _print_sweep(out, result)
    _print_cases(out, result)
    _print_assumptions(out, result)
    for note in result.notes:
        out.print(f"[yellow]Note[/] {safe(note)}", soft_wrap=True)
    if html is not None:
        out.print(f"The page with charts is {escape(str(html))}", soft_wrap=True)


def _print_head(out: Console, result: BacktestResult) -> None:
    out.print(f"[bold]{escape(result.rule)}[/]  {escape(result.description)}", soft_wrap=True)
    out.print(
        f"From {readable(result.start)} to {readable(result.end)}, every {result.every}: "
        f"{count(result.steps, 'step')}, {records(result.looked_at, result.subject)} at the last."
    )
    told = [count(len(result.fired), "firing")]
    told.append(f"{result.already:,} matched at the start already")
    if result.unknown:
        told.append(f"{result.unknown:,} held for a while because a clause was unknown")
    out.print(f"{'; '.join(told)}.", soft_wrap=True)
    out.print()


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _days(days: float | None) -> str:
    return "–" if days is None else f"{days:.1f}"


def _print_score(out: Console, result: BacktestResult) -> None:
    score, outcome = result.score, result.outcome
    if score is None or outcome is None:
        return
    out.print(
        f"Outcome: {escape(outcome.text)}, of the {outcome.about}, within {outcome.within}",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("figure")
    table.add_column("number", justify="right")
    table.add_column("meaning")
    for name, number, meaning in (
        ("true alarms", f"{score.true:,}", f"the outcome came within {outcome.within}"),
        ("false alarms", f"{score.false:,}", "it did not"),
        (
            "too recent to tell",
            f"{score.open:,}",
            f"less than {outcome.within} before the last step",
        ),
        ("outcomes", f"{score.outcomes:,}", f"{outcome.already:,} more were so at first sight"),
        ("warned of", f"{score.warned:,}", f"the rule fired within {outcome.within} before"),
        ("missed", f"{score.missed:,}", "it did not"),
        ("too early to tell", f"{score.early:,}", f"less than {outcome.within} after the start"),
        ("precision", _share(score.precision), "true alarms among true and false ones"),
        ("recall", _share(score.recall), "outcomes warned of among those and the missed"),
    ):
        table.add_row(name, number, f"[dim]{meaning}[/]")
    if score.lead is not None:
        lead = score.lead
        quartiles = f"half of them between {lead.lower:.1f} and {lead.upper:.1f}"
        table.add_row(
            "median lead", f"{lead.median:.1f}", f"[dim]days before the outcome; {quartiles}[/]"
        )
    out.print(table)
    out.print()


def _print_months(out: Console, result: BacktestResult) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("month")
    headings = ("firings", "true", "false", "outcomes", "missed")
    for heading in headings if result.score is not None else headings[:1]:
        table.add_column(heading, justify="right")
    for month in result.months:
        cells = [month.firings, month.true, month.false, month.outcomes, month.missed]
        shown = cells if result.score is not None else cells[:1]
        table.add_row(month.month, *(f"{cell:,}" if cell else "" for cell in shown))
    out.print(table)
    out.print()


def _print_sweep(out: Console, result: BacktestResult) -> None:
    if result.sweep is None:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column(escape(result.sweep.threshold))
    headings = ("firings", "true", "false", "warned", "missed", "precision", "recall", "lead")
    for heading in headings if result.score is not None else headings[:1]:
        table.add_column(heading, justify="right")
    for row in result.sweep.values:
        value = escape(row.value) + (" [dim](now)[/]" if row.current else "")
        cells = [f"{row.firings:,}"]
        if row.score is not None:
            score = row.score
            numbers = (score.true, score.false, score.warned, score.missed)
            cells += [f"{number:,}" for number in numbers]
            cells += [_share(score.precision), _share(score.recall)]
            cells.append(_days(None if score.lead is None else score.lead.median))
        table.add_row(value, *cells)
    out.print(table)
    out.print()


def _print_cases(out: Console, result: BacktestResult) -> None:
    if result.fired:
        table = Table(box=None, pad_edge=False)
        for heading in ("fired", "subject", "outcome", "", "lead"):
            table.add_column(heading)
        for fired in result.fired[:_MOST_LISTED]:
            colour = _COLOURS.get(fired.verdict, "dim") if fired.verdict else "dim"
            table.add_row(
                f"{fired.at:%Y-%m-%d %H:%M}",
                f"{escape(fired.name)} [dim]{escape(fired.subject)}[/]",
                "" if fired.outcome_at is None else f"{fired.outcome_at:%Y-%m-%d %H:%M}",
                f"[{colour}]{fired.verdict or ''}[/]",
                "" if fired.lead_days is None else f"{fired.lead_days:.1f} days",
            )
        out.print(table)
        _print_more(out, len(result.fired))
    missed = [one for one in result.outcomes if one.verdict is Verdict.MISSED]
    for one in missed[:_MOST_LISTED]:
        out.print(
            f"[red]missed[/] {one.at:%Y-%m-%d %H:%M} {escape(one.name)} "
            f"[dim]{escape(one.about)}[/]",
            soft_wrap=True,
        )
    _print_more(out, len(missed))
    out.print()


def _print_more(out: Console, there: int) -> None:
    if there > _MOST_LISTED:
        out.print(f"  [dim]… and {there - _MOST_LISTED:,} more; --json and --html list all[/]")


def _print_assumptions(out: Console, result: BacktestResult) -> None:
    for of, assumed in (
        ("rule", result.assumptions),
        ("outcome", result.outcome_assumptions),
    ):
        for clause in assumed:
            out.print(f"[yellow]Assumed[/] {escape(told(clause, of))}", soft_wrap=True)
