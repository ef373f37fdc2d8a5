"""A record as templates see it: its fields by name, and related records when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Record:
    """A record of a canonical table: ``record["name"]`` here, ``record.name`` in a template.

    ``related`` gives what is expensive, or another record: each callable is called at most once,
    when a template first asks for it, and answers with a value, a `Record`, a list of them or None.
    A related name stands in front of a field of the same name: ``account.owner`` is the colleague,
    not the colleague's id.

    Templates reach fields only; the methods here are for Python.
    """

    __slots__ = ("_related", "_values", "path", "table")

    def __init__(
        self,
        table: str,
        values: Mapping[str, object],
        related: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self.table = table
        self.path = table  # how a template reached it, for sentences: “account.owner”
        self._values = dict(values)
        self._related = dict(related or {})

    def names(self) -> list[str]:
        """Every name that it knows."""
        return sorted({*self._values, *self._related})

    def called(self, path: str) -> Record:
        """The same record reached by another path; what was looked up stays shared."""
        twin = Record(self.table, {})
        twin.path, twin._values, twin._related = path, self._values, self._related
        return twin

    def __getitem__(self, name: str) -> object:
        if name in self._related:
            self._values[name] = self._related.pop(name)()
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values or name in self._related

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return self is other or self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> object:
        return (self.table, self._values["id"]) if "id" in self._values else id(self._values)

    def __repr__(self) -> str:
        return f"Record({self.path})"
