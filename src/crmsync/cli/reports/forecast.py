"""Report of forecast: a calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.text import Text

from crmsync.cli.reports.words import count, noun_of, safe
from crmsync.clock import readable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from rich.console import Console

    from crmsync.app.results.cycle import PlannedAction
    from crmsync.app.results.forecast import Coming, ForecastResult

_MOST_SHOWN = 5  # of one rule on one day, unless all are asked for


def print_forecast(out: Console, result: ForecastResult, *, full: bool) -> None:
    """Day by day and rule by rule: what will be due, who is held back, who leaves."""
    last = result.until.date()
    out.print(f"From {readable(result.at)} until {_day(last)}, if nothing changes.")
    if result.due_now:
        due = count(result.due_now, "action")
        out.print(f"{due} due now already: see “crmsync plan”.")
    days: dict[date, list[Coming]] = {}
    for coming in result.coming:
        days.setdefault(coming.at.date(), []).append(coming)
    for day, cycles in days.items():
        out.print()
        out.print(f"[bold]{_day(day)}[/]")
        _print_day(out, cycles, most=None if full else _MOST_SHOWN)
    out.print()
    if not days:
        out.print("Nothing falls due, and nobody leaves a rule.")
    out.print("[dim]Nothing was sent or written: this is a forecast.[/]")


def _day(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B %Y}"


def _print_day(out: Console, cycles: list[Coming], *, most: int | None) -> None:
    lines: dict[str, list[list[str]]] = {}
    leaving: dict[str, int] = {}
    for coming in cycles:
        for rule, entry in _entries(coming):
            lines.setdefault(rule, []).append(entry)
        for rule, entry in _leaving(coming):
            entries = lines.setdefault(rule, [])
            if most is None:
                entries.append(entry)
            else:
                leaving[rule] = leaving.get(rule, 0) + 1
    for rule, entries in lines.items():
        out.print(f"  {escape(rule)}")
        for entry in entries[:most]:
            for line in entry:
                _print_line(out, line)
        if most is not None and len(entries) > most:
            out.print(f"    [dim]… and {len(entries) - most} more; --full shows all[/]")
        if rule in leaving:
            leave = "1 leaves" if leaving[rule] == 1 else f"{leaving[rule]} leave"
            out.print(f"    [cyan]{leave}[/] [dim](--full shows who, and why)[/]")


def _print_line(out: Console, line: str) -> None:
    if not out.is_terminal:
        out.print(f"    {line}", soft_wrap=True)
        return
    text = line.lstrip()
    # What follows on the next line stands a little further in than its begin.
    for number, part in enumerate(Text.from_markup(text).wrap(out, out.width - 14)):
        indent = 4 + len(line) - len(text) + (2 if number else 0)
        out.print(Text(" " * indent).append_text(part))


def _entries(coming: Coming) -> Iterator[tuple[str, list[str]]]:
    """The lines of each subject, with the rule's name."""
    clock = f"[dim]{coming.at:%H:%M}[/]"
    by_subject: dict[tuple[str, str], list[PlannedAction]] = {}
    for action in coming.actions:
        by_subject.setdefault((action.rule, action.subject), []).append(action)
    for (rule, _), actions in by_subject.items():
        first = actions[0]
        account = f" at {first.account}" if first.account not in {"", first.subject_name} else ""
        lines = [f"{clock} {escape(first.subject_name + account)}"]
        for action in actions:
            title = f": {action.title}" if action.title else ""
            state = "" if action.state == "ready" else f" ({action.state}: {action.reason})"
            noun = noun_of(action.kind)
            lines.append(f"      → {safe(f'{noun} for {action.to}{title}{state}')}")
        yield rule, lines
    for held in coming.held:
        step = f"{held.step}: " if held.step else ""
        reason = safe(f"{held.subject_name}: {step}{held.reason}")
        yield held.rule, [f"{clock} [yellow]held[/] {reason}"]


def _leaving(coming: Coming) -> Iterator[tuple[str, list[str]]]:
    """A line for each subject that leaves, with the rule's name."""
    clock = f"[dim]{coming.at:%H:%M}[/]"
    for leaving in coming.leaving:
        why = "; ".join(leaving.because) or leaving.reason
        reason = safe(f"{leaving.subject_name}: {why}")
        yield leaving.rule, [f"{clock} [cyan]leaves[/] {reason}"]
