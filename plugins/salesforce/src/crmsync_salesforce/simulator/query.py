"""Answers a SOQL query from the records of an org, as strictly as the real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.objects import as_long_id
from crmsync_salesforce.simulator.soql import (
    Compared,
    Junction,
    MalformedQueryError,
    Negated,
    Query,
    parsed,
)
from crmsync_salesforce.simulator.values import kept_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync_salesforce.simulator.objects import FieldDefinition, ObjectDefinition
    from crmsync_salesforce.simulator.org import Org
    from crmsync_salesforce.simulator.soql import Condition, Path, Value

# What every record of a polymorphic relation can be asked for.
_NAME_FIELDS = ("Id", "Name", "Type", "Email")
_NUMBERS = {"int", "double", "currency", "percent"}
_TEXTS = {"string", "picklist", "textarea", "email", "phone", "url", "combobox", "id", "reference"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of an answer: its path in the org's own spelling, and the field behind it."""

    path: Path
    field: FieldDefinition | None
    value: sa.ColumnElement[Any]

    @property
    def kind(self) -> str:
        """The type of its values."""
        return "string" if self.field is None else self.field.type


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a query selects: no columns where it only counts."""

    object: ObjectDefinition
    columns: tuple[Column, ...]
    statement: sa.Select[Any]


def prepared(org: Org, text: str, *, all_rows: bool) -> Answer:
    """A query, checked and ready to be run.

    Args:
        all_rows: deleted records and archived activities are among the answers.

    Raises:
        OrgError: the real one would refuse it.
    """
    return _Preparation(org, read_query(text)).answer(all_rows=all_rows)


def read_query(text: str) -> Query:
    """What a query says.

    Raises:
        OrgError: it is none.
    """
    try:
        return parsed(text)
    except MalformedQueryError as error:
        raise OrgError("MALFORMED_QUERY", str(error)) from None


class _Preparation:
    def __init__(self, org: Org, query: Query) -> None:
        self._org = org
        self._query = query
        one = next(
            (o for o in org.objects.values() if o.name.lower() == query.object.lower()), None
        )
        if one is None:
            raise OrgError("INVALID_TYPE", f"sObject type '{query.object}' is not supported.")
        self._object = one
        self._base = org.tables[one.name]
        self._from: Any = self._base
        self._joined: dict[Path, sa.FromClause] = {}

    def answer(self, *, all_rows: bool) -> Answer:
        query = self._query
        columns = tuple(self._column(path) for path in query.fields or ())
        twice = {c.path for c in columns if sum(o.path == c.path for o in columns) > 1}
        if twice:
            raise OrgError("INVALID_FIELD", f"duplicate field selected: {'.'.join(min(twice))}")
        condition = None if query.where is None else self._condition(query.where)
        order = list(self._orderings())
        selected = [column.value for column in columns] or [sa.func.count()]
        statement = sa.select(*selected).select_from(self._from)
        if condition is not None:
            statement = statement.where(condition)
        if not all_rows:
            for name in ("IsDeleted", "IsArchived"):
                if name in self._object.fields:
                    statement = statement.where(~self._base.c[name])
        statement = statement.order_by(*(order if columns else []))
        if query.limit is not None:
            statement = statement.limit(query.limit)
        if query.offset is not None:
            statement = statement.offset(query.offset)
        return Answer(object=self._object, columns=columns, statement=statement)

    def _orderings(self) -> Iterator[Any]:
        for ordering in self._query.order:
            column = self._column(ordering.path)
            if column.field is not None and not column.field.filterable:
                raise OrgError(
                    "INVALID_FIELD",
                    f"field '{column.path[-1]}' can not be sorted in a query call",
                )
            value = column.value.desc() if ordering.descending else column.value.asc()
            yield value.nulls_last() if ordering.nulls_last else value.nulls_first()

    def _column(self, path: Path) -> Column:
        one, spelt = self._object, list[str]()
        table: sa.FromClause = self._base
        for place, name in enumerate(path[:-1]):
            field = next(
                (
                    f
                    for f in one.fields.values()
                    if f.relationship is not None
                    and f.relationship.lower() == name.lower()
                    and f.name not in one.hidden
                ),
                None,
            )
            if field is None or field.relationship is None:
                raise OrgError(
                    "INVALID_FIELD",
                    f"Didn't understand relationship '{name}' in field path. If you are attempting "
                    "to use a custom relationship, be sure to append the '__r' after the custom "
                    "relationship name.",
                )
            spelt.append(field.relationship)
            if len(field.references) > 1:
                if place != len(path) - 2:
                    raise _no_such_column(path[place + 1], "Name")
                return self._named(field, table, (*spelt, path[-1]))
            one = self._org.objects[field.references[0]]
            table = self._join(tuple(spelt), table.c[field.name], one)
        found = one.visible(path[-1])
        if found is None:
            raise _no_such_column(path[-1], one.name)
        return Column(path=(*spelt, found.name), field=found, value=table.c[found.name])

    def _join(self, path: Path, reference: Any, one: ObjectDefinition) -> sa.FromClause:  # noqa: ANN401  a column
        if path not in self._joined:
            alias = self._org.tables[one.name].alias("_".join(path))
            self._from = self._from.outerjoin(alias, alias.c.Id == reference)
            self._joined[path] = alias
        return self._joined[path]

    def _named(self, field: FieldDefinition, table: sa.FromClause, path: Path) -> Column:
        """A field of a record of which only the id says what it is."""
        name = next((n for n in _NAME_FIELDS if n.lower() == path[-1].lower()), None)
        if name is None:
            raise _no_such_column(path[-1], "Name")
        reference = table.c[field.name]
        targets = [self._org.objects[r] for r in field.references]
        prefix = sa.func.substr(reference, 1, 3)
        cases: list[Any] = []
        for target in targets:
            if name == "Type":
                cases.append((prefix == target.prefix, sa.literal(target.name)))
            elif name == "Id":
                cases.append((prefix == target.prefix, reference))
            else:
                own = target.name_field if name == "Name" else name
                if own in target.fields:
                    other = self._org.tables[target.name].alias()
                    called = sa.select(other.c[own]).where(other.c.Id == reference)
                    cases.append((prefix == target.prefix, called.scalar_subquery()))
        value: Any = sa.case(*cases, else_=None) if cases else sa.null()
        return Column(path=(*path[:-1], name), field=None, value=value)

    def _condition(self, condition: Condition) -> Any:  # noqa: ANN401  an SQL expression
        match condition:
            case Junction(word="AND"):
                return sa.and_(*map(self._condition, condition.parts))
            case Junction():
                return sa.or_(*map(self._condition, condition.parts))
            case Negated():
                return sa.not_(sa.func.coalesce(self._condition(condition.part), sa.false()))
            case Compared():
                return self._compared(condition)

    def _compared(self, condition: Compared) -> Any:  # noqa: ANN401  an SQL expression each
        column = self._column(condition.path)
        name = column.path[-1]
        if column.field is not None and not column.field.filterable:
            raise OrgError("INVALID_FIELD", f"field '{name}' can not be filtered in a query call")
        values = [_value(column, value) for value in condition.values]
        match condition.operator:
            case "in":
                return column.value.in_(values)
            case "not in":
                return sa.or_(column.value.is_(None), column.value.not_in(values))
            case "=":
                return column.value.is_(None) if values[0] is None else column.value == values[0]
            case "!=":
                return column.value.is_distinct_from(values[0])
        if values[0] is None or column.kind == "boolean":
            raise OrgError("INVALID_OPERATOR", f"invalid operator on {column.kind} field")
        match condition.operator:
            case "<":
                return column.value < values[0]
            case "<=":
                return column.value <= values[0]
            case ">":
                return column.value > values[0]
        return column.value >= values[0]


def _no_such_column(name: str, entity: str) -> OrgError:
    return OrgError(
        "INVALID_FIELD",
        f"No such column '{name}' on entity '{entity}'. If you are attempting to use a custom "
        "field, be sure to append the '__c' after the custom field name. Please reference your "
        "WSDL or the describe call for the appropriate names.",
    )


def _value(column: Column, value: Value) -> object:
    kind, name = column.kind, column.path[-1]
    if value.kind == "null":
        return None
    if kind == "boolean" and value.kind == "boolean":
        return value.text.lower() == "true"
    if kind in _NUMBERS and value.kind == "number":
        return float(value.text)
    if kind == "datetime" and value.kind == "datetime":
        # A plus sign that was not encoded arrives as a blank, and is no date any more.
        return kept_instant(value.text)
    if kind == "date" and value.kind == "date":
        return value.text
    if kind in _TEXTS and value.kind == "string":
        if kind not in {"id", "reference"}:
            return value.text
        record_id = as_long_id(value.text) if value.text else ""
        if record_id is None:
            raise OrgError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value.text}")
        return record_id
    quotes = (
        "should be enclosed in quotes" if kind in _TEXTS else "should not be enclosed in quotes"
    )
    raise OrgError(
        "INVALID_FIELD",
        f"value of filter criterion for field '{name}' must be of type {kind} and {quotes}",
    )
