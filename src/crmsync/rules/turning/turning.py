"""When will it turn? Whom the passing of time may concern, if no record changes.

From the tree of conditions follow *watches*: times in records (or made of them), and what it is
about the clock that meets them. Between two instants only records can turn whose times lie in
what the clock has swept over meanwhile, which is a range of a column for each zone, and those
from which a path leads to such a record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import ibis

from crmsync.model.tables import FieldType, natural_time
from crmsync.rules.conditions import (
    HISTORY,
    TIMES,
    Column,
    Comparison,
    Condition,
    Past,
    Quantifier,
    Related,
    Test,
    clauses,
)
from crmsync.rules.evaluation.counted import SINCE, UNTIL, day_tests
from crmsync.rules.turning.backward import references_of
from crmsync.rules.turning.sweeps import meetings, midnights
from crmsync.rules.turning.touched import times_met
from crmsync.warehouse.types import DATA_TYPES, INSTANT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import ibis.expr.types as ir

    from crmsync.model.catalog import FactSpec
    from crmsync.rules.evaluation.calendar import Bound, Calendar
    from crmsync.rules.evaluation.world import World
    from crmsync.rules.turning.backward import Path

_HOUR = timedelta(hours=1)
_OWN = frozenset({"own_day", "own_days", SINCE, UNTIL})  # dates in the record's own zone
_LONG_AGO = date(1970, 1, 1)
_MOST_MEETINGS = 400  # of one value within one span: a day's begin for more than a year


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Times, and what about the clock meets them.

    Attributes:
        clause: the number of the clause that it belongs to.
        path: from the subject to the records that ``values`` are about.
        zone_at: how many relations of the path lead to the record in whose zone it is judged;
            None where it is judged by the company's.
        test: what the times are held against; None where it is only whether they have come.
        values: columns ``id`` and ``value``, an instant or a day, and perhaps the references by
            which the path leads back.
        source: stands for ``values``; the same where they are.
        at_any_time: whether nobody says when the answer changes; the values are empty.
        daily: whether each day from the value on counts, not that day alone.
        of_all: the instant at which the clock meets all of them, whatever the values are.
    """

    clause: int
    path: Path
    kind: FieldType
    values: Callable[[], ir.Table]
    source: str
    zone_at: int | None = None
    test: Test | None = None
    at_any_time: bool = False
    daily: bool = False
    of_all: datetime | None = None

    @property
    def times(self) -> object:
        """The same for watches of the same times."""
        return self.source, self.path, self.kind, self.zone_at, self.daily

    def meetings(self, value: Bound | None, start: Calendar, until: datetime) -> Iterator[datetime]:
        """The instants at which the clock meets a value."""
        value = value if self.of_all is None else self.of_all
        if value is None:
            return
        if self.test is not None:
            yield from meetings(value, self.test, self.kind, start, until)
        elif self.kind is FieldType.DATE:
            for midnight in midnights(start, until):
                day = midnight.astimezone(start.zone).date()
                if day == value or (self.daily and day > value):
                    yield midnight
        elif isinstance(value, datetime) and start.now < value <= until:
            yield value


@dataclass(frozen=True, kw_only=True)
class Moment:
    """An instant at which a clause may turn for a subject.

    Attributes:
        daily: whether it is one of those at which a value changes day by day.
    """

    at: datetime
    subject: str
    clause: int
    daily: bool = False


def full_hours(start: datetime, until: datetime) -> Iterator[datetime]:
    """The full hours (UTC) after one instant and up to another."""
    hour = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while (hour := hour + _HOUR) <= until:
        yield hour


