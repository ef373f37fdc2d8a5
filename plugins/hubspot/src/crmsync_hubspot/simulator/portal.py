"""What a portal holds, and what happens when somebody writes, archives or merges records."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crmsync_hubspot.simulator.checks import checked, refuse_duplicate
from crmsync_hubspot.simulator.definitions import ObjectType, own_property, standard_types
from crmsync_hubspot.simulator.derived import calculated, filled_in
from crmsync_hubspot.simulator.errors import PortalError, not_found
from crmsync_hubspot.simulator.links import Links
from crmsync_hubspot.simulator.pipelines import Pipeline, standard_pipelines
from crmsync_hubspot.simulator.records import Record, Table, Version, record
from crmsync_hubspot.simulator.values import milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from crmsync.clock import Clock
    from crmsync_hubspot.simulator.settings import Settings

# Where the ids of a type begin; the true ones do not fit into 32 bits either.
_FIRST_ID, _IDS_APART = 9_100_000_001, 1_000_000_000


@dataclass(kw_only=True)
class Owner:
    """A user who can own records; ``archived`` where the user was removed."""

    id: int
    user_id: int
    email: str
    first_name: str
    last_name: str
    created: int
    updated: int
    archived: bool = False
    teams: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that a webhook may tell."""

    at: int
    kind: str
    action: str
    record_id: int
    name: str = ""
    value: str = ""
    merged: tuple[int, ...] = ()


