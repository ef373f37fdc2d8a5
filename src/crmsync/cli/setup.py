"""The commands that lay out an installation, and check what is written in it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from crmsync.cli.console import (
    FINDINGS,
    clock_at,
    command,
    console,
    opened,
    print_json,
    progress,
    tell,
)
from crmsync.cli.options import DEFAULT_CONFIG, AtOption, ConfigOption, JsonOption, SchemaKind

plugins_app = typer.Typer(help="What is installed beside the core.", no_args_is_help=True)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    connector: Annotated[
        list[str] | None,
        typer.Option(
            help="Describe a connection of this connector, such as salesforce, instead of a "
            "folder of exports; several times for several."
        ),
    ] = None,
) -> None:
    """Lay out a new folder: a config to fill in, rules, segments and templates."""
    with command():
        from crmsync.app.setup import init as lay_out
        from crmsync.plugins.manager import Plugins

        plugins = Plugins()
        layout = lay_out(folder, [plugins.connector(name) for name in connector or ()])
        typer.echo(f"Made {layout.config}, with rules, segments and templates beside it.")
        what = "connections" if connector else "export"
        typer.echo(f"Next: describe your {what} in it, then")
        typer.echo(f"  crmsync check --config {shlex.quote(str(layout.config))}")


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
            tell(layout, reports.print_layout, as_json)
            return
        from crmsync.app.cycle import run_cycle

        workspace = opened(layout.config, now.isoformat())
        if not as_json:
            reports.print_layout(console(), layout)
        with progress(as_json=as_json) as advance:
            report = run_cycle(workspace, advance=advance)
        reports.show_demo(report, layout, at=at, as_json=as_json)
        # One row of the sample cannot be read, to show what that looks like.
        raise typer.Exit(FINDINGS if report.delivery.findings or report.plan.sync.failed else 0)


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
        tell(report, reports.print_check, as_json)
        raise typer.Exit(FINDINGS if report.problems else 0)


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
            tell(written, reports.print_schemas, as_json)
        elif kind is SchemaKind.CONFIG:
            print_json(schema_of_config())
        else:
            print_json(schema_of(opened(config), kind))


@plugins_app.command("list")
def plugins_list(*, as_json: JsonOption = False) -> None:
    """Show the installed plugins, what they bring, and which are broken."""
    with command(as_json=as_json):
        from crmsync.cli import reports
        from crmsync.plugins.manager import Plugins

        found = Plugins().reports
        tell(found, reports.print_plugins, as_json)
        raise typer.Exit(FINDINGS if any(report.error for report in found) else 0)
