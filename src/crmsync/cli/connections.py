"""The commands about connections: whether they work, and what they need at the remote."""

from __future__ import annotations

from typing import Annotated

import typer

from crmsync.cli.console import FINDINGS, command, opened, tell
from crmsync.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption

connections_app = typer.Typer(
    help="Prove that a connection works, and prepare its remote.", no_args_is_help=True
)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As the config calls it.")]


@connections_app.command("check")
def check_connection(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="As the config calls it; without it, all of them."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: JsonOption = False,
) -> None:
    """Ask whether all that a connection, or each, needs is there, and say what to mend."""
    with command(as_json=as_json):
        from crmsync.app.connections import check_connections
        from crmsync.cli import reports

        report = check_connections(opened(config), name)
        tell(report, reports.print_check, as_json)
        raise typer.Exit(FINDINGS if report.problems else 0)


@connections_app.command("setup")
def set_up_connection(
    name: NameArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make at the remote what the connection needs there and lacks, such as a field for keys."""
    with command(as_json=as_json):
        from crmsync.app.connections import set_up
        from crmsync.cli import reports

        tell(set_up(opened(config), name, dry_run=dry_run), reports.print_set_up, as_json)
