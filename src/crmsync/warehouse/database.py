"""One open DuckDB file: queries as Ibis expressions, statements as sqlglot expressions.

To build and compile an Ibis expression takes tens of milliseconds, more than what a small stream
costs DuckDB. So small questions are asked in sqlglot, and what can be told of Arrow rows at hand
is told by Arrow; Ibis is for what would be hard to read otherwise.
"""

from __future__ import annotations

import itertools
import weakref
from contextlib import contextmanager
from functools import cache, cached_property
from typing import TYPE_CHECKING

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa
import sqlglot.expressions as sge

from crmsync.errors import StoreError
from crmsync.model.records import NOTHING, Compiled, Kept
from crmsync.warehouse.texts import QueryTexts
from crmsync.warehouse.variables import GIVEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import ibis.expr.datatypes as dt
    from ibis.backends import BaseBackend

    from crmsync.model.records import Answers, Given, Value

RECORDS = "records"  # the schema of the canonical tables
BOOKS = "books"  # the schema of cursors, history and the like

_DIALECT = "duckdb"
_GIVEN = "given"
_FILE = "file"  # the name under which an engine knows the file
# Engines that rest. To start one takes 13 ms of the processor, to open a file in it one: a command
# opens the warehouse five times, and each test that runs commands some fifty times.
_RESTING: list[duckdb.DuckDBPyConnection] = []
# An engine that has seen more than this keeps a hundred MiB, and its start is no matter beside it.
_LARGE = 8 * 2**20
# From so many characters on a query takes longer to bind than its rows to be kept: it is bound once
# to be kept, but several times to be read.
_LONG = 10_000


