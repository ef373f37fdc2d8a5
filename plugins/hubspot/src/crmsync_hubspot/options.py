"""What the config can say of a portal and of a stream in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from crmsync.config.base import CalendarDurationField, NamesField, Settings
from crmsync.config.secrets import Secret
from crmsync.config.yaml import nearest
from crmsync.model.durations import parse_duration
from crmsync_hubspot.objects import DESCRIBED_BY_ANOTHER, OTHERS, STANDARD, WITHOUT_CHANGES

if TYPE_CHECKING:
    from datetime import timedelta

_NAME = re.compile(r"\w+(-\d+)?")
# Of a custom object, or the number of any.
_BY_ANOTHER_NAME = re.compile(r"\d+-\d+|p\d*_\w+")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def _url(text: str) -> str:
    parts = urlsplit(text)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"“{text}” is not the address of HubSpot's API; leave it out")
    return f"{parts.scheme}://{parts.netloc}"


def _object(text: str) -> str:
    known = (*STANDARD, *WITHOUT_CHANGES, *OTHERS)
    if text in known or _BY_ANOTHER_NAME.fullmatch(text):
        return text
    if not _NAME.fullmatch(text):
        raise ValueError(f"“{text}” is no name of an object; write for example companies")
    raise ValueError(
        f"HubSpot has no object “{text}”{nearest(text, known)}; a custom object is named like "
        "p_renewals, or by its number, like 2-1234567"
    )


def _property(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text):
        raise ValueError(
            f"“{text}” is no internal name of a property; write for example crmsync_key"
        )
    return text


ObjectName = Annotated[str, AfterValidator(_object)]
PropertyName = Annotated[str, AfterValidator(_property)]


class HubSpotOptions(Settings):
    """The keys of a connection.

    ``access_token`` is a service key, or of a private app; instead of it ``client_id``,
    ``client_secret`` and ``refresh_token`` of a public app, whose access tokens this connector
    renews. ``client_secret`` is also what webhooks are signed with.
    ``key_property`` keeps the keys of actions on tasks, notes and mails, ``message_id_property``
    the Message-ID of mails. ``daily_share`` is how much of the portal's daily calls may be used up,
    by whomever, before this connection rests.
    ``url`` is another address of the API, and ``ca_file`` holds the certificates of a company's
    proxy.
    """

    access_token: Secret | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    key_property: PropertyName = "crmsync_key"
    message_id_property: PropertyName = "crmsync_message_id"
    daily_share: float = Field(default=0.8, gt=0, le=1)
    url: Annotated[str, AfterValidator(_url)] = "https://api.hubapi.com"
    ca_file: str | None = None

    @model_validator(mode="after")
    def _one_way_in(self) -> HubSpotOptions:
        oauth = {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
        }
        given = [name for name, value in oauth.items() if value is not None]
        if self.access_token is not None:
            if self.refresh_token is not None:
                raise ValueError("give access_token, or refresh_token, not both")
            return self
        if not given:
            raise ValueError(
                "“access_token” is missing here: a service key, or the token of a private app"
            )
        if len(given) < len(oauth):
            missing = [name for name in oauth if name not in given]
            raise ValueError(f"to log in, {' and '.join(missing)} must be given too")
        return self


class HubSpotStreamOptions(Settings):
    """The keys of a stream.

    ``object`` is a kind of record, or ``owners``, ``pipelines`` or ``properties``; of the last two
    ``of`` says of which object. With ``associations_to`` the stream is not the records but their
    associations to those objects. ``history`` names properties whose earlier values are read too.
    ``look_back`` is how late a change may appear in the portal's search; ``archived_every`` how
    often the archived records are asked for, and ``reread_every`` how often all are read again.
    """

    object: ObjectName
    of: ObjectName | None = None
    associations_to: NamesField = Field(default=[])
    history: NamesField = Field(default=[])
    look_back: CalendarDurationField = parse_duration("15 minutes")
    archived_every: CalendarDurationField = parse_duration("6 hours")
    reread_every: CalendarDurationField = parse_duration("7 days")

    @model_validator(mode="after")
    def _fitting(self) -> HubSpotStreamOptions:
        if (self.object in DESCRIBED_BY_ANOTHER) != (self.of is not None):
            raise ValueError("“of” goes with pipelines and properties, and says of which object")
        if self.history and (self.associations_to or self.object in WITHOUT_CHANGES):
            raise ValueError("only records have a history of properties")
        if self.associations_to and self.object in WITHOUT_CHANGES:
            raise ValueError(f"{self.object} have no associations")
        return self

    @property
    def lateness(self) -> timedelta:
        """How late a change may appear."""
        return self.look_back.length
