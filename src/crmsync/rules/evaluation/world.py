"""What one evaluation looks at: records, facts and calendars, all at one instant.

The text of a query never depends on the instant. What does is given to the query when it runs
(`World.given`): ends in time and lists of fresh connections as variables, and for records that
live in several time zones a table ``clock`` with a row for each zone. So the same rules at another
instant, `World.at`, build and compile nothing again.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from crmsync.model.records import NOTHING, Given
from crmsync.model.zones import zone_or_none
from crmsync.rules.evaluation.asked import PRESENT, TODAY, Asked, fresh
from crmsync.rules.evaluation.calendar import Calendar
from crmsync.rules.evaluation.freshness import Freshness
from crmsync.rules.evaluation.reads import fields_read
from crmsync.warehouse.types import DATA_TYPES, INSTANT
from crmsync.warehouse.variables import given_table, variable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    import ibis.expr.types as ir

    from crmsync.model.catalog import FactSpec
    from crmsync.model.records import Answers, Compiled, Kept, RecordSource
    from crmsync.plugins.contract import Fact, Measure

ZONE = "time_zone"
CLOCK = "clock"  # the kept table of zones, as queries name it
CLOCK_ZONE = "clock_zone"
WANTED = "wanted_ids"  # the kept table of ids that a query is restricted to
_TABLES_WITH_OWN_ZONE = ("account", "user")
_ACCOUNT = "account"
# What facts read beside the tables that they rest on: whose activities are whose, and zones.
_BESIDE = ("account", "contact", "deal", "activity_link", "user")
# What facts read, from one world to the next.
_READS: dict[tuple[str, str, FactSpec], frozenset[tuple[str, str]]] = {}
# The same of the columns of what facts say of when they change.
_TURNS: dict[object, tuple[tuple[str, ...], ...] | None] = {}


class World:
    """Records at one instant.

    Args:
        now: aware; the only present that rules and facts know.
        company_zone: where the subject has no zone that exists.
        country: whose public holidays are no business days; None counts only weekends.
        bound: how old what was read of a table may be.
        zones: the time zones that records name, where they are known; else they are asked for.
        enrolled: the instant that ``enrolled`` in conditions stands for.
    """

    def __init__(
        self,
        source: RecordSource,
        facts: Sequence[Fact],
        *,
        now: datetime,
        company_zone: ZoneInfo,
        country: str | None,
        bound: Callable[[str], timedelta],
        zones: Sequence[str] | None = None,
        enrolled: datetime | None = None,
    ) -> None:
        self.source = source
        self.company = Calendar(now=now, zone=company_zone, country=country, enrolled=enrolled)
        self.freshness = Freshness(states=tuple(source.stream_states()), now=now, bound=bound)
        self.tables = Tables(self)
        self._facts = {(fact.spec.table, fact.spec.name): fact for fact in facts}
        self._known_zones = zones
        self._records: dict[str, ir.Table] = {}
        # What follows from rules, facts and tables, whatever the instant.
        self.derived: dict[object, Any] = {}
        self._remembered: dict[FactSpec, tuple[Kept, str, str]] = {}

    def at(
        self,
        now: datetime,
        source: RecordSource | None = None,
        *,
        zones: Sequence[str] | None = None,
        enrolled: datetime | None = None,
    ) -> World:
        """The same at another instant, and of other records where some are given.

        Args:
            zones: the time zones that those name, where they are known.
            enrolled: the instant that ``enrolled`` in conditions stands for.
        """
        later = World(
            self.source if source is None else source,
            tuple(self._facts.values()),
            now=now,
            company_zone=self.company.zone,
            country=self.company.country,
            bound=self.freshness.bound,
            zones=self.zones if source is None else zones,
            enrolled=enrolled,
        )
        if source is None:
            # Expressions know nothing of the instant.
            later._records, later.derived = self._records, self.derived
        return later

    def as_last_read(self) -> World:
        """The same where what was last read of each stream is trusted, however old it is."""
        trusting = self.at(self.now, enrolled=self.company.enrolled)
        trusting.freshness = self.freshness.as_last_read()
        return trusting

    @property
    def now(self) -> datetime:
        """The instant that is the present."""
        return self.company.now

    @cached_property
    def key(self) -> str:
        """Says what queries depend on beside rules and the source: facts, and several zones."""
        facts = [(fact.spec, *_defined(fact)) for fact in self._facts.values()]
        text = repr((facts, bool(self.calendars)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def compiled(self, key: str, build: Callable[[], ir.Table | Answers]) -> Compiled:
        """The text of a query; ``build`` is called where nobody has asked with this key before.

        Args:
            key: says which rules, and what of them; the instant is no part of it.
        """
        return self.source.compiled(f"{self.key} {key}", build)

    # -- what queries are made of

    def table(self, name: str) -> ir.Table:
        """The live records of a table."""
        # Made once: with its many columns it is the dearest part of most expressions.
        if name not in self._records:
            self._records[name] = self.source.table(name)
        return self._records[name]

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field: ``id``, ``old`` and ``new`` of its type, ``at`` (UTC)."""
        return self.source.changes(table, field)

    def known_since(self, table: str, field: str) -> ir.Table:
        """Columns ``id``, ``since`` and ``created`` of a tracked field, as in `RecordSource`."""
        return self.source.known_since(table, field)

    def fact(self, spec: FactSpec) -> ir.Table:
        """Columns ``id`` and ``value`` of a fact."""
        return self._facts[spec.table, spec.name].build(self.tables)

    def measure(self, spec: FactSpec) -> Measure | None:
        """The aggregate that a fact is; None where it is none, see `Fact.measure`."""
        return self._facts[spec.table, spec.name].measure

    def indirect(self, table: str) -> ir.Table | None:
        """What belongs to records of a table otherwise than by its own reference.

        Columns ``activity`` and ``record``, each pair once; None where there is none.
        """
        return self.source.indirect(table) if self.source.has_indirect(table) else None

    def count(self, table: str) -> int:
        """How many live records a table has."""
        query = self.compiled(f"count {table}", lambda: self.table(table).count().as_table())
        return int(self.source.query(query)[0][0].as_py())

    def is_filled(self, table: str, field: str) -> bool:
        """Whether every record of a table is known to have a value in a field."""
        return self.source.is_filled(table, field)

    def meets(self, asked: Asked) -> str:
        """Says what is found in the records on which queries depend; a part of a query's key.

        Of whose activities some are reached otherwise; and which fields are empty nowhere.
        """
        found = [table for table in asked.reaching if self.source.has_indirect(table)]
        filled = [f"{table}.{name}" for table, name in asked.fields if self.is_filled(table, name)]
        return f"indirect {' '.join(found)} filled {' '.join(filled)}"

    def declares(self, spec: FactSpec) -> bool:
        """Whether a fact says what it depends on; see `Fact.turns`."""
        return self._facts[spec.table, spec.name].turns is not None

    def fact_turns(self, spec: FactSpec) -> Sequence[ir.Table] | None:
        """What a fact says of when its value changes; see `Fact.turns`."""
        if ("turns", spec) not in self.derived:
            turns = self._facts[spec.table, spec.name].turns
            self.derived["turns", spec] = None if turns is None else turns(self.tables)
        found: Sequence[ir.Table] | None = self.derived["turns", spec]
        return found

    def fact_turn_columns(self, spec: FactSpec) -> Sequence[Sequence[str]] | None:
        """The columns of each of `fact_turns`, which need not be built again to know them."""
        turns_of = self._facts[spec.table, spec.name].turns
        key = (self.key, self.source.shape, spec, turns_of and _stands(turns_of))
        if key not in _TURNS:
            turns = self.fact_turns(spec)
            _TURNS[key] = None if turns is None else tuple(tuple(rows.columns) for rows in turns)
        return _TURNS[key]

    def fact_reads(self, spec: FactSpec) -> frozenset[tuple[str, str]]:
        """The fields, each with its table, that a fact is made of; see `Fact.turns`."""
        key = (self.key, self.source.shape, spec)
        if key not in _READS:
            names = dict.fromkeys((spec.table, *spec.rests_on, *_BESIDE))
            tables = {name: self.table(name) for name in names}
            _READS[key] = fields_read(self.fact(spec), ("id", "value"), tables)
        return _READS[key]

    def fact_values(self, spec: FactSpec) -> ir.Table:
        """Columns ``id`` and ``value``: the values of a fact, and perhaps others."""
        values = self._facts[spec.table, spec.name].values
        return (self.fact(spec) if values is None else values(self.tables)).select("id", "value")

    def fact_evidence(self, spec: FactSpec) -> ir.Table | None:
        """The records that a fact's values rest on; see `Fact.evidence`."""
        evidence = self._facts[spec.table, spec.name].evidence
        return None if evidence is None else evidence(self.tables)

    def zones_of(self, table: str) -> ir.Table | None:
        """Columns ``id`` and ``zone``, as written in the records; None where there are none."""
        records = self.table(table)
        if table in _TABLES_WITH_OWN_ZONE:
            return records.select("id", zone=records[ZONE])
        if _ACCOUNT not in records.columns:
            return None
        accounts = self.table(_ACCOUNT)
        accounts = accounts.select(account_id=accounts.id, zone=accounts[ZONE])
        return records.left_join(accounts, [(_ACCOUNT, "account_id")]).select("id", "zone")

    # -- what they are given

    def given(self, asked: Asked) -> Given:
        """What queries of conditions are given that ask this."""
        values: dict[str, Any] = {PRESENT: self.now, TODAY: self.company.today}
        for ends in asked.betweens:
            values |= ends.ends(self.company)
        for tables in asked.tables:
            values[fresh(tables)] = list(self.freshness.fresh_connections(tables))
        if not self.calendars:
            return Given(values=values)
        return Given(values=values, tables={CLOCK: self.source.keep(self._clock(asked))})

    def _clock(self, asked: Asked) -> pa.Table:
        """A row for each zone that is not the company's."""
        columns: dict[str, list[Any]] = {CLOCK_ZONE: list(self.calendars), TODAY: []}
        types: dict[str, dt.DataType] = {CLOCK_ZONE: dt.string, TODAY: dt.date}
        # Tests of other values may have the same ends: what two fields were on one day.
        zoned = {ends.name(""): ends for ends in asked.betweens if ends.depends_on_zone}
        for calendar in self.calendars.values():
            columns[TODAY].append(calendar.today)
            for ends in zoned.values():
                for name, bound in ends.ends(calendar).items():
                    columns.setdefault(name, []).append(bound)
                    types[name] = ends.data_type
        return pa.table(
            {name: pa.array(rows, types[name].to_pyarrow()) for name, rows in columns.items()}
        )

    @cached_property
    def zones(self) -> Sequence[str]:
        """The time zones that records name, in order."""
        if self._known_zones is not None:
            return self._known_zones

        def build() -> ir.Table:
            named = [self.table(table).select(ZONE) for table in _TABLES_WITH_OWN_ZONE]
            return ibis.union(*named, distinct=True).order_by(ZONE)

        found = self.source.query(self.source.compiled("zones", build))
        return [name for name in found[ZONE].to_pylist() if name]

    @cached_property
    def calendars(self) -> dict[str, Calendar]:
        """The calendar of each zone that a record names, if it exists and is not the company's."""
        found: dict[str, Calendar] = {}
        for name in self.zones:
            zone = zone_or_none(name)
            if zone is not None and zone != self.company.zone:
                found[name] = replace(self.company, zone=zone)
        return found

    def calendar(self, zone: str | None) -> Calendar:
        """The calendar of a zone; the company's where there is none of that name."""
        return self.calendars.get(zone or "", self.company)

    # -- answers

    def query(self, query: ir.Table | Compiled, given: Given = NOTHING) -> pa.Table:
        """The rows of a query that is made of facts and days; of conditions, say what they ask."""
        return self.source.query(query, self.given(Asked()) | given)

    def ids(self, ids: Iterable[str]) -> Given:
        """What a query is given that is restricted to these records: its table ``wanted_ids``."""
        kept = self.source.keep(pa.table({"id": pa.array(sorted(set(ids)), pa.string())}))
        return Given(tables={WANTED: kept})

    def remember(self, spec: FactSpec, rows: Kept, record: str, value: str) -> None:
        """A fact was computed, for all records: its values stand in these columns of kept rows."""
        self._remembered[spec] = rows, record, value

    def values(self, spec: FactSpec, ids: Collection[str]) -> Mapping[str, Any]:
        """The values of a fact for some records, by global id; absent where it has no row."""
        given = self.ids(ids)
        remembered = self._remembered.get(spec)
        if remembered is None:

            def build() -> ir.Table:
                return self.fact(spec).semi_join(wanted(), "id").select("id", "value")

            query = self.compiled(f"fact {spec.table} {spec.name}", build)
        else:
            rows, record, value = remembered
            given |= Given(tables={"remembered": rows})

            def build() -> ir.Table:
                columns = {record: dt.string, value: DATA_TYPES[spec.type]}
                kept = given_table("remembered", columns)
                kept = kept.semi_join(wanted(), [(record, "id")])
                return kept.filter(kept[record].notnull()).select(id=record, value=value)

            query = self.compiled(f"remembered {record} {value} {spec.type}", build)
        found = self.query(query, given)
        return dict(zip(found["id"].to_pylist(), found["value"].to_pylist(), strict=True))


