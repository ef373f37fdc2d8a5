"""What one evaluation looks at: records, facts and calendars, all at one instant."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import ibis
import pyarrow as pa

from crmsync.model.zones import zone_or_none
from crmsync.rules.calendar import Calendar
from crmsync.rules.freshness import Freshness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date, datetime, timedelta
    from zoneinfo import ZoneInfo

    import ibis.expr.types as ir

    from crmsync.model.catalog import FactSpec
    from crmsync.model.records import RecordSource
    from crmsync.plugins.contract import Fact

ZONE = "time_zone"
_TABLES_WITH_OWN_ZONE = ("account", "user")
_ACCOUNT = "account"


class World:
    """Records at one instant; the `FactTables` that facts are built from.

    Args:
        now: aware; the only present that rules and facts know.
        company_zone: where the subject has no zone that exists.
        country: whose public holidays are no business days; None counts only weekends.
        bound: how old what was read of a table may be.
    """

    def __init__(  # noqa: PLR0913  everything that evaluation depends on
        self,
        source: RecordSource,
        facts: Sequence[Fact],
        *,
        now: datetime,
        company_zone: ZoneInfo,
        country: str | None,
        bound: Callable[[str], timedelta],
    ) -> None:
        self.source = source
        self.company = Calendar(now=now, zone=company_zone, country=country)
        self.freshness = Freshness(states=tuple(source.stream_states()), now=now, bound=bound)
        self._facts = {(fact.spec.table, fact.spec.name): fact for fact in facts}
        self._tables: dict[str, ir.Table] = {}
        self._built: dict[FactSpec, ir.Table] = {}

    def at(self, now: datetime) -> World:
        """The same at another instant."""
        return World(
            self.source,
            tuple(self._facts.values()),
            now=now,
            company_zone=self.company.zone,
            country=self.company.country,
            bound=self.freshness.bound,
        )

    @property
    def now(self) -> datetime:
        """The instant that is the present."""
        return self.company.now

    def company_today(self) -> date:
        """Today's date in the company's zone."""
        return self.company.today

    def table(self, name: str) -> ir.Table:
        """The live records of a table."""
        if name not in self._tables:
            self._tables[name] = self.source.table(name)
        return self._tables[name]

    def changes(self, table: str, field: str) -> ir.Table:
        """The changes of a tracked field: ``id``, ``old`` and ``new`` of its type, ``at`` (UTC)."""
        return self.source.changes(table, field)

    def known_since(self, table: str, field: str) -> ir.Table:
        """Columns ``id``, ``since`` and ``created`` of a tracked field, as in `RecordSource`."""
        return self.source.known_since(table, field)

    def fact(self, spec: FactSpec) -> ir.Table:
        """Columns ``id`` and ``value`` of a fact."""
        if spec not in self._built:
            self._built[spec] = self._facts[spec.table, spec.name].build(self)
        return self._built[spec]

    def declares(self, spec: FactSpec) -> bool:
        """Whether a fact says what it depends on; see `Fact.turns`."""
        return self._facts[spec.table, spec.name].turns is not None

    def fact_turns(self, spec: FactSpec) -> Sequence[ir.Table] | None:
        """What a fact says of when its value changes; see `Fact.turns`."""
        turns = self._facts[spec.table, spec.name].turns
        return None if turns is None else turns(self)

    def fact_values(self, spec: FactSpec) -> ir.Table:
        """Columns ``id`` and ``value``: the values of a fact, and perhaps others."""
        values = self._facts[spec.table, spec.name].values
        return (self.fact(spec) if values is None else values(self)).select("id", "value")

    def fact_evidence(self, spec: FactSpec) -> ir.Table | None:
        """The records that a fact's values rest on; see `Fact.evidence`."""
        evidence = self._facts[spec.table, spec.name].evidence
        return None if evidence is None else evidence(self)

    def remember(self, spec: FactSpec, values: ir.Table) -> None:
        """A fact was computed, for all records: whoever asks for it from now on gets these."""
        self._built[spec] = values

    def today(self, table: str) -> ir.Table:
        """Columns ``id`` and ``today``: the date in each subject's zone, else the company's."""
        zones = self.zones_of(table)
        days = {
            name: c.today for name, c in self.calendars.items() if c.today != self.company.today
        }
        company = ibis.literal(self.company.today)
        if zones is None or not days:
            return self.table(table).select("id", today=company)
        clock = pa.table(
            {
                "clock_zone": pa.array(days, pa.string()),
                "clock_today": pa.array(days.values(), pa.date32()),
            }
        )
        joined = zones.left_join(self.source.keep(clock), [("zone", "clock_zone")])
        return joined.select("id", today=joined.clock_today.fill_null(company))

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

    @cached_property
    def calendars(self) -> dict[str, Calendar]:
        """The calendar of each zone that a record names, if it exists and is not the company's."""
        zones = [self.table(table).select(ZONE) for table in _TABLES_WITH_OWN_ZONE]
        names = self.source.query(ibis.union(*zones, distinct=True).order_by(ZONE))
        found: dict[str, Calendar] = {}
        for name in names[ZONE].to_pylist():
            zone = zone_or_none(name)
            if zone is not None and zone != self.company.zone:
                found[name] = Calendar(now=self.now, zone=zone, country=self.company.country)
        return found

    def calendar(self, zone: str | None) -> Calendar:
        """The calendar of a zone; the company's where there is none of that name."""
        return self.calendars.get(zone or "", self.company)

    def ids(self, ids: Iterable[str]) -> ir.Table:
        """One column, ``id``: each of these once."""
        return self.source.keep(pa.table({"id": pa.array(sorted(set(ids)), pa.string())}))
