"""One statement over many rows, as each engine does it fastest.

PostgreSQL is far away: there the rows travel as one parameter, and are a table to the statement.
SQLite is a library in this process: there the statement is prepared once, and stepped for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine import Dialect

    _Kind = sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]]

    # A statement over rows that it is given; made once for each engine.
    Build = Callable[["Rows"], sa.Insert | sa.Update]

_PORTION = 1000  # rows of one statement; bounds what is in memory twice
_ROWS, _WANTED = "rows_as_json", "wanted_values"
_SQLITE = sqlite.dialect()

_Filtered = TypeVar("_Filtered", sa.Select[Any], sa.Update)


def far_away(connection: sa.Connection) -> bool:
    """Whether each statement is a trip to a server."""
    return connection.dialect.name == "postgresql"


class Rows:
    """The rows that `execute_rows` passes, for a statement to be built over."""

    def __init__(self, dialect: str) -> None:
        self._many = dialect == "postgresql"

    def columns(self, **kinds: _Kind) -> Mapping[str, sa.ColumnElement[Any]]:
        """These columns of the rows, each of its type."""
        if not self._many:
            return {name: sa.bindparam(name, type_=kind) for name, kind in kinds.items()}
        passed = sa.func.json_to_recordset(sa.cast(sa.bindparam(_ROWS, type_=sa.Text), sa.JSON))
        typed = [sa.column(name, kind) for name, kind in kinds.items()]
        return dict(passed.table_valued(*typed).render_derived(name="passed", with_types=True).c)

    def in_order(self, select: sa.Select[Any], position: sa.ColumnElement[int]) -> sa.Select[Any]:
        """The select, its answers in the order of the rows."""
        return select.order_by(position) if self._many else select

    def as_json(self, text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A column of text that is JSON, for a JSON column; to SQLite they are the same."""
        return sa.cast(text, sa.JSON) if self._many else text

    def insert_unless_there(
        self, table: sa.Table, key: str, values: Mapping[str, Any], select: sa.Select[Any]
    ) -> sa.Insert:
        """Insert what is selected, but for those whose key is in the table already."""
        insert = postgresql.insert if self._many else sqlite.insert
        from_select = insert(table).from_select(list(values), select)
        return from_select.on_conflict_do_nothing(index_elements=[key])


def execute_rows(
    connection: sa.Connection,
    build: Build,
    rows: Sequence[dict[str, object]],
    **constants: object,
) -> int:
    """Execute a statement over rows; answers with how many rows it has touched.

    Args:
        rows: values that JSON has, instants as `as_text` writes them; the constants may be added.
        constants: parameters that are the same for all rows.
    """
    if not rows:
        return 0
    if far_away(connection):
        return _execute_whole(connection, build, rows, constants)
    prepared = _prepared(build, connection.dialect)
    fixed = prepared.defaults | {
        name: as_text(value) if isinstance(value, datetime) else value
        for name, value in constants.items()
    }
    pick = itemgetter(*prepared.parameters)
    for row in rows:
        row.update(fixed)
    steps = [pick(row) for row in rows]
    return connection.exec_driver_sql(prepared.text, steps).rowcount


def _execute_whole(
    connection: sa.Connection,
    build: Build,
    rows: Sequence[dict[str, object]],
    constants: Mapping[str, object],
) -> int:
    statement = _built(build, "postgresql")
    touched = 0
    for start in range(0, len(rows), _PORTION):
        passed = orjson.dumps(rows[start : start + _PORTION]).decode()
        result = connection.execute(
            statement,
            {_ROWS: passed, **constants},
            execution_options={"preserve_rowcount": True},  # of an INSERT too
        )
        touched += result.rowcount
    return touched


@cache
def _built(build: Build, dialect: str) -> sa.Insert | sa.Update:
    return build(Rows(dialect))


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """A statement in SQLite's own words. SQLAlchemy's parameters for each row cost more than it."""

    text: str
    parameters: tuple[str, ...]
    defaults: dict[str, object]


@cache
def _prepared(build: Build, dialect: Dialect) -> _Prepared:
    compiled = _built(build, dialect.name).compile(dialect=dialect)
    return _Prepared(
        text=str(compiled),
        parameters=tuple(compiled.positiontup or ()),
        defaults={
            name: value
            for name, value in compiled.params.items()
            if not compiled.binds[name].required
        },
    )


def rows_where(
    connection: sa.Connection,
    column: sa.Column[Any],
    values: Sequence[object],
    query: sa.Select[Any],
    **constants: object,
) -> Sequence[Any]:
    """The rows of a query in which the column has one of these values.

    They travel as one parameter: a list of them would be parsed anew with each statement.

    Args:
        query: one that is made once, because what becomes of it is kept; the constants are its
            parameters.
    """
    if not values:
        return ()
    wanted = _where(query, column, connection.dialect.name)
    return connection.execute(wanted, _passed(connection, values) | constants).all()


def update_where(
    connection: sa.Connection,
    column: sa.Column[Any],
    values: Sequence[object],
    update: sa.Update,
    **constants: object,
) -> None:
    """Update the rows in which the column has one of these values.

    Args:
        update: as the query of `rows_where`.
    """
    if values:
        wanted = _where(update, column, connection.dialect.name)
        connection.execute(wanted, _passed(connection, values) | constants)


def insert_for_each(
    connection: sa.Connection, column: sa.Column[int], values: Sequence[int], **constants: int
) -> None:
    """Insert a row of whole numbers for each of these values of a column."""
    if not far_away(connection):
        text = _inserting_one(column, *constants)
        connection.exec_driver_sql(text, [(value, *constants.values()) for value in values])
    elif values:
        wanted = _inserting(column, *constants)
        connection.execute(wanted, {_WANTED: _array(values), **constants})


@cache
def _inserting_one(column: sa.Column[int], *names: str) -> str:
    into = sa.insert(column.table)
    columns = [column.name, *names]
    return str(into.values({name: sa.bindparam(name) for name in columns}).compile(dialect=_SQLITE))


@cache
def _inserting(column: sa.Column[int], *names: str) -> sa.Insert:
    passed = sa.cast(sa.bindparam(_WANTED, type_=sa.Text), sa.ARRAY(column.type))
    others = [sa.bindparam(name, type_=sa.Integer) for name in names]
    each = sa.select(sa.func.unnest(passed), *others)
    return sa.insert(column.table).from_select([column.name, *names], each)


def _array(values: Sequence[object]) -> str:
    """A list as PostgreSQL writes it: the driver would look at each value for its type."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: object) -> str:
    if isinstance(value, int):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _passed(connection: sa.Connection, values: Sequence[object]) -> dict[str, object]:
    return {_WANTED: _array(values) if far_away(connection) else orjson.dumps(values).decode()}


@cache
def _where(query: _Filtered, column: sa.Column[Any], dialect: str) -> _Filtered:
    if dialect == "postgresql":
        # Of a table that is made of JSON it would guess wrong how much it has to look up.
        passed = sa.cast(sa.bindparam(_WANTED, type_=sa.Text), sa.ARRAY(column.type))
        return query.where(column == sa.any_(passed))
    listed = sa.bindparam(_WANTED, type_=sa.Text)
    value = sa.func.json_each(listed).table_valued("value").c.value
    return query.where(column.in_(sa.select(value)))


def as_text(instant: datetime | None) -> str | None:
    """An instant as both engines read it, and as SQLite keeps it: UTC, without an offset."""
    if instant is None:
        return None
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def speakable(text: str | None) -> str | None:
    """Words from outside, without what a database cannot hold: NUL, and halves of characters."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return whole.replace("\0", "\N{SYMBOL FOR NULL}")
