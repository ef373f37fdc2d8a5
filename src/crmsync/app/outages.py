"""While a stream cannot be trusted, nobody leaves a rule because of what is not known there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from crmsync.model.tables import split_global_id
from crmsync.rules.evaluation.evaluate import Evaluation
from crmsync.rules.incremental.standing import rests_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from crmsync.model.verdicts import RuleVerdicts
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule


def unless_unread(
    world: World, rule: Rule, said: RuleVerdicts, inside: Collection[str]
) -> RuleVerdicts:
    """The verdicts; unknown where only what cannot be trusted just now says that somebody leaves.

    An unknown clause may count as no, and makes nobody enter. If those inside left by it, they
    would enter again when the stream is back, and get everything a second time. So of them counts
    what was last read.

    Args:
        inside: the ids of subjects that have entered.
    """
    silent = set(inside) - said.matches.keys() - said.unknown.keys()
    if not silent:
        return said
    now, once = world.freshness, world.freshness.as_last_read()
    doubted = [
        tables
        for tables in rests_of(rule)
        if now.fresh_connections(tables) != once.fresh_connections(tables)
    ]
    if not doubted:
        return said
    before = Evaluation([rule], world.as_last_read(), ids=silent).verdicts[rule.name]
    reasons = {
        subject: tuple(
            dict.fromkeys(
                reason
                for tables in doubted
                for reason in now.reasons(split_global_id(subject)[0], tables)
            )
        )
        for subject in silent & {*before.matches, *before.unknown}
    }
    doubtful = {subject: why for subject, why in reasons.items() if why}
    return replace(said, unknown={**said.unknown, **doubtful})
