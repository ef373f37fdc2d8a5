"""Why a clause is unknown, as a sentence for the person who wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from crmsync.rules.conditions import HISTORY, Clause, Column, Comparison, Operator, Related
from crmsync.rules.evaluation.predicates import clause_verdict
from crmsync.rules.evaluation.rows import CONNECTION, ID, has_currency

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir

    from crmsync.model.records import Given
    from crmsync.rules.evaluation.rows import Rows
    from crmsync.rules.evaluation.world import World

_NO_RECORD, _STALE, _UNSURE, _CURRENCIES, _EMPTY, _NOT_COMPUTED, _OLDER, _TO_COME = range(8)
_WORDS = {
    _UNSURE: "it cannot be said",
    _CURRENCIES: "the amounts are in several currencies",
    _EMPTY: "it is empty",
    _NOT_COMPUTED: "it cannot be computed from these records",
    _OLDER: "its history does not reach back that far",
    _TO_COME: "that time is still to come",
}
_OF_RELATED = {
    _UNSURE: "of some {relation} it cannot be said whether they count",
    _EMPTY: "there is nothing to take",
}


def why_unknown(
    world: World, rows: Callable[[], Rows], asked: Sequence[Clause], given: Given, key: str
) -> dict[str, list[str | None]]:
    """For each record, by global id, why each clause is unknown; None where a clause is known.

    Args:
        rows: the records that are meant; called where nobody has asked with this key before.
        given: what queries of these rows are given.
        key: says which clauses and which rows.
    """

    def build() -> ir.Table:
        among = rows()
        columns: dict[str, ir.Value] = {"id": among.wide[ID]}
        for i, clause in enumerate(asked):
            columns[f"code_{i}"], columns[f"connection_{i}"] = _columns(among, clause)
        return among.wide.select(**columns)

    found = world.source.query(world.compiled(f"why {key}", build), given).to_pydict()
    told: list[list[str | None]] = []
    for i, clause in enumerate(asked):
        pairs = list(zip(found[f"code_{i}"], found[f"connection_{i}"], strict=True))
        sentences = {pair: _sentence(world, clause, *pair) for pair in set(pairs)}
        told.append([sentences[pair] for pair in pairs])
    return {record: [column[k] for column in told] for k, record in enumerate(found["id"])}


def _columns(rows: Rows, clause: Clause) -> tuple[ir.Value, ir.Value]:
    """A number that says why the clause is unknown (null where it is not), and the connection."""
    verdict = clause_verdict(rows, clause)
    if isinstance(clause, Related):
        code, hops = _related_code(rows, clause), clause.of.hops
    elif clause.test.operator in HISTORY:
        code, hops = _past_code(rows, clause), clause.column.hops
    else:
        code, hops = _column_code(rows, clause.column), clause.column.hops
        other = clause.test.operand
        if isinstance(other, Column):
            # The operand is told of where the value itself is known.
            value = _column_code(rows, clause.column)
            beside = _column_code(rows, other) + _OF_OPERAND
            code = _lacks(rows, clause.column).ifelse(value, beside)
    return verdict.isnull().ifelse(code, ibis.null("int64")), rows.field(hops, CONNECTION)


_OF_OPERAND = 10


def _past_code(rows: Rows, clause: Comparison) -> ir.IntegerValue:
    column, test = clause.column, clause.test
    exists = rows.id_of(column.hops).notnull()
    if test.operator is Operator.WAS:
        then = rows.past(column, test, "then")
        later, otherwise = then > rows.now, ibis.literal(_OLDER)
    else:
        # A change that is not known may have been missed, or lie before all that is known.
        later = ibis.literal(False)
        fresh = rows.fresh(column.hops, (column.owner,))
        otherwise = fresh.ifelse(_OLDER, _STALE)
    return ibis.cases((~exists, _NO_RECORD), (later, _TO_COME), else_=otherwise).cast("int64")


def _column_code(rows: Rows, column: Column) -> ir.IntegerValue:
    exists = rows.id_of(column.hops).notnull()
    if column.fact is None:
        return exists.ifelse(_EMPTY, _NO_RECORD).cast("int64")
    found, value = rows.fact(column)
    fresh = rows.fresh(column.hops, column.fact.rests_on)
    reasons: list[tuple[ir.BooleanValue, int]] = [(~exists, _NO_RECORD), (~fresh, _STALE)]
    if found is not None:
        reasons.append((found & value.isnull(), _NOT_COMPUTED))
    return ibis.cases(*reasons, else_=_EMPTY).cast("int64")


def _lacks(rows: Rows, column: Column) -> ir.BooleanValue:
    if column.fact is None:
        return rows.field(column.hops, column.name).isnull()
    _, value = rows.fact(column)
    fresh = rows.fresh(column.hops, column.fact.rests_on)
    return ~fresh | (value.isnull() & ibis.literal(column.fact.default is None))


def _related_code(rows: Rows, clause: Related) -> ir.IntegerValue:
    exists = rows.id_of(clause.of.hops).notnull()
    fresh = rows.fresh(clause.of.hops, (clause.of.relation.target,))
    otherwise = ibis.literal(_UNSURE)
    if clause.column is not None:
        unsure = rows.tally(clause, "maybe").fill_null(0) > 0
        otherwise = unsure.ifelse(_UNSURE, _EMPTY)
    if has_currency(rows.world, clause):
        mixed = rows.tally(clause, "currencies").fill_null(0) > 1
        otherwise = mixed.ifelse(_CURRENCIES, otherwise)
    return ibis.cases((~exists, _NO_RECORD), (~fresh, _STALE), else_=otherwise).cast("int64")


def _sentence(world: World, clause: Clause, code: int | None, connection: str | None) -> str | None:
    if code is None:
        return None
    tables: tuple[str, ...]
    if isinstance(clause, Related):
        named = f"{clause.quantifier} of {clause.of.relation.name}"
        hops, tables = clause.of.hops, (clause.of.relation.target,)
    else:
        column = clause.column
        if code >= _OF_OPERAND and isinstance(clause.test.operand, Column):
            column, code = clause.test.operand, code - _OF_OPERAND
        named, hops = column.path, column.hops
        tables = (column.owner,) if column.fact is None else column.fact.rests_on
    if code == _NO_RECORD:
        why = f"there is no {'.'.join(hop.name for hop in hops)}"
    elif code == _STALE:
        why = "; ".join(world.freshness.reasons(connection or "", tables))
    elif isinstance(clause, Related):
        why = _OF_RELATED.get(code, _WORDS[code]).format(relation=clause.of.relation.name)
    else:
        why = _WORDS[code]
    return f"{named}: {why}"
