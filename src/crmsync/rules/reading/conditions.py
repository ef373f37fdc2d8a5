"""Reads conditions from YAML into the typed tree; notes every mistake at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync.config.yaml import nearest
from crmsync.model.tables import FieldType
from crmsync.rules import paths
from crmsync.rules.conditions import (
    NUMBERS,
    TIMES,
    All,
    AnyOf,
    Collection,
    Column,
    Comparison,
    Condition,
    InSegment,
    Not,
    Operator,
    Quantifier,
    Related,
)
from crmsync.rules.operators import HISTORY_OPERATORS, TYPE_WORDS, shown
from crmsync.rules.reading.operators import IF_UNKNOWN, Subject, TestParser
from crmsync.rules.reading.past import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.config.yaml import Document, Path_, Problems
    from crmsync.model.catalog import Catalog

GROUPS = ("any", "all", "not", "none_of")
SEGMENT = "segment"
STEPS = "steps."
_FOR = "for"
_QUANTIFIERS = tuple(Quantifier)
WITH_FIELD = frozenset({Quantifier.SUM, Quantifier.AVG, Quantifier.MIN, Quantifier.MAX})
WITH_EACH = frozenset({Quantifier.EVERY, Quantifier.LATEST})
WITH_TEST = WITH_FIELD | {Quantifier.COUNT}
_MOST_DEPTH = 20
# Segments of segments multiply; a rule that a person can still read stays far below.
MOST_CONDITIONS = 1000


class ConditionParser:
    """Reads the conditions of one document.

    Args:
        segment: called with a segment's name and the subject that is asked about; answers with
            its condition and how many that is when written out, or None where it has mistakes;
            raises ValueError with a sentence where there is none that fits.
        enrolled: whether times can be compared with that of the enrolment.

    Attributes:
        count: how many conditions were read so far, those of segments included.
    """

    def __init__(
        self,
        catalog: Catalog,
        document: Document,
        problems: Problems,
        segment: Callable[[str, str], tuple[Condition, int] | None],
        *,
        enrolled: bool = False,
    ) -> None:
        self._catalog = catalog
        self._document = document
        self._problems = problems
        self._segment = segment
        self._tests = TestParser(catalog, document, problems, enrolled=enrolled)
        self._depth = 0
        self.count = 0

    def parse(self, value: object, table: str, at: Path_) -> Condition | None:
        """A list of conditions, or one; None where there is a mistake in it."""
        found = self._group(value, table, at)
        if found is None:
            return None
        return All(conditions=found, place=self._document.place(at))

    def _group(self, value: object, table: str, at: Path_) -> tuple[Condition, ...] | None:
        """The conditions of a list, or of one mapping."""
        items = value if isinstance(value, list) else [value]
        steps = [(*at, i) for i in range(len(items))] if isinstance(value, list) else [at]
        if not items or value is None:
            self._note(at, "a list of conditions is missing here")
            return None
        if self._depth >= _MOST_DEPTH:
            self._note(at, f"conditions nest deeper than {_MOST_DEPTH} levels here")
            return None
        self._depth += 1
        read = [self._item(item, table, step) for item, step in zip(items, steps, strict=True)]
        self._depth -= 1
        found = [part for parts in read if parts is not None for part in parts]
        return None if None in read else tuple(found)

    def _item(self, item: object, table: str, at: Path_) -> tuple[Condition, ...] | None:
        if not isinstance(item, dict) or not item:
            self._note(at, f"a condition is written “field: value”, and not {shown(item)}")
            return None
        read = [self._entry(key, value, table, (*at, key)) for key, value in item.items()]
        found = [part for parts in read if parts is not None for part in parts]
        return None if None in read else tuple(found)

    def _entry(
        self, key: str, value: object, table: str, at: Path_
    ) -> tuple[Condition, ...] | None:
        self._counted(1, at)
        if key in GROUPS:
            return self._combined(key, value, table, at)
        if key == SEGMENT:
            return self._in_segment(value, table, at)
        named = self._catalog.column(table, key) is not None
        if key in _QUANTIFIERS and not (named and "of" not in _keys(value)):
            return self._related(Quantifier(key), value, table, at)
        misplaced = None if named else _misplaced(key)
        if misplaced is not None:
            self._note_key(at, misplaced)
            return None
        return self._comparison(key, value, table, at)

    def _counted(self, count: int, at: Path_) -> None:
        self.count += count
        if self.count > MOST_CONDITIONS:
            self._problems.give_up(
                self._document.key_place(at),
                f"with this there are more than {MOST_CONDITIONS:,} conditions, those of segments "
                "included; split it into several rules",
            )

    def _combined(
        self, key: str, value: object, table: str, at: Path_
    ) -> tuple[Condition, ...] | None:
        conditions = self._group(value, table, at)
        if conditions is None:
            return None
        place = self._document.key_place(at)
        match key:
            case "all":
                return (All(conditions=conditions, place=place),)
            case "any":
                return (AnyOf(conditions=conditions, place=place),)
            case "not":
                inner: Condition = All(conditions=conditions, place=place)
                if len(conditions) == 1:
                    inner = conditions[0]
                return (Not(condition=inner, place=place),)
            case _:
                inner = AnyOf(conditions=conditions, place=place)
                return (Not(condition=inner, text="none_of", place=place),)

    def _in_segment(self, value: object, table: str, at: Path_) -> tuple[Condition, ...] | None:
        if not isinstance(value, str):
            self._note(at, f"a segment's name is a text, and not {shown(value)}")
            return None
        try:
            found = self._segment(value, table)
        except ValueError as error:
            self._note(at, str(error))
            return None
        if found is None:
            return None
        condition, count = found
        self._counted(count, at)
        return (
            InSegment(
                name=value,
                condition=condition,
                text=f"segment: {value}",
                place=self._document.key_place(at),
            ),
        )

    def _comparison(
        self, key: str, value: object, table: str, at: Path_
    ) -> tuple[Condition, ...] | None:
        try:
            column = paths.column(self._catalog, table, key)
        except ValueError as error:
            hint = "" if "did you mean" in str(error) else self._keyword_hint(key)
            self._note_key(at, f"{error}{hint}")
            return None
        before = len(self._problems.sentences)
        subject = Subject(name=f"“{key}”", type=column.type, table=table, column=column)
        read = self._tests.parse(value, subject, at)
        if len(self._problems.sentences) > before:
            return None
        return tuple(
            Comparison(
                column=column,
                test=test,
                if_unknown=read.if_unknown,
                text=_written(key, value, step[len(at) :]),
                place=self._document.key_place(at),
            )
            for test, step in read.tests
        )

    def _related(
        self, quantifier: Quantifier, value: object, table: str, at: Path_
    ) -> tuple[Condition, ...] | None:
        before = len(self._problems.sentences)
        if not isinstance(value, dict):
            self._note(at, f"write “{quantifier}: {{of: …}}”, and not {shown(value)}")
            return None
        self._check_keys(quantifier, value, at)
        of, column = self._collection(quantifier, value, table, at)
        if of is None:
            return None
        target = of.relation.target
        where = each = if_unknown = None
        if "where" in value:
            where = self.parse(value["where"], target, (*at, "where"))
        if quantifier in WITH_EACH and "is" in value:
            each = self.parse(value["is"], target, (*at, "is"))
        if IF_UNKNOWN in value:
            if_unknown = self._tests.if_unknown(value[IF_UNKNOWN], (*at, IF_UNKNOWN))
        tests: list[Any] = [None]
        if quantifier in WITH_TEST and "is" in value and (column or quantifier == "count"):
            kind = result_type(quantifier, None if column is None else column.type)
            subject = Subject(name=f"“{quantifier}”", type=kind)
            read = self._tests.parse(value["is"], subject, (*at, "is"))
            if_unknown = read.if_unknown or if_unknown
            tests = [test for test, _ in read.tests]
        if len(self._problems.sentences) > before:
            return None
        counted = Collection(table=of.table, hops=of.hops, relation=of.relation, where=where)
        return tuple(
            Related(
                quantifier=quantifier,
                of=counted,
                column=column,
                test=test,
                each=each,
                if_unknown=if_unknown,
                text=f"{quantifier}: {flow(value)}",
                place=self._document.key_place(at),
            )
            for test in tests
        )

    def _check_keys(self, quantifier: Quantifier, value: dict[str, object], at: Path_) -> None:
        known = ["of", "where", IF_UNKNOWN]
        needed = ["of"]
        if quantifier in WITH_FIELD:
            known.append("field")
        if quantifier in WITH_TEST | WITH_EACH:
            known.append("is")
            needed.append("is")
        for key in value:
            if key not in known:
                self._note_key(
                    (*at, key), f"unknown key “{key}” in “{quantifier}”{nearest(key, known)}"
                )
        for key in needed:
            if key not in value:
                example = _EXAMPLES[key]
                if key == "is" and quantifier in WITH_EACH:
                    example = ", what a record must fulfil, for example “is: [{status: open}]”"
                self._note_key(at, f"“{quantifier}” needs “{key}:”{example}")

    def _collection(
        self, quantifier: Quantifier, value: dict[str, object], table: str, at: Path_
    ) -> tuple[Collection | None, Column | None]:
        path, name = value.get("of"), value.get("field")
        if "of" not in value:
            return None, None
        if not isinstance(path, str):
            self._note((*at, "of"), f"“of” names related records, and not {shown(path)}")
            return None, None
        field_at = (*at, "field")
        if quantifier in WITH_FIELD and name is None and "." in path:
            # “of: deals.amount” is read like “of: deals, field: amount”.
            path, _, name = path.rpartition(".")
            field_at = (*at, "of")
        try:
            of = paths.collection(self._catalog, table, path)
        except ValueError as error:
            self._note((*at, "of"), str(error))
            return None, None
        if quantifier not in WITH_FIELD:
            return of, None
        if not isinstance(name, str):
            self._note_key(at, f"“{quantifier}” needs “field:”, the field of {path} that is meant")
            return of, None
        return of, self._summed(quantifier, of, name, field_at)

    def _summed(
        self, quantifier: Quantifier, of: Collection, name: str, at: Path_
    ) -> Column | None:
        try:
            column = paths.column(self._catalog, of.relation.target, name)
        except ValueError as error:
            self._note(at, str(error))
            return None
        if column.type not in fitting_types(quantifier):
            self._note(
                at, f"“{name}” is {TYPE_WORDS[column.type]}, which “{quantifier}” cannot take"
            )
            return None
        return column

    def _keyword_hint(self, key: str) -> str:
        return nearest(key, (*GROUPS, SEGMENT, *_QUANTIFIERS)) if "." not in key else ""

    def _note(self, at: Path_, sentence: str) -> None:
        self._problems.add(self._document.place(at), sentence)

    def _note_key(self, at: Path_, sentence: str) -> None:
        self._problems.add(self._document.key_place(at), sentence)


_EXAMPLES = {
    "of": ", the related records that are meant, for example “of: tickets”",
    "is": ", what is asked of it, for example “is: {at_least: 3}”",
}


def fitting_types(quantifier: Quantifier) -> frozenset[FieldType]:
    """The types of field that a quantifier can take."""
    return NUMBERS | TIMES if quantifier in {Quantifier.MIN, Quantifier.MAX} else NUMBERS


def result_type(quantifier: Quantifier, kind: FieldType | None) -> FieldType:
    """What is held against ``is``, where the field that is meant is of a type."""
    if quantifier is Quantifier.COUNT or kind is None:
        return FieldType.INTEGER
    return FieldType.NUMBER if quantifier is Quantifier.AVG else kind


def _misplaced(key: str) -> str | None:
    """Why a word that is no field cannot stand where a condition does; None where that is all."""
    if key == _FOR:
        return "“for” stands beside “when”: all of its conditions must hold that long"
    if key.startswith(STEPS):
        return f"“{key}” stands directly in the list behind an “if” of a step"
    if key in HISTORY_OPERATORS:
        example = EXAMPLES[Operator(key)]
        return f"“{key}” stands behind a field, for example “tier: {example}”"
    return None


def _keys(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, dict) else ()


def _written(key: str, value: Any, step: Path_) -> str:  # noqa: ANN401  YAML is anything
    """A clause as it is written; of several operators behind one field, the one meant."""
    if step and isinstance(value, dict):
        value = {k: v for k, v in value.items() if k in {step[0], IF_UNKNOWN}}
    return f"{key}: {flow(value)}"


def flow(value: object) -> str:
    """YAML data on one line, as an author would write it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