class Database:
    """An open file. Every statement runs at once and is read to its end.

    Args:
        path: the file, or ``:memory:``.
        texts: compiled queries by their keys, where several files share them.
    """

    def __init__(self, path: Path, *, read_only: bool, texts: QueryTexts | None = None) -> None:
        self.path = path
        self._texts = QueryTexts() if texts is None else texts
        self._values: dict[str, Value] = {}
        self._tables: dict[str, str] = {}  # kept tables by the names under which they are read
        self._forgotten: list[str] = []
        engine = _engine_with(path, read_only=read_only)
        self._engine: duckdb.DuckDBPyConnection | None = engine
        self._connection = engine.cursor()
        self._connection.execute(f"USE {_FILE}; SET TimeZone = 'UTC'")
        self._numbers = itertools.count(1)

    @cached_property
    def backend(self) -> BaseBackend:
        """The same connection through Ibis."""
        return ibis.duckdb.from_connection(self._connection)

    def close(self) -> None:
        """Close the file; what was committed is in it."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        self._connection.close()  # and with it go temporary tables and variables
        try:
            engine.execute(f"DETACH {_FILE}; SET temp_directory = ''")
        except duckdb.Error:
            # It broke, on a full disk for example, or has a folder beside the file: what does not
            # fit into memory is always kept in the first one, which goes with the engine.
            engine.close()
            return
        if _size(self.path) > _LARGE:
            engine.close()
        else:
            _RESTING.append(engine)

    def table(self, name: str, schema: str | None = None) -> ir.Table:
        """A table of the file, or a temporary one or registered Arrow table without a schema."""
        return self.backend.table(name, database=schema)

    def compiled(self, key: str, build: Callable[[], ir.Table | Answers]) -> Compiled:
        """The text of a query; ``build`` is called where nobody has asked with this key before."""
        text = self._texts.get(key)
        if text is None:
            asked = build()
            select = self._select(asked) if isinstance(asked, ir.Table) else self._union(asked)
            text = select.sql(_DIALECT, identify=True)
            self._texts.keep(key, text)
        return Compiled(text=text)

    def query(self, query: ir.Table | Compiled, given: Given = NOTHING) -> pa.Table:
        """The rows of a query."""
        if isinstance(query, Compiled) and len(query.text) > _LONG:
            kept = self.kept(query, given)
            return self.fetch(sge.select("*").from_(named(kept.name)))
        self._give(given)
        if isinstance(query, Compiled):
            return self._connection.sql(query.text).to_arrow_table()
        # Not by way of the backend's to_pyarrow: it imports pandas, a third of a second.
        return self.fetch(self._select(query))

    def _give(self, given: Given) -> None:
        values = dict(given.values)
        if values and values != self._values:
            self._connection.execute(f"SET VARIABLE {GIVEN} = ?", [values])
            self._values = values
        for name, kept in given.tables.items():
            if self._tables.get(name) == kept.name:
                continue
            self.view(name, sge.select("*").from_(named(kept.name)))
            self._tables[name] = kept.name

    def view(self, name: str, select: sge.Select) -> None:
        """A temporary view of that name, also in a file that is only read."""
        self.run(
            sge.Create(
                kind="VIEW",
                this=named(name),
                expression=select,
                properties=sge.Properties(expressions=[sge.TemporaryProperty()]),
                replace=True,
            )
        )

    def fetch(self, select: sge.Expression) -> pa.Table:
        """The rows of a SELECT."""
        return self._connection.sql(select.sql(_DIALECT, identify=True)).to_arrow_table()

    def run(self, statement: sge.Expression) -> None:
        """Run a statement."""
        self._connection.execute(statement.sql(_DIALECT, identify=True)).fetchall()

    def register(self, name: str, rows: pa.Table) -> None:
        """Arrow rows as a table of that name, without a copy, until the file is closed."""
        self._connection.register(name, rows)

    @contextmanager
    def given(self, name: str, rows: pa.Table) -> Iterator[None]:
        """Arrow rows as a table of that name, without a copy."""
        self._connection.register(name, rows)
        try:
            yield
        finally:
            self._connection.unregister(name)

    def keep(self, name: str, rows: ir.Table | sge.Select | pa.Table) -> None:
        """Rows at hand, or those of a query, in a temporary table."""
        if isinstance(rows, pa.Table):
            with self.given(_GIVEN, rows):
                self.keep(name, sge.select("*").from_(named(_GIVEN)))
            return
        select = rows if isinstance(rows, sge.Select) else self._select(rows)
        self.run(
            sge.Create(
                kind="TABLE",
                this=named(name),
                expression=select,
                properties=sge.Properties(expressions=[sge.TemporaryProperty()]),
                replace=True,
            )
        )

    def kept(self, rows: ir.Table | Compiled | pa.Table, given: Given = NOTHING) -> Kept:
        """The same in a table of its own, for as long as anybody holds what is returned.

        Queries read it under a name that they are given.
        """
        while self._forgotten:
            self.run(sge.Drop(kind="TABLE", tables=[named(self._forgotten.pop())]))
        self._give(given)
        kept = Kept(f"kept_{next(self._numbers)}")
        if isinstance(rows, Compiled):
            text = sge.Anonymous(this="query", expressions=[sge.Literal.string(rows.text)])
            self.keep(kept.name, sge.select("*").from_(sge.Table(this=text)))
        else:
            self.keep(kept.name, rows)
        # Dropped by the next one that is kept, since this may run in the middle of a statement.
        weakref.finalize(kept, self._forgotten.append, kept.name)
        return kept

    def insert(self, name: str, schema: str, rows: pa.Table | ir.Table) -> None:
        """Add rows to a table, by column name."""
        columns = rows.columns if isinstance(rows, ir.Table) else rows.column_names
        identifiers = [sge.to_identifier(column, quoted=True) for column in columns]
        into = sge.Schema(this=named(name, schema), expressions=identifiers)
        if isinstance(rows, ir.Table):
            self.run(sge.Insert(this=into, expression=self._select(rows)))
            return
        # Chunks are scanned by several threads, whose row groups are then made anew to full ones:
        # in one chunk the insert takes half the time, and the file two thirds of the room.
        with self.given(_GIVEN, rows.combine_chunks()):
            chosen = sge.select(*identifiers).from_(named(_GIVEN))
            self.run(sge.Insert(this=into, expression=chosen))

    def insert_texts(
        self, name: str, schema: str, rows: Sequence[Mapping[str, str | None]]
    ) -> None:
        """Add a few rows to a table, each value as text that DuckDB casts.

        To make Arrow of Python's values would load pandas, which takes longer than most syncs.
        """
        columns = list(dict.fromkeys(column for row in rows for column in row))
        identifiers = [sge.to_identifier(column, quoted=True) for column in columns]
        values = sge.values([tuple(row.get(column) for column in columns) for row in rows])
        into = sge.Schema(this=named(name, schema), expressions=identifiers)
        self.run(sge.Insert(this=into, expression=values))

    def delete(self, name: str, schema: str, where: sge.Condition) -> None:
        """Delete the rows of a table for which the condition holds."""
        self.run(sge.Delete(this=named(name, schema), where=sge.Where(this=where)))

    def delete_ids(self, name: str, schema: str, ids: pa.ChunkedArray) -> None:
        """Delete the records of these ids."""
        with self.given(_GIVEN, pa.table({"id": ids})):
            self.delete(name, schema, is_one_of("id", _GIVEN))

    def create(self, name: str, schema: str, columns: Mapping[str, dt.DataType]) -> None:
        """Create a table where it is missing."""
        self.run(sge.Create(kind="SCHEMA", this=sge.table_(schema), exists=True))
        body = sge.Schema(
            this=named(name, schema),
            expressions=ibis.schema(columns).to_sqlglot_column_defs(_DIALECT),
        )
        self.run(sge.Create(kind="TABLE", this=body, exists=True))

    def add_column(self, name: str, schema: str, column: str, data_type: dt.DataType) -> None:
        """Add a column, null in the rows that stand already."""
        (definition,) = ibis.schema({column: data_type}).to_sqlglot_column_defs(_DIALECT)
        self.run(sge.Alter(this=named(name, schema), kind="TABLE", actions=[definition]))

    def columns(self) -> dict[tuple[str, str], dict[str, str]]:
        """The columns of every table of the file and their types, by schema and table."""
        wanted = ("schema_name", "table_name", "column_name", "data_type")
        select = sge.select(*wanted).from_("duckdb_columns()")
        rows = self.fetch(select.where(sge.column("schema_name").isin(RECORDS, BOOKS)))
        found: dict[tuple[str, str], dict[str, str]] = {}
        for schema, table, column, data_type in zip(*rows.to_pydict().values(), strict=True):
            found.setdefault((schema, table), {})[column] = data_type
        return found

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements within it, or none."""
        self._connection.begin()
        try:
            yield
        except BaseException:
            self._roll_back()
            raise
        self._connection.commit()

    def _roll_back(self) -> None:
        try:
            self._connection.rollback()
        except duckdb.Error:
            # A failed commit has ended the transaction already; what failed is being raised.
            return

    def _select(self, expression: ir.Table) -> sge.Expression:
        select: sge.Expression = self.backend.compiler.to_sqlglot(expression)
        for part in select.find_all(sge.CTE):
            if _is_plain_scan(part.this):
                # Written down once, it would be copied, and no bound could prune it by block.
                part.set("materialized", False)
        return select

    def _union(self, answers: Answers) -> sge.Expression:
        """A flat UNION ALL of plain selects.

        Ibis would nest the selects, and take longest over them. So all that they ask is compiled
        as the columns of one, and distributed.
        """
        asked = {f"filter_{i}": where for i, where in enumerate(answers.filters)}
        for i, columns in enumerate(answers.columns):
            asked |= {f"column_{i}_{name}": value for name, value in columns.items()}
        whole = self.backend.compiler.to_sqlglot(answers.table.select(**asked))
        compiled = {column.alias_or_name: column.unalias() for column in whole.expressions}
        whole.set("expressions", [])
        selects = []
        for i, columns in enumerate(answers.columns):
            chosen = [
                sge.alias_(compiled[f"column_{i}_{name}"], name, quoted=True) for name in columns
            ]
            select = whole.copy().select(*chosen, copy=False)
            selects.append(select.where(compiled[f"filter_{i}"], copy=False))
        return sge.union(*selects, distinct=False, copy=False) if selects[1:] else selects[0]


