"""Reports of runs, and of what was taken back of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from crmsync.cli.reports.words import count, safe
from crmsync.clock import readable
from crmsync.observe import redact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from crmsync.app.results.outbox import EffectShown
    from crmsync.app.results.undoing import NotUndone, RunsResult, UndoResult

_MOST_SHOWN = 5


def print_runs(out: Console, result: RunsResult) -> None:
    """Each run with its number, what it did, and who undid it."""
    if not result.runs:
        out.print("There was no run yet that did anything.")
    table = Table(box=None, pad_edge=False)
    table.add_column("run", justify="right")
    table.add_column("at")
    table.add_column("what it did")
    for run in result.runs:
        what = safe(run.told)
        for undone in run.undone:
            what += f"  [yellow]undone {safe(undone)}[/]"
        table.add_row(str(run.number), readable(run.at), what)
    if result.runs:
        out.print(table)
    if result.left_out:
        out.print(f"{count(result.left_out, 'run')} that did nothing: --all lists them, too.")
    if result.more:
        out.print("There are older ones: --limit says how many are listed.")


def print_undo(out: Console, result: UndoResult, *, full: bool) -> None:
    """What was, or would be, taken back, and what stays and why."""
    run = result.run
    out.print(f"Run {run.number} of {readable(run.at)}: {safe(run.told)}")
    for undone in run.undone:
        out.print(f"  undone {safe(undone)}")
    would = "would be " if result.before else ""
    _actions(out, f"{would}taken back", result.taken_back, full=full)
    if result.before and result.taken_back:
        # Asking each system would cost its calls, and somebody may still begin on one.
        out.print("  A task that somebody has worked on stays: each is looked at when it is done.")
    _actions(out, f"{would}dropped, and never done", result.dropped, full=full)
    if result.stopped:
        what = count(result.stopped, "enrolment")
        out.print(f"{what} {would}stopped: new only once the conditions were seen not to hold.")
    if result.already:
        out.print(f"{count(result.already, 'task')} taken back before.")
    _stays(out, "People have worked on these, so they stay", result.changed, full=full)
    _stays(out, "This cannot be undone", result.cannot, full=full)
    _stays(out, "[red]This needs a person[/]", result.unsettled, full=full)
    for number, actions in result.by_others.items():
        done = count(actions, "action")
        out.print(f"Run {number} has done {done} for the same enrolments: crmsync undo {number}")
    for problem in result.problems:
        out.print(f"[red]{safe(problem)}[/]", soft_wrap=True)
    if result.nothing:
        left = "is left" if run.undone else "is there"
        out.print(f"Nothing {left} to undo.")
    elif result.before:
        out.print("Nothing was changed: this is a preview.")


def _actions(out: Console, done: str, actions: Sequence[EffectShown], *, full: bool) -> None:
    if actions:
        out.print(f"{count(len(actions), 'action')} {done}:")
        _lines(out, actions, full=full)


def _stays(out: Console, title: str, found: Sequence[NotUndone], *, full: bool) -> None:
    """What stays for the same reason stands together."""
    if found:
        out.print(f"{title}:")
    reasons: dict[str, list[EffectShown]] = {}
    for one in found:
        reasons.setdefault(one.why, []).append(one.action)
    for why, actions in reasons.items():
        told = count(len(actions), "action")
        out.print(f"  {told}: [yellow]{safe(why)}[/]", soft_wrap=True)
        _lines(out, actions, full=full)


def _lines(out: Console, actions: Sequence[EffectShown], *, full: bool) -> None:
    shown = actions if full else actions[:_MOST_SHOWN]
    for action in shown:
        title = f": {redact(action.title)}" if action.title else ""
        to = f" for {action.to}" if action.to else ""
        who = action.subject_name
        who += f" {action.subject}" if action.subject != who else ""
        line = f"{action.kind}{to}{title} ({action.rule}, {who})"
        out.print(f"    {escape(line)}", soft_wrap=True)
    if len(shown) < len(actions):
        out.print(f"    … and {len(actions) - len(shown):,} more: --full")
