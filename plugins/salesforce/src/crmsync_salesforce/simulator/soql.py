"""Reads SOQL: the part of the language that a connector needs, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

_GRAMMAR = r"""
query: _SELECT selected _FROM NAME [_WHERE condition] [_ORDER _BY orderings] [limit] [offset]
limit: _LIMIT INTEGER
offset: _OFFSET INTEGER
selected: _COUNT "(" ")" -> count
        | path ("," path)* -> fields
path: NAME ("." NAME)*
?condition: term
          | term (_AND term)+ -> all_of
          | term (_OR term)+ -> any_of
?term: "(" condition ")"
     | _NOT term -> negated
     | path OPERATOR value -> compared
     | path _IN "(" value ("," value)* ")" -> among
     | path _NOT _IN "(" value ("," value)* ")" -> not_among
orderings: ordering ("," ordering)*
ordering: path [DIRECTION] [_NULLS NULLS]
value: STRING | DATETIME | DATE | NUMBER | BOOLEAN | NULL
DIRECTION.3: /(asc|desc)\b/i
NULLS.3: /(first|last)\b/i
_SELECT.3: /select\b/i
_FROM.3: /from\b/i
_WHERE.3: /where\b/i
_ORDER.3: /order\b/i
_BY.3: /by\b/i
_LIMIT.3: /limit\b/i
_OFFSET.3: /offset\b/i
_COUNT.3: /count(?=\s*\(\s*\))/i
_AND.3: /and\b/i
_OR.3: /or\b/i
_NOT.3: /not\b/i
_IN.3: /in\b/i
_NULLS.3: /nulls\b/i
BOOLEAN.3: /(true|false)\b/i
NULL.3: /null\b/i
OPERATOR: "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
STRING: /'(?:[^'\\]|\\.)*'/s
DATETIME.2: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)/
DATE.1: /\d{4}-\d\d-\d\d/
NUMBER: /[+-]?\d+(\.\d+)?/
INTEGER.1: /\d+/
NAME: /[A-Za-z]\w*/
%ignore /\s+/
"""
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


class MalformedQueryError(Exception):
    """It is no SOQL."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value as the query writes it, and what kind of literal that is."""

    kind: Literal["string", "datetime", "date", "number", "boolean", "null"]
    text: str


Path = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A field held against values; ``operator`` is one of ``= != < <= > >= in, not in``."""

    path: Path
    operator: str
    values: tuple[Value, ...]


@dataclass(frozen=True, kw_only=True)
class Junction:
    """Several conditions, all or any of which must hold."""

    word: Literal["AND", "OR"]
    parts: tuple[Condition, ...]


@dataclass(frozen=True, kw_only=True)
class Negated:
    """A condition that must not hold."""

    part: Condition


Condition = Compared | Junction | Negated


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """By what to sort."""

    path: Path
    descending: bool
    nulls_last: bool


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query; ``fields`` is None where it only counts."""

    fields: tuple[Path, ...] | None
    object: str
    where: Condition | None
    order: tuple[Ordering, ...]
    limit: int | None
    offset: int | None


def unquoted(text: str) -> str:
    """The text of a literal in quotes.

    Raises:
        MalformedQueryError: it has an escape that does not exist.
    """
    found: list[str] = []
    letters = iter(text[1:-1])
    for letter in letters:
        if letter != "\\":
            found.append(letter)
            continue
        escaped = next(letters)
        if escaped in "'\"\\":
            found.append(escaped)
        elif escaped in _ESCAPES:
            found.append(_ESCAPES[escaped])
        else:
            raise MalformedQueryError(f"Illegal string literal at: \\{escaped}")
    return "".join(found)


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    def query(self, fields: Any, name: Token, *rest: Any) -> Query:  # noqa: ANN401  lark's own
        where, order, limit, offset = rest
        return Query(
            fields=fields,
            object=str(name),
            where=where,
            order=order or (),
            limit=limit,
            offset=offset,
        )

    def limit(self, number: Token) -> int:
        return int(number)

    offset = limit

    def count(self) -> None:
        return None

    def fields(self, *paths: Path) -> tuple[Path, ...]:
        return paths

    def path(self, *names: Token) -> Path:
        return tuple(str(name) for name in names)

    def all_of(self, *parts: Condition) -> Junction:
        return Junction(word="AND", parts=parts)

    def any_of(self, *parts: Condition) -> Junction:
        return Junction(word="OR", parts=parts)

    def negated(self, part: Condition) -> Negated:
        return Negated(part=part)

    def compared(self, path: Path, operator: Token, value: Value) -> Compared:
        sign = "!=" if operator == "<>" else str(operator)
        return Compared(path=path, operator=sign, values=(value,))

    def among(self, path: Path, *values: Value) -> Compared:
        return Compared(path=path, operator="in", values=values)

    def not_among(self, path: Path, *values: Value) -> Compared:
        return Compared(path=path, operator="not in", values=values)

    def orderings(self, *orderings: Ordering) -> tuple[Ordering, ...]:
        return orderings

    def ordering(self, path: Path, direction: Token | None, nulls: Token | None) -> Ordering:
        return Ordering(
            path=path,
            descending=(direction or "").lower() == "desc",
            nulls_last=(nulls or "").lower() == "last",
        )

    def value(self, token: Token) -> Value:
        text = unquoted(token) if token.type == "STRING" else str(token)
        return Value(kind=token.type.lower(), text=text)  # type: ignore[arg-type]  # the grammar's own names


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, start="query", parser="lalr", maybe_placeholders=True)


def parsed(text: str) -> Query:
    """A query.

    Raises:
        MalformedQueryError: it is none.
    """
    parser = _parser()
    try:
        query: Query = _Builder().transform(parser.parse(text))
    except UnexpectedInput as error:
        line, column = getattr(error, "line", -1), getattr(error, "column", -1)
        raise MalformedQueryError(
            f"\n{error.get_context(text).strip()}\nERROR at Row:{line}:Column:{column}\n"
            "unexpected token"
        ) from None
    except VisitError as error:
        if isinstance(error.orig_exc, MalformedQueryError):
            raise error.orig_exc from None
        raise
    return query
