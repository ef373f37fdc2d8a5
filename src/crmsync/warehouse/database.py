"""One open DuckDB file: queries as Ibis expressions, statements as sqlglot expressions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import ibis
import ibis.expr.types as ir
import sqlglot.expressions as sge

from crmsync.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import ibis.expr.datatypes as dt
    import pyarrow as pa
    from ibis.backends import BaseBackend

RECORDS = "records"  # the schema of the canonical tables
BOOKS = "books"  # the schema of cursors, history and the like

_DIALECT = "duckdb"


class Database:
    """An open file. Every statement runs at once and is read to its end."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.backend: BaseBackend = ibis.duckdb.connect(path, read_only=read_only)

    def close(self) -> None:
        """Close the file; what was committed is in it."""
        self.backend.disconnect()

    def table(self, name: str, schema: str | None = None) -> ir.Table:
        """A table of the file, or a temporary one or registered Arrow table without a schema."""
        return self.backend.table(name, database=schema)

    def query(self, expression: ir.Table) -> pa.Table:
        """The rows of an expression."""
        return self.backend.to_pyarrow(expression)

    def scalar(self, expression: ir.Scalar) -> Any:  # noqa: ANN401  whatever type the scalar has
        """The value of an expression."""
        return self.backend.to_pyarrow(expression).as_py()

    def run(self, statement: sge.Expression) -> None:
        """Run a statement."""
        self.backend.con.execute(statement.sql(_DIALECT, identify=True)).fetchall()

    @contextmanager
    def given(self, name: str, rows: pa.Table) -> Iterator[ir.Table]:
        """Arrow rows as a table of that name, without a copy."""
        self.backend.con.register(name, rows)
        try:
            yield self.table(name)
        finally:
            self.backend.con.unregister(name)

    def keep(self, name: str, expression: ir.Table) -> ir.Table:
        """The rows of an expression in a temporary table."""
        self.run(
            sge.Create(
                kind="TABLE",
                this=_named(name),
                expression=self._select(expression),
                properties=sge.Properties(expressions=[sge.TemporaryProperty()]),
                replace=True,
            )
        )
        return self.table(name)

    def forget(self, name: str) -> None:
        """Drop a temporary table where there is one."""
        self.run(sge.Drop(kind="TABLE", this=_named(name), exists=True))

    def insert(self, name: str, schema: str, expression: ir.Table) -> None:
        """Add the rows of an expression to a table, by column name."""
        columns = [sge.to_identifier(column, quoted=True) for column in expression.columns]
        into = sge.Schema(this=_named(name, schema), expressions=columns)
        self.run(sge.Insert(this=into, expression=self._select(expression)))

    def delete(self, name: str, schema: str, *, rows: ir.Table, on: Sequence[str]) -> None:
        """Delete the rows of a table that agree with one of ``rows`` in the columns ``on``."""
        chosen = sge.alias_(sge.Subquery(this=self._select(rows)), "chosen", table=True)
        where = sge.and_(
            *(
                sge.EQ(this=sge.column(c, table=name), expression=sge.column(c, table="chosen"))
                for c in on
            )
        )
        self.run(sge.Delete(this=_named(name, schema), using=[chosen], where=sge.Where(this=where)))

    def create(self, name: str, schema: str, columns: Mapping[str, dt.DataType]) -> None:
        """Create a table where it is missing."""
        self.run(sge.Create(kind="SCHEMA", this=sge.table_(schema), exists=True))
        body = sge.Schema(
            this=_named(name, schema),
            expressions=ibis.schema(columns).to_sqlglot_column_defs(_DIALECT),
        )
        self.run(sge.Create(kind="TABLE", this=body, exists=True))

    def add_column(self, name: str, schema: str, column: str, data_type: dt.DataType) -> None:
        """Add a column, null in the rows that stand already."""
        (definition,) = ibis.schema({column: data_type}).to_sqlglot_column_defs(_DIALECT)
        self.run(sge.Alter(this=_named(name, schema), kind="TABLE", actions=[definition]))

    def columns(self) -> dict[tuple[str, str], dict[str, str]]:
        """The columns of every table of the file and their types, by schema and table."""
        columns = self.table("columns", "information_schema")
        rows = self.query(
            columns.filter(columns.table_schema.isin([RECORDS, BOOKS])).select(
                "table_schema", "table_name", "column_name", "data_type"
            )
        ).to_pylist()
        found: dict[tuple[str, str], dict[str, str]] = {}
        for row in rows:
            key = (row["table_schema"], row["table_name"])
            found.setdefault(key, {})[row["column_name"]] = row["data_type"]
        return found

    @staticmethod
    def type_name(data_type: dt.DataType) -> str:
        """A type as DuckDB calls it in its list of columns."""
        if data_type.is_timestamp():
            return "TIMESTAMP WITH TIME ZONE"
        (definition,) = ibis.schema({"column": data_type}).to_sqlglot_column_defs(_DIALECT)
        names = {"TEXT": "VARCHAR"}
        name: str = definition.kind.sql(_DIALECT).replace(", ", ",")
        return names.get(name, name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements within it, or none."""
        self.backend.con.begin()
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        self.backend.con.commit()

    def _roll_back(self) -> None:
        try:
            self.backend.con.rollback()
        except duckdb.Error:
            # A failed commit has ended the transaction already; what failed is being raised.
            return

    def _select(self, expression: ir.Table) -> sge.Expression:
        select: sge.Expression = self.backend.compiler.to_sqlglot(expression)
        return select


def _named(name: str, schema: str | None = None) -> sge.Table:
    return sge.table_(name, db=schema, quoted=True)


@contextmanager
def store_errors(path: Path, doing: str) -> Iterator[None]:
    """Errors of DuckDB as a sentence; ``doing`` is “read” or “written”.

    Raises:
        StoreError: DuckDB failed.
    """
    try:
        yield
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise StoreError(
            f"the warehouse {path} could not be {doing}: {reason}; "
            "what was committed before stands, and nothing was half-written"
        ) from error