def wanted() -> ir.Table:
    """The ids that a query is restricted to; given to it by `World.ids`."""
    return given_table(WANTED, {"id": "string"})


def clock(*columns: tuple[str, dt.DataType]) -> ir.Table:
    """A row for each zone that is not the company's, with these columns; given by the world."""
    return given_table(CLOCK, {CLOCK_ZONE: "string", **dict(columns)})


class Tables:
    """The `FactTables` of a world: records, and times that are told when a query runs."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def now(self) -> ir.TimestampScalar:
        """The present instant."""
        return variable(PRESENT, INSTANT)

    def company_today(self) -> ir.DateScalar:
        """Today's date in the company's zone."""
        return variable(TODAY, dt.date)

    def table(self, name: str) -> ir.Table:
        """The live records of a canonical table."""
        return self._world.table(name)

    def today(self, table: str) -> ir.Table:
        """Columns ``id`` and ``today``: the date in each subject's zone, else the company's."""
        zones = self._world.zones_of(table)
        if zones is None or not self._world.calendars:
            return self.table(table).select("id", today=self.company_today())
        joined = zones.left_join(clock((TODAY, dt.date)), [("zone", CLOCK_ZONE)])
        return joined.select("id", today=joined[TODAY].fill_null(self.company_today()))


def _defined(fact: Fact) -> tuple[str, str]:
    """Where the code of a fact stands."""
    return _stands(fact.build)


def _stands(code: Callable[..., object]) -> tuple[str, str]:
    return str(code.__module__), str(getattr(code, "__qualname__", code))
