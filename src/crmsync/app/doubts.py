"""What check doubts when it holds the rules against the records that were last read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.errors import StoreBusyError, StoreError

if TYPE_CHECKING:
    from crmsync.app.workspace import Workspace
    from crmsync.rules.reading.load import RuleSet

# A rule that means nearly everybody has lost a condition, or one of them is turned round.
# Of fewer subjects than `policy.share_counts_from`, a large share says nothing.
_MOST_SHARE = 0.9


def doubts_about_matches(workspace: Workspace, rules: RuleSet) -> list[str]:
    """A sentence for each rule that matches all, or nearly all, of its subjects.

    Nothing is read from the connections; before the first sync there is nothing to doubt.
    """
    settings = workspace.installation.settings
    store = workspace.installation.path(settings.state) / "warehouse.duckdb"
    if not rules.rules or not store.is_file():
        return []

    from crmsync.rules.evaluate import evaluate
    from crmsync.rules.world import World

    def bound(table: str) -> timedelta:
        return settings.freshness.bound(table).length

    try:
        # A sync that is writing just now is not waited for.
        with workspace.warehouse.reading(wait=timedelta()) as records:
            world = World(
                records,
                workspace.plugins.facts,
                now=workspace.clock.now(),
                company_zone=workspace.zone,
                country=settings.company.country,
                bound=bound,
            )
            verdicts = evaluate(rules.rules, world)
    except (StoreBusyError, StoreError):
        return []
    doubts = []
    for rule in rules.rules:
        subjects, matches = verdicts[rule.name].subjects, len(verdicts[rule.name].matches)
        if subjects >= settings.policy.share_counts_from and matches >= _MOST_SHARE * subjects:
            plural = workspace.catalog.tables[rule.subject].plural
            doubts.append(
                f"{rule.when.place}: {rule.name} matches {matches:,} of {subjects:,} {plural} as "
                "they were last read; is a condition missing, or turned round?"
            )
    return doubts
