"""The command that runs a simulated remote, so that a connector can be tried without an account."""

from __future__ import annotations

import signal
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crmsync.cli.console import clock_at, command, print_json
from crmsync.cli.options import SIMULATOR_FOLDER, AtOption, JsonOption

if TYPE_CHECKING:
    from types import FrameType


def simulator(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The system to simulate.")],
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where its certificate and the like go.")
    ] = SIMULATOR_FOLDER,
    *,
    port: Annotated[int, typer.Option("--port", help="On this machine; 0 takes a free one.")] = 0,
    sample: Annotated[
        bool, typer.Option("--sample/--empty", help="Begin with the sample company's records.")
    ] = True,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a simulated remote on this machine until Ctrl-C, and print how to connect to it."""
    with command(as_json=as_json):
        from crmsync.app.simulating import start

        ended = _asked_to_end()
        running = start(name, folder, port=port, sample=sample, clock=clock_at(at))
        try:
            if as_json:
                print_json({"config": running.config})
            else:
                typer.echo("It runs until Ctrl-C. A connection to it, for the config:\n")
                typer.echo("connections:")
                typer.echo(textwrap.indent(running.config, "  "))
            ended.wait()
        finally:
            running.close()


def _asked_to_end() -> threading.Event:
    """Comes to pass when somebody ends the process, by Ctrl-C or otherwise."""
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return ended
