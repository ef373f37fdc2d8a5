"""The commands that read the connections, decide, and deliver."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from crmsync.cli.console import (
    FINDINGS,
    clock_at,
    command,
    is_to_come,
    listening_at,
    opened,
    progress,
    tell,
)
from crmsync.cli.options import (
    AHEAD_OF_TIME,
    DEFAULT_CONFIG,
    AtOption,
    ConfigOption,
    FullOption,
    JsonOption,
    RulesOption,
    SyncOption,
)
from crmsync.clock import readable
from crmsync.errors import UsageError
from crmsync.observe import configure_logs

if TYPE_CHECKING:
    from crmsync.app.workspace import Workspace


def sync(
    connection: Annotated[
        str | None, typer.Argument(help="Only this connection.", show_default=False)
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    confirm_deletions: Annotated[
        bool,
        typer.Option(
            "--confirm-deletions",
            help="Believe a complete export in which all or most records are missing.",
        ),
    ] = False,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read what has changed in the connections."""
    with command(as_json=as_json):
        from crmsync.app.syncing import sync_all
        from crmsync.cli import reports

        workspace = opened(config, at)
        names = None if connection is None else (connection,)
        with progress(as_json=as_json) as advance:
            report = sync_all(
                workspace, names, advance=advance, deletions_confirmed=confirm_deletions
            )
        tell(report, reports.print_sync, as_json)
        raise typer.Exit(FINDINGS if report.findings else 0)


def plan(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    at: AtOption = None,
    sync_first: SyncOption = True,
    rule: RulesOption = None,
    full: FullOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show who would get what now, and who is held back and why; send nothing."""
    with command(as_json=as_json):
        from crmsync.app.cycle import plan_cycle
        from crmsync.cli import reports

        workspace = opened(config, at)
        with progress(as_json=as_json) as advance:
            report = plan_cycle(workspace, sync_first=sync_first, only=rule, advance=advance)
        tell(report, reports.print_plan, as_json, full=full)
        raise typer.Exit(FINDINGS if report.findings else 0)


def run(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    at: AtOption = None,
    sync_first: SyncOption = True,
    full: FullOption = False,
    full_evaluation: Annotated[
        bool,
        typer.Option(
            "--full-evaluation",
            help="Evaluate everybody, not only those whom something changed may concern.",
        ),
    ] = False,
    clock_was_ahead: Annotated[
        bool,
        typer.Option(
            "--clock-was-ahead",
            help="Go on though the last run took a later time for the present.",
        ),
    ] = False,
    ahead_of_time: Annotated[
        bool,
        typer.Option(
            "--ahead-of-time",
            envvar=AHEAD_OF_TIME,
            help="With --at, hand out now what would be due at a time that is still to come.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Do what plan shows: write the tasks, notes, updates and mails."""
    with command(as_json=as_json):
        from crmsync.app.cycle import run_cycle
        from crmsync.cli import reports

        workspace = opened(config, at)
        if is_to_come(workspace) and not ahead_of_time:
            raise _is_to_come(workspace, at)
        with progress(as_json=as_json) as advance:
            report = run_cycle(
                workspace,
                sync_first=sync_first,
                full=full_evaluation,
                was_ahead=clock_was_ahead,
                advance=advance,
            )
        tell(report, reports.print_run, as_json, full=full)
        raise typer.Exit(FINDINGS if report.findings else 0)


def _is_to_come(workspace: Workspace, at: str | None) -> UsageError:
    """Who asks for another time mostly wants to look, and mails cannot be called back."""
    return UsageError(
        f"--at: {readable(workspace.clock.now(), workspace.zone)} is still to come, and run really "
        f"writes tasks and sends mails; “crmsync plan --at {at}” shows what would be due then. To "
        "hand it out now all the same, add --ahead-of-time; then a run at an earlier time is "
        "refused until it is that time"
    )


def daemon(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="HOST:PORT",
            help="Answer /healthz, /readyz and /metrics there; port 0 takes a free one.",
            show_default="as the config says",
        ),
    ] = None,
) -> None:
    """Do what run does, day and night: read on schedule, act when something is due."""
    with command():
        from crmsync.daemon.serve import serve

        configure_logs(level="info", as_json=not sys.stderr.isatty())
        serve(config, clock_at(None), listen=listening_at(listen))
