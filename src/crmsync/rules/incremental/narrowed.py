"""The records that rules look at for some subjects, in small tables of their own.

From the subjects along every path that the rules look along, each step is one search of a table.
What is evaluated over these records says of the subjects what it says over all records, and reads
no others. Of other records that are among them it may not: theirs are not complete.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from crmsync.model.records import NOTHING, Given
from crmsync.rules.evaluation.candidates import candidates
from crmsync.rules.evaluation.evaluate import once_per
from crmsync.rules.evaluation.world import WANTED, wanted
from crmsync.rules.incremental.dependence import ID, LINK, dependence
from crmsync.rules.turning.backward import is_linked
from crmsync.warehouse.associations import ACTIVITY, indirect_of
from crmsync.warehouse.variables import given_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import ibis.expr.types as ir
    import pyarrow as pa

    from crmsync.model.catalog import Relation
    from crmsync.model.records import Answers, Compiled, Kept, RecordSource, StreamState
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.incremental.dependence import Dependence
    from crmsync.rules.language import Rule
    from crmsync.rules.turning.backward import Path

_PAIRS = {"activity": "string", "record": "string"}


@dataclass(frozen=True, kw_only=True)
class Few:
    """Some subjects, and all that rules about them read.

    Attributes:
        world: has no more records than these; of others it may say something else.
        chosen: gives queries the ids of those that the rules do not rule out by their own fields.
        carried: and those fields.
    """

    world: World
    chosen: Given
    carried: bool


def narrowed(world: World, rules: Sequence[Rule], table: str, ids: Iterable[str]) -> Few:
    """The same world with no more records than rules about a table read for some subjects.

    Where a fact does not say what it depends on, it is the world itself.
    """
    given = world.ids(ids)
    found = dependence(rules, world, at_present=True)
    if found.undeclared:
        return Few(world=world, chosen=given, carried=False)
    search = _Search(world, found, table)
    subjects = world.at(world.now, search.only_subjects(given), zones=world.zones)
    chosen = candidates(subjects, rules, table, once_per(rules))
    source = search.records(None if chosen is None else chosen.tables[WANTED])
    return Few(
        world=world.at(world.now, source, zones=world.zones),
        chosen=given if chosen is None else chosen,
        carried=chosen is not None,
    )


class Narrowed:
    """A `RecordSource` in which some tables hold but a few of another source's records.

    Args:
        tables: by name, the records and the fields that are there of them.
    """

    def __init__(
        self, source: RecordSource, tables: Mapping[str, tuple[Kept, tuple[str, ...]]]
    ) -> None:
        self._source = source
        self._fields = {name: fields for name, (_, fields) in tables.items()}
        self._given = Given(tables={_called(name): kept for name, (kept, _) in tables.items()})
        self._indirect: dict[str, Kept | None] = {}

    @property
    def shape(self) -> str:
        """Differs where other fields are there."""
        fields = hashlib.sha256(repr(sorted(self._fields.items())).encode()).hexdigest()[:16]
        return f"narrowed {fields} {self._source.shape}"

    def table(self, name: str) -> ir.Table:
        """The records of a table."""
        records = self._source.table(name)
        if name not in self._fields:
            return records
        schema = records.schema()
        return given_table(_called(name), {field: schema[field] for field in self._fields[name]})

    def is_filled(self, table: str, field: str) -> bool:
        """Whether it is known that there are no empty ones, among all records."""
        return self._source.is_filled(table, field)

    def has_indirect(self, table: str) -> bool:
        """Whether there are any, as in `RecordSource`; looked for once."""
        if not self._source.has_indirect(table):
            return False
        if table not in self._indirect:
            pairs = self.compiled(f"indirect {table}", lambda: indirect_of(table, self.table))
            kept = self.keep(pairs)
            given = Given(tables={_pairs(table): kept})
            counted = self.compiled(
                f"indirect pairs {table}", lambda: self.indirect(table).limit(1)
            )
            self._indirect[table] = kept if self.query(counted, given).num_rows else None
        return self._indirect[table] is not None

    def indirect(self, table: str) -> ir.Table:
        """Columns ``activity`` and ``record``, as in `RecordSource`; given to every query."""
        return given_table(_pairs(table), _PAIRS)

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field of these records, as in `RecordSource`."""
        return self._of_these(table, self._source.changes(table, field))

    def known_since(self, table: str, field: str) -> ir.Table:
        """How far back these records are known, as in `RecordSource`."""
        return self._of_these(table, self._source.known_since(table, field))

    def _of_these(self, table: str, rows: ir.Table) -> ir.Table:
        return rows.semi_join(self.table(table).select("id"), "id")

    def compiled(self, key: str, build: Callable[[], ir.Table | Answers]) -> Compiled:
        """The text of a query; ``build`` is called where nobody has asked with this key before."""
        return self._source.compiled(f"{self.shape} {key}", build)

    def query(self, query: ir.Table | Compiled, given: Given = NOTHING) -> pa.Table:
        """The rows of a query over these tables."""
        return self._source.query(query, self._all_given | given)

    def keep(self, rows: ir.Table | Compiled | pa.Table, given: Given = NOTHING) -> Kept:
        """The rows of a query, or rows at hand, as a table that queries can be given."""
        return self._source.keep(rows, self._all_given | given)

    @property
    def _all_given(self) -> Given:
        pairs = {_pairs(name): kept for name, kept in self._indirect.items() if kept}
        return self._given | Given(tables=pairs)

    def stream_states(self) -> Sequence[StreamState]:
        """One for each stream of the config, also those that were never read."""
        return self._source.stream_states()


