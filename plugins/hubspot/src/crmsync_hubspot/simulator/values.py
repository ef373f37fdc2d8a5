"""Values of properties: what is accepted, and how it is told."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crmsync_hubspot.simulator.definitions import Property

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MILLISECONDS = re.compile(r"-?\d{1,14}")
_ADDRESS = re.compile(r"[^\s@,;<>\"]+@[^\s@.,;<>]+(\.[^\s@.,;<>]+)+")
LONGEST_TEXT = 65_536


def milliseconds(instant: datetime) -> int:
    """An instant as the portal counts it."""
    return (instant - _EPOCH) // timedelta(milliseconds=1)


def told(at: int) -> str:
    """An instant as the portal writes it: without a fraction where that is zero."""
    instant = _EPOCH + timedelta(milliseconds=at)
    if at % 1000 == 0:
        return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


def instant_of(text: str) -> int | None:
    """What a text says, in milliseconds: an ISO instant, a date or a number; None for others."""
    if _MILLISECONDS.fullmatch(text):
        return int(text)
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return milliseconds(instant)


def number_of(text: str) -> float | None:
    """What a text says; None where it is no number."""
    return float(text) if _NUMBER.fullmatch(text) else None


class InvalidValueError(Exception):
    """A value that the property does not take."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


def accepted(one: Property, text: str) -> str:  # noqa: C901  a type each
    """A value as it is kept.

    Raises:
        InvalidValueError: the property does not take it.
    """
    match one.type:
        case "datetime":
            at = instant_of(text)
            if at is None:
                raise InvalidValueError("INVALID_DATE", f"{text} was not a valid long.")
            return told(at)
        case "date":
            return _date(text)
        case "number":
            if number_of(text) is None:
                raise InvalidValueError("INVALID_NUMBER", f"{text} was not a valid number.")
            return text
        case "bool":
            if text.lower() not in {"true", "false"}:
                raise InvalidValueError("INVALID_BOOLEAN", f"{text} was not a valid boolean.")
            return text.lower()
        case "enumeration" if not one.external and not one.source:
            for value in text.split(";") if one.multiple else [text]:
                if value not in one.values and not (one.multiple and not value):
                    told_options = ", ".join(one.values)
                    raise InvalidValueError(
                        "INVALID_OPTION",
                        f"{value} was not one of the allowed options: [{told_options}]",
                    )
            return text
    if len(text) > LONGEST_TEXT:
        raise InvalidValueError(
            "VALUE_TOO_LONG", f"The value is longer than {LONGEST_TEXT} characters."
        )
    if one.name == "email" and one.unique and not _ADDRESS.fullmatch(text):
        raise InvalidValueError("INVALID_EMAIL", f"Email address {text} is invalid")
    return text


def _date(text: str) -> str:
    if not _MILLISECONDS.fullmatch(text):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise InvalidValueError("INVALID_DATE", f"{text} was not a valid date.") from None
    if int(text) % _DAY:
        raise InvalidValueError("INVALID_DATE", f"{told(int(text))} is not midnight UTC.")
    return told(int(text))[:10]
