"""Reads what stands behind a field: a value, a list of values, or operators with operands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from crmsync.config.yaml import nearest
from crmsync.model.tables import Field
from crmsync.rules import paths
from crmsync.rules.conditions import (
    HISTORY,
    NUMBERS,
    TIMES,
    Column,
    Enrolled,
    IfUnknown,
    Literal,
    Operand,
    Operator,
    Past,
    Test,
    Today,
)
from crmsync.rules.operators import (
    COLUMN_OPERATORS,
    DURATION_OPERATORS,
    HISTORY_OPERATORS,
    LIST_OPERATORS,
    OPERATORS,
    TYPE_WORDS,
    parse_age,
    parse_boolean,
    parse_literal,
    parse_pattern,
    shown,
)
from crmsync.rules.reading.past import PastError, parse_past

if TYPE_CHECKING:
    from crmsync.config.yaml import Document, Path_, Problems
    from crmsync.model.catalog import Catalog
    from crmsync.model.tables import FieldType

IF_UNKNOWN = "if_unknown"
_NAMING_VALUES = LIST_OPERATORS | {Operator.IS, Operator.IS_NOT}
ENROLLED = "enrolled"
_OF_SEVERAL = {Operator.IS: (Operator.IN, "one"), Operator.IS_NOT: (Operator.NOT_IN, "none")}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is tested: how it is called in sentences, its type, and what fields are beside it.

    Attributes:
        table: where the path of an operand that names a field begins; None where none can.
        column: the field or fact that is tested; None for a number of records and its like.
    """

    name: str
    type: FieldType
    table: str | None = None
    column: Column | None = None


@dataclass(frozen=True, kw_only=True)
class Tests:
    """Everything that was asked of one value, and what it counts as while unknown."""

    tests: tuple[tuple[Test, Path_], ...]
    if_unknown: IfUnknown | None


