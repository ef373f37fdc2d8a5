"""Values, and what can be asked of one: the operators of its type, with their operands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.model.durations import duration_pattern
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import NUMBERS, TIMES, IfUnknown, Operator
from crmsync.rules.operators import (
    COLUMN_OPERATORS,
    DAY_PATTERN,
    DURATION_OPERATORS,
    HISTORY_OPERATORS,
    INSTANT_PATTERN,
    LARGEST,
    LIST_OPERATORS,
    OPERATORS,
    TODAY,
)
from crmsync.rules.reading.operators import ENROLLED, IF_UNKNOWN
from crmsync.rules.reading.past import AT, FROM, IN_LAST, PAST_KEYS, TO, VALUE
from crmsync.rules.schema.names import Schema, among, mapping, offered, one_or_more

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmsync.rules.schema.names import Definitions, Ways

_TEXTS = frozenset({FieldType.TEXT, FieldType.REFERENCE})
_LITERAL_OPERATORS = frozenset(
    {
        Operator.IS,
        Operator.IS_NOT,
        Operator.CONTAINS,
        Operator.STARTS_WITH,
        Operator.ENDS_WITH,
    }
)
_DURATIONS = ("30 days", "2 weeks", "12h", "3 business days")
_WHOLE_DAYS = ("30 days", "2 weeks", "3 business days")


def text() -> Schema:
    """A text with something in it."""
    return {"type": "string", "pattern": r"\S"}


def duration(*, whole_days: bool = False) -> Schema:
    """``30 days`` and its like."""
    examples = _WHOLE_DAYS if whole_days else _DURATIONS
    return {
        "type": "string",
        "pattern": duration_pattern(whole_days=whole_days),
        "patternErrorMessage": f"write a duration, for example {', '.join(examples)}",
        "examples": list(examples),
    }


def literal(kind: FieldType) -> Schema:
    """One value of a type."""
    bounds = {"exclusiveMinimum": -int(LARGEST), "exclusiveMaximum": int(LARGEST)}
    match kind:
        case FieldType.TEXT | FieldType.REFERENCE:
            return {"type": "string"}
        case FieldType.INTEGER:
            return {"type": "integer", **bounds}
        case FieldType.NUMBER:
            return {"type": "number", **bounds}
        case FieldType.BOOLEAN:
            return {"type": "boolean"}
        case FieldType.DATE:
            pattern, example = rf"^(?:{TODAY}|{DAY_PATTERN})$", "2026-03-01"
        case FieldType.INSTANT:
            pattern = rf"^(?:{TODAY}|{DAY_PATTERN}|{INSTANT_PATTERN})$"
            example = "2026-03-01 or 2026-03-01T09:30+01:00"
    return {
        "type": "string",
        "pattern": pattern,
        "patternErrorMessage": f"write {TODAY}, or for example {example}",
        "examples": [TODAY],
    }


def _past_literal(kind: FieldType) -> Schema:
    """A value that a field had: what was kept knows no “today”."""
    if kind is FieldType.DATE:
        return {"type": "string", "pattern": rf"^{DAY_PATTERN}$"}
    return literal(kind)


def _only(words: Iterable[str]) -> Schema:
    """Wherever a test names a value, it is one of these."""
    word: Schema = {"enum": list(words)}
    some: Schema = {"items": word}
    either = {"if": {"type": "array"}, "then": some, "else": word}
    named: dict[str, Schema] = {
        Operator.IS: word,
        Operator.IS_NOT: word,
        Operator.IN: some,
        Operator.NOT_IN: some,
        Operator.CHANGED: {"properties": {FROM: either, TO: either}},
        Operator.WAS: {"properties": {VALUE: either}},
    }
    tests = {"properties": {str(operator): shape for operator, shape in named.items()}}
    return {"if": {"type": "object"}, "then": tests, "else": either}


class Values:
    """The tests of each type, shared by all fields that have it."""

    def __init__(self, definitions: Definitions, ways: Ways) -> None:
        self._definitions = definitions
        self._ways = ways

    def literal(self, kind: FieldType) -> Schema:
        """One value of a type."""
        return self._definitions.ref(f"value.{kind}", lambda: literal(kind))

    def duration(self, *, whole_days: bool = False) -> Schema:
        """A duration."""
        name = "duration.days" if whole_days else "duration"
        return self._definitions.ref(name, lambda: duration(whole_days=whole_days))

    def if_unknown(self) -> Schema:
        """What an unknown clause counts as."""
        return {
            "enum": [str(answer) for answer in IfUnknown],
            "description": "What the clause counts as while nobody knows.",
        }

    def test(
        self,
        kind: FieldType,
        table: str | None,
        words: Iterable[str] = (),
        *,
        closed: bool = False,
        tracked: bool = False,
    ) -> Schema:
        """Whatever can stand behind a field of a type.

        Args:
            table: where paths of operands that name fields begin; None where none can.
            words: values to offer.
            closed: whether there can be no others.
            tracked: whether its past can be asked about.
        """
        if not COLUMN_OPERATORS & set(OPERATORS[kind]):
            table = None  # then all tables share one definition
        name = f"test.{kind}" if table is None else f"test.{kind}.{table}"
        name += ".tracked" if tracked else ""
        shape = self._definitions.ref(name, lambda: self._test(kind, table, tracked=tracked))
        return {"allOf": [shape, _only(words)]} if closed else offered(words, shape)

    def _test(self, kind: FieldType, table: str | None, *, tracked: bool) -> Schema:
        fitting = OPERATORS[kind]
        choices: list[Schema] = []
        if Operator.IS in fitting:
            choices.append(self.literal(kind))
        if Operator.IN in fitting:
            choices.append(self._list(kind))
        properties = {str(op): self._operand(op, kind, table) for op in fitting}
        if tracked:
            properties |= {
                str(operator): self._past(operator, kind) for operator in HISTORY_OPERATORS
            }
        properties[IF_UNKNOWN] = self.if_unknown()
        asked = mapping(properties, (), minProperties=1)
        asked["if"] = {"required": [IF_UNKNOWN]}
        asked["then"] = {"minProperties": 2}
        if not choices:
            return asked
        # Cases and not alternatives: an editor then says which operator is wrong.
        plain = {"anyOf": choices} if len(choices) > 1 else choices[0]
        return {"if": {"type": "object"}, "then": asked, "else": plain}

    def _past(self, operator: Operator, kind: FieldType) -> Schema:
        """What can be asked of a field's past; values of a time cannot be."""
        values: Schema | bool = False
        if kind is not FieldType.INSTANT:
            values = one_or_more(_past_literal(kind))
        then = {"type": "string", "pattern": rf"^(?:{DAY_PATTERN}|{INSTANT_PATTERN})$"}
        shapes: dict[str, Schema | bool] = {
            IN_LAST: self.duration(),
            FROM: values,
            TO: values,
            VALUE: values,
            AT: {"anyOf": [self.duration(), then]},
        }
        keys = {key: shapes.get(key, {}) for key in PAST_KEYS[operator]}
        return mapping(
            keys, PAST_KEYS[operator] if operator is Operator.WAS else (), minProperties=1
        )

    def _list(self, kind: FieldType) -> Schema:
        return {"type": "array", "items": self.literal(kind), "minItems": 1}

    def _operand(self, operator: Operator, kind: FieldType, table: str | None) -> Schema:
        if operator is Operator.PRESENT:
            return {"type": "boolean"}
        if operator in DURATION_OPERATORS:
            return self.duration(whole_days=kind is FieldType.DATE)
        if operator is Operator.MATCHES:
            return {"type": "string", "description": "A regular expression in the syntax of RE2."}
        if operator is Operator.BETWEEN:
            ends = {"minItems": 2, "maxItems": 2}
            return {"type": "array", "items": self.literal(kind), **ends}
        if operator in LIST_OPERATORS:
            return self._list(kind)
        if operator in COLUMN_OPERATORS:
            column = [] if table is None else [self._column(kind, table)]
            enrolled = [{"enum": [ENROLLED]}] if kind in TIMES else []
            return {"anyOf": [self.literal(kind), *column, *enrolled]}
        return self.literal(kind) if operator in _LITERAL_OPERATORS else {}

    def _column(self, kind: FieldType, table: str) -> Schema:
        """The name of another field that the field can be compared with."""
        return self.column(table, NUMBERS if kind in NUMBERS else frozenset({kind}))

    def column(self, table: str, types: frozenset[FieldType]) -> Schema:
        """A path from a table to a value of one of these types."""

        def make() -> Schema:
            found = self._ways.listed(table)
            listed = [path for path, _, column in found if column.type in types]
            last = self._ways.names_of(types)
            return among(listed, *([self._ways.longer(last)] if last else []))

        return self._definitions.ref(f"column.{'-'.join(sorted(types))}.{table}", make)
