"""Until when nothing turns by the passing of time alone: how long one may sleep."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from crmsync.rules.conditions import clauses
from crmsync.rules.turning.touched import touched
from crmsync.rules.turning.turning import Turning, full_hours

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule

# What is asked first. To ask costs more than to look through whom some minutes more have touched.
_SHORTEST = timedelta(minutes=15)


def next_turn(rules: Sequence[Rule], world: World, until: datetime) -> datetime | None:
    """The next instant (UTC) at which the clock may turn what a rule says of anybody.

    It is after the world's present and never later than the first such turn, if no record
    changes; it may be an instant at which nothing turns after all. A fact that does not say when
    its value changes (`Fact.turns`) is looked at each full hour. Who depends on fresh streams
    asks `still_fresh` records, or is told the instant at which they grow stale.

    Args:
        until: how far ahead to look; the farther, the longer it takes where nothing turns.

    Returns:
        None where nothing turns until then.
    """
    found: datetime | None = None
    for table in dict.fromkeys(rule.subject for rule in rules):
        about = [rule for rule in rules if rule.subject == table]
        # Of the next table only what comes before that is of interest.
        found = _of_table(about, table, world, found or until) or found
    return found


def _of_table(rules: Sequence[Rule], table: str, world: World, until: datetime) -> datetime | None:
    asked = [clause for rule in rules for clause in clauses(rule.when)]
    columns = [column for rule in rules for column in rule.once_per_columns]
    span, end = _SHORTEST, world.now
    # Whom a short time touches are few, and of few it is quickly told when.
    while end < until:
        end = min(world.now + span, until)
        turning = Turning(world, table, asked, columns, until=end)
        ids = touched(turning)
        found = [moment.at for moment in turning.moments(ids)[:1]] if ids else []
        if turning.at_any_time and ids:
            found += islice(full_hours(world.now, end), 1)
        if found:
            return min(found)
        span *= 2
    return None
