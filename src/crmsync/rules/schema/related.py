"""Questions about related records: ``some: {of: tickets, where: […]}`` and its like."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from crmsync.rules.conditions import Quantifier
from crmsync.rules.reading.conditions import (
    WITH_EACH,
    WITH_FIELD,
    WITH_TEST,
    fitting_types,
    result_type,
)
from crmsync.rules.reading.operators import IF_UNKNOWN
from crmsync.rules.schema.names import LISTED_HOPS, Schema, among, mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crmsync.model.tables import FieldType
    from crmsync.rules.schema.names import Definitions, Ways
    from crmsync.rules.schema.values import Values


class Relations:
    """The quantifiers of each table.

    What may stand in ``where``, ``field`` and ``is`` depends on where ``of`` leads, so there is a
    case for each table that it can lead to.

    Args:
        conditions: those of a table.
    """

    def __init__(
        self,
        definitions: Definitions,
        ways: Ways,
        values: Values,
        conditions: Callable[[str], Schema],
    ) -> None:
        self._definitions = definitions
        self._ways = ways
        self._values = values
        self._conditions = conditions

    def of(self, quantifier: Quantifier, table: str) -> Schema:
        """What stands behind a quantifier in conditions about a table."""
        return self._definitions.ref(
            f"related.{_alike(quantifier)}.{table}", lambda: self._shape(quantifier, table)
        )

    def _shape(self, quantifier: Quantifier, table: str) -> Schema:
        targets: dict[str, list[str]] = defaultdict(list)
        for path, target in self._ways.collections(table):
            targets[target].append(path)
        choices, cases = [], []
        for target, paths in targets.items():
            for of, then in self._cases(quantifier, table, target, paths):
                choices.append(of)
                cases.append({"if": {"properties": {"of": of}, "required": ["of"]}, "then": then})
        properties: dict[str, Schema] = {
            "of": {"anyOf": choices, "description": "The related records that are meant."},
            "where": {"description": "What a related record must fulfil to count."},
            IF_UNKNOWN: self._values.if_unknown(),
        }
        needed = ["of"]
        if quantifier in WITH_FIELD:
            properties["field"] = {"description": "The field of theirs that is meant."}
        if quantifier in WITH_TEST | WITH_EACH:
            properties["is"] = {"description": "What is asked of it."}
            needed.append("is")
        return mapping(properties, needed, allOf=cases)

    def _cases(
        self, quantifier: Quantifier, table: str, target: str, paths: list[str]
    ) -> Iterator[tuple[Schema, Schema]]:
        """What ``of`` can be where it leads to a table, and what follows from that."""
        ways, relation = self._ways, paths[0].rpartition(".")[2]
        of = self._definitions.ref(
            f"related.{table}.{target}",
            lambda: among(paths, ways.longer([relation], least=LISTED_HOPS)),
        )
        yield of, self._about(quantifier, target)
        if quantifier not in WITH_FIELD:
            return
        for kind, names in self._fields(quantifier, target).items():
            # “of: deals.amount” is read like “of: deals, field: amount”.
            short = [f"{path}.{name}" for path in paths if path == relation for name in names]
            shape = among(short, ways.longer([relation], names, least=1))
            of = self._definitions.ref(f"related.{table}.{target}.{kind}", shape.copy)
            test = self._values.test(result_type(quantifier, kind), None)
            where = {"where": self._conditions(target)}
            yield of, {"properties": {**where, "is": test, "field": False}}

    def _about(self, quantifier: Quantifier, target: str) -> Schema:
        return self._definitions.ref(
            f"about.{_alike(quantifier)}.{target}", lambda: self._then(quantifier, target)
        )

    def _then(self, quantifier: Quantifier, target: str) -> Schema:
        properties = {"where": self._conditions(target)}
        if quantifier not in WITH_FIELD:
            if quantifier in WITH_EACH:
                properties["is"] = self._conditions(target)
            elif quantifier in WITH_TEST:
                properties["is"] = self._values.test(result_type(quantifier, None), None)
            return {"properties": properties}
        fitting = fitting_types(quantifier)
        properties["field"] = self._values.column(target, fitting)
        by_type = []
        for kind in sorted(fitting):
            column = self._values.column(target, frozenset({kind}))
            test = self._values.test(result_type(quantifier, kind), None)
            by_type.append(
                {"if": {"properties": {"field": column}}, "then": {"properties": {"is": test}}}
            )
        return {"properties": properties, "required": ["field"], "allOf": by_type}

    def _fields(self, quantifier: Quantifier, target: str) -> dict[FieldType, list[str]]:
        names: dict[FieldType, list[str]] = defaultdict(list)
        for name, column in self._ways.columns(target):
            if column.type in fitting_types(quantifier):
                names[column.type].append(name)
        return names


def _alike(quantifier: Quantifier) -> str:
    """One word for the quantifiers that are written alike."""
    if quantifier in WITH_EACH:
        return "each"
    if quantifier not in WITH_TEST:
        return "which"
    if quantifier not in WITH_FIELD or quantifier is Quantifier.AVG:
        return str(quantifier)
    return "field." + "-".join(sorted(fitting_types(quantifier)))