class Turning:
    """Whom the clock may concern between the world's present and a later instant.

    Args:
        asked: clauses about records of the table; those that they are made of are looked at too.
        columns: further values that are kept of the subjects, such as those of ``once_per``.
        fresh: the connections that could be trusted at first, by the tables that clauses rest on,
            where that is known from elsewhere; streams may have been read since.
    """

    def __init__(
        self,
        world: World,
        table: str,
        asked: Sequence[Comparison | Related],
        columns: Iterable[Column] = (),
        *,
        until: datetime,
        fresh: Mapping[tuple[str, ...], tuple[str, ...]] | None = None,
    ) -> None:
        self.world = world
        self.table = table
        self.until = until
        derived = _Watches(world, until, fresh)
        for number, clause in enumerate(asked):
            derived.clause(clause, number, ())
        for column in columns:
            derived.fact_of(column, len(asked), ())
        self.watches = tuple(derived.found)

    @property
    def at_any_time(self) -> frozenset[int]:
        """The numbers of clauses of which nobody says when they turn; there are no moments."""
        return frozenset(watch.clause for watch in self.watches if watch.at_any_time)

    def moments(self, ids: Collection[str] | None = None) -> list[Moment]:
        """When the other clauses may turn, in order; of some subjects, or of all."""
        found: set[Moment] = set()
        for watches, rows in times_met(self, ids):
            for row in rows:
                start = self.world.calendar(row["zone"]) if row["zone"] else self.world.company
                value = row["at"] if row["day"] is None else row["day"]
                for watch in watches:
                    for at in islice(watch.meetings(value, start, self.until), _MOST_MEETINGS):
                        found.add(
                            Moment(at=at, subject=row["id"], clause=watch.clause, daily=watch.daily)
                        )
        return sorted(found, key=lambda moment: (moment.at, moment.subject, moment.clause))


