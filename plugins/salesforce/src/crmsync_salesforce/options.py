"""What the config can say of an org and of a stream in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from crmsync.config.base import CalendarDurationField, Settings
from crmsync.config.secrets import Secret
from crmsync.model.durations import Duration, parse_duration

if TYPE_CHECKING:
    from datetime import timedelta

_LOGIN_HOSTS = {"login.salesforce.com", "test.salesforce.com"}
_OLDEST_VERSION, _LENGTH_OF_NAME = 52, 80
_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_VERSION = re.compile(r"\d\d\.0")


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(
            f"“{text}” is not the address of an org; write it as under Setup, My Domain: "
            "https://NAME.my.salesforce.com, or of a sandbox "
            "https://NAME--SANDBOX.sandbox.my.salesforce.com"
        )
    return f"https://{parts.netloc}"


def _api_name(text: str) -> str:
    if not _NAME.fullmatch(text) or len(text) > _LENGTH_OF_NAME:
        raise ValueError(f"“{text}” is no API name; write for example Account or Renewal__c")
    return text


def _version(text: str) -> str:
    if not _VERSION.fullmatch(text) or float(text) < _OLDEST_VERSION:
        raise ValueError(f"“{text}” is no version of the API; write for example '62.0', in quotes")
    return text


ApiName = Annotated[str, AfterValidator(_api_name)]


class SalesforceOptions(Settings):
    """The keys of a connection.

    ``url`` is the org's My Domain address. One of these says how to log in:
    ``client_id`` with ``client_secret`` (client credentials), ``client_id`` with ``username`` and
    ``private_key`` (JWT bearer), ``session_id``, or ``client_id``, ``client_secret``, ``username``
    and ``password``.
    ``audience`` is what the JWT is for, where it is not the usual host.
    ``key_field`` keeps the keys of actions on tasks; where it is null, a mark in their text does.
    ``daily_share`` is how much of the org's daily
    calls may be used up, by whomever, before this connection rests.
    ``ca_file`` holds the certificates of a company's proxy, or of a simulator.
    """

    url: Annotated[str, AfterValidator(_url)]
    client_id: str | None = None
    client_secret: Secret | None = None
    username: str | None = None
    private_key: Secret | None = None
    password: Secret | None = None
    session_id: Secret | None = None
    audience: str | None = None
    api_version: Annotated[str, AfterValidator(_version)] = "62.0"
    key_field: ApiName | None = "Crmsync_Key__c"
    daily_share: float = Field(default=0.8, gt=0, le=1)
    ca_file: str | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> SalesforceOptions:
        ways = [self.session_id, self.private_key, self.password]
        if sum(way is not None for way in ways) > 1:
            raise ValueError("give one of session_id, private_key and password")
        needed: dict[str, object] = {}
        if self.private_key is not None:
            needed = {"client_id": self.client_id, "username": self.username}
        elif self.password is not None:
            needed = {
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "username": self.username,
            }
        elif self.session_id is None:
            needed = {"client_id": self.client_id, "client_secret": self.client_secret}
            if urlsplit(self.url).hostname in _LOGIN_HOSTS:
                raise ValueError(
                    "client credentials work at the org's own address only, "
                    "https://NAME.my.salesforce.com"
                )
        if self.key_field is None and self.session_id is not None:
            raise ValueError(
                "without a field for keys, tasks are found by who made them, and a session_id does "
                "not tell whose it is; log in another way"
            )
        missing = [name for name, value in needed.items() if value is None]
        if missing:
            raise ValueError(f"to log in, {' and '.join(missing)} must be given too")
        return self

    @property
    def jwt_audience(self) -> str:
        """What a JWT is for."""
        # Two hyphens divide the name of a sandbox from its org's, also at its older addresses.
        trial = any(sign in self.url for sign in (".sandbox.", ".scratch.", "--", "//test."))
        return self.audience or f"https://{'test' if trial else 'login'}.salesforce.com"


class SalesforceStreamOptions(Settings):
    """The keys of a stream.

    ``object`` is the API name. From ``bulk_from`` records on, the Bulk API is used; ``look_back``
    is how late a change may become visible; ``reread_every`` reads all of it again, for formula
    fields, whose changes move no time of change. The columns of ``optional`` are empty where the
    org does not have them, or hides them; without any other one, the stream is not read.
    """

    object: ApiName
    bulk_from: int = Field(default=10_000, ge=0)
    look_back: CalendarDurationField = parse_duration("10 minutes")
    reread_every: CalendarDurationField | None = None
    optional: tuple[str, ...] = ()

    @property
    def reread_after(self) -> timedelta | None:
        """After how long all of it is read again; None for never."""
        every: Duration | None = self.reread_every
        return None if every is None else every.length
