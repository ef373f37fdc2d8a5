"""What a rule can name: tables, their fields, the facts about them, and the ways between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crmsync.model.tables import Field, FieldType, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.actions import CustomKind


@dataclass(frozen=True, kw_only=True)
class FactSpec:
    """A derived column of a table.

    Attributes:
        rests_on: tables it is computed from; while one of them is stale, incomplete or unread
            for the subject's connection, the fact is unknown.
        default: its value where the related records hold nothing (0 for counts);
            None means *never* (times) or empty.
        is_state: of a time, whether it tells since when something is so, as since when a ticket
            is open; where it is not so, that is no age, while *never* is older than any.
    """

    name: str
    table: str
    type: FieldType
    description: str
    rests_on: tuple[str, ...] = ()
    default: int | None = None
    is_state: bool = False


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A way from one table to another.

    Attributes:
        column: for many-to-one, the reference on the near table; for one-to-many,
            the reference on the far table that points back.
        many: whether there can be several records at the far end.
    """

    name: str
    source: str
    target: str
    column: str
    many: bool


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All tables of an installation, custom fields included, and all installed facts.

    Attributes:
        kinds: the kinds of action that connectors add, by name, and by the connection that does it.
    """

    tables: Mapping[str, Table]
    facts: tuple[FactSpec, ...] = ()
    kinds: Mapping[str, Mapping[str, CustomKind]] = field(default_factory=dict)
    _relations: dict[tuple[str, str], Relation] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for table in self.tables.values():
            for reference in table.fields:
                if reference.type is not FieldType.REFERENCE or reference.references is None:
                    continue
                self._relations[table.name, reference.name] = Relation(
                    name=reference.name,
                    source=table.name,
                    target=reference.references,
                    column=reference.name,
                    many=False,
                )
                # A way back is named by the far table; where two references lead to the
                # same table, the one called like that table is meant.
                back = (reference.references, table.plural)
                if back not in self._relations or reference.name == reference.references:
                    self._relations[back] = Relation(
                        name=table.plural,
                        source=reference.references,
                        target=table.name,
                        column=reference.name,
                        many=True,
                    )

    def relation(self, table: str, name: str) -> Relation | None:
        """The relation of that name from that table."""
        return self._relations.get((table, name))

    def relations(self, table: str) -> tuple[Relation, ...]:
        """All relations from a table."""
        return tuple(r for (source, _), r in self._relations.items() if source == table)

    def fact(self, table: str, name: str) -> FactSpec | None:
        """The fact of that name about that table."""
        return next((f for f in self.facts if f.table == table and f.name == name), None)

    def column(self, table: str, name: str) -> Field | FactSpec | None:
        """The field or fact of that name; a field wins."""
        return self.tables[table].field(name) or self.fact(table, name)

    def is_tracked(self, table: str, name: str) -> bool:
        """Whether the changes of a field are kept."""
        found = self.tables[table].field(name)
        return found is not None and found.tracked

    def tracked(self, table: str) -> tuple[str, ...]:
        """The fields of a table whose changes are kept."""
        return tuple(field.name for field in self.tables[table].fields if field.tracked)

    def names(self, table: str) -> tuple[str, ...]:
        """Every field, fact and relation that can be named on a table."""
        return (
            *(f.name for f in self.tables[table].fields),
            *(f.name for f in self.facts if f.table == table),
            *(r.name for r in self.relations(table) if r.many),
        )
