"""The search's short ways lead to what a look at all records would find, whatever happened."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import settings as budget
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from portal_on_wire import HandClock

from crmsync_hubspot.simulator import search
from crmsync_hubspot.simulator.errors import PortalError
from crmsync_hubspot.simulator.portal import Portal
from crmsync_hubspot.simulator.search import searched
from crmsync_hubspot.simulator.settings import Settings

if TYPE_CHECKING:
    from crmsync_hubspot.simulator.records import Record

LAG = 5  # seconds
WORDS = st.sampled_from(["", "a", "b", "c"])
PLACES = st.integers(0, 30)


class SearchMachine(RuleBasedStateMachine):
    """Writes to a portal, and remembers which version of each record the index knows when."""

    def __init__(self) -> None:
        super().__init__()
        search._FEW = 0  # noqa: SLF001  the way by the changes is taken with few records too
        self.clock = HandClock()
        settings = Settings(index_lag=timedelta(seconds=LAG))
        custom = ["companies crmsync_key string unique"]
        self.portal = Portal(self.clock, settings, custom=custom)
        self.table = self.portal.tables["companies"]
        self.versions: dict[int, list[tuple[int, Record]]] = {}

    def teardown(self) -> None:
        search._FEW = 1000  # noqa: SLF001  as it was

    def note(self, one: Record, *, at_once: bool = False) -> None:
        # Of two writes within a millisecond, the second is stamped with the next one.
        due = max(self.portal.now(), one.updated) + (0 if at_once else LAG * 1000)
        if at_once:
            self.versions[one.id] = []
        self.versions.setdefault(one.id, []).append((due, one))

    def pick(self, place: int) -> Record | None:
        live = list(self.table.live())
        return live[place % len(live)] if live else None

    @rule(name=WORDS, key=WORDS)
    def create(self, name: str, key: str) -> None:
        if not key or self.table.with_value("crmsync_key", key) is None:
            made = self.portal.create("companies", {"name": name, "crmsync_key": key})
            self.note(made)

    @rule(place=PLACES, name=WORDS)
    def update(self, place: int, name: str) -> None:
        one = self.pick(place)
        if one is not None:
            new = self.portal.update("companies", one.id, {"name": name})
            if new != one:
                self.note(new)

    @rule(place=PLACES)
    def archive(self, place: int) -> None:
        one = self.pick(place)
        if one is not None:
            self.portal.archive("companies", one.id)
            self.note(self.table.records[one.id])

    @rule(place=PLACES)
    def restore(self, place: int) -> None:
        if self.table.archived:
            one = self.table.archived[place % len(self.table.archived)]
            with suppress(PortalError):  # another record has its unique value by now
                self.portal.restore("companies", one)
                self.note(self.table.records[one])

    @rule(place=PLACES, other=PLACES)
    def merge(self, place: int, other: int) -> None:
        one, two = self.pick(place), self.pick(other)
        if one is not None and two is not None and one.id != two.id:
            made = self.portal.merge("companies", one.id, two.id)
            del self.versions[one.id], self.versions[two.id]
            self.note(made)

    @rule(place=PLACES, back=st.integers(0, 20))
    def stamp(self, place: int, back: int) -> None:
        one = self.pick(place)
        if one is not None:
            self.portal.stamp("companies", one.id, self.clock.now() - timedelta(seconds=back))
            self.note(self.table.records[one.id], at_once=True)

    @rule(seconds=st.integers(0, 7))
    def pass_time(self, seconds: int) -> None:
        self.clock.pass_time(timedelta(seconds=seconds))

    def known(self) -> list[Record]:
        """What the index knows by now, by ids."""
        now = self.portal.now()
        found = []
        for _, versions in sorted(self.versions.items()):
            told = [one for due, one in versions if due <= now]
            if told and told[-1].archived is None:
                found.append(told[-1])
        return found

    def found(self, *filters: dict[str, Any]) -> list[Record]:
        body = {"filterGroups": [{"filters": list(filters)}], "limit": 200}
        return searched(self.portal, self.portal.types["companies"], body, 200).records

    @invariant()
    def changes_are_found(self) -> None:
        now = self.portal.now()
        for first, last in ((now - 20_000, now + 1000), (now - 9000, now - 4000)):
            told = self.found(
                condition("hs_lastmodifieddate", "GTE", str(first)),
                condition("hs_lastmodifieddate", "LTE", str(last)),
            )
            assert told == [one for one in self.known() if first <= one.updated <= last]

    @invariant()
    def what_follows_an_id_is_found(self) -> None:
        ids = sorted(self.versions)
        least = ids[len(ids) // 2] if ids else 0
        told = self.found(condition("hs_object_id", "GT", str(least)))
        assert told == [one for one in self.known() if one.id > least]

    @invariant()
    def values_are_found(self) -> None:
        for name in ("name", "crmsync_key"):
            told = self.found(condition(name, "EQ", "a"))
            assert told == [one for one in self.known() if one.get(name) == "a"]

    @invariant()
    def unique_values_lead_to_their_record(self) -> None:
        for key in ("a", "b", "c"):
            (*holders,) = (one.id for one in self.table.live() if one.get("crmsync_key") == key)
            found = self.table.with_value("crmsync_key", key)
            assert holders == ([] if found is None else [found])

    @invariant()
    def listings_are_the_records(self) -> None:
        page = self.table.page(0, 1000, archived=False)
        assert page == [one for _, one in sorted(self.table.records.items()) if not one.archived]
        gone = self.table.page(0, 1000, archived=True)
        assert gone == [one for _, one in sorted(self.table.records.items()) if one.archived]


def condition(name: str, operator: str, value: str) -> dict[str, Any]:
    return {"propertyName": name, "operator": operator, "value": value}


TestSearch = SearchMachine.TestCase
TestSearch.settings = budget(max_examples=60, stateful_step_count=30, deadline=None)