def _engine_with(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        engine = _RESTING.pop()
    except IndexError:
        engine = duckdb.connect()
    beside = path.with_name(f"{path.name}.tmp")
    mode = "READ_ONLY" if read_only else "READ_WRITE"
    try:
        engine.execute(
            f"SET temp_directory = {_quoted(beside)}; ATTACH {_quoted(path)} AS {_FILE} ({mode})"
        )
    except duckdb.Error:
        engine.close()
        raise
    return engine


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _quoted(path: Path) -> str:
    return sge.Literal.string(str(path)).sql(_DIALECT)


def _is_plain_scan(select: sge.Expression) -> bool:
    """Whether a query only chooses rows and columns of one table."""
    if not isinstance(select, sge.Select) or select.args.get("joins") or select.args.get("group"):
        return False
    if select.args.get("distinct") or any(select.find_all(sge.Window, sge.AggFunc)):
        return False
    begin = select.args.get("from_") or select.args.get("from")
    return begin is not None and isinstance(begin.this, sge.Table)


@cache
def type_name(data_type: dt.DataType) -> str:
    """A type as DuckDB calls it in its list of columns."""
    if data_type.is_timestamp():
        return "TIMESTAMP WITH TIME ZONE"
    (definition,) = ibis.schema({"column": data_type}).to_sqlglot_column_defs(_DIALECT)
    names = {"TEXT": "VARCHAR"}
    name: str = definition.kind.sql(_DIALECT).replace(", ", ",")
    return names.get(name, name)


def named(name: str, schema: str | None = None) -> sge.Table:
    """A table in a statement."""
    return sge.table_(name, db=schema, quoted=True)


def equals(**values: str) -> sge.Condition:
    """The condition that each of these columns has its value."""
    return sge.and_(*(sge.column(name).eq(value) for name, value in values.items()))


def is_one_of(column: str, table: str) -> sge.Condition:
    """The condition that a column's value stands in the column ``id`` of a table at hand."""
    return sge.column(column).isin(query=sge.select("id").from_(named(table)))


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
