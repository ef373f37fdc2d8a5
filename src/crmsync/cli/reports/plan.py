"""Reports of plan, run and demo."""

from __future__ import annotations

import shlex
from collections import Counter
from textwrap import indent
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from crmsync.cli.console import console, print_json
from crmsync.cli.reports.sync import print_sync
from crmsync.cli.reports.words import (
    WAIT_FOR_A_WORD,
    count,
    listed,
    noun_of,
    print_reminders,
    safe,
)
from crmsync.clock import readable
from crmsync.model.tables import CANONICAL_TABLES

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from crmsync.app.results.cycle import HeldBack, PlannedAction, PlanResult, RunResult
    from crmsync.app.results.sync import SyncResult
    from crmsync.app.setup import Layout

# In the demo, of each rule; and of those held back, where nobody asked for all with --full.
_MOST_SHOWN = 3
_MOST_HELD = 20


def print_plan(out: Console, result: PlanResult, *, full: bool) -> None:
    """Who would get what and why, and who is held back and why."""
    print_sync(out, result.sync)
    out.print()
    _print_all(out, result, full=full, most=None)
    for name, calls in result.calls_to_come.items():
        out.print(
            f"To write what is ready, {safe(name)} is called at least {count(calls, 'time')}."
        )
    out.print("[dim]Nothing was sent or written: this is a plan.[/]")


def print_run(out: Console, result: RunResult, *, full: bool) -> None:
    """The plan, and what became of it."""
    print_sync(out, result.plan.sync)
    out.print()
    _print_all(out, result.plan, full=full, most=None)
    _print_delivery(out, result)


def show_demo(result: RunResult, layout: Layout, *, at: str | None, as_json: bool) -> None:
    """A run on the sample company, cut to what fits a screen or two, and where to look.

    ``at`` is what stands for the present in this company, as the person wrote it.
    """
    crm = layout.folder / "crm"
    if as_json:
        print_json(
            {"layout": layout, "run": result, "tasks": crm / "tasks.csv", "mail": crm / "outbox"}
        )
        return
    out = console()
    out.print()
    print_sync(out, result.plan.sync)
    out.print()
    _print_all(out, result.plan, full=False, most=_MOST_SHOWN)
    _print_delivery(out, result)
    options = f"--config {shlex.quote(str(layout.config))}"
    if at is not None:
        # Today the sample would be of another time, and everybody long silent.
        options += f" --at {shlex.quote(at)}"
    options = escape(options)
    out.print()
    out.print("Where it lies now")
    for what, path in (
        ("tasks", crm / "tasks.csv"),
        ("notes", crm / "notes.csv"),
        ("field updates", crm / "updates.csv"),
        ("mails", crm / "outbox" / "new"),
    ):
        if path.exists():
            out.print(f"  {what:<14}{escape(str(path))}")
    out.print()
    out.print("Go on with")
    out.print(f"  crmsync plan {options}      [dim]nothing is due twice[/]")
    out.print(f"  crmsync status {options}")
    first = next((a for a in result.plan.actions), None)
    if first is not None:
        out.print(f"  crmsync explain {escape(first.subject)} {options}")


def _print_all(out: Console, result: PlanResult, *, full: bool, most: int | None) -> None:
    _print_rules(out, result)
    for rule in result.rules:
        actions = [action for action in result.actions if action.rule == rule.rule]
        held = [held for held in result.held if held.rule == rule.rule]
        if not actions and not held:
            continue
        out.print()
        out.print(f"[bold]{escape(rule.rule)}[/]  {escape(rule.description)}", soft_wrap=True)
        subjects = list(dict.fromkeys(action.subject for action in actions))
        for subject in subjects[:most]:
            these = [a for a in actions if a.subject == subject]
            _print_subject(out, these, result.at, full=full)
        _print_more(out, len(subjects), most, "more like these")
        most_held = None if full else most or _MOST_HELD
        for item in held[:most_held]:
            step = f" {item.step}:" if item.step else ""
            out.print(
                f"  [yellow]held[/] {_who(item)}:{escape(step)} {safe(item.reason)}",
                soft_wrap=True,
            )
        _print_more(out, len(held), most_held, "more held back; --full shows all")
    out.print()
    if result.audit:
        out.print(f"[red]{escape(result.audit)}[/]", soft_wrap=True)
    if result.stopped:
        out.print(f"[red]{escape(result.stopped)}[/]", soft_wrap=True)
    for reason, number in result.impossible.items():
        what = count(number, "action")
        out.print(f"[red]{what} cannot be done: {safe(reason)}[/]", soft_wrap=True)
    print_reminders(out, result.reminders)


