"""When a cycle would next find something that this one did not, if no record changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.deciding import world_of
from crmsync.ledger.coming import next_instant
from crmsync.rules.next_turn import next_turn

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.app.results.cycle import RunResult
    from crmsync.app.workspace import Workspace


def next_due(workspace: Workspace, result: RunResult, until: datetime) -> datetime | None:
    """The first instant (UTC) at which something waits, or a clause may turn; none after ``until``.

    Args:
        result: of the cycle that has just ended.
    """
    now = workspace.clock.now()
    with workspace.ledger.reading() as connection:
        waits = next_instant(connection, after=now)
    premises = workspace.premises
    with workspace.warehouse.reading() as records:
        turns = next_turn(premises.rules, world_of(premises, records), until)
    found = [waits, turns, *(held.until for held in result.plan.held)]
    return min((at for at in found if at is not None and now < at <= until), default=None)
