"""Conditions about a record of a table, and about its related records."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crmsync.model.tables import Field
from crmsync.rules.conditions import Quantifier
from crmsync.rules.language import Result
from crmsync.rules.operators import TYPE_WORDS
from crmsync.rules.reading.conditions import GROUPS, SEGMENT, STEPS
from crmsync.rules.reading.way import GOAL
from crmsync.rules.schema.names import Schema, mapping, offered, one_or_more
from crmsync.rules.schema.related import Relations

if TYPE_CHECKING:
    from crmsync.model.catalog import FactSpec
    from crmsync.rules.schema.names import Definitions, Names, Ways
    from crmsync.rules.schema.values import Values

_GROUP_WORDS = {
    "any": "One of these holds.",
    "all": "All of these hold.",
    "not": "Not all of these hold.",
    "none_of": "None of these holds.",
}
_QUANTIFIER_WORDS = {
    Quantifier.SOME: "There is one.",
    Quantifier.NONE: "There is none.",
    Quantifier.EVERY: "All of them fulfil “is”; also where there are none.",
    Quantifier.COUNT: "How many there are.",
    Quantifier.SUM: "The sum of a field.",
    Quantifier.AVG: "The average of a field.",
    Quantifier.MIN: "The smallest value of a field.",
    Quantifier.MAX: "The largest value of a field.",
    Quantifier.LATEST: "There is one, and the latest fulfils “is”.",
}


def described(path: str, column: Field | FactSpec) -> str:
    """What an editor shows where the pointer rests on a field."""
    told = column.description.rstrip(".")
    return f"{told} ({TYPE_WORDS[column.type]})." if told else f"{path}: {TYPE_WORDS[column.type]}."


class Conditions:
    """The conditions of each table; those of related records refer to those of their table."""

    def __init__(self, definitions: Definitions, ways: Ways, values: Values, names: Names) -> None:
        self._definitions = definitions
        self._ways = ways
        self._values = values
        self._names = names
        self._related = Relations(definitions, ways, values, self.of)

    def of(self, table: str) -> Schema:
        """A list of conditions, or one."""
        return self._definitions.ref(
            f"conditions.{table}", lambda: one_or_more(self._condition(table))
        )

    def ending(self, table: str) -> Schema:
        """A line of ``until``, or several."""

        def make() -> Schema:
            goal = {"type": "boolean", "description": "Whether that is what the rule is for."}
            line = self._entries(table)
            line["properties"][GOAL] = goal
            line["if"] = {"required": [GOAL]}
            line["then"] = {"minProperties": 2}
            return one_or_more(line)

        return self._definitions.ref(f"until.{table}", make)

    def _condition(self, table: str) -> Schema:
        return self._definitions.ref(f"condition.{table}", lambda: self._entries(table))

    def _entries(self, table: str) -> Schema:
        catalog = self._ways.catalog
        entries: dict[str, Schema] = {}
        for path, owner, column in self._ways.listed(table):
            own = column.words if isinstance(column, Field) else ()
            words = own or self._names.values.get((owner, column.name), ())
            tracked = isinstance(column, Field) and catalog.is_tracked(owner, column.name)
            tested = self._values.test(column.type, table, words, closed=bool(own), tracked=tracked)
            entries[path] = {**tested, "description": described(path, column)}
        for quantifier in Quantifier:
            related = self._related.of(quantifier, table)
            related = {**related, "description": _QUANTIFIER_WORDS[quantifier]}
            field = entries.get(quantifier)  # the usage of a feature has a count
            entries[quantifier] = related if field is None else {"anyOf": [field, related]}
        entries[SEGMENT] = {
            **offered(self._names.segments.get(table, ()), {"type": "string"}),
            "description": "The conditions of segments/NAME.yaml.",
        }
        for group in GROUPS:
            entries[group] = {**self.of(table), "description": _GROUP_WORDS.get(group, "")}
        longer: dict[str, Schema] = {
            self._ways.longer(names): {
                "anyOf": [self._values.test(kind, table, tracked=True) for kind in sorted(types)]
            }
            for types, names in self._ways.names_by_types().items()
        }
        word: Schema = {"enum": [str(result) for result in Result]}
        longer[rf"^{re.escape(STEPS)}"] = {
            **one_or_more(word),
            "description": "What became of an earlier step; only in “if” and “choose”.",
        }
        return mapping(entries, (), patternProperties=longer, minProperties=1)
