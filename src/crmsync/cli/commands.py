"""The commands. Each opens what it needs, and nothing heavy is imported before it runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from crmsync.cli.connections import connections_app
from crmsync.cli.console import (
    FINDINGS,
    clock_at,
    command,
    duration_of,
    instant_at,
    listening_at,
    opened,
    print_json,
    progress,
)
from crmsync.cli.options import (
    DEFAULT_CONFIG,
    AtOption,
    ConfigOption,
    JsonOption,
    SchemaKind,
    SyncOption,
)
from crmsync.cli.reviewing import review_app
from crmsync.cli.settling import drop, landed, retry
from crmsync.cli.simulator import simulator
from crmsync.cli.stopping import mute, suppress
from crmsync.observe import configure_logs

app = typer.Typer(
    name="crmsync",
    help="Attention for every account: rules over your CRM, tasks and mails written back into it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
plugins_app = typer.Typer(help="What is installed beside the core.", no_args_is_help=True)
app.add_typer(plugins_app, name="plugins")
app.add_typer(connections_app, name="connections")
app.add_typer(review_app, name="review")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
) -> None:
    """Lay out a new folder: a config to fill in, rules, segments and templates."""
    with command():
        from crmsync.app.setup import init as lay_out

        layout = lay_out(folder)
        typer.echo(f"Made {layout.config}, with rules, segments and templates beside it.")
        typer.echo("Next: describe your export in it, then")
        typer.echo(f"  crmsync check --config {shlex.quote(str(layout.config))}")


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Where it is laid out.")] = (
        Path("crmsync-demo")
    ),
    *,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Lay out the company and run nothing.")
    ] = False,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the main job on a sample company: sync, plan, deliver, and show what was made."""
    with command(as_json=as_json):
        from crmsync.app.sample import SAMPLE_ZONE
        from crmsync.app.setup import prepare_demo
        from crmsync.cli import reports

        now = clock_at(at, SAMPLE_ZONE).now().replace(microsecond=0)
        layout = prepare_demo(folder, now)
        if prepare:
            reports.show_layout(layout, as_json=as_json)
            return
        from crmsync.app.cycle import run_cycle

        workspace = opened(layout.config, now.isoformat())
        if not as_json:
            reports.show_layout(layout, as_json=False)
        with progress(as_json=as_json) as advance:
            report = run_cycle(workspace, advance=advance)
        reports.show_demo(report, layout, as_json=as_json)
        # One row of the sample cannot be read, to show what that looks like.
        raise typer.Exit(FINDINGS if report.delivery.findings or report.plan.sync.failed else 0)


