"""Whether a record still holds what a decision was based on."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from crmsync.errors import RejectedError
from crmsync.model.actions import Receipt
from crmsync.model.tables import ID_SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.actions import Scalar, UpdateFields

_LINE_ENDS = re.compile(r"\r\n?")
_NUMBERS = {"int", "double", "currency", "percent"}
_SHORT_ID = 15


def compared(
    update: UpdateFields, current: Mapping[str, Any] | None, types: Mapping[str, str]
) -> Receipt | RejectedError | None:
    """The answer to an update that need not, or must not, be made; None where it is due."""
    if current is None:
        return RejectedError("there is no such record any more, or the API's user may not see it")
    if update.expected and holds(current, update.changes, types):
        return Receipt(key=update.key, remote_id=update.record.id, already=True)
    for field, expected in update.expected.items():
        if not _same(types.get(field, ""), current.get(field), expected):
            return RejectedError(
                f"{field} was changed since this was decided, so it is left as it is"
            )
    return None


def holds(
    current: Mapping[str, Any], values: Mapping[str, Scalar], types: Mapping[str, str]
) -> bool:
    """Whether a record has these values."""
    return all(_same(types.get(f, ""), current.get(f), value) for f, value in values.items())


def _same(kind: str, there: object, value: Scalar) -> bool:
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
