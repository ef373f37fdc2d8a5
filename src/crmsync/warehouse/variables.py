"""Parts of a query that are told when it runs: a variable for a value, a name for a kept table.

DuckDB folds a variable into its plan like a literal, so a bound on a column still prunes by block,
and the text of the query stays the same at every instant.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis.expr.types as ir

GIVEN = "given"  # the session's one variable: a struct with a field for each value


def variable(name: str, data_type: dt.DataType) -> ir.Scalar:
    """The value of that name in what a query is given."""
    return _struct(dt.Struct({name: data_type}))(GIVEN)[name]


def given_table(name: str, columns: Mapping[str, dt.DataType | str]) -> ir.Table:
    """The kept table of that name in what a query is given."""
    return ibis.table(dict(columns), name=name)


@cache
def _struct(data_type: dt.Struct) -> Callable[[str], ir.StructScalar]:
    def getvariable(name: str) -> None:
        """A builtin has no body."""

    function: Callable[[str], ir.StructScalar] = ibis.udf.scalar.builtin(
        getvariable, name="getvariable", signature=((dt.string,), data_type)
    )
    return function
