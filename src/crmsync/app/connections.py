"""Connections: whether they work, and making what it needs at the remote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.check import check_connection
from crmsync.app.results.check import CheckResult, SetUpResult
from crmsync.errors import UsageError
from crmsync.plugins.contract import SetsUp

if TYPE_CHECKING:
    from crmsync.app.workspace import Workspace


def check_connections(workspace: Workspace, name: str | None) -> CheckResult:
    """What is wrong with a connection, or with each where none is named, asked of the remotes.

    Raises:
        UsageError: the config has no such connection.
    """
    names = list(workspace.installation.settings.connections) if name is None else [name]
    streams = sum(len(workspace.connection(one).streams) for one in names)
    doubts: list[str] = []
    problems = [
        problem
        for one in names
        for problem in check_connection(workspace, one, doubts, offline=False)
    ]
    return CheckResult(
        problems=tuple(dict.fromkeys(problems)),
        doubts=tuple(dict.fromkeys(doubts)),
        checked={"connection": len(names), "stream": streams},
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
