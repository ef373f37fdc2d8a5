"""Which runs there were, and how one is taken back."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from crmsync.cli.console import FINDINGS, command, console, opened, opened_by, progress, tell
from crmsync.cli.options import (
    DEFAULT_CONFIG,
    AtOption,
    ConfigOption,
    JsonOption,
    PersonOption,
    ReasonOption,
)


def runs(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    limit: Annotated[int, typer.Option("--limit", help="How many.")] = 20,
    every: Annotated[bool, typer.Option("--all", help="Also those that did nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the latest runs with their numbers, what each did, and which were undone."""
    with command(as_json=as_json):
        from crmsync.app.runs import list_runs
        from crmsync.cli import reports

        tell(list_runs(opened(config), limit=limit, every=every), reports.print_runs, as_json)


def undo(
    run: Annotated[int, typer.Argument(help="The number of a run; crmsync runs lists them.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    preview: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be undone, and what stays.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Show every action.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    reason: ReasonOption = "",
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back the tasks that a run wrote, stop what it began, and say what cannot be undone."""
    with command(as_json=as_json):
        from crmsync.app import undoing
        from crmsync.cli import reports
        from crmsync.errors import UsageError

        workspace, by = opened_by(config, at, name)
        if preview or not yes:
            before = undoing.preview_undo(workspace, run, by=by, reason=reason)
            if preview or before.nothing:
                tell(before, reports.print_undo, as_json, full=full)
                return
            if as_json or not sys.stdin.isatty():
                raise UsageError(
                    f"undoing run {run} changes the CRM: look with --dry-run, then say --yes"
                )
            reports.print_undo(console(), before, full=full)
            if not typer.confirm("Do this?"):
                typer.echo("Nothing was undone.")
                return
        with progress(as_json=as_json) as advance:
            result = undoing.undo(workspace, run, by=by, reason=reason, advance=advance)
        tell(result, reports.print_undo, as_json, full=full)
        raise typer.Exit(FINDINGS if result.findings else 0)
