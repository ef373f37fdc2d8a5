"""The commands by which a person says that somebody is to be left alone."""

from __future__ import annotations

from typing import Annotated

import typer

from crmsync.cli.console import command, instant_at, opened_by, tell
from crmsync.cli.options import (
    DEFAULT_CONFIG,
    AtOption,
    ConfigOption,
    JsonOption,
    PersonOption,
    ReasonOption,
)

LiftOption = Annotated[bool, typer.Option("--lift", help="Take it back.")]


def suppress(
    address: Annotated[str, typer.Argument(help="An e-mail address.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    reason: ReasonOption = "",
    lift: LiftOption = False,
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send no mail to an address any more, of whatever class; or, with --lift, do so again."""
    with command(as_json=as_json):
        from crmsync.app import stopping
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        if lift:
            result = stopping.lift_suppression(workspace, address, by=by)
        else:
            result = stopping.suppress(workspace, address, by=by, reason=reason)
        tell(result, reports.print_stop, as_json)


def mute(
    account: Annotated[str, typer.Argument(help="An account: its id, its name, or a part of it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="When it goes on, for example 2026-04-01."),
    ] = None,
    reason: ReasonOption = "",
    lift: LiftOption = False,
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do nothing for an account: no mail, no task, no note, no update; or, with --lift, go on."""
    with command(as_json=as_json):
        from crmsync.app import stopping
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        if lift:
            result = stopping.unmute(workspace, account, by=by)
        else:
            end = instant_at("--until", until, workspace.zone)
            result = stopping.mute(workspace, account, by=by, reason=reason, until=end)
        tell(result, reports.print_stop, as_json)
