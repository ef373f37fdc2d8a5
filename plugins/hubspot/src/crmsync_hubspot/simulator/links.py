"""Associations between records, kept in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# The numbers of the vendor's association types: from, to, plain number, number where it is primary.
# Source: the lists in “Associations v4” of the documentation, and the vendor's own library.
_TYPES = """
contacts companies 279 1
companies contacts 280 2
deals contacts 3
contacts deals 4
deals companies 341 5
companies deals 342 6
contacts tickets 15
tickets contacts 16
deals line_items 19
line_items deals 20
tickets companies 339 26
companies tickets 340 25
deals tickets 27
tickets deals 28
contacts feedback_submissions 97
feedback_submissions contacts 98
tickets feedback_submissions 99
feedback_submissions tickets 100
companies calls 181
calls companies 182
companies emails 185
emails companies 186
companies meetings 187
meetings companies 188
companies notes 189
notes companies 190
companies tasks 191
tasks companies 192
contacts calls 193
calls contacts 194
contacts emails 197
emails contacts 198
contacts meetings 199
meetings contacts 200
contacts notes 201
notes contacts 202
contacts tasks 203
tasks contacts 204
deals calls 205
calls deals 206
deals emails 209
emails deals 210
deals meetings 211
meetings deals 212
deals notes 213
notes deals 214
deals tasks 215
tasks deals 216
tickets calls 219
calls tickets 220
tickets emails 223
emails tickets 224
tickets meetings 225
meetings tickets 226
tickets notes 227
notes tickets 228
tickets tasks 229
tasks tickets 230
companies companies 450
contacts contacts 449
deals deals 451
tickets tickets 452
"""
# Companies and their parents are associations with a name of their own in each direction.
PARENT_TO_CHILD, CHILD_TO_PARENT = 13, 14
HUBSPOT_DEFINED, USER_DEFINED = "HUBSPOT_DEFINED", "USER_DEFINED"
CATEGORIES = (HUBSPOT_DEFINED, "INTEGRATOR_DEFINED", USER_DEFINED, "WORK")


@dataclass(frozen=True, kw_only=True)
class LinkType:
    """A kind of association, in one direction.

    Attributes:
        label: None where it has none.
        inverse: the number of the same association seen from the other side.
        primary: whether a record has at most one of it, and the plain one with it.
    """

    number: int
    category: str
    label: str | None
    source: str
    target: str
    inverse: int
    primary: bool = False


class Links:
    """All associations of a portal."""

    def __init__(self) -> None:
        self.types: dict[tuple[str, str], dict[int, LinkType]] = {}
        self._plain: dict[tuple[str, str], int] = {}
        # From each record: the only other end, or a list of them.
        self._ends: dict[tuple[str, str], dict[int, int | list[int]]] = {}
        # Where an association has other types than the plain one alone.
        self._labelled: dict[tuple[str, str], dict[tuple[int, int], tuple[int, ...]]] = {}
        numbers = [line.split() for line in _TYPES.strip().splitlines()]
        by_pair = {(source, target): told for source, target, *told in numbers}
        for pair, told in by_pair.items():
            back = by_pair[pair[1], pair[0]]
            for place, (number, inverse) in enumerate(zip(told, back, strict=True)):
                self.define(
                    LinkType(
                        number=int(number),
                        category=HUBSPOT_DEFINED,
                        label="Primary" if place else None,
                        source=pair[0],
                        target=pair[1],
                        inverse=int(inverse),
                        primary=bool(place),
                    )
                )
        family = ((PARENT_TO_CHILD, "Child Company"), (CHILD_TO_PARENT, "Parent Company"))
        for family_number, label in family:
            self.define(
                LinkType(
                    number=family_number,
                    category=HUBSPOT_DEFINED,
                    label=label,
                    source="companies",
                    target="companies",
                    inverse=PARENT_TO_CHILD + CHILD_TO_PARENT - family_number,
                )
            )

    def define(self, one: LinkType) -> None:
        """Let there be a type of association; the first without a label is the plain one."""
        pair = (one.source, one.target)
        self.types.setdefault(pair, {})[one.number] = one
        if one.label is None:
            self._plain.setdefault(pair, one.number)

    def forget(self, one: LinkType) -> None:
        """Let a type of association, in this direction, not be there any more."""
        pair = (one.source, one.target)
        del self.types[pair][one.number]
        for ends, numbers in list(self._labelled.get(pair, {}).items()):
            self._keep(pair, ends, set(numbers) - {one.number})

    def plain(self, source: str, target: str) -> int | None:
        """The number of the type without a label; None where the two cannot be associated."""
        return self._plain.get((source, target))

    def of(self, source: str, record_id: int, target: str) -> list[int]:
        """The ids at the other ends."""
        ends = self._ends.get((source, target), {}).get(record_id)
        if ends is None:
            return []
        return [ends] if isinstance(ends, int) else list(ends)

    def numbers(self, source: str, record_id: int, target: str, other: int) -> tuple[int, ...]:
        """The types of an association that is there."""
        told = self._labelled.get((source, target), {}).get((record_id, other))
        return told or (self._plain[source, target],)

    def primary(self, source: str, record_id: int, target: str) -> int | None:
        """The other end of the primary association."""
        types = self.types.get((source, target), {})
        for other in self.of(source, record_id, target):
            if any(types[n].primary for n in self.numbers(source, record_id, target, other)):
                return other
        return None

    def add(
        self, source: str, record_id: int, target: str, other: int, numbers: Iterable[int] = ()
    ) -> None:
        """Associate two records; the plain type is there in any case."""
        types = self.types[source, target]
        chosen = set(numbers)
        for number in chosen:
            if types[number].primary:
                self._demote(source, record_id, target, number)
        inverse = {types[number].inverse for number in chosen}
        self._add_one((source, target), record_id, other, chosen)
        self._add_one((target, source), other, record_id, inverse)

    def remove(self, source: str, record_id: int, target: str, other: int) -> None:
        """Let two records not be associated any more, whatever its types."""
        for pair, one, two in (
            ((source, target), record_id, other),
            ((target, source), other, record_id),
        ):
            ends = self._ends.get(pair, {})
            kept = ends.get(one)
            if isinstance(kept, list):
                kept.remove(two) if two in kept else None
                if not kept:
                    del ends[one]
            elif kept == two:
                del ends[one]
            self._labelled.get(pair, {}).pop((one, two), None)

    def remove_labels(
        self, source: str, record_id: int, target: str, other: int, numbers: Iterable[int]
    ) -> None:
        """Take labels off; the association stays."""
        if other not in self.of(source, record_id, target):
            return
        gone = set(numbers)
        inverse = {self.types[source, target][number].inverse for number in gone}
        left = set(self.numbers(source, record_id, target, other)) - gone
        self._keep((source, target), (record_id, other), left)
        left = set(self.numbers(target, other, source, record_id)) - inverse
        self._keep((target, source), (other, record_id), left)

    def move(self, kind: str, old: int, new: int) -> None:
        """Hand all associations of a record to another one."""
        for source, target in [pair for pair in self._ends if pair[0] == kind]:
            for other in self.of(source, old, target):
                numbers = self.numbers(source, old, target, other)
                self.remove(source, old, target, other)
                if not (target == kind and other == new):
                    self.add(source, new, target, other, numbers)

    def remove_all(self, kind: str, record_id: int) -> None:
        """Let a record not be associated with anything."""
        for source, target in [pair for pair in self._ends if pair[0] == kind]:
            for other in self.of(source, record_id, target):
                self.remove(source, record_id, target, other)

    def _demote(self, source: str, record_id: int, target: str, number: int) -> None:
        """A record has one primary association; the former one stays as a plain one."""
        for other in self.of(source, record_id, target):
            if number in self.numbers(source, record_id, target, other):
                self.remove_labels(source, record_id, target, other, [number])

    def _add_one(self, pair: tuple[str, str], one: int, other: int, numbers: set[int]) -> None:
        ends = self._ends.setdefault(pair, {})
        kept = ends.get(one)
        if kept is None:
            ends[one] = other
        elif isinstance(kept, int):
            if kept != other:
                ends[one] = [kept, other]
        elif other not in kept:
            kept.append(other)
        before = self._labelled.get(pair, {}).get((one, other), ())
        self._keep(pair, (one, other), numbers | set(before))

    def _keep(self, pair: tuple[str, str], ends: tuple[int, int], numbers: set[int]) -> None:
        plain = self._plain.get(pair)
        if plain is not None:
            numbers |= {plain}
        labelled = self._labelled.setdefault(pair, {})
        if numbers == {plain}:
            labelled.pop(ends, None)
        else:
            labelled[ends] = tuple(sorted(numbers))
