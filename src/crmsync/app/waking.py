"""When a cycle would next find something that this one did not, if no record changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.app.deciding import world_of
from crmsync.app.texts import earlier_texts
from crmsync.ledger.coming import next_instant
from crmsync.rules.conditions import All
from crmsync.rules.incremental.next_turn import next_turn
from crmsync.rules.language import asks_for_steps
from crmsync.rules.reading.way import guards

if TYPE_CHECKING:
    from datetime import datetime

    from crmsync.app.results.cycle import RunResult
    from crmsync.app.workspace import Workspace
    from crmsync.rules.language import Rule

_SOON = timedelta(seconds=1)


def _with_guards(rule: Rule) -> Rule:
    """The rule as if its conditions were also what it asks of those inside."""
    asked = [guard.condition for guard in guards(rule.way, rule.until) if guard.condition]
    if not asked:
        return rule
    return replace(rule, when=All(conditions=(rule.when, *asked), place=rule.place))


def _goes_on(rule: Rule) -> bool:
    """Whether something comes once its steps, or those before it, are over."""
    return rule.repeat_every is not None or any(asks_for_steps(step) for step in rule.way)


def next_due(workspace: Workspace, result: RunResult, until: datetime) -> datetime | None:
    """The first instant (UTC) at which something waits, or a clause may turn; none after ``until``.

    Args:
        result: of the cycle that has just ended.
    """
    now = workspace.clock.now()
    premises = workspace.premises
    if result.delivery.done and any(_goes_on(rule) for rule in premises.rules):
        # What comes behind that which was handed over now is told by the next cycle.
        return min(now + _SOON, until)
    with workspace.ledger.reading() as connection:
        waits = next_instant(connection, after=now)
    with workspace.warehouse.reading() as records:
        present = world_of(premises, records)
        world = present.at(present.now, enrolled=present.now)
        asked = (*premises.rules, *earlier_texts(premises))
        turns = next_turn([_with_guards(rule) for rule in asked], world, until)
    found = [waits, turns, *(held.until for held in result.plan.held)]
    return min((at for at in found if at is not None and now < at <= until), default=None)
