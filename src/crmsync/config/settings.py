"""The whole config file as one frozen value."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from crmsync.config.base import CalendarDurationField, Settings
from crmsync.config.daemon import DaemonSettings, ScheduleField
from crmsync.config.mapping import StreamSettings
from crmsync.config.policy import Policy
from crmsync.config.public import PublicSettings, UnsubscribeSettings
from crmsync.config.secrets import DatabaseUrl
from crmsync.config.yaml import nearest
from crmsync.model.durations import Duration, parse_duration
from crmsync.model.tables import CANONICAL_TABLES

_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
_LOCALE = re.compile(r"[a-z]{2,3}([_-][A-Za-z]{4})?([_-][A-Za-z]{2})?")
_CURRENCY = re.compile(r"[A-Z]{3}")


def _looks(pattern: re.Pattern[str]) -> WithJsonSchema:
    """What editors hold a text against."""
    return WithJsonSchema({"type": "string", "pattern": f"^(?:{pattern.pattern})$"})


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"“{name}” is not a time zone; write for example Europe/Zurich") from None
    return name


def _country(code: str) -> str:
    if len(code) != 2 or not code.isalpha():  # noqa: PLR2004  ISO 3166 alpha-2
        raise ValueError(f"“{code}” is not a country code; write two letters, for example DE")
    return code.upper()


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"“{text}” is no e-mail address")
    return text


def _locale(name: str) -> str:
    if not _LOCALE.fullmatch(name):
        raise ValueError(f"“{name}” is no locale; write for example en_US or de_CH")
    return name


def _currency(code: str) -> str:
    if not _CURRENCY.fullmatch(code):
        raise ValueError(f"“{code}” is no currency; write three letters, for example EUR")
    return code


def _table_names(bounds: dict[str, Duration]) -> dict[str, Duration]:
    for name in bounds:
        if name not in CANONICAL_TABLES:
            raise ValueError(f"there is no table “{name}”{nearest(name, CANONICAL_TABLES)}")
    return bounds


def _no_file(text: object) -> object:
    return None if text == "sqlite" else text


class Existing(StrEnum):
    """What a new rule does with those that match already."""

    PREVIEW = "preview"
    ENROL = "enrol"
    IGNORE = "ignore"


class Company(Settings):
    """Us."""

    name: str
    email: Annotated[str, AfterValidator(_address), _looks(_ADDRESS)]
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    country: Annotated[str, AfterValidator(_country)] | None = None
    currency: Annotated[str, AfterValidator(_currency), _looks(_CURRENCY)] = "USD"
    locale: Annotated[str, AfterValidator(_locale), _looks(_LOCALE)] = "en_US"
    postal_address: str = ""


class MailRate(Settings):
    """How many mails may go out: in a minute, and in a minute to one domain of recipients."""

    per_minute: int | None = Field(default=None, ge=1)
    per_minute_and_domain: int | None = Field(default=None, ge=1)


class ConnectionSettings(Settings):
    """A connection: which connector, its streams, and keys that only it knows."""

    model_config = ConfigDict(frozen=True, extra="allow", arbitrary_types_allowed=True)

    connector: str
    # When the daemon reads it; None leaves that to `DaemonSettings`.
    schedule: ScheduleField | None = None
    # How fast mails may go out by it; None: as fast as it takes them.
    rate: MailRate | None = None
    streams: dict[str, StreamSettings] = Field(default={})

    @property
    def own_options(self) -> dict[str, object]:
        """The keys that belong to the connector."""
        return dict(self.model_extra or {})


class Freshness(Settings):
    """How old what was read of a table may be before clauses about it are unknown."""

    default: CalendarDurationField = parse_duration("24 hours")
    tables: Annotated[dict[str, CalendarDurationField], AfterValidator(_table_names)] = Field(
        default={}
    )

    def bound(self, table: str) -> Duration:
        """The bound for a table."""
        return self.tables.get(table, self.default)


class Config(Settings):
    """A whole installation. Paths are relative to the config file's folder."""

    company: Company
    state: str = "state"
    # None is the SQLite file in `state`.
    ledger: Annotated[DatabaseUrl | None, BeforeValidator(_no_file)] = None
    rules: str = "rules"
    segments: str = "segments"
    templates: str = "templates"
    existing: Existing = Existing.PREVIEW
    connections: dict[str, ConnectionSettings] = Field(min_length=1)
    # By which of them mails go out; None: by the one that the subject came from.
    mail: str | None = None
    freshness: Freshness = Freshness()
    policy: Policy = Policy()
    daemon: DaemonSettings = DaemonSettings()
    # Without it, nobody outside reaches the daemon.
    public: PublicSettings | None = None
    unsubscribe: UnsubscribeSettings | None = None
    teams: dict[str, list[str]] = Field(default={})

    @model_validator(mode="after")
    def _links_lead_somewhere(self) -> Config:
        if self.unsubscribe is not None and self.public is None:
            raise ValueError("“unsubscribe” needs “public: {url: https://…}”, where links lead to")
        return self
