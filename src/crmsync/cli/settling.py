"""The commands by which a person decides about actions that were rejected, or are uncertain."""

from __future__ import annotations

from typing import Annotated

import typer

from crmsync.cli.console import FINDINGS, command, opened_by, tell
from crmsync.cli.options import (
    DEFAULT_CONFIG,
    AtOption,
    ConfigOption,
    JsonOption,
    PersonOption,
    ReasonOption,
)

KeysArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY]...", help="Keys, or their beginnings.", show_default=False),
]
RuleOption = Annotated[
    str | None, typer.Option("--rule", help="All that were rejected of this rule.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All that were rejected.")]


def retry(
    keys: KeysArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    rule: RuleOption = None,
    every: AllOption = False,
    did_not_land: Annotated[
        bool,
        typer.Option("--did-not-land", help="You have looked, and what is uncertain is not there."),
    ] = False,
    reason: ReasonOption = "",
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the next run try rejected actions again; it asks all gates first."""
    with command(as_json=as_json):
        from crmsync.app import settling
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        result = settling.retry(
            workspace,
            keys or (),
            by=by,
            reason=reason,
            rule=rule,
            every=every,
            did_not_land=did_not_land,
        )
        tell(result, reports.print_settled, as_json)
        raise typer.Exit(FINDINGS if result.findings else 0)


def drop(
    keys: KeysArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    rule: RuleOption = None,
    every: AllOption = False,
    reason: ReasonOption = "",
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Never do actions that were rejected, are uncertain, or still wait."""
    with command(as_json=as_json):
        from crmsync.app import settling
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        result = settling.drop(workspace, keys or (), by=by, reason=reason, rule=rule, every=every)
        tell(result, reports.print_settled, as_json)


def landed(
    keys: KeysArgument = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    reason: ReasonOption = "",
    name: PersonOption = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of uncertain actions that you have found them at the remote: they are done."""
    with command(as_json=as_json):
        from crmsync.app import settling
        from crmsync.cli import reports

        workspace, by = opened_by(config, at, name)
        result = settling.landed(workspace, keys or (), by=by, reason=reason)
        tell(result, reports.print_settled, as_json)
