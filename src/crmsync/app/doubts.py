"""What check doubts when it holds the rules against the records that were last read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from crmsync.app.unknown_words import doubts_about_ids, doubts_about_values
from crmsync.errors import StoreBusyError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.app.workspace import Workspace
    from crmsync.rules.reading.load import RuleSet
    from crmsync.warehouse.reader import Records

# A rule that means nearly everybody has lost a condition, or one of them is turned round.
# Of fewer subjects than `policy.share_counts_from`, a large share says nothing.
_MOST_SHARE = 0.9


def doubts_about_records(workspace: Workspace, rules: RuleSet) -> list[str]:
    """What the records that were last read make doubtful: rows, words, and rules that match all.

    Nothing is read from the connections; before the first sync there is nothing to doubt.
    """
    settings = workspace.installation.settings
    store = workspace.installation.path(settings.state) / "warehouse.duckdb"
    if not store.is_file():
        return []
    try:
        # A sync that is writing just now is not waited for.
        with workspace.warehouse.reading(wait=timedelta()) as records:
            return [
                *_about_rows(workspace, records),
                *doubts_about_values(workspace, rules, records),
                *doubts_about_ids(workspace, rules, records),
                *_about_matches(workspace, rules, records),
            ]
    except (StoreBusyError, StoreError):
        return []


def _about_rows(workspace: Workspace, records: Records) -> Iterator[str]:
    """A sentence for each stream with rows that cannot be used."""
    document = workspace.installation.document
    for (connection, stream), rows in records.quarantine(newest=0).counts.items():
        if (connection, stream) in workspace.streams:
            place = document.key_place(("connections", connection, "streams", stream))
            told = "1 row" if rows == 1 else f"{rows:,} rows"
            yield f"{place}: {told} could not be read; “crmsync status” tells why"


def _about_matches(workspace: Workspace, rules: RuleSet, records: Records) -> Iterator[str]:
    """A sentence for each rule that matches all, or nearly all, of its subjects."""
    if not rules.rules:
        return

    from crmsync.rules.evaluation.evaluate import evaluate
    from crmsync.rules.evaluation.world import World

    settings = workspace.installation.settings

    def bound(table: str) -> timedelta:
        return settings.freshness.bound(table).length

    world = World(
        records,
        workspace.plugins.facts,
        now=workspace.clock.now(),
        company_zone=workspace.zone,
        country=settings.company.country,
        bound=bound,
    )
    verdicts = evaluate(rules.rules, world)
    for rule in rules.rules:
        subjects, matches = verdicts[rule.name].subjects, len(verdicts[rule.name].matches)
        if subjects >= settings.policy.share_counts_from and matches >= _MOST_SHARE * subjects:
            plural = workspace.catalog.tables[rule.subject].plural
            yield (
                f"{rule.when.place}: {rule.name} matches {matches:,} of {subjects:,} {plural} as "
                "they were last read; is a condition missing, or turned round?"
            )