class _Search:
    """Searches the records that paths lead to."""

    def __init__(self, world: World, found: Dependence, table: str) -> None:
        self._world = world
        self._source = world.source
        self._table = table
        self._paths = sorted(found.paths, key=lambda path: (len(path), _is_linked(path)))
        self._fields = _fields(found, self._target)
        self._reached: dict[Path, Kept] = {}

    def only_subjects(self, given: Given) -> Narrowed:
        """Nothing but the subjects whose ids are given."""
        query = self._compiled(
            ("subjects", self._table), lambda: self._all(self._table).semi_join(wanted(), "id")
        )
        self._reached[()] = self._source.keep(query, given)
        tables = {self._table: (self._reached[()], self._fields[self._table])}
        return Narrowed(self._source, tables)

    def records(self, chosen: Kept | None) -> Narrowed:
        """All that is read for those of them that are chosen; None for all of them."""
        near: dict[Path, Kept] = {(): chosen or self._reached[()]}
        for path in self._paths[1:]:
            self._reached[path] = near[path] = self._kept(path, near[path[:-1]])
        by_table: dict[str, list[Path]] = {}
        for path in self._paths:
            by_table.setdefault(self._target(path), []).append(path)
        tables = {name: self._together(name, paths) for name, paths in by_table.items()}
        if ACTIVITY in tables and LINK in self._fields:
            tables[LINK] = self._links(tables[ACTIVITY], tables.get(LINK))
        return Narrowed(
            self._source, {name: (kept, self._fields[name]) for name, kept in tables.items()}
        )

    def _target(self, path: Path) -> str:
        return path[-1].target if path else self._table

    def _kept(self, path: Path, near: Kept) -> Kept:
        """The records at the end of a path."""
        linked = _is_linked(path)
        indirect = self._world.indirect(path[-1].column) if linked else None

        def build() -> ir.Table:
            return self._linked(path[-1], indirect) if linked else self._one_step(path[-1])

        query = self._compiled(("reached", path[-1], indirect is None), build)
        return self._source.keep(query, Given(tables={"near": near}))

    def _one_step(self, relation: Relation) -> ir.Table:
        near, far = self._given("near", relation.source), self._all(relation.target)
        if relation.many:
            return far.semi_join(near, [(relation.column, "id")])
        return far.semi_join(near, [("id", relation.column)])

    def _linked(self, relation: Relation, indirect: ir.Table | None) -> ir.Table:
        """Activities by their reference, and those that are reached otherwise."""
        near, activity = self._given("near", relation.source), self._all(ACTIVITY)
        own = [(relation.column, "id")]
        direct = activity.semi_join(near, own)
        if indirect is None:
            return direct
        linked = indirect.semi_join(near, [("record", "id")]).select(linked="activity")
        # Apart, so that none stands there twice: to find that out of whole rows takes long.
        others = activity.semi_join(linked, [("id", "linked")]).anti_join(near, own)
        return direct.union(others)

    def _together(self, name: str, paths: Sequence[Path]) -> Kept:
        """The records of a table that any of the paths leads to, each once."""
        if len(paths) == 1:
            return self._reached[paths[0]]
        given = {f"part {i}": self._reached[path] for i, path in enumerate(paths)}

        def build() -> ir.Table:
            return ibis.union(*(self._given(part, name) for part in given), distinct=True)

        query = self._compiled(("together", name, len(paths)), build)
        return self._source.keep(query, Given(tables=given))

    def _links(self, activities: Kept, others: Kept | None) -> Kept:
        """The links of these activities."""
        given = {"near": activities} | ({"others": others} if others is not None else {})

        def build() -> ir.Table:
            near = self._given("near", ACTIVITY)
            found = self._all(LINK).semi_join(near, [("activity", "id")])
            if others is None:
                return found
            return found.union(self._given("others", LINK), distinct=True)

        query = self._compiled(("links", others is None), build)
        return self._source.keep(query, Given(tables=given))

    def _compiled(self, key: tuple[object, ...], build: Callable[[], ir.Table]) -> Compiled:
        text = repr((key, sorted(self._fields.items())))
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self._world.compiled(f"narrowed {digest}", build)

    def _all(self, name: str) -> ir.Table:
        return self._world.table(name).select(*self._fields[name])

    def _given(self, called: str, name: str) -> ir.Table:
        schema = self._world.table(name).schema()
        return given_table(called, {field: schema[field] for field in self._fields[name]})


def _fields(found: Dependence, target: Callable[[Path], str]) -> dict[str, tuple[str, ...]]:
    """The fields of each table; ids also where several ways lead to its records."""
    ways = Counter(target(path) for path in found.paths)
    return {
        name: tuple(sorted(fields | {ID} if ways[name] > 1 else fields))
        for name, fields in found.fields.items()
    }


def _is_linked(path: Path) -> bool:
    return bool(path) and is_linked(path[-1])


def _called(name: str) -> str:
    return f"narrowed {name}"


def _pairs(table: str) -> str:
    return f"narrowed indirect activities of {table}"
