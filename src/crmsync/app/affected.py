"""Whom changed records may concern: walked back from them along the paths that rules look along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.rules.evaluation.world import wanted
from crmsync.rules.incremental.dependence import dependence
from crmsync.rules.turning.backward import is_linked
from crmsync.warehouse.associations import ACTIVITY, LINKED_TABLES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import ibis.expr.types as ir

    from crmsync.model.catalog import Relation
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.language import Rule
    from crmsync.rules.turning.backward import Path
    from crmsync.warehouse.changes import Changes
    from crmsync.warehouse.reader import Records

_LINK = "activity_link"
_ACCOUNT = "account"


class Affected:
    """Answers, for a table and rules about it, whom changes may concern; None for everybody.

    What a record referred to before counts like what it refers to now; so does what a record
    refers to that was deleted.
    """

    def __init__(self, records: Records, world: World, changes: Changes) -> None:
        self._records = records
        self._world = world
        self._changes = changes

    def __call__(self, table: str, rules: Sequence[Rule]) -> Collection[str] | None:
        """The global ids of the records of a table that changes may concern."""
        found = dependence(rules, self._world)
        tables = {path[-1].target if path else table for path in found.paths}
        if any(is_linked(path[-1]) for path in found.paths if path):
            tables.add(_LINK)
        changed = self._changes.whole | self._changes.records.keys()
        if found.undeclared and changed:
            return None
        if tables & self._changes.whole:
            return None
        concerned: dict[Path, set[str]] = {}
        for path in sorted(found.paths, key=len, reverse=True):
            if path:
                near = concerned.setdefault(path[:-1], set())
                near |= self._back(path[-1], concerned.get(path, set()))
        return concerned.get((), set()) | self._changes.records.get(table, set())

    def _back(self, relation: Relation, far: set[str]) -> set[str]:
        """The near records of changed far ones, and of others at the far end."""
        changed = self._changes.records.get(relation.target, set())
        if is_linked(relation):
            return self._linked(relation.column, far | changed)
        if not relation.many:
            return self._values(relation.source, "id", relation.column, far | changed)
        near = self._values(relation.target, relation.column, "id", far | changed)
        return near | self._changes.left.get((relation.target, relation.column), set())

    def _linked(self, column: str, activities: set[str]) -> set[str]:
        """Those to whom activities belong, or did before, by themselves or by a link."""
        links = set(self._changes.records.get(_LINK, set()))
        links |= self._values(_LINK, "id", ACTIVITY, activities)
        found: dict[str, set[str]] = {}
        for name in LINKED_TABLES if column == _ACCOUNT else (column,):
            found[name] = (
                self._values(ACTIVITY, name, "id", activities)
                | self._values(_LINK, name, "id", links)
                | self._changes.left.get((ACTIVITY, name), set())
                | self._changes.left.get((_LINK, name), set())
            )
        if column != _ACCOUNT:
            return found[column]
        for between in ("contact", "deal"):
            found[_ACCOUNT] |= self._values(between, _ACCOUNT, "id", found[between])
        return found[_ACCOUNT]

    def _values(self, table: str, wanted_column: str, by: str, ids: set[str]) -> set[str]:
        """The values of one column where another is among these; deleted records included."""
        if not ids:
            return set()

        def build() -> ir.Table:
            rows = self._records.all_records(table)
            rows = rows.semi_join(wanted(), [(by, "id")])
            return rows.filter(rows[wanted_column].notnull()).select(value=wanted_column).distinct()

        query = self._records.compiled(f"affected {table} {wanted_column} {by}", build)
        found = self._records.query(query, self._world.ids(ids))
        return set(found["value"].to_pylist())
