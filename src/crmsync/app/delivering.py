"""Hands the outbox over: opens the connections that have work, and delivers."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.app.proven import settle_proven
from crmsync.delivery.deliver import Target, deliver
from crmsync.delivery.tally import DeliveryReport
from crmsync.errors import ConnectorError, InvalidInputError
from crmsync.ledger.states import State
from crmsync.plugins.contract import Writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.app.workspace import Workspace


def find_out(
    workspace: Workspace,
    run_id: int,
    *,
    advance: Callable[[str, int], None],
    stop: Callable[[], bool] = lambda: False,
) -> DeliveryReport:
    """What became of that which an earlier run may have sent.

    Before anything is decided: what has not landed is composed anew and asked about in this run.
    """
    unsettled = {State.SENDING, State.UNCERTAIN} & workspace.ledger.effect_counts().keys()
    if not unsettled:
        return DeliveryReport()
    proven = settle_proven(workspace)
    report = hand_over(workspace, run_id, advance=advance, stop=stop)
    return replace(report, done=report.done + proven, already=report.already + proven)


def hand_over(
    workspace: Workspace,
    run_id: int,
    *,
    advance: Callable[[str, int], None],
    stop: Callable[[], bool] = lambda: False,
) -> DeliveryReport:
    """What this run's gates have let pass; and what kept a connection from being opened."""
    names = workspace.ledger.connections_with_work()
    if workspace.installation.settings.mail in names:
        names |= workspace.loggers
    targets: dict[str, Target] = {}
    problems: list[str] = []
    done = 0

    def progress(settled: int, _total: int) -> None:
        nonlocal done
        advance("delivering", settled - done)
        done = settled

    with ExitStack() as stack:
        for name in sorted(names & workspace.installation.settings.connections.keys()):
            try:
                connector = stack.enter_context(workspace.connected(name))
            except (ConnectorError, InvalidInputError) as error:
                problems.append(f"{name}: {error}")
                continue
            if isinstance(connector, Writes):
                targets[name] = Target(
                    writes=connector,
                    spec=workspace.spec(name),
                    rate=workspace.connection(name).rate,
                )
        report = deliver(
            workspace.ledger,
            targets,
            clock=workspace.clock,
            loggers=workspace.loggers,
            run_id=run_id,
            zone=workspace.zone,
            progress=progress,
            stop=stop,
        )
    return replace(report, problems=(*problems, *report.problems))
