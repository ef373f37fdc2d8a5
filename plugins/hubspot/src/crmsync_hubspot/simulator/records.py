"""The records of one type, kept small: a million of them fit into a gigabyte."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from crmsync_hubspot.simulator.definitions import ObjectType

# The names of a record's values; records with the same ones share them.
_SHAPES: dict[tuple[str, ...], tuple[str, ...]] = {}


class Record(NamedTuple):
    """A version of a record, as it was from one write to the next; instants in milliseconds."""

    id: int
    created: int
    updated: int
    archived: int | None
    names: tuple[str, ...]
    values: tuple[str, ...]

    def get(self, name: str) -> str | None:
        """A value that is kept; None where there is none."""
        try:
            return self.values[self.names.index(name)]
        except ValueError:
            return None

    def items(self) -> dict[str, str]:
        """All values that are kept."""
        return dict(zip(self.names, self.values, strict=True))


def record(
    record_id: int, created: int, updated: int, archived: int | None, values: Mapping[str, str]
) -> Record:
    """A version with these values."""
    names = tuple(values)
    shape = _SHAPES.setdefault(names, names)
    return Record(record_id, created, updated, archived, shape, tuple(values.values()))


class Version(NamedTuple):
    """A value that a property had from an instant on."""

    at: int
    value: str
    source: str


class Table:
    """The records of a type.

    Attributes:
        records: all of them, the archived ones too, by their ids.
        merged: ids that are not there any more, with the id that each went into.
        history: of the values that were changed after their record was made, oldest first.
    """

    def __init__(self, kind: ObjectType) -> None:
        self.kind = kind
        self.records: dict[int, Record] = {}
        self.merged: dict[int, int] = {}
        self.history: dict[int, dict[str, list[Version]]] = {}
        self.archived: list[int] = []
        self._ids = array("q")
        self._unique: dict[str, dict[str, int]] = {}
        # When records were changed, with their ids; what a later change outdated stays.
        self._changed_at, self._changed = array("q"), array("q")
        self._late: list[tuple[int, int]] = []  # changes that were entered out of their order
        # Of each id: what the index knows, and when it will know which later versions.
        self._lagging: dict[int, tuple[Record | None, list[tuple[int, Record]]]] = {}

    def put(self, new: Record, *, seen_at: int) -> None:
        """Keep a record's newest version; searches see it from ``seen_at`` on."""
        old = self.records.get(new.id)
        self.records[new.id] = new
        if old is None:
            self._add_id(new.id)
        if old is None or old.updated != new.updated:
            self._note_change(new)
        self._note_unique(old, new)
        if (old is not None and old.archived is not None) != (new.archived is not None):
            self._note_archived(new)
        if seen_at:
            self._lagging.setdefault(new.id, (old, []))[1].append((seen_at, new))
        else:
            self._lagging.pop(new.id, None)

    def drop(self, record_id: int, into: int) -> None:
        """Take a record out that was merged into another."""
        old = self.records.pop(record_id)
        place = bisect_left(self._ids, record_id)
        del self._ids[place]
        if old.archived is not None:
            self.archived.remove(record_id)
        for name, ids in self._unique.items():
            self._forget(ids, old, name)
        self._lagging.pop(record_id, None)
        self.merged[record_id] = into

    def surviving(self, record_id: int) -> int:
        """The id that a record has now, after all merges."""
        while record_id in self.merged:
            record_id = self.merged[record_id]
        return record_id

    def page(self, first: int, size: int, *, archived: bool, since: int = 0) -> list[Record]:
        """Up to ``size`` records with ids from ``first`` on, by their ids.

        Args:
            since: what was archived before is not told any more.
        """
        ids: Sequence[int] = self.archived if archived else self._ids
        found: list[Record] = []
        for place in range(bisect_left(ids, first), len(ids)):
            one = self.records[ids[place]]
            if one.archived is None or (archived and one.archived >= since):
                found.append(one)
                if len(found) == size:
                    break
        return found

    def live(self) -> Iterator[Record]:
        """All that are not archived, by their ids."""
        return (one for i in self._ids if (one := self.records[i]).archived is None)

    def ids_between(self, first: int, last: int) -> Sequence[int]:
        """Ids from ``first`` to ``last``, in their order."""
        return self._ids[bisect_left(self._ids, first) : bisect_right(self._ids, last)]

    def changed_between(self, first: int, last: int) -> set[int]:
        """Ids of what was changed in that time, and perhaps again later; ends included."""
        low = bisect_left(self._changed_at, first)
        high = bisect_right(self._changed_at, last)
        late = self._late[bisect_left(self._late, (first, 0)) :]
        return set(self._changed[low:high]) | {i for at, i in late if at <= last}

    def seen(self, record_id: int, now: int) -> Record | None:
        """The version of a record that the search index knows; None where it knows none."""
        waiting = self._lagging.get(record_id)
        if waiting is None:
            return self.records.get(record_id)
        known, later = waiting
        while later and later[0][0] <= now:
            known = later.pop(0)[1]
        if later:
            self._lagging[record_id] = (known, later)
        else:
            del self._lagging[record_id]
        return known

    def lagging(self) -> frozenset[int]:
        """The ids of which searches may still know an older version."""
        return frozenset(self._lagging)

    def with_value(self, name: str, value: str) -> int | None:
        """The id of the record that has a unique property's value."""
        return self._ids_by(name).get(value.casefold())

    def _ids_by(self, name: str) -> dict[str, int]:
        if name not in self._unique:
            values = ((one.get(name), one.id) for one in self.live())
            self._unique[name] = {v.casefold(): i for v, i in values if v is not None}
        return self._unique[name]

    def _add_id(self, new: int) -> None:
        if not self._ids or new > self._ids[-1]:
            self._ids.append(new)
        else:
            self._ids.insert(bisect_left(self._ids, new), new)

    def _note_change(self, new: Record) -> None:
        if not self._changed_at or new.updated >= self._changed_at[-1]:
            self._changed_at.append(new.updated)
            self._changed.append(new.id)
        else:
            insort(self._late, (new.updated, new.id))
            if len(self._late) * 10 > len(self._changed) + 10_000:
                self._in_order()

    def _in_order(self) -> None:
        pairs: Iterable[tuple[int, int]] = zip(self._changed_at, self._changed, strict=True)
        both = sorted([*pairs, *self._late])
        self._changed_at = array("q", (at for at, _ in both))
        self._changed = array("q", (i for _, i in both))
        self._late = []

    def _note_unique(self, old: Record | None, new: Record) -> None:
        for name, ids in self._unique.items():
            if old is not None:
                self._forget(ids, old, name)
            value = new.get(name)
            if value is not None and new.archived is None:
                ids[value.casefold()] = new.id

    def _forget(self, ids: dict[str, int], old: Record, name: str) -> None:
        value = old.get(name)
        if value is not None and ids.get(value.casefold()) == old.id:
            del ids[value.casefold()]

    def _note_archived(self, new: Record) -> None:
        if new.archived is not None:
            insort(self.archived, new.id)
        else:
            self.archived.remove(new.id)