class TestParser:
    """Reads tests of one document; mistakes are noted, and what has them is left out.

    Args:
        enrolled: whether a time can be compared with that of the enrolment.
    """

    __test__ = False

    def __init__(
        self, catalog: Catalog, document: Document, problems: Problems, *, enrolled: bool = False
    ) -> None:
        self._enrolled = enrolled
        self._catalog = catalog
        self._document = document
        self._problems = problems

    def parse(self, value: object, subject: Subject, at: Path_) -> Tests:
        """Whatever stands behind a field or behind ``is:``."""
        if isinstance(value, dict):
            return self._operators(value, subject, at)
        operator = Operator.IN if isinstance(value, list) else Operator.IS
        return Tests(tests=self._test(operator, value, subject, at), if_unknown=None)

    def if_unknown(self, value: object, at: Path_) -> IfUnknown | None:
        """The value of ``if_unknown``."""
        try:
            return IfUnknown(str(value))
        except ValueError:
            self._problems.add(
                self._document.place(at),
                f"if_unknown is hold, yes or no, and not {shown(value)}",
            )
            return None

    def _operators(self, value: dict[str, object], subject: Subject, at: Path_) -> Tests:
        if_unknown = None
        tests: list[tuple[Test, Path_]] = []
        for key, operand in value.items():
            here = (*at, key)
            if key == IF_UNKNOWN:
                if_unknown = self.if_unknown(operand, here)
                continue
            operator = self._operator(key, subject, here)
            if operator in HISTORY:
                tests += self._past(operator, operand, subject, here)
            elif operator is not None:
                tests += self._test(operator, operand, subject, here)
        if not [key for key in value if key != IF_UNKNOWN]:
            self._problems.add(
                self._document.place(at), f"an operator is missing here, to test {subject.name}"
            )
        return Tests(tests=tuple(tests), if_unknown=if_unknown)

    def _operator(self, key: str, subject: Subject, at: Path_) -> Operator | None:
        place = self._document.key_place(at)
        fitting = OPERATORS[subject.type]
        if key in HISTORY_OPERATORS:
            untracked = self._untracked(key, subject)
            if untracked is not None:
                self._problems.add(place, untracked)
                return None
            return Operator(key)
        if key not in list(Operator):
            hint = nearest(key, (*fitting, *HISTORY_OPERATORS, IF_UNKNOWN))
            if subject.type in NUMBERS and str(key).isdecimal():  # YAML has split 1,000
                hint = (
                    "; a number has no separator of thousands, and a point before its decimals: "
                    "1000.50"
                )
            self._problems.add(place, f"unknown operator “{key}”{hint}")
            return None
        operator = Operator(key)
        if operator not in fitting:
            self._problems.add(
                place,
                f"“{key}” does not fit {subject.name}, which is {TYPE_WORDS[subject.type]}; "
                f"for that there are {', '.join(fitting)}",
            )
            return None
        return operator

    def _untracked(self, operator: str, subject: Subject) -> str | None:
        """Why nothing can be asked of the past of what is tested; None where it can be."""
        column = subject.column
        if column is None:
            return f"“{operator}” asks for the changes of a field, and {subject.name} is none"
        if column.fact is None and self._catalog.is_tracked(column.owner, column.name):
            return None
        kept = self._catalog.tracked(column.owner)
        there = f"; of {column.owner} these are {', '.join(kept)}" if kept else ""
        return (
            f"“{operator}” needs a field whose changes are kept, and those of "
            f"{subject.name} are not{there} (“tracked: true” in the mapping keeps a field's)"
        )

    def _past(
        self, operator: Operator, value: object, subject: Subject, at: Path_
    ) -> tuple[tuple[Test, Path_], ...]:
        try:
            operand = parse_past(operator, value, subject.type)
        except PastError as error:
            place = self._document.place((*at, *error.key))
            self._problems.add(place, str(error))
            return ()
        named = (operand.values,) if isinstance(operand, Past) else (operand.before, operand.after)
        try:
            for values in named:
                self._check_words(values, subject)
        except ValueError as error:
            self._problems.add(self._document.place(at), str(error))
            return ()
        return ((Test(operator=operator, operand=operand), at),)

    def _test(
        self, operator: Operator, value: object, subject: Subject, at: Path_
    ) -> tuple[tuple[Test, Path_], ...]:
        try:
            if value is None:
                raise ValueError(f"a value is missing here, to test {subject.name}")
            if operator not in OPERATORS[subject.type]:  # a plain value or a list
                raise ValueError(
                    f"{subject.name} is {TYPE_WORDS[subject.type]}, which is not tested so; "
                    f"for that there are {', '.join(OPERATORS[subject.type])}"
                )
            if Operator.IN in OPERATORS[subject.type]:
                _check_single(operator, value)
            operand = self._operand(operator, value, subject)
            if operator in _NAMING_VALUES:
                self._check_words(operand, subject)
        except ValueError as error:
            self._problems.add(self._document.place(at), str(error))
            return ()
        return ((Test(operator=operator, operand=operand), at),)

    def _check_words(self, operand: object, subject: Subject) -> None:
        """Of some fields all values are known, and another would never be met."""
        column = subject.column
        found = None if column is None else self._catalog.column(column.owner, column.name)
        words = found.words if isinstance(found, Field) else ()
        for value in operand if isinstance(operand, tuple) else (operand,):
            if words and isinstance(value, str) and value not in words:
                raise ValueError(f"{subject.name} is never {shown(value)}{nearest(value, words)}")

    def _operand(self, operator: Operator, value: object, subject: Subject) -> Operand:
        if operator is Operator.PRESENT:
            return parse_boolean(value)
        if operator in DURATION_OPERATORS:
            return parse_age(value, subject.type)
        if operator is Operator.MATCHES:
            return parse_pattern(value)
        if operator is Operator.BETWEEN:
            return _interval(value, subject.type)
        if operator in LIST_OPERATORS:
            if not isinstance(value, list) or not value:
                raise ValueError(f"“{operator}” needs a list of values, and not {shown(value)}")
            return tuple(parse_literal(item, subject.type) for item in value)
        if value == ENROLLED and subject.type in TIMES and operator in COLUMN_OPERATORS:
            return self._enrolment()
        try:
            return parse_literal(value, subject.type)
        except ValueError as error:
            other = self._other(operator, value, subject)
            if other is None:
                raise ValueError(f"{error}{self._meant(operator, value, subject)}") from None
            return other

    def _meant(self, operator: Operator, value: object, subject: Subject) -> str:
        """A hint where an operand looks like the name of a field that would fit."""
        if operator not in COLUMN_OPERATORS or not isinstance(value, str) or subject.table is None:
            return ""
        fitting = []
        for name in self._catalog.names(subject.table):
            found = self._catalog.column(subject.table, name)
            if found is not None and name != subject.name and _comparable(found.type, subject.type):
                fitting.append(name)
        hint = nearest(value, fitting)
        return hint if "did you mean" in hint else ""

    def _enrolment(self) -> Enrolled:
        if self._enrolled:
            return Enrolled()
        raise ValueError(
            "“enrolled” can be said in “until”, “wait”, “if” and “choose”; "
            "in “when” nobody is enrolled yet"
        )

    def _other(self, operator: Operator, value: object, subject: Subject) -> Column | None:
        """The field that an operand names instead of a value; None where it names none."""
        if operator not in COLUMN_OPERATORS or not isinstance(value, str) or subject.table is None:
            return None
        try:
            other = paths.column(self._catalog, subject.table, value)
        except ValueError:
            return None
        if not _comparable(other.type, subject.type):
            raise ValueError(
                f"“{value}” is {TYPE_WORDS[other.type]}, and {subject.name} is "
                f"{TYPE_WORDS[subject.type]}; the two cannot be compared"
            )
        return other


def _comparable(one: FieldType, other: FieldType) -> bool:
    return one is other or {one, other} <= NUMBERS


def _check_single(operator: Operator, value: object) -> None:
    if operator in _OF_SEVERAL and isinstance(value, list) and value:
        several, how = _OF_SEVERAL[operator]
        listed = ", ".join(shown(item, "") for item in value)
        raise ValueError(
            f"“{operator}” has one value; for {how} of several, write “{several}: [{listed}]”"
        )


def _interval(value: object, kind: FieldType) -> tuple[Literal, ...]:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004  an interval has two ends
        raise ValueError(f"“between” needs two values, [lowest, highest], and not {shown(value)}")
    low, high = (parse_literal(item, kind) for item in value)
    if _reversed(low, high, kind):
        raise ValueError(f"nothing is between {low} and {high}; write the lower one first")
    return low, high


def _reversed(low: Literal, high: Literal, kind: FieldType) -> bool:
    if isinstance(low, Today | Enrolled) or isinstance(high, Today | Enrolled):
        return False
    if kind in TIMES:
        # Ends of different kinds (a day and an instant) are compared by their days.
        return _day(low) > _day(high) or (
            isinstance(low, datetime)
            and isinstance(high, datetime)
            and low.replace(tzinfo=None) > high.replace(tzinfo=None)
            and low.tzinfo == high.tzinfo
        )
    return isinstance(low, int | Decimal) and isinstance(high, int | Decimal) and low > high


def _day(value: Literal) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    raise TypeError(f"{value!r} is not a time")
