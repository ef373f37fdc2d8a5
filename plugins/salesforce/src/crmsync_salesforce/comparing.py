"""Whether a record holds values, however either side writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from crmsync.model.tables import ID_SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.actions import Scalar

_LINE_ENDS = re.compile(r"\r\n?")
_NUMBERS = {"int", "double", "currency", "percent"}
_SHORT_ID = 15


def holds(
    current: Mapping[str, Any], values: Mapping[str, Scalar], types: Mapping[str, str]
) -> bool:
    """Whether a record has these values."""
    return all(same(types.get(f, ""), current.get(f), value) for f, value in values.items())


def same(kind: str, there: object, value: Scalar) -> bool:
    """Whether two ways to write a value of that type mean the same."""
    if value is None or value == "":
        return there is None or there == ""
    if there is None:
        return kind == "boolean" and value in {False, "false"}
    return _meant(kind, there) == _meant(kind, value)


def _meant(kind: str, value: object) -> object:
    text = _LINE_ENDS.sub("\n", str(value))
    try:
        if kind in _NUMBERS:
            return Decimal(text)
        if kind == "boolean":
            return text.lower()
        if kind == "datetime":
            return datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)
    except (ValueError, InvalidOperation):
        return text
    if kind in {"reference", "id"}:
        # A reference that crmsync has read bears the connection's name in front.
        return text.rpartition(ID_SEPARATOR)[2][:_SHORT_ID]
    return text
