"""Whom the clock has touched between two instants, in a query that is compiled once.

What the clock has swept over is given to the query when it runs, a range for each end of a test:
as variables for the company's zone, and for records that live in several zones as a row for each
of the others in a table ``swept``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import ibis
import pyarrow as pa

from crmsync.model.records import Given
from crmsync.model.tables import FieldType
from crmsync.rules.evaluation.world import wanted
from crmsync.rules.turning.backward import backward
from crmsync.rules.turning.sweeps import Sweep, swept
from crmsync.warehouse.types import DATA_TYPES, INSTANT
from crmsync.warehouse.variables import given_table, variable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from crmsync.rules.conditions import Test
    from crmsync.rules.evaluation.calendar import Bound, Calendar
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.turning.turning import Turning, Watch

_SWEPT = "swept"
_ZONE = "swept_zone"
_CAME = "came"


def touched(turning: Turning) -> set[str]:
    """The ids of whoever may turn in the time that is looked at; perhaps some others too."""
    groups = _groups(turning)
    if not groups:
        return set()
    world = turning.world
    text = repr([group.key for group in groups])
    key = f"touched {turning.table} {hashlib.sha256(text.encode()).hexdigest()}"

    def build() -> ir.Table:
        found = [group.rows(world, turning.table) for group in groups]
        return ibis.union(*found, distinct=True) if len(found) > 1 else found[0].distinct()

    found = world.query(world.compiled(key, build), _given(world, groups))
    return set(found["id"].to_pylist())


def times_met(
    turning: Turning, ids: Collection[str] | None
) -> Iterator[tuple[Sequence[Watch], Sequence[Mapping[str, Any]]]]:
    """The times that the clock meets, of some subjects or of all; and perhaps some others.

    Returns:
        For watches of the same times, rows of ``id``, ``zone`` (None for the company's), and the
        time itself, ``at`` or ``day``.
    """
    groups = [group for group in _groups(turning) if not group.watch.at_any_time]
    if not groups:
        return
    world = turning.world
    some = "" if ids is None else "some "
    text = repr([group.key for group in groups])
    key = f"times of {some}{turning.table} {hashlib.sha256(text.encode()).hexdigest()}"

    def build() -> ir.Table:
        found = [group.times(world, turning.table, some=ids is not None) for group in groups]
        return ibis.union(*found, distinct=True) if len(found) > 1 else found[0].distinct()

    given = _given(world, groups)
    if ids is not None:
        given |= world.ids(ids)
    rows: dict[int, list[Mapping[str, Any]]] = {}
    for row in world.query(world.compiled(key, build), given).to_pylist():
        rows.setdefault(row["number"], []).append(row)
    for group in groups:
        if group.number in rows:
            yield group.watches, rows[group.number]


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Watches of the same times: each time is looked up once.

    Attributes:
        here: what is swept in the company's zone, by name.
        there: the same in others, where the records are judged by their own.
    """

    number: int
    watches: tuple[Watch, ...]
    here: Mapping[str, Sweep]
    there: Mapping[str, Mapping[str, Sweep]]

    @property
    def watch(self) -> Watch:
        """One of them: they differ in their tests and clauses only."""
        return self.watches[0]

    @property
    def key(self) -> tuple[object, ...]:
        """Says what its rows are, but for the ends of what is swept."""
        watch = self.watch
        sides = [(name, sweep.leaves) for name, sweep in self.here.items()]
        return watch.source, watch.path, watch.kind, watch.zone_at, sides, bool(self.there)

    @property
    def ranges(self) -> dict[str, tuple[Bound, Bound]]:
        """The least of the begins and the greatest of the ends, in whatever zone."""
        found = {}
        for name, here in self.here.items():
            all_of_them = (here, *(swept_there[name] for swept_there in self.there.values()))
            moved = [sweep for sweep in all_of_them if sweep.low != sweep.high]
            lows, highs = zip(*((s.low, s.high) for s in moved or [here]), strict=True)
            found[name] = min(lows), max(highs)
        return found

    def called(self, name: str, side: str) -> str:
        """What an end of a range is called in what the query is given."""
        return f"swept {self.number} {name} {side}"

    def rows(self, world: World, table: str) -> ir.Table:
        """One column, ``id``; repeated where several ways lead there."""
        return self._rows(world, table, drop=("value", "zone")).select("id")

    def times(self, world: World, table: str, *, some: bool) -> ir.Table:
        """Columns ``number``, ``id``, ``zone``, ``at`` and ``day``; of those wanted, or all."""
        rows = self._rows(world, table, drop=())
        if some:
            rows = rows.semi_join(wanted(), "id")
        is_day = self.watch.kind is FieldType.DATE
        return rows.select(
            number=ibis.literal(self.number, "int32"),
            id=rows.id,
            zone=rows.zone if "zone" in rows.columns else ibis.null("string"),
            at=ibis.null(INSTANT) if is_day else rows.value.cast(INSTANT),
            day=rows.value if is_day else ibis.null("date"),
        )

    def _rows(self, world: World, table: str, *, drop: tuple[str, ...]) -> ir.Table:
        """Column ``id``, and ``value`` and ``zone`` where they are not dropped on the way."""
        watch = self.watch
        values = watch.values()
        if watch.at_any_time or watch.of_all is not None:
            return backward(world.table, watch.path, _without(values, drop))
        met = values.filter(self._met(values.value, "all"))
        at = watch.zone_at
        zones = None
        if self.there and at is not None:
            zones = world.zones_of(watch.path[at - 1].target if at else table)
        if zones is None or at is None:
            return backward(world.table, watch.path, _without(met, drop))
        near, far = watch.path[:at], watch.path[at:]
        met = backward(world.table, far, met)
        met = met.join(zones.rename({"zone_id": "id"}), [("id", "zone_id")]).drop("zone_id")
        met = met.left_join(given_table(_SWEPT, self._columns), [("zone", _ZONE)])
        met = met.filter(self._met(met.value, "own", met))
        return backward(world.table, near, _without(met, (*drop, *self._columns)))

    @property
    def _columns(self) -> dict[str, str]:
        kind = str(DATA_TYPES[self.watch.kind])
        ends = [self.called(name, side) for name in self.here for side in ("low", "high")]
        return {_ZONE: "string", **dict.fromkeys(ends, kind)}

    def _met(self, value: ir.Value, of: str, rows: ir.Table | None = None) -> ir.BooleanValue:
        def end(name: str, side: str) -> ir.Value:
            at = variable(self.called(name, f"{of} {side}"), DATA_TYPES[self.watch.kind])
            return at if rows is None else rows[self.called(name, side)].fill_null(at)

        ranges = []
        for name, sweep in self.here.items():
            low, high = end(name, "low"), end(name, "high")
            if sweep.leaves:
                ranges.append((value >= low) & (value < high))
            else:
                ranges.append((value > low) & (value <= high))
        return reduce(or_, ranges)


def _without(rows: ir.Table, names: Sequence[str]) -> ir.Table:
    there = [name for name in names if name in rows.columns]
    return rows.drop(*there) if there else rows


def _groups(turning: Turning) -> list[_Group]:
    found: dict[object, list[Watch]] = {}
    for watch in turning.watches:
        found.setdefault((watch.times, watch.test is None), []).append(watch)
    world = turning.world
    groups: list[_Group] = []
    for watches in found.values():
        watch = watches[0]
        tests = dict.fromkeys(one.test for one in watches if one.test is not None)
        here = _swept(watch, list(tests), world.company, turning.until)
        there = {}
        if watch.zone_at is not None:
            there = {
                zone: _swept(watch, list(tests), calendar, turning.until)
                for zone, calendar in world.calendars.items()
            }
        if here or watch.at_any_time or watch.of_all is not None:
            group = _Group(number=len(groups), watches=tuple(watches), here=here, there=there)
            groups.append(group)
    return groups


def _swept(
    watch: Watch, tests: Sequence[Test], start: Calendar, until: datetime
) -> dict[str, Sweep]:
    """What is swept of the values of a watch and of others of the same times, by name."""
    if watch.at_any_time or watch.of_all is not None:
        return {}
    if tests:
        return {
            f"{number} {name}": sweep
            for number, test in enumerate(tests)
            for name, sweep in swept(test, watch.kind, start, until).items()
        }
    if watch.kind is FieldType.INSTANT:
        return {_CAME: Sweep(low=start.now, high=until, leaves=False)}
    first, last = start.today, replace(start, now=until).today
    if watch.daily and first != last:
        first = date.min + timedelta(days=1)
    return {_CAME: Sweep(low=first, high=last, leaves=False)}


def _given(world: World, groups: Sequence[_Group]) -> Given:
    values: dict[str, date | datetime] = {}
    columns: dict[str, pa.Array] = {}
    for group in groups:
        kind = DATA_TYPES[group.watch.kind].to_pyarrow()
        for name, ends in group.ranges.items():
            here = group.here[name]
            for side, widest in zip(("low", "high"), ends, strict=True):
                values[group.called(name, f"all {side}")] = widest
                values[group.called(name, f"own {side}")] = getattr(here, side)
                if group.there:
                    rows = [getattr(there[name], side) for there in group.there.values()]
                    columns[group.called(name, side)] = pa.array(rows, kind)
    if not columns:
        return Given(values=values)
    zones = pa.array(list(world.calendars), pa.string())
    kept = world.source.keep(pa.table({_ZONE: zones, **columns}))
    return Given(values=values, tables={_SWEPT: kept})
