"""The commands, in the order in which ``--help`` lists them.

Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crmsync.cli.connections import connections_app
from crmsync.cli.looking import backtest, explain, forecast, run_rule_tests, status
from crmsync.cli.reviewing import review_app
from crmsync.cli.running import daemon, plan, run, sync
from crmsync.cli.settling import drop, landed, retry
from crmsync.cli.setup import check, demo, init, plugins_app, schema
from crmsync.cli.simulator import simulator
from crmsync.cli.stopping import mute, suppress
from crmsync.cli.undoing import runs, undo

if TYPE_CHECKING:
    from collections.abc import Callable

app = typer.Typer(
    name="crmsync",
    help="Attention for every account: rules over your CRM, tasks and mails written back into it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "init": init,
    "demo": demo,
    "check": check,
    "test": run_rule_tests,
    "schema": schema,
    "sync": sync,
    "plan": plan,
    "run": run,
    "daemon": daemon,
    "forecast": forecast,
    "status": status,
    "runs": runs,
    "explain": explain,
    "backtest": backtest,
    "suppress": suppress,
    "mute": mute,
    "retry": retry,
    "drop": drop,
    "landed": landed,
    "undo": undo,
    "simulator": simulator,
}
for name, does in _COMMANDS.items():
    app.command(name)(does)
app.add_typer(plugins_app, name="plugins")
app.add_typer(connections_app, name="connections")
app.add_typer(review_app, name="review")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"crmsync {version('crmsync')}")
        raise typer.Exit


@app.callback()
def crmsync(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version."
        ),
    ] = False,
) -> None:
    """What is said before the name of a command."""
