"""The same customer in two systems: to readers, one of the records stands for all of them.

What each system gave is kept as it came. Only readers see it joined: the other records look as if
they had been merged into the first, and what refers to them refers to it. So nothing need be taken
apart when a pair turns out to be none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import sqlglot.expressions as sge

from crmsync.model.tables import split_global_id
from crmsync.warehouse.changes import read_mark
from crmsync.warehouse.database import BOOKS, RECORDS, equals, named
from crmsync.warehouse.schema import TWIN, TWIN_STATE
from crmsync.warehouse.types import KNOWN_SINCE, record_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.tables import Table
    from crmsync.warehouse.changes import ChangeLog
    from crmsync.warehouse.database import Database

    # By table, the id of a record and that of the one which stands for it.
    Pairs = Mapping[str, Mapping[str, str]]

TWINNED = ("account", "contact", "user")
# What holds for a customer, whichever of the systems says it.
_MARKS = ("do_not_contact", "unsubscribed", "bounced")
_ROW, _OWN, _SAID = "r", "own", "said"


@dataclass(frozen=True, kw_only=True)
class TwinState:
    """What was found when records were last held against each other.

    Attributes:
        number: of the write until which changes were looked at; None where none ever were.
        doubts: what may be the same customer, and what not: a sentence each, for a person.
    """

    number: int | None = None
    doubts: tuple[str, ...] = ()


class Twins:
    """The pairs of an open file."""

    def __init__(self, database: Database, tables: Mapping[str, Table]) -> None:
        self._database = database
        self._tables = tables
        self._seen: set[str] = set()

    @cached_property
    def pairs(self) -> dict[str, dict[str, str]]:
        """By table, the records for which another one stands, each with that one."""
        columns = ("table_name", "id", "primary_id")
        found: dict[str, dict[str, str]] = {}
        rows = self._database.fetch(sge.select(*columns).from_(named(TWIN, BOOKS)))
        for table, own, primary in zip(*rows.to_pydict().values(), strict=True):
            found.setdefault(table, {})[own] = primary
        return found

    @cached_property
    def groups(self) -> dict[str, dict[str, dict[str, str]]]:
        """By table and first record, the id that the same customer has in each connection."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for table, pairs in self.pairs.items():
            groups = found.setdefault(table, {})
            for own, primary in pairs.items():
                group = groups.setdefault(primary, {split_global_id(primary)[0]: primary})
                group[split_global_id(own)[0]] = own
        return found

    @cached_property
    def together(self) -> dict[str, frozenset[str]]:
        """By connection, those with which it has customers in common, itself included."""
        found: dict[str, set[str]] = {}
        for table in ("account", "contact"):
            for group in self.groups.get(table, {}).values():
                for connection in group:
                    found.setdefault(connection, set()).update(group)
        return {connection: frozenset(others) for connection, others in found.items()}

    def touches(self, table: str) -> bool:
        """Whether readers see the records of a table otherwise than they are kept."""
        if not self.pairs:
            return False
        references = {field.references for field in self._tables[table].fields}
        return bool(self.pairs.keys() & {table, *references})

    def prepare(self) -> None:
        """Make all views: the text of a query may be older than this opening, and name them."""
        for table in self._tables if self.pairs else ():
            self.seen(table)

    def seen(self, table: str) -> sge.Table:
        """The records of a table as readers see them, tombstones too."""
        if not self.touches(table):
            return named(table, RECORDS)
        name = f"{table} as seen"
        if name not in self._seen:
            self._database.view(name, self._select(self._tables[table]))
            self._seen.add(name)
        return named(name)

    def _select(self, table: Table) -> sge.Select:
        values: dict[str, sge.Expression] = {
            name: sge.column(name, _ROW, quoted=True) for name in record_columns(table)
        }
        select = sge.select().from_(sge.alias_(named(table.name, RECORDS), _ROW, table=True))
        for number, field in enumerate(table.fields):
            if field.references in self.pairs:
                far, own = f"far{number}", values[field.name]
                select = _with_twin(select, far, str(field.references), own)
                primary = sge.column("primary_id", far)
                values[field.name] = sge.Coalesce(this=primary, expressions=[own.copy()])
        if table.name in self.pairs:
            select = self._with_group(select, table, values)
        return select.select(
            *(sge.alias_(value, name, quoted=True) for name, value in values.items())
        )

    def _with_group(
        self, select: sge.Select, table: Table, values: dict[str, sge.Expression]
    ) -> sge.Select:
        """Those that another stands for are gone; what one of them is marked with, it is, too."""
        select = _with_twin(select, _OWN, table.name, sge.column("id", _ROW))
        since = [values[KNOWN_SINCE].copy(), _long_ago()]
        gone = sge.Coalesce(this=values["deleted_at"].copy(), expressions=since)
        stood_for = sge.column("id", _OWN).is_(sge.null()).not_()
        values["deleted_at"] = sge.case().when(stood_for, gone).else_(values["deleted_at"].copy())
        marks = [name for name in _MARKS if table.field(name) is not None]
        if not marks:
            return select
        pairs, others = "p", "o"
        said = (
            sge.select(sge.column("primary_id", pairs))
            .select(
                *(sge.alias_(sge.func("bool_or", sge.column(name, others)), name) for name in marks)
            )
            .from_(sge.alias_(named(TWIN, BOOKS), pairs, table=True))
            .join(
                sge.alias_(named(table.name, RECORDS), others, table=True),
                on=sge.and_(
                    sge.column("id", pairs).eq(sge.column("id", others)),
                    sge.column("table_name", pairs).eq(sge.Literal.string(table.name)),
                    sge.column("deleted_at", others).is_(sge.null()),
                ),
            )
            .group_by(sge.column("primary_id", pairs))
        )
        for name in marks:
            yes = sge.Coalesce(this=sge.column(name, _SAID), expressions=[sge.false()])
            values[name] = sge.case().when(yes, sge.true()).else_(values[name].copy())
        on = sge.column("primary_id", _SAID).eq(sge.column("id", _ROW))
        return select.join(said.subquery(_SAID), on=on, join_type="left")


