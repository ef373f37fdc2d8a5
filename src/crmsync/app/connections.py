"""One connection: whether it works, and making what it needs at the remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.check import check_connection
from crmsync.app.results.check import CheckResult, SetUpResult
from crmsync.errors import UsageError
from crmsync.plugins.contract import SetsUp

if TYPE_CHECKING:
    from crmsync.app.workspace import Workspace


def check_one(workspace: Workspace, name: str) -> CheckResult:
    """What is wrong with a connection, asked of the remote.

    Raises:
        UsageError: the config has no such connection.
    """
    streams = workspace.connection(name).streams
    doubts: list[str] = []
    problems = check_connection(workspace, name, doubts, offline=False)
    return CheckResult(
        problems=tuple(dict.fromkeys(problems)),
        doubts=tuple(dict.fromkeys(doubts)),
        checked={"connection": 1, "stream": len(streams)},
    )


def set_up(workspace: Workspace, name: str, *, dry_run: bool) -> SetUpResult:
    """Make at the remote what a connection needs there.

    Raises:
        UsageError: there is no such connection, or its connector makes nothing.
        ConnectorError: it cannot be made.
    """
    connector_name = workspace.connection(name).connector
    with workspace.connected(name) as connector:
        if not isinstance(connector, SetsUp):
            raise UsageError(f"the connector “{connector_name}” has nothing to set up")
        made = connector.setup(dry_run=dry_run)
    return SetUpResult(connection=name, dry_run=dry_run, made=tuple(made))
