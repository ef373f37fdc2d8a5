"""When a cycle would next find something that this one did not, if no record changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.app.deciding import world_of
from crmsync.ledger.coming import next_instant
from crmsync.rules.conditions import clauses
from crmsync.rules.turning import Turning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from crmsync.app.results import RunResult
    from crmsync.app.workspace import Workspace


def next_due(workspace: Workspace, result: RunResult, until: datetime) -> datetime | None:
    """The first instant (UTC) at which something waits, or a clause may turn; none after ``until``.

    Args:
        result: of the cycle that has just ended.
    """
    now = workspace.clock.now()
    with workspace.ledger.reading() as connection:
        waits = next_instant(connection, after=now)
    found = [] if waits is None else [waits]
    found += [held.until for held in result.plan.held if held.until is not None]
    found += _turns(workspace, until)
    return min((instant for instant in found if now < instant <= until), default=None)


def _turns(workspace: Workspace, until: datetime) -> Iterator[datetime]:
    premises = workspace.premises
    with workspace.warehouse.reading() as records:
        world = world_of(premises, records)
        for table in dict.fromkeys(rule.subject for rule in premises.rules):
            about = [rule for rule in premises.rules if rule.subject == table]
            asked = [clause for rule in about for clause in clauses(rule.when)]
            columns = [column for rule in about for column in rule.once_per_columns]
            moments = Turning(world, table, asked, columns, until=until).moments()
            if moments:
                yield moments[0].at