def _with_twin(select: sge.Select, alias: str, table: str, own: sge.Expression) -> sge.Select:
    on = sge.and_(
        sge.column("table_name", alias).eq(sge.Literal.string(table)),
        sge.column("id", alias).eq(own.copy()),
    )
    twin = sge.alias_(named(TWIN, BOOKS), alias, table=True)
    return select.join(twin, on=on, join_type="left")


def _long_ago() -> sge.Expression:
    return sge.cast(sge.Literal.string("1970-01-01 00:00:00+00"), "timestamptz")


def read_twin_state(database: Database) -> TwinState:
    """What was found when records were last held against each other."""
    rows = database.fetch(sge.select("number", "doubts").from_(named(TWIN_STATE, BOOKS)))
    for row in rows.to_pylist():
        return TwinState(number=row["number"], doubts=tuple(json.loads(row["doubts"])))
    return TwinState()


def write_twins(database: Database, log: ChangeLog, pairs: Pairs, state: TwinState) -> None:
    """Keep other pairs, within a transaction; whom that concerns counts as changed."""
    before, number = Twins(database, {}).pairs, state.number
    mark = read_mark(database)
    alone = mark is not None and mark.number == number  # nobody has written since they were read
    for table in TWINNED:
        now, then = pairs.get(table, {}), before.get(table, {})
        if now == then:
            continue
        moved = {own for own in now.keys() | then.keys() if now.get(own) != then.get(own)}
        moved |= {side[own] for own in tuple(moved) for side in (now, then) if own in side}
        log.note(table, pa.chunked_array([pa.array(sorted(moved), pa.string())]))
        database.delete(TWIN, BOOKS, equals(table_name=table))
        rows = {
            "table_name": pa.repeat(table, len(now)),
            "id": pa.array(now.keys(), pa.string()),
            "primary_id": pa.array(now.values(), pa.string()),
        }
        database.insert(TWIN, BOOKS, pa.table(rows))
    mark = read_mark(database)
    if alone and mark is not None:
        number = mark.number  # what is noted above need not be looked at
    database.delete(TWIN_STATE, BOOKS, sge.true())
    row: dict[str, str | None] = {
        "number": None if number is None else str(number),
        "doubts": json.dumps(state.doubts, ensure_ascii=False),
    }
    database.insert_texts(TWIN_STATE, BOOKS, [row])


def with_first(changed: dict[str, set[str]], pairs: Pairs) -> None:
    """Who stands for a record that has changed may read otherwise, too."""
    for table, ids in changed.items():
        firsts = pairs.get(table, {})
        ids.update({firsts[own] for own in ids & firsts.keys()})
