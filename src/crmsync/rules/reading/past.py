"""Reads what ``changed`` and ``was`` ask for."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, TypeVar

from crmsync.config.yaml import nearest
from crmsync.model.tables import FieldType
from crmsync.rules.conditions import Change, Operator, Past, Today
from crmsync.rules.operators import parse_age, parse_literal, parse_time, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from crmsync.model.durations import Duration
    from crmsync.rules.conditions import Literal

_Read = TypeVar("_Read")

IN_LAST, FROM, TO = "in_last", "from", "to"
VALUE, AT = "value", "at"
EXAMPLES = {
    Operator.CHANGED: "{changed: {in_last: 30 days, from: gold, to: silver}}",
    Operator.WAS: "{was: {value: gold, at: 90 days}}",
}
PAST_KEYS = {Operator.CHANGED: (IN_LAST, FROM, TO), Operator.WAS: (VALUE, AT)}


_IF_UNKNOWN = "if_unknown"  # of a whole clause


class PastError(ValueError):
    """A sentence for the author.

    Attributes:
        key: the key, within the operand, whose value is meant; empty for all of it.
    """

    def __init__(self, sentence: str, *key: str) -> None:
        super().__init__(sentence)
        self.key = key


def parse_past(operator: Operator, value: object, kind: FieldType) -> Change | Past:
    """The operand of ``changed`` or ``was``, for a field of that type.

    Raises:
        PastError: it is none.
    """
    known = PAST_KEYS[operator]
    if not isinstance(value, dict) or not value:
        example = EXAMPLES[operator].removeprefix("{").removesuffix("}")
        raise PastError(f"write for example “{example}”, and not {shown(value)}")
    for key in value:
        if key == _IF_UNKNOWN:
            raise PastError(f"“{key}” stands beside “{operator}”, and not in it", key)
        if key not in known:
            raise PastError(f"unknown key “{key}” in “{operator}”{nearest(key, known)}", key)

    def values(given: object) -> tuple[Literal, ...]:
        return _values(given, kind)

    if operator is Operator.CHANGED:
        return Change(
            in_last=_read(value, IN_LAST, lambda given: parse_age(given, FieldType.INSTANT)),
            before=_read(value, FROM, values),
            after=_read(value, TO, values),
        )
    then, wanted = _read(value, AT, _then), _read(value, VALUE, values)
    if wanted is None or then is None:
        missing = VALUE if wanted is None else AT
        raise PastError(f"“was” needs “{missing}:”, for example “{EXAMPLES[operator][1:-1]}”")
    return Past(values=wanted, at=then)


def _read(value: dict[str, object], key: str, parse: Callable[[object], _Read]) -> _Read | None:
    if key not in value:
        return None
    try:
        return parse(value[key])
    except ValueError as error:
        raise PastError(str(error), key) from None


def _values(value: object, kind: FieldType) -> tuple[Literal, ...]:
    """One value, or a list of which one will do."""
    if kind is FieldType.INSTANT:
        raise ValueError(
            "what a time was cannot be asked; ask when it changed, with “changed: {in_last: …}”"
        )
    given = value if isinstance(value, list) else [value]
    if not given or value is None:
        raise ValueError(f"a value is missing here, or a list of values, and not {shown(value)}")
    literals = tuple(parse_literal(item, kind) for item in given)
    if any(isinstance(item, Today) for item in literals):
        raise ValueError("write the day that is meant; what was kept knows no “today”")
    return literals


def _then(value: object) -> Duration | date | datetime:
    """That long ago, or a day or instant."""
    try:
        time = parse_time(value, FieldType.INSTANT)
    except ValueError:
        try:
            return parse_age(value, FieldType.INSTANT)
        except ValueError as error:
            raise ValueError(f"{error}; or a day, such as 2026-03-01") from None
    if isinstance(time, date):
        return time
    raise ValueError("what is so today is asked without “was”; write how long ago, or a day")
