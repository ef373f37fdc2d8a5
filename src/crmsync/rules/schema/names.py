"""What stands in the other files of an installation, and which paths lead where."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crmsync.rules.paths import MOST_HOPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from crmsync.model.catalog import Catalog, FactSpec
    from crmsync.model.tables import Field, FieldType

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
# Paths over so many references are listed one by one, so that an editor completes them.
# Longer ones, up to as many as the loader follows, are described by a pattern.
LISTED_HOPS = 2
_SPECIAL = frozenset("^$\\.*+?()[]{}|/")


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names that an editor offers.

    Those of segments, templates and rules are offered and not insisted on: the file that brings a
    name may be younger than the schema.

    Attributes:
        segments: subject to the names of the segments about it.
        values: table and field to what the installation's mappings translate into.
    """

    teams: tuple[str, ...] = ()
    segments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    templates: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    values: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


class Definitions:
    """The parts of a schema that many places share; each is made when it is first asked for."""

    def __init__(self) -> None:
        self.made: dict[str, Schema] = {}

    def ref(self, name: str, make: Callable[[], Schema]) -> Schema:
        """A reference to the part of that name."""
        if name not in self.made:
            self.made[name] = {}  # a part may contain itself
            self.made[name] = make()
        return {"$ref": f"#/definitions/{name}"}

    def whole(self, told: str, root: Schema) -> Schema:
        """The schema of a file."""
        definitions = dict(sorted(self.made.items()))
        return {"$schema": DRAFT, "description": told, **root, "definitions": definitions}


class Ways:
    """The paths of a catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._references = sorted(
            {r.name for table in catalog.tables for r in catalog.relations(table) if not r.many}
        )

    def columns(self, table: str) -> Iterator[tuple[str, Field | FactSpec]]:
        """The fields and facts of a table itself."""
        seen = set()
        for name in self.catalog.names(table):
            column = self.catalog.column(table, name)
            if column is not None and "." not in name and name not in seen:
                seen.add(name)
                yield name, column

    def records(self, table: str, hops: int = LISTED_HOPS) -> Iterator[tuple[str, str]]:
        """Paths of references and the tables that they lead to; the shorter ones first."""
        reached = [("", table)]
        for _ in range(hops):
            reached = [
                (f"{path}.{relation.name}".removeprefix("."), relation.target)
                for path, target in reached
                for relation in self.catalog.relations(target)
                if not relation.many
            ]
            yield from reached

    def listed(self, table: str) -> Iterator[tuple[str, str, Field | FactSpec]]:
        """Paths to values, the table that has the value, and its column."""
        for path, target in (("", table), *self.records(table)):
            for name, column in self.columns(target):
                yield f"{path}.{name}".removeprefix("."), target, column

    def collections(self, table: str) -> Iterator[tuple[str, str]]:
        """Paths to related records over at most one reference, and the tables of these."""
        for path, target in (("", table), *self.records(table, hops=1)):
            for relation in self.catalog.relations(target):
                if relation.many:
                    yield f"{path}.{relation.name}".removeprefix("."), relation.target

    def longer(
        self, *last: Iterable[str], least: int = LISTED_HOPS + 1, most: int = MOST_HOPS
    ) -> str:
        """A pattern of paths that are not listed: references, then one of each of the names."""
        ends = r"\.".join(_one_of(sorted(names)) for names in last)
        return rf"^(?:{_one_of(self._references)}\.){{{least},{most}}}{ends}$"

    def names_of(self, types: frozenset[FieldType]) -> list[str]:
        """The names of all columns that are of no other type anywhere."""
        grouped = self.names_by_types()
        return [name for found, names in grouped.items() if found <= types for name in names]

    def names_by_types(self) -> dict[frozenset[FieldType], list[str]]:
        """The names of all columns, by the types that a column of that name has somewhere."""
        types: dict[str, set[FieldType]] = defaultdict(set)
        for table in self.catalog.tables:
            for name, column in self.columns(table):
                types[name].add(column.type)
        grouped: dict[frozenset[FieldType], list[str]] = defaultdict(list)
        for name, found in sorted(types.items()):
            grouped[frozenset(found)].append(name)
        return dict(sorted(grouped.items(), key=lambda item: sorted(item[0])))


def escaped(text: str) -> str:
    """A text as a regular expression that Python and JavaScript both read."""
    return "".join(f"\\{letter}" if letter in _SPECIAL else letter for letter in text)


def _one_of(names: Iterable[str]) -> str:
    return f"(?:{'|'.join(escaped(name) for name in names)})"


def offered(names: Iterable[str], otherwise: Schema) -> Schema:
    """Names that an editor offers, where others are fine as well."""
    listed = list(dict.fromkeys(names))
    return {"anyOf": [{"enum": listed}, otherwise]} if listed else otherwise


def among(names: Iterable[str], *patterns: str) -> Schema:
    """A text that is one of these names, or fits a pattern."""
    listed = list(dict.fromkeys(names))
    choices: list[Schema] = [{"enum": listed}] if listed else []
    choices += [{"type": "string", "pattern": pattern} for pattern in patterns]
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def one_or_more(of: Schema) -> Schema:
    """One of it, or a list of at least one."""
    return {"anyOf": [of, {"type": "array", "items": of, "minItems": 1}]}


def mapping(
    properties: Mapping[str, Schema | bool], needed: Iterable[str], **more: object
) -> Schema:
    """A mapping with these keys and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(needed),
        "additionalProperties": False,
        **more,
    }