class Portal:
    """A portal with the standard types; used from many threads, one at a time.

    Args:
        clock: the portal's own; what is written is stamped with its present, in milliseconds.
        custom: lines such as ``companies tier enumeration : a b``: the properties that an
            administrator added.
    """

    def __init__(self, clock: Clock, settings: Settings, *, custom: Sequence[str] = ()) -> None:
        self.clock, self.settings = clock, settings
        self.lock = threading.RLock()
        self.types: dict[str, ObjectType] = standard_types()
        self.tables = {name: Table(kind) for name, kind in self.types.items()}
        self.links = Links()
        self.owners: dict[int, Owner] = {}
        self.pipelines: dict[str, dict[str, Pipeline]] = standard_pipelines(self.now())
        self.groups: dict[str, dict[str, dict[str, Any]]] = {}
        self.events: list[Event] = []
        self._minted: dict[str, int] = {}
        self._late_links: list[tuple[int, tuple[str, int, str, int, tuple[int, ...]]]] = []
        # The versions that the present batch has replaced.
        self._written: dict[int, Record] = {}
        for line in custom:
            name, definition = line.split(" ", 1)
            kind = self.types[name]
            one = own_property(definition, f"{kind.singular}information")
            one.created = one.updated = self.now()
            kind.add(one)

    def now(self) -> int:
        """The present instant, in milliseconds."""
        return milliseconds(self.clock.now())

    def type(self, name: str) -> ObjectType:
        """The type of that name, in the plural or the singular, or of that number.

        A custom one is known by its number, its full name or that without the portal, never by
        its bare name.

        Raises:
            PortalError: there is none.
        """
        told = name.lower()
        found = next((one for one in self.types.values() if one.is_called(told)), None)
        if found is None:
            raise PortalError(
                f"Unable to infer object type from: {name}",
                context={"type": [name]},
            )
        return found

    def add_type(self, kind: ObjectType) -> None:
        """Let there be another type."""
        self.types[kind.name] = kind
        self.tables[kind.name] = Table(kind)

    def minted(self, name: str) -> int:
        """An id for a new record."""
        self._minted[name] = self._last_minted(name) + 1
        return self._minted[name]

    def _last_minted(self, name: str) -> int:
        if name not in self._minted:
            self._minted[name] = _FIRST_ID - 1 + _IDS_APART * list(self.types).index(name)
        return self._minted[name]

    def add_owner(self, email: str, first_name: str, last_name: str) -> int:
        """A new user who can own records; answers with the owner's id."""
        number = 71_000_101 + len(self.owners)
        now = self.now()
        self.owners[number] = Owner(
            id=number,
            user_id=number + 1_000_000,
            email=email,
            first_name=first_name,
            last_name=last_name,
            created=now,
            updated=now,
        )
        return number

    def load(self, name: str, records: Sequence[Record]) -> None:
        """Put whole records at once, unchecked, under ids that were minted."""
        table = self.tables[name]
        with self.lock:
            for one in records:
                table.put(one, seen_at=0)

    def create(self, name: str, values: Mapping[str, str]) -> Record:
        """Create a record.

        Raises:
            PortalError: it is refused.
        """
        with self.lock:
            kind = self.types[name]
            kept = checked(self, kind, values, None)
            now = self.now()
            made = record(self.minted(name), now, now, None, filled_in(self, kind, kept))
            self._put(kind, made)
            self.events.append(Event(at=now, kind=name, action="creation", record_id=made.id))
            return made

    def update(
        self, name: str, record_id: int, values: Mapping[str, str], *, source: str = "INTEGRATION"
    ) -> Record:
        """Change a record; a value that it has already is no change.

        Raises:
            PortalError: it is refused.
        """
        with self.lock:
            kind = self.types[name]
            old = self.get(name, record_id)
            kept = checked(self, kind, values, old)
            return self._change(kind, old, kept, source)

    def unsubscribe(self, address: str) -> None:
        """Somebody is not to be sent anything more."""
        with self.lock:
            kind, table = self.types["contacts"], self.tables["contacts"]
            mine = address.strip().lower()
            for one in [*table.records.values()]:
                if one.archived is None and (self.value(kind, one, "email") or "").lower() == mine:
                    self._change(kind, one, {"hs_email_optout": "true"}, "EMAIL")

    def get(self, name: str, record_id: int, *, archived: bool = False) -> Record:
        """A record, by its own id or by one that was merged into it.

        Raises:
            PortalError: it is not there.
        """
        table = self.tables[name]
        found = table.records.get(table.surviving(record_id))
        if found is None or (found.archived is not None) != archived:
            raise not_found()
        return found

    def archive(self, name: str, record_id: int) -> None:
        """Move a record into the recycling bin; one that is not there is none too many."""
        with self.lock:
            table = self.tables[name]
            old = table.records.get(table.surviving(record_id))
            if old is None or old.archived is not None:
                return
            now = self.now()
            table.put(old._replace(archived=now), seen_at=self._seen_at(now))
            self.events.append(Event(at=now, kind=name, action="deletion", record_id=old.id))

    def restore(self, name: str, record_id: int) -> None:
        """Take a record out of the recycling bin.

        Raises:
            PortalError: another one has its unique value by now.
        """
        with self.lock:
            old = self.tables[name].records[record_id]
            known = self.types[name].properties
            told = {n: value for n, value in old.items().items() if n in known}
            refuse_duplicate(self, self.types[name], told, old)
            now = self.now()
            self.tables[name].put(
                old._replace(archived=None, updated=now), seen_at=self._seen_at(now)
            )
            self.events.append(Event(at=now, kind=name, action="restore", record_id=record_id))

    def purge(self, name: str, record_id: int) -> None:
        """Remove a record for good, as it happens ninety days after it was archived."""
        with self.lock:
            table = self.tables[name]
            self.links.remove_all(name, record_id)
            table.drop(record_id, 0)
            del table.merged[record_id]

    def merge(self, name: str, primary: int, other: int) -> Record:
        """Merge two records into one, which has the values of the primary one first.

        Raises:
            PortalError: one of them is not there.
        """
        with self.lock:
            kind, table = self.types[name], self.tables[name]
            first, second = self.get(name, primary), self.get(name, other)
            if first.id == second.id:
                raise PortalError("Cannot merge an object with itself")
            now = self.now()
            new_id = first.id if self.settings.merge_keeps_id else self.minted(name)
            former = [*_ids(first), *_ids(second), str(first.id), str(second.id)]
            told = [one for one in dict.fromkeys(former) if one != str(new_id)]
            values = second.items() | first.items() | {"hs_merged_object_ids": ";".join(told)}
            for old in (first, second):
                if old.id != new_id:
                    self.links.move(name, old.id, new_id)
                    table.drop(old.id, new_id)
            made = record(new_id, min(first.created, second.created), now, None, values)
            self._put(kind, made)
            event = Event(
                at=now, kind=name, action="merge", record_id=new_id, merged=(first.id, second.id)
            )
            self.events.append(event)
            return made

    def stamp(self, name: str, record_id: int, at: datetime) -> None:
        """Let a record have been changed at that instant, for tests of late and equal stamps."""
        with self.lock:
            old = self.tables[name].records[record_id]
            self.tables[name].put(old._replace(updated=milliseconds(at)), seen_at=0)

    def link_of(self, name: str, told_id: str, types: Sequence[Any]) -> tuple[str, int, list[int]]:
        """What an association leads to: type, id and numbers; for `link`.

        Raises:
            PortalError: there is no such type of association, or no such record.
        """
        numbers: list[int] = []
        others: set[str] = set()
        for one in types:
            number, category = one.get("associationTypeId"), one.get("associationCategory")
            pairs = [
                pair
                for pair, known in self.links.types.items()
                if pair[0] == name
                and isinstance(number, int)
                and number in known
                and known[number].category == category
            ]
            if not pairs:
                raise PortalError(
                    f"No association type {category} {number} leads from {name}",
                    context={"associationTypeId": [str(number)]},
                )
            numbers.append(number)
            others.add(pairs[0][1])
        if len(others) != 1:
            raise PortalError("The types of an association lead to more than one object type")
        other = others.pop()
        table = self.tables[other]
        end = table.surviving(int(told_id)) if told_id.isdecimal() else 0
        found = table.records.get(end)
        if found is None or found.archived is not None:
            raise PortalError(
                f"Association to {self.types[other].singular} {told_id} is not possible: "
                "it does not exist",
                category="OBJECT_NOT_FOUND",
                context={"id": [told_id]},
            )
        return other, end, numbers

    def link(
        self, name: str, record_id: int, other: str, end: int, numbers: Sequence[int] = ()
    ) -> None:
        """Associate two records; told as late as the settings have it."""
        lag = self.settings.association_lag
        if not lag:
            self.links.add(name, record_id, other, end, numbers)
            return
        due = self.now() + int(lag.total_seconds() * 1000)
        self._late_links.append((due, (name, record_id, other, end, tuple(numbers))))

    def settle(self) -> None:
        """Let associations be told that are late enough by now."""
        now = self.now()
        due = [told for at, told in self._late_links if at <= now]
        if due:
            self._late_links = [one for one in self._late_links if one[0] > now]
        for name, record_id, other, end, numbers in due:
            # One of them may have been merged meanwhile.
            own, far = (
                self.tables[kind].surviving(one) for kind, one in ((name, record_id), (other, end))
            )
            self.links.add(name, own, other, far, numbers)

    def checkpoint(self, name: str) -> Callable[[], None]:
        """Remember the present; what it returns undoes the writes to a type since then."""
        first, events = self._last_minted(name), len(self.events)
        before: dict[int, Record] = {}
        self._written = before

        def undo() -> None:
            table = self.tables[name]
            for record_id, old in before.items():
                table.put(old, seen_at=0)
                for versions in table.history.get(record_id, {}).values():
                    versions[:] = [one for one in versions if one.at <= old.updated]
            for made in range(first + 1, self._last_minted(name) + 1):
                if made in table.records:
                    self.purge(name, made)
            del self.events[events:]

        return undo

    def value(self, kind: ObjectType, one: Record, name: str) -> str | None:
        """A property's value, kept or calculated."""
        return calculated(self, kind, one, name) or one.get(name)

    def _change(
        self, kind: ObjectType, old: Record, kept: Mapping[str, str], source: str
    ) -> Record:
        before = old.items()
        after = {name: value for name, value in (before | dict(kept)).items() if value}
        if after == before:
            return old
        # Two writes within a millisecond are still two.
        now = max(self.now(), old.updated + 1 if old.updated == self.now() else 0)
        history = self.tables[kind.name].history.setdefault(old.id, {})
        for name, value in kept.items():
            if before.get(name, "") != value:
                first = Version(old.created, before.get(name, ""), source)
                versions = history.setdefault(name, [first] if name in before else [])
                versions.append(Version(now, value, source))
                event = Event(
                    at=now,
                    kind=kind.name,
                    action="propertyChange",
                    record_id=old.id,
                    name=name,
                    value=value,
                )
                self.events.append(event)
        made = record(old.id, old.created, now, None, filled_in(self, kind, after, before))
        self._written.setdefault(old.id, old)
        self._put(kind, made)
        return made

    def _put(self, kind: ObjectType, made: Record) -> None:
        self.tables[kind.name].put(made, seen_at=self._seen_at(made.updated))

    def _seen_at(self, now: int) -> int:
        lag = self.settings.index_lag
        return now + int(lag.total_seconds() * 1000) if lag else 0


def _ids(one: Record) -> list[str]:
    told = one.get("hs_merged_object_ids")
    return told.split(";") if told else []