class _Watches:
    """Derives the watches of clauses."""

    def __init__(
        self,
        world: World,
        until: datetime,
        fresh: Mapping[tuple[str, ...], tuple[str, ...]] | None,
    ) -> None:
        self._world = world
        self._until = until
        self._fresh = fresh
        self.found: list[Watch] = []

    def _condition(self, condition: Condition, number: int, path: Path) -> None:
        for clause in clauses(condition):
            self.clause(clause, number, path)

    def clause(self, clause: Comparison | Related, number: int, path: Path) -> None:
        """The watches of a clause about the records at the end of a path."""
        if isinstance(clause, Related):
            self._related(clause, number, path)
            return
        self.fact_of(clause.column, number, path, clause.test)
        if clause.test.operator in HISTORY:
            self._past(clause.column, clause.test, number, path)
        elif isinstance(clause.test.operand, Column):
            self.fact_of(clause.test.operand, number, path)
        else:
            self._tested(clause.column, clause.test, number, path, len(path))

    def _tested(self, column: Column, test: Test, number: int, path: Path, zone_at: int) -> None:
        if column.type not in TIMES or isinstance(test.operand, bool):
            return
        self.found.append(
            Watch(
                clause=number,
                path=(*path, *column.hops),
                kind=column.type,
                values=lambda: self._values(column, (*path, *column.hops)),
                source=f"values of {column.owner}.{column.name}",
                zone_at=zone_at,
                test=test,
            )
        )

    def _past(self, column: Column, test: Test, number: int, path: Path) -> None:
        """Changes, and since when they are known, against the window or the instant that counts."""
        world, owner, at = self._world, column.owner, len(path)
        far = (*path, *column.hops)
        self._stale((owner,), owner, number, far)

        def changes() -> ir.Table:
            return world.changes(owner, column.name).select("id", value="at")

        def known(name: str) -> ir.Table:
            return world.known_since(owner, column.name).select("id", value=name)

        times = (changes, lambda: known("since"), lambda: known("created"))
        field = f"{owner}.{column.name}"
        watch = Watch(
            clause=number,
            path=far,
            kind=FieldType.INSTANT,
            values=changes,
            source=f"changes of {field}",
        )
        self.found.append(watch)
        self.found += [
            replace(watch, values=of, zone_at=at, test=test, source=f"past {i} of {field}")
            for i, of in enumerate(times)
        ]
        self._to_come(test, replace(watch, zone_at=at), owner)

    def _to_come(self, test: Test, watch: Watch, owner: str) -> None:
        """A time that is named is known once it has come."""
        at = test.operand.at if isinstance(test.operand, Past) else None
        if isinstance(at, datetime):
            # Without an offset, it is another instant in each zone.
            zones = (self._world.company, *self._world.calendars.values())
            times = {zone.bounds(test, FieldType.INSTANT).most for zone in zones}
            watch = replace(watch, zone_at=None)
        elif isinstance(at, date):
            times = {at}
            watch = replace(watch, kind=FieldType.DATE)
        else:
            return
        for time in filter(None, times):
            value = ibis.literal(time, DATA_TYPES[watch.kind])
            values = self._everybody(owner, value)
            self.found.append(replace(watch, values=values, source=f"{time} for {owner}"))

    def _everybody(self, table: str, value: ir.Value) -> Callable[[], ir.Table]:
        return lambda: self._world.table(table).select("id", value=value)

    def _values(self, column: Column, path: Path) -> ir.Table:
        if column.fact is None:
            records = self._world.table(column.owner)
            return records.select("id", *references_of(path), value=column.name)
        return self._world.fact_values(column.fact)

    def fact_of(self, column: Column, number: int, path: Path, test: Test | None = None) -> None:
        """The watches of a fact, where the column is one: when its value may change.

        Args:
            test: what it is held against, where no other change counts.
        """
        if column.fact is None:
            return
        path = (*path, *column.hops)
        self._stale(column.fact.rests_on, column.fact.table, number, path)
        turns = self._world.fact_turn_columns(column.fact)
        if turns is None:
            self._any_time(column.fact, number, path)
            return
        for i, columns in enumerate(turns):
            name = next(name for name in columns if name != "id")
            watch = Watch(
                clause=number,
                path=path,
                kind=FieldType.INSTANT if name == "at" else FieldType.DATE,
                values=partial(self._turns, column.fact, i, name),
                source=f"turns {i} of {column.owner}.{column.name}",
                zone_at=len(path) if name in _OWN else None,
                daily=name == "own_days",
            )
            if name in {SINCE, UNTIL}:
                always = ibis.literal(_LONG_AGO, DATA_TYPES[FieldType.DATE])
                self._counted(watch, name, test, partial(self._turns, column.fact, i, always))
            else:
                self.found.append(watch)

    def _turns(self, spec: FactSpec, place: int, value: str | ir.Value) -> ir.Table:
        turns = self._world.fact_turns(spec)
        if turns is None:
            raise LookupError(f"{spec.name} does not say when it changes")
        return turns[place].select("id", value=value)

    def _counted(
        self, watch: Watch, counts: str, test: Test | None, every_day: Callable[[], ir.Table]
    ) -> None:
        """A number of days turns where its date does, or is another one every day."""
        tests = day_tests(counts, test)
        if tests is None:
            source = f"every day, {watch.source}"
            self.found.append(replace(watch, values=every_day, source=source, daily=True))
            return
        self.found += [replace(watch, test=one) for one in tests]

    def _any_time(self, spec: FactSpec, number: int, path: Path) -> None:
        self.found.append(
            Watch(
                clause=number,
                path=path,
                kind=FieldType.INSTANT,
                values=self._everybody(spec.table, ibis.null(INSTANT)),
                source=f"every {spec.table}",
                at_any_time=True,
            )
        )

    def _related(self, clause: Related, number: int, path: Path) -> None:
        target = clause.of.relation.target
        near = (*path, *clause.of.hops)
        far = (*near, clause.of.relation)
        self._stale((target,), clause.of.relation.source, number, near)
        for condition in (clause.of.where, clause.each):
            if condition is not None:
                self._condition(condition, number, far)
        if clause.column is not None:
            self.fact_of(clause.column, number, far)
            if clause.test is not None:
                self._tested(clause.column, clause.test, number, far, len(path))
        if clause.quantifier is Quantifier.LATEST:
            time = natural_time(target)
            is_day = self._world.table(target)[time].type().is_date()
            self.found.append(
                Watch(
                    clause=number,
                    path=far,
                    kind=FieldType.DATE if is_day else FieldType.INSTANT,
                    values=lambda: self._world.table(target).select(
                        "id", *references_of(far), value=time
                    ),
                    source=f"values of {target}.{time}",
                )
            )

    def _stale(self, tables: tuple[str, ...], owner: str, number: int, path: Path) -> None:
        """The connections of which tables grow too old."""
        if not tables:
            return
        for connection, at in self._turning_stale(tables).items():

            def rows(connection: str = connection) -> ir.Table:
                records = self._world.table(owner)
                nothing = ibis.null(INSTANT)
                return records.filter(records.connection == connection).select("id", value=nothing)

            self.found.append(
                Watch(
                    clause=number,
                    path=path,
                    kind=FieldType.INSTANT,
                    values=rows,
                    source=f"{connection} stale for {owner}",
                    of_all=at,
                )
            )

    def _turning_stale(self, tables: tuple[str, ...]) -> dict[str, datetime]:
        freshness = self._world.freshness
        if self._fresh is None:
            return freshness.grows_stale(tables, self._until)
        now = set(replace(freshness, now=self._until).fresh_connections(tables))
        return dict.fromkeys(now.symmetric_difference(self._fresh.get(tables, ())), self._until)
