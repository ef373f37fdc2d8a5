"""Whom rules can match at all, by what they ask of a record's own fields.

Few rules leave few candidates, and the related records of nobody else need be read.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from crmsync.model.records import Given
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import (
    All,
    Column,
    Comparison,
    Condition,
    clauses,
    conjuncts,
    is_plain,
)
from crmsync.rules.evaluation.asked import Asked
from crmsync.rules.evaluation.predicates import holds
from crmsync.rules.evaluation.rows import ID, Rows
from crmsync.rules.evaluation.world import WANTED, wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import ibis.expr.types as ir

    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule


def candidates(
    world: World, rules: Sequence[Rule], table: str, once_per: Sequence[Column]
) -> Given | None:
    """Of the records of a table, all of which any of the rules may not say no.

    Args:
        once_per: what else is asked of them.

    Returns:
        What queries of them are given: in their table ``wanted_ids`` the candidates with those of
        their fields that rules ask for. None where a rule asks nothing of a record's own fields.
    """
    plain = [plain_part(rule.when) for rule in rules]
    conditions = [condition for condition in plain if condition is not None]
    if len(conditions) < len(plain):
        return None

    def build() -> ir.Table:
        fields = Rows(world, table, [rule.when for rule in rules], once_per, zone=True).own_fields
        columns = [Column(table=table, hops=(), name=n, type=FieldType.TEXT) for n in fields]
        rows = Rows(world, table, conditions, columns)
        perhaps = [holds(rows, condition, perhaps=True) for condition in conditions]
        chosen = rows.among(rows.wide.filter(reduce(or_, perhaps)))
        kept = {name: chosen.field((), name) for name in fields}
        return chosen.wide.select(**(kept | {"id": chosen.wide[ID]}))

    asked = Asked.by(conditions)
    key = " ".join(["candidates", table, world.meets(asked), *(rule.version for rule in rules)])
    kept = world.source.keep(world.compiled(key, build), world.given(asked))
    return Given(tables={WANTED: kept})


def how_many(world: World, chosen: Given) -> int:
    """How many candidates there are."""
    query = world.compiled("count wanted", lambda: wanted().count().as_table())
    return int(world.source.query(query, chosen)[0][0].as_py())


def plain_part(condition: Condition) -> Condition | None:
    """What of a condition only asks the record's own fields; None for nothing.

    Where it does not hold, neither does the condition.
    """
    parts = tuple(part for part in conjuncts(condition) if _is_plain(part))
    return All(conditions=parts, place=condition.place) if parts else None


def _is_plain(condition: Condition) -> bool:
    return all(isinstance(c, Comparison) and is_plain(c) for c in clauses(condition))
