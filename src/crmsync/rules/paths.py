"""Reads paths such as ``tier``, ``account.owner.active`` or ``account.tickets`` by the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crmsync.config.yaml import nearest
from crmsync.model.catalog import FactSpec
from crmsync.rules.conditions import Collection, Column

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.model.catalog import Catalog, Relation

MOST_HOPS = 5


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where a path of references ends: the table of the record, and the ways there."""

    hops: tuple[Relation, ...]
    table: str


def column(catalog: Catalog, table: str, path: str) -> Column:
    """The field or fact at the end of a path.

    Raises:
        ValueError: the path leads nowhere, or to many records; the sentence names what is near.
    """
    *names, last = path.split(".")
    end = _follow(catalog, table, names, path)
    found = catalog.column(end.table, last)
    if found is None:
        relation = catalog.relation(end.table, last)
        if relation is not None and relation.many:
            raise ValueError(
                f"“{path}” are several records; ask about them with some, none, every, count, "
                f"sum, avg, min, max or latest: “some: {{of: {path}, where: […]}}”"
            )
        raise ValueError(_unknown(catalog, end.table, last, path))
    return Column(
        table=table,
        hops=end.hops,
        name=last,
        type=found.type,
        fact=found if isinstance(found, FactSpec) else None,
        references=None if isinstance(found, FactSpec) else found.references,
    )


def record(catalog: Catalog, table: str, path: str) -> Destination:
    """The one record that a path of references leads to.

    Raises:
        ValueError: the path leads nowhere, or not to a record.
    """
    return _follow(catalog, table, path.split("."), path)


def collection(catalog: Catalog, table: str, path: str) -> Collection:
    """The related records that a path leads to, all of them.

    Raises:
        ValueError: the path leads nowhere, or not to several records.
    """
    *names, last = path.split(".")
    end = _follow(catalog, table, names, path)
    relation = catalog.relation(end.table, last)
    if relation is None or not relation.many:
        many = [r.name for r in catalog.relations(end.table) if r.many]
        raise ValueError(
            f"“{path}” does not lead from {_named(end.table)} to related records"
            f"{nearest(last, many)}"
        )
    return Collection(table=table, hops=end.hops, relation=relation)


def _follow(catalog: Catalog, table: str, names: list[str], path: str) -> Destination:
    hops: list[Relation] = []
    for name in names:
        if len(hops) == MOST_HOPS:
            raise ValueError(f"“{path}” follows more than {MOST_HOPS} references")
        relation = catalog.relation(table, name)
        if relation is None:
            if catalog.column(table, name) is not None:
                inside = f" in “{path}”" if name != path else ""
                raise ValueError(
                    f"“{name}”{inside} is a value of {_named(table)}, and leads to no record"
                )
            references = [r.name for r in _references(catalog, table)]
            further = _further(catalog, table, name, catalog.relation)
            hint = further or nearest(name, references)
            raise ValueError(f"{_named(table)} has no reference “{name}”{hint}")
        if relation.many:
            raise ValueError(
                f"“{name}” in “{path}” are several records; ask about them with "
                f"“some: {{of: {name}, where: […]}}” and its like"
            )
        hops.append(relation)
        table = relation.target
    return Destination(hops=tuple(hops), table=table)


def _unknown(catalog: Catalog, table: str, name: str, path: str) -> str:
    further = _further(catalog, table, name, catalog.column)
    hint = further or nearest(name, catalog.names(table))
    inside = f" (in “{path}”)" if path != name else ""
    return f"{_named(table)} has no field or fact “{name}”{inside}{hint}"


def _further(catalog: Catalog, table: str, name: str, find: Callable[[str, str], object]) -> str:
    """A hint for what is not there, but at one of the records that are referred to."""
    ways = [r.name for r in _references(catalog, table) if find(r.target, name) is not None]
    return f"; did you mean “{ways[0]}.{name}”?" if len(ways) == 1 else ""


def _references(catalog: Catalog, table: str) -> list[Relation]:
    return [relation for relation in catalog.relations(table) if not relation.many]


def _named(table: str) -> str:
    return f"an {table}" if table[0] in "aeio" else f"a {table}"


def leads_to(catalog: Catalog, table: str, path: str, target: str) -> str | None:
    """None where the path leads to one record of the target table, else why it does not."""
    try:
        end = record(catalog, table, path)
    except ValueError as error:
        return str(error)
    if end.table != target:
        return f"“{path}” leads to {_named(end.table)}, and {_named(target)} is needed here"
    return None