@app.command()
def check(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not open the connections.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Find every mistake in config, rules, templates and mappings, each with its place."""
    with command(as_json=as_json):
        from crmsync.app.check import check_workspace
        from crmsync.cli import reports

        report = check_workspace(config, clock_at(None), offline=offline)
        reports.show_check(report, as_json=as_json)
        raise typer.Exit(FINDINGS if report.problems else 0)


@app.command("test")
def run_rule_tests(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="Only this rule; may be repeated.")
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(
            "--junit", metavar="FILE", help="Also write what came of it as JUnit XML, for CI."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the rules' own tests: records, a time, and what is expected to come of it."""
    with command(as_json=as_json):
        from crmsync.app.rule_tests.command import run_tests
        from crmsync.app.rule_tests.junit import junit_errors, junit_report, write_junit
        from crmsync.app.workspace import open_workspace
        from crmsync.cli import reports
        from crmsync.errors import InvalidInputError

        try:
            workspace = open_workspace(config, clock_at(None))
            with progress(as_json=as_json) as advance:
                report = run_tests(workspace, advance=advance, only=rule)
        except InvalidInputError as error:
            if junit is not None:
                write_junit(junit, junit_errors(error.problems))
            raise
        if junit is not None:
            write_junit(junit, junit_report(report))
        reports.show_tests(report, as_json=as_json)
        raise typer.Exit(FINDINGS if report.findings else 0)


@app.command()
def schema(
    kind: Annotated[SchemaKind, typer.Argument(help="The kind of file.")] = SchemaKind.RULE,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Write the schemas of all kinds beside the config, and say how to use."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a JSON Schema with this installation's own fields, for completion in an editor."""
    with command(as_json=as_json):
        from crmsync.app.schemas import schema_of, schema_of_config, write_schemas
        from crmsync.cli import reports

        if write:
            written = write_schemas(opened(config), config)
            reports.show_schemas(written, as_json=as_json)
        elif kind is SchemaKind.CONFIG:
            print_json(schema_of_config())
        else:
            print_json(schema_of(opened(config), kind))


@app.command()
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
        reports.show_sync(report, as_json=as_json)
        raise typer.Exit(FINDINGS if report.findings else 0)


@app.command()
def plan(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    at: AtOption = None,
    sync_first: SyncOption = True,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="Only this rule; may be repeated.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Show all texts, and all who are held back.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show who would get what now, and who is held back and why; send nothing."""
    with command(as_json=as_json):
        from crmsync.app.cycle import plan_cycle
        from crmsync.cli import reports

        workspace = opened(config, at)
        with progress(as_json=as_json) as advance:
            report = plan_cycle(workspace, sync_first=sync_first, only=rule, advance=advance)
        reports.show_plan(report, full=full, as_json=as_json)
        raise typer.Exit(FINDINGS if report.findings else 0)


@app.command()
def run(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    at: AtOption = None,
    sync_first: SyncOption = True,
    full: Annotated[
        bool, typer.Option("--full", help="Show all texts, and all who are held back.")
    ] = False,
    full_evaluation: Annotated[
        bool,
        typer.Option(
            "--full-evaluation",
            help="Evaluate everybody, not only those whom something changed may concern.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Do what plan shows: write the tasks, notes, updates and mails."""
    with command(as_json=as_json):
        from crmsync.app.cycle import run_cycle
        from crmsync.cli import reports

        workspace = opened(config, at)
        with progress(as_json=as_json) as advance:
            report = run_cycle(
                workspace, sync_first=sync_first, full=full_evaluation, advance=advance
            )
        reports.show_run(report, full=full, as_json=as_json)
        raise typer.Exit(FINDINGS if report.findings else 0)


@app.command()
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


@app.command()
def forecast(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    days: Annotated[int, typer.Option("--days", help="How far to look ahead.")] = 7,
    at: AtOption = None,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="Only this rule; may be repeated.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show everybody.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what will fall due in the next days if nothing changes; change nothing."""
    with command(as_json=as_json):
        from crmsync.app.forecasting import forecast as look_ahead
        from crmsync.cli import reports

        workspace = opened(config, at)
        with progress(as_json=as_json) as advance:
            report = look_ahead(workspace, days=days, only=rule, advance=advance)
        reports.show_forecast(report, full=full, as_json=as_json)


@app.command()
def status(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how fresh the data is, what could not be read, and what became of each action."""
    with command(as_json=as_json):
        from crmsync.app.status import read_status
        from crmsync.cli import reports

        report = read_status(opened(config, at))
        reports.show_status(report, as_json=as_json)
        raise typer.Exit(FINDINGS if report.findings else 0)


@app.command()
def explain(
    subject: Annotated[str, typer.Argument(help="An id, a name, or a part of a name.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    rule: Annotated[
        list[str] | None, typer.Option("--rule", help="Only this rule; may be repeated.")
    ] = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show each clause of each rule for one record: the value seen, and yes, no or unknown."""
    with command(as_json=as_json):
        from crmsync.app.explaining import explain_subject
        from crmsync.cli import reports

        report = explain_subject(opened(config, at), subject, only=rule)
        reports.show_explain(report, as_json=as_json)


@app.command()
def backtest(
    rule: Annotated[str, typer.Argument(help="The name of a rule.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Default: a year before the end."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="Default: when the CRM was last read."),
    ] = None,
    every: Annotated[
        str, typer.Option("--every", metavar="DURATION", help="How often the rule would have run.")
    ] = "1 day",
    outcome: Annotated[
        str | None,
        typer.Option(
            "--outcome",
            metavar="CONDITION",
            help="What the rule is to warn of, for example 'status: churned'.",
        ),
    ] = None,
    within: Annotated[
        str,
        typer.Option(
            "--within", metavar="DURATION", help="How long after a firing the outcome counts."
        ),
    ] = "90 days",
    sweep: Annotated[
        str | None,
        typer.Option(
            "--sweep",
            metavar="THRESHOLD=VALUES",
            help="Compare thresholds, for example 'last_contact.older_than=7 days,14 days'.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with charts.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show when a rule would have fired over the past, and what then happened."""
    with command(as_json=as_json):
        from crmsync.app.backtest.backtesting import Asked
        from crmsync.app.backtest.backtesting import backtest as run_backtest
        from crmsync.cli import reports

        workspace = opened(config)
        asked = Asked(
            rule=rule,
            start=instant_at("--from", start, workspace.zone),
            end=instant_at("--to", end, workspace.zone),
            every=duration_of("--every", every),
            outcome=outcome,
            within=duration_of("--within", within),
            sweep=sweep,
        )
        with progress(as_json=as_json) as advance:
            report = run_backtest(workspace, asked, advance=advance)
        reports.show_backtest(report, html=html, as_json=as_json)


app.command()(suppress)
app.command()(mute)
app.command()(retry)
app.command()(drop)
app.command()(landed)
app.command()(simulator)


@plugins_app.command("list")
def plugins_list(*, as_json: JsonOption = False) -> None:
    """Show the installed plugins, what they bring, and which are broken."""
    with command(as_json=as_json):
        from crmsync.cli import reports
        from crmsync.plugins.manager import Plugins

        found = Plugins().reports
        reports.show_plugins(found, as_json=as_json)
        raise typer.Exit(FINDINGS if any(report.error for report in found) else 0)