def _print_more(out: Console, there: int, most: int | None, words: str) -> None:
    if most is not None and there > most:
        out.print(f"  [dim]… and {there - most} {words}[/]")


def _print_rules(out: Console, result: PlanResult) -> None:
    out.print(f"At {readable(result.at)}")
    table = Table(box=None, pad_edge=False)
    table.add_column("rule")
    table.add_column("looks at")
    for heading in ("match", "unknown", "new", "actions", "held back"):
        table.add_column(heading, justify="right")
    actions = Counter(action.rule for action in result.actions if action.state == "ready")
    held = Counter(held.rule for held in result.held)
    held.update(action.rule for action in result.actions if action.state != "ready")
    for rule in result.rules:
        table.add_row(
            escape(rule.rule),
            count(rule.looked_at, rule.subject, CANONICAL_TABLES[rule.subject].plural),
            f"{rule.matches:,}",
            f"{rule.unknown:,}",
            f"{rule.entering:,}",
            f"{actions[rule.rule]:,}",
            f"{held[rule.rule]:,}",
        )
    out.print(table)


def _print_subject(out: Console, actions: list[PlannedAction], at: datetime, *, full: bool) -> None:
    first = actions[0]
    out.print(f"  {_who(first)}", soft_wrap=True)
    for why in first.why:
        out.print(f"    [dim]because {escape(why)}[/]", soft_wrap=True)
    for action in actions:
        due = f", due {action.due}" if action.due else ""
        state = "" if action.state == "ready" else f" [yellow]({_state(action, at)})[/]"
        title = f": {escape(action.title)}" if action.title else ""
        if action.logged_in is not None and action.state != "dropped":
            state = f"[dim], logged in {escape(action.logged_in)}[/]{state}"
        noun = noun_of(action.kind)
        out.print(f"    → {noun} for {escape(action.to)}{due}{title}{state}", soft_wrap=True)
        if full and action.text:
            out.print(escape(indent(action.text.rstrip(), " " * 8)), soft_wrap=True)


def _who(one: PlannedAction | HeldBack) -> str:
    """The subject by name, account and id: several cases may bear one title."""
    account = f" at {one.account}" if one.account not in {"", one.subject_name} else ""
    return f"{escape(one.subject_name + account)} [dim]{escape(one.subject)}[/]"


def _state(action: PlannedAction, at: datetime) -> str:
    until = "" if action.not_before is None else f" until {readable(action.not_before, at.tzinfo)}"
    return f"{action.state}{until}: {escape(action.reason)}"


def _unread(sync: SyncResult) -> tuple[str, ...]:
    """Why something could not be read to its end, each reason once."""
    errors = (str(stream.error) for stream in sync.streams if stream.error)
    return tuple(dict.fromkeys((*sync.problems, *errors)))


def _print_delivery(out: Console, result: RunResult) -> None:
    delivery = result.delivery
    ready = Counter(a.kind for a in result.plan.actions if a.state == "ready")
    if result.plan.stopped:
        out.print("[red]Nothing was handed out.[/]")
    elif ready:
        parts = [count(number, noun_of(kind)) for kind, number in sorted(ready.items())]
        reached = delivery.done or delivery.already or delivery.rejected or delivery.uncertain
        out.print(f"{'Handed out' if reached else 'Due, and not handed out'}: {listed(parts)}.")
    elif result.plan.sync.failed:
        out.print("[red]Nothing was handed out.[/] What needs this data was not decided:")
        for problem in _unread(result.plan.sync):
            out.print(f"  [red]{safe(problem)}[/]", soft_wrap=True)
    else:
        out.print("Nothing was due.")
    if result.plan.previewed:
        what = count(result.plan.previewed, "record")
        out.print(f"  [yellow]{what} {WAIT_FOR_A_WORD}[/]", soft_wrap=True)
    told = [
        (delivery.done, "delivered", "green"),
        (delivery.already, "there already", "green"),
        (delivery.logged, "logged in the CRM", "green"),
        (delivery.waiting, "waiting for their time, or for another attempt", "yellow"),
        (delivery.rejected, "refused", "red"),
        (delivery.uncertain, "uncertain", "red"),
    ]
    for number, words, colour in told:
        if number:
            out.print(f"  [{colour}]{number:,} {words}[/]")
    if delivery.opt_outs:
        some = f"{delivery.opt_outs:,} of them {'tells' if delivery.opt_outs == 1 else 'tell'}"
        out.print(f"  [dim]{some} the CRM that a customer has unsubscribed[/]")
    for problem in delivery.problems:
        out.print(f"  [red]{safe(problem)}[/]", soft_wrap=True)
