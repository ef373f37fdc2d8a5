"""For whom a text is rendered: language, zone and today's date."""

from __future__ import annotations

import re
import unicodedata
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

# Isolates keep a value's direction to itself (Unicode Standard Annex 9, 2.4).
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_DIRECTION_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, kw_only=True)
class Reader:
    """For whom a text is rendered.

    Attributes:
        today: the date from which “in 12 days” counts; None where the context has none.
        isolate: whether values that run against the text's direction are wrapped in isolates.
    """

    locale: Locale
    zone: ZoneInfo
    today: date | None = None
    isolate: bool = False


# Filters are plain functions in Jinja2, also inside imported macros, which see no context.
_reader: ContextVar[Reader] = ContextVar("crmsync_reader")


@contextmanager
def reading(reader: Reader) -> Iterator[None]:
    """Within it, filters format for this reader."""
    token = _reader.set(reader)
    try:
        yield
    finally:
        _reader.reset(token)


def current_reader() -> Reader:
    """For whom the text at hand is rendered."""
    return _reader.get()


def parse_locale(text: str | None) -> Locale | None:
    """``de``, ``de_CH`` or ``de-CH`` as a locale; None for empty text and for what is not one."""
    if not text or not text.strip():
        return None
    try:
        return Locale.parse(text.strip().replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return None


def parse_zone(name: str | None) -> ZoneInfo | None:
    """The zone of an IANA name; None for empty text and for what is not one."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def variant_names(locale: Locale) -> list[str]:
    """What a template's variants for a locale are called, the closest first: ``de_CH``, ``de``."""
    parts = [locale.language, locale.script, locale.territory]
    full = "_".join(part for part in parts if part)
    without_script = "_".join(part for part in (locale.language, locale.territory) if part)
    without_territory = "_".join(part for part in (locale.language, locale.script) if part)
    names = [full, without_script, without_territory, locale.language]
    return list(dict.fromkeys(names))


def isolated(text: str, reader: Reader) -> str:
    """A value's text that cannot turn around the text it stands in.

    Direction controls within it are removed.
    It is wrapped in isolates only where it has letters of the other direction,
    so that the usual text stays free of invisible characters.
    """
    text = _DIRECTION_CONTROLS.sub("", text)
    if not reader.isolate:
        return text
    against = {"L"} if reader.locale.text_direction == "rtl" else {"R", "AL"}
    if any(unicodedata.bidirectional(character) in against for character in text):
        return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"
    return text
