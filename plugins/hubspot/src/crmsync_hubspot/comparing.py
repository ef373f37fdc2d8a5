"""Whether a record holds values, however either side writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from crmsync.model.tables import ID_SEPARATOR
from crmsync_hubspot.texts import reads_as

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.actions import Scalar

_LINE_ENDS = re.compile(r"\r\n?")
_MILLISECONDS = re.compile(r"-?\d{5,}")


def holds(
    current: Mapping[str, Any], values: Mapping[str, Scalar], kinds: Mapping[str, str]
) -> bool:
    """Whether a record has these values."""
    return all(same(kinds.get(n, ""), current.get(n), value) for n, value in values.items())


def sent(value: Scalar) -> str:
    """A value as HubSpot takes it: text; an empty one empties a property."""
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def same(kind: str, there: object, value: Scalar) -> bool:
    """Whether two ways to write a value of that type mean the same."""
    if value is None or value == "":
        return there is None or there == ""
    if there is None or there == "":
        return kind == "bool" and sent(value) == "false"
    if kind == "html":
        return reads_as(str(there), sent(value))
    return _meant(kind, sent(there)) == _meant(kind, sent(value))  # type: ignore[arg-type]  # JSON


def _meant(kind: str, text: str) -> object:
    try:
        match kind:
            case "number":
                # A reference that crmsync has read bears the connection's name in front.
                return Decimal(text.rpartition(ID_SEPARATOR)[2])
            case "bool":
                return text.lower()
            case "datetime":
                return instant(text).replace(microsecond=0)
            case "date":
                return instant(text).date()
            case "enumeration":
                options = text.rpartition(ID_SEPARATOR)[2].split(";")
                return frozenset(options)
    except (ValueError, InvalidOperation):
        return text
    return _LINE_ENDS.sub("\n", text)


def instant(text: str) -> datetime:
    """An instant (UTC), as the portal writes it: as text, or in milliseconds since 1970."""
    if _MILLISECONDS.fullmatch(text):
        return datetime.fromtimestamp(int(text) / 1000, UTC)
    told = datetime.fromisoformat(text)
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
