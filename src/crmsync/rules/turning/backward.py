"""From records back to those whose rules look at them, along the relations that lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.warehouse.associations import ACTIVITY, LINKED_TABLES, reached_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import ibis.expr.types as ir

    from crmsync.model.catalog import Relation

    # Relations from a subject outward, each beginning where the one before it ends.
    Path = tuple[Relation, ...]

ROW = "row_id"


def is_linked(relation: Relation) -> bool:
    """Whether it leads to activities, which also belong to records by links."""
    return relation.many and relation.target == ACTIVITY and relation.column in LINKED_TABLES


def backward(
    tables: Callable[[str], ir.Table], path: Sequence[Relation], rows: ir.Table
) -> ir.Table:
    """The records from which a path leads to one of the rows; repeated where several do.

    Args:
        tables: answers with the live records of a table.
        rows: a column ``id``, others that are carried along, and perhaps the references by which
            the path has come (`references_of`): then the records need not be looked up.
    """
    for relation in reversed(path):
        rows = _one_back(tables, relation, rows)
    return rows


def references_of(path: Sequence[Relation]) -> tuple[str, ...]:
    """The references of the records at the end of a path by which it leads back from them."""
    if not path or not path[-1].many:
        return ()
    return LINKED_TABLES if is_linked(path[-1]) else (path[-1].column,)


def _one_back(tables: Callable[[str], ir.Table], relation: Relation, rows: ir.Table) -> ir.Table:
    known = [name for name in references_of([relation]) if name in rows.columns]
    carried = [name for name in rows.columns if name not in {"id", *known}]
    if is_linked(relation):
        activity = rows
        if not known:
            rows = rows.rename({ROW: "id"})
            activity = tables(ACTIVITY).select("id", *LINKED_TABLES).join(rows, [("id", ROW)])
            activity = activity.drop(ROW)
        reached = reached_by(relation.column, activity, tables, carried)
        return reached.select("record", *carried).rename({"id": "record"})
    if known:
        back = rows[relation.column]
        return rows.filter(back.notnull()).select(*carried, id=back)
    rows = rows.rename({ROW: "id"})
    if relation.many:
        far = tables(relation.target)
        near = far.filter(far[relation.column].notnull()).select(
            far_id=far.id, near_id=far[relation.column]
        )
    else:
        source = tables(relation.source)
        near = source.filter(source[relation.column].notnull()).select(
            far_id=source[relation.column], near_id=source.id
        )
    return near.join(rows, [("far_id", ROW)]).select("near_id", *carried).rename({"id": "near_id"})
