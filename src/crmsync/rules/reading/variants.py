"""The same rule with another threshold: what a sweep compares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crmsync.config.yaml import Problems, nearest, parse_yaml
from crmsync.errors import InvalidInputError, UsageError
from crmsync.rules.conditions import (
    HISTORY,
    All,
    AnyOf,
    Clause,
    Comparison,
    Condition,
    InSegment,
    Not,
    Operator,
    Related,
    Test,
    parts,
)
from crmsync.rules.operators import LIST_OPERATORS
from crmsync.rules.reading.conditions import result_type
from crmsync.rules.reading.operators import Subject, TestParser
from crmsync.rules.unknown import settle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync.model.catalog import Catalog
    from crmsync.rules.language import Rule

_WITHOUT_THRESHOLD = {Operator.PRESENT, Operator.BETWEEN, *LIST_OPERATORS, *HISTORY}


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """What a clause is held against, and how a person names it.

    Attributes:
        address: field and operator, such as ``last_contact.older_than``; of related records with
            the way to them, ``tickets.count.at_least``.
    """

    address: str
    clause: Clause
    test: Test


def thresholds(condition: Condition, prefix: str = "") -> Iterator[Threshold]:
    """Every threshold of a condition, in the order in which they are written."""
    if isinstance(condition, Comparison):
        yield from _threshold(condition, f"{prefix}{condition.column.path}")
    elif isinstance(condition, Related):
        way = ".".join((*(hop.name for hop in condition.of.hops), condition.of.relation.name))
        field = "" if condition.column is None else f".{condition.column.path}"
        yield from _threshold(condition, f"{prefix}{way}{field}.{condition.quantifier}")
        for inner in (condition.of.where, condition.each):
            if inner is not None:
                yield from thresholds(inner, f"{prefix}{way}.")
    for part in parts(condition):
        yield from thresholds(part, prefix)


def _threshold(clause: Clause, name: str) -> Iterator[Threshold]:
    if clause.test is not None and clause.test.operator not in _WITHOUT_THRESHOLD:
        yield Threshold(address=f"{name}.{clause.test.operator}", clause=clause, test=clause.test)


def find_threshold(rule: Rule, address: str) -> Threshold:
    """The threshold that a person names by its address, or by a unique beginning of it.

    Raises:
        UsageError: there is none of that name, or several.
    """
    known = list(thresholds(rule.when))
    name, _, number = address.partition("#")
    found = [one for one in known if one.address == name]
    found = found or [one for one in known if one.address.startswith(f"{name}.")]
    if number.isdigit() and 1 <= int(number) <= len(found):
        return found[int(number) - 1]
    if len(found) == 1 and not number:
        return found[0]
    if not known:
        raise UsageError(f"{rule.name} has no threshold that could be swept")
    if not found:
        addresses = list(dict.fromkeys(one.address for one in known))
        hint = nearest(address, addresses)
        listed = "" if "known here" in hint else f"; there are: {', '.join(addresses)}"
        raise UsageError(f"{rule.name} has no threshold “{address}”{hint}{listed}")
    counted: dict[str, int] = {}
    choices = []
    for one in found:
        counted[one.address] = counted.get(one.address, 0) + 1
        same = sum(other.address == one.address for other in found)
        nth = f"#{counted[one.address]}" if same > 1 else ""
        choices.append(f"{one.address}{nth} ({one.clause.text}, {one.clause.place})")
    raise UsageError(f"“{address}” can be several thresholds: {'; '.join(choices)}; name one")


def operand_of(threshold: Threshold, text: str, catalog: Catalog) -> Test:
    """The test of a threshold with another operand.

    Raises:
        UsageError: the text is none that fits.
    """
    clause = threshold.clause
    if isinstance(clause, Comparison):
        subject = Subject(
            name=f"“{clause.column.path}”",
            type=clause.column.type,
            table=clause.column.table,
            column=clause.column,
        )
    else:
        column = clause.column
        kind = result_type(clause.quantifier, None if column is None else column.type)
        subject = Subject(name=f"“{clause.quantifier}”", type=kind)
    problems = Problems()
    try:
        document = parse_yaml(text, "--sweep")
    except InvalidInputError as error:
        raise UsageError("; ".join(error.problems)) from None
    value = {str(threshold.test.operator): document.data}
    read = TestParser(catalog, document, problems).parse(value, subject, ())
    if problems.sentences:
        raise UsageError("; ".join(sorted(set(problems.sentences))))
    return read.tests[0][0]


def variant(rule: Rule, threshold: Threshold, test: Test, *, number: int) -> Rule:
    """The rule with another test in the place of one; its name and version tell it apart."""
    when = settle(_replaced(rule.when, threshold, test))
    return replace(
        rule,
        name=f"{rule.name}#{number}",
        version=f"{rule.version}-{threshold.address}-{test.operand}",
        when=when,
    )


def _replaced(condition: Condition, threshold: Threshold, test: Test) -> Condition:
    """By identity: the same clause may stand twice, at two places."""
    match condition:
        case Comparison() | Related():
            return _replaced_clause(condition, threshold, test)
        case All() | AnyOf():
            inner: Sequence[Condition] = condition.conditions
            return replace(
                condition, conditions=tuple(_replaced(part, threshold, test) for part in inner)
            )
        case Not() | InSegment():
            return replace(condition, condition=_replaced(condition.condition, threshold, test))


def _replaced_clause(clause: Clause, threshold: Threshold, test: Test) -> Clause:
    if clause is threshold.clause:
        text = f"{threshold.address.rpartition('.')[0]}: {{{test.operator}: {test.operand}}}"
        return replace(clause, test=test, text=text)
    if isinstance(clause, Comparison):
        return clause
    where, each = (
        None if inner is None else _replaced(inner, threshold, test)
        for inner in (clause.of.where, clause.each)
    )
    return replace(clause, of=replace(clause.of, where=where), each=each)
