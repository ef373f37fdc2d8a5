"""Conditions whose answer is certain before any record is looked at: mistakes, as a rule.

What is told here is certain; what depends on records is never told. A condition that cannot be
false selects everybody whose field is known; one that cannot be true contacts nobody, ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from crmsync.model.tables import FieldType
from crmsync.rules.conditions import (
    All,
    AnyOf,
    Comparison,
    Condition,
    InSegment,
    Not,
    Operator,
    Quantifier,
    Related,
)
from crmsync.rules.value_sets import Passed, Span, of_test, passed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crmsync.config.yaml import Place
    from crmsync.rules.language import Rule

# More clauses about one field than this are the business of no person.
_MOST_COMPARED = 20


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """A condition that needs no record, and a sentence about it."""

    place: Place
    sentence: str


def certainties(rule: Rule) -> list[Certainty]:
    """Everything in a rule's conditions that is true, or false, of every record."""
    judge = _Judge()
    verdict = judge.of(rule.when)
    found = judge.found
    if verdict is True:
        sentence = f"nothing here can be false, so the rule selects every {rule.subject}"
        found.append(Certainty(place=rule.when.place, sentence=sentence))
    return found


def certainty(condition: Condition) -> bool | None:
    """True where a condition holds for every record whose fields are known, False where for none.

    None where that depends on the record.
    """
    return _Judge().of(condition)


_Said = tuple[Comparison, str]  # a clause, and how sentences name it


class _Judge:
    def __init__(self) -> None:
        self.found: list[Certainty] = []

    def of(self, condition: Condition) -> bool | None:
        """True or False where no record can change it, else None."""
        match condition:
            case All():
                return self._all(condition)
            case AnyOf():
                return self._any(condition)
            case Not():
                inner = self.of(condition.condition)
                return None if inner is None else not inner
            case InSegment():
                return self.of(condition.condition)
            case Comparison():
                return self._comparison(condition)
            case Related():
                return self._related(condition)

    def _comparison(self, clause: Comparison) -> bool | None:
        value = passed(clause)
        if value is None or not value.everything:
            return None
        self._tell(clause, f"“{clause.text}” is true of every value")
        return True

    def _related(self, clause: Related) -> bool | None:
        inner = [c for c in (clause.of.where, clause.each) if c is not None]
        verdicts = [self.of(part) for part in inner]
        if clause.quantifier is Quantifier.SOME and False in verdicts:
            return False
        if clause.quantifier is not Quantifier.COUNT or clause.test is None:
            return None
        found = of_test(clause.test, FieldType.INTEGER)
        if found is None:
            return None
        about = ("count", found[0])
        counts = Passed(about=about, values=(Span(low=Decimal(0)),))
        passing = Passed(about=about, values=found[1])
        if passing.and_(counts).nothing:
            self._tell(clause, f"no number of records passes “{clause.text}”")
            return False
        if passing.negated().and_(counts).nothing:
            self._tell(clause, f"every number of records passes “{clause.text}”, none included")
            return True
        return None

    def _all(self, condition: All) -> bool | None:
        verdicts = [self.of(part) for part in condition.conditions]
        if False in verdicts:
            return False
        for (clause, said), value, others in _beside(condition, All):
            other = next((other for other, seen in others if seen.and_(value).nothing), None)
            if other is not None:
                self._tell(
                    clause,
                    f"{said} cannot be true together with {other[1]} of "
                    f"{_where(other[0], clause)}; for one or the other, write “any:”",
                )
                return False
        absent = _contradicted_absence(condition)
        if absent is not None:
            self._tell(absent, f"“{absent.text}” asks for an empty field that is tested beside it")
            return False
        return True if verdicts and all(verdict is True for verdict in verdicts) else None

    def _any(self, condition: AnyOf) -> bool | None:
        verdicts = [self.of(part) for part in condition.conditions]
        if True in verdicts:
            return True
        for (clause, said), value, others in _beside(condition, AnyOf):
            other = next((other for other, seen in others if seen.or_(value).everything), None)
            if other is not None:
                self._tell(
                    clause,
                    f"every value passes {said} or {other[1]} of "
                    f"{_where(other[0], clause)}; did you mean “all:”?",
                )
                return True
        return False if verdicts and all(verdict is False for verdict in verdicts) else None

    def _tell(self, condition: Comparison | Related, sentence: str) -> None:
        self.found.append(Certainty(place=condition.place, sentence=sentence))


def _where(clause: Comparison, seen_from: Comparison) -> str:
    same = clause.place.file == seen_from.place.file
    return f"line {clause.place.line}" if same else str(clause.place)


def _beside(
    condition: Condition, kind: type[All | AnyOf]
) -> Iterator[tuple[_Said, Passed, list[tuple[_Said, Passed]]]]:
    """The clauses of a list or ``any``: what passes each, and those before it about the same."""
    before: dict[tuple[str, str], list[tuple[_Said, Passed]]] = {}
    for clause, negated in _clauses(condition, kind):
        value = passed(clause)
        if value is None:
            continue
        value = value.negated() if negated else value
        others = before.setdefault(value.about, [])
        said = clause, f"“{clause.text}” under “not”" if negated else f"“{clause.text}”"
        yield said, value, others[-_MOST_COMPARED:]
        others.append((said, value))


def _clauses(
    condition: Condition, kind: type[All | AnyOf], *, negated: bool = False
) -> Iterator[tuple[Comparison, bool]]:
    match condition:
        case Comparison():
            yield condition, negated
        case InSegment():
            yield from _clauses(condition.condition, kind, negated=negated)
        case Not(condition=Comparison() as inner):
            yield inner, not negated
        case All() | AnyOf() if isinstance(condition, kind):
            for part in condition.conditions:
                yield from _clauses(part, kind, negated=negated)


def _contradicted_absence(condition: All) -> Comparison | None:
    """A clause that wants a field empty, beside one that only a value passes."""
    clauses = list(_clauses(condition, All))
    tested: Callable[[str], bool] = {
        clause.column.path
        for clause, negated in clauses
        if (value := passed(clause)) is not None and (negated or not value.empty)
    }.__contains__
    for clause, negated in clauses:
        wants_none = clause.test.operand is negated
        if clause.test.operator is Operator.PRESENT and wants_none and tested(clause.column.path):
            return clause
    return None
