"""Which fields a query reads: followed through its expression, from what comes out to the tables.

Facts, also those of plugins, need not say what they read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ibis.expr.operations as ops

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ibis.expr.types as ir


def fields_read(
    expression: ir.Table, columns: Iterable[str], tables: Mapping[str, ir.Table]
) -> frozenset[tuple[str, str]]:
    """The tables and fields that some columns of an expression depend on.

    Args:
        tables: by name; what they are made of themselves is not followed.
    """
    reader = _Reader({table.op(): name for name, table in tables.items()})
    reader.relation(expression.op(), frozenset(columns))
    return frozenset(reader.found)


class _Reader:
    def __init__(self, sources: Mapping[Any, str]) -> None:
        self._sources = sources
        self._seen: set[tuple[Any, frozenset[str]]] = set()
        self.found: set[tuple[str, str]] = set()

    def relation(self, node: Any, wanted: frozenset[str]) -> None:  # noqa: ANN401  an operation of Ibis
        """Columns of a relation, and what decides which rows it has."""
        if (node, wanted) in self._seen:
            return
        self._seen.add((node, wanted))
        if node in self._sources:
            self.found |= {(self._sources[node], name) for name in wanted}
            return
        match node:
            case ops.Project():
                self._values(node.values[name] for name in wanted)
                self.relation(node.parent, frozenset())
            case ops.Aggregate():
                self._values(node.groups.values())
                self._values(node.metrics[name] for name in wanted if name in node.metrics)
                self.relation(node.parent, frozenset())
            case ops.JoinChain():
                self._values(node.values[name] for name in wanted)
                self._values(node.rest)
                self.relation(node.first, frozenset())
            case ops.JoinLink():
                self._values(node.predicates)
                self.relation(node.table, frozenset())
            case ops.Filter() | ops.Sort() | ops.Limit() | ops.DropColumns():
                self._values(arg for arg in node.__args__ if arg is not node.parent)
                self.relation(node.parent, wanted)
            case ops.Set():
                # Of two sides, rows are the same where all columns are.
                names = wanted if not node.distinct else frozenset(node.schema)
                self.relation(node.left, names)
                self.relation(node.right, names)
            case ops.JoinReference() | ops.SelfReference():
                self.relation(node.parent, wanted)
            case _:
                # Whatever else there is: all of what it is made from.
                self._values(node.__args__)

    def _values(self, arguments: Iterable[Any]) -> None:
        for argument in arguments:
            self._value(argument)

    def _value(self, argument: Any) -> None:  # noqa: ANN401  an operation of Ibis, or a plain value
        match argument:
            case ops.Field():
                self.relation(argument.rel, frozenset({argument.name}))
            case ops.CountStar():
                self.relation(argument.arg, frozenset())
                self._value(argument.where)
            case ops.JoinLink():
                self.relation(argument, frozenset())
            case ops.Relation():
                self.relation(argument, frozenset(argument.schema))
            case ops.Node():
                self._values(argument.__args__)
            case tuple() | list():
                self._values(argument)
            case _ if hasattr(argument, "values") and callable(argument.values):
                self._values(argument.values())
