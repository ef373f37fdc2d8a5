"""The commands that only tell: nothing is changed by them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crmsync.cli.console import (
    FINDINGS,
    clock_at,
    command,
    duration_of,
    instant_at,
    opened,
    progress,
    tell,
)
from crmsync.cli.options import DEFAULT_CONFIG, AtOption, ConfigOption, JsonOption, RulesOption


def run_rule_tests(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    rule: RulesOption = None,
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
        tell(report, reports.print_tests, as_json)
        raise typer.Exit(FINDINGS if report.findings else 0)


def forecast(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    days: Annotated[int, typer.Option("--days", help="How far to look ahead.")] = 7,
    at: AtOption = None,
    rule: RulesOption = None,
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
        tell(report, reports.print_forecast, as_json, full=full)


def status(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    at: AtOption = None,
    full: Annotated[
        bool, typer.Option("--full", help="Name all actions that need a person.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how fresh the data is, what could not be read, and what became of each action."""
    with command(as_json=as_json):
        from crmsync.app.status import read_status
        from crmsync.cli import reports

        report = read_status(opened(config, at), full=full or as_json)
        tell(report, reports.print_status, as_json)
        raise typer.Exit(FINDINGS if report.findings else 0)


def explain(
    subject: Annotated[str, typer.Argument(help="An id, a name, or a part of a name.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    rule: RulesOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show each clause of each rule for one record: the value seen, and yes, no or unknown."""
    with command(as_json=as_json):
        from crmsync.app.explaining import explain_subject
        from crmsync.cli import reports

        report = explain_subject(opened(config, at), subject, only=rule)
        tell(report, reports.print_explain, as_json)


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
