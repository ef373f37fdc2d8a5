"""How far a stream was read: the cursor's text, and what stands in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import StreamRequest

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ListPlace:
    """Where in a list a reading stands.

    Attributes:
        id: names the listing.
        began: when it was begun; in milliseconds since 1970, as all instants here.
        after: the portal's token for the next page; None for the first.
        history: whether earlier values come before each record.
    """

    id: str
    began: int
    after: str | None = None
    history: bool = False


@dataclass(frozen=True, kw_only=True)
class WindowPlace:
    """Where in the changes of a time a reading stands.

    Attributes:
        until: the end of that time.
        last: the id of the last record that was read; they come in the order of their ids.
    """

    until: int
    last: int


@dataclass(frozen=True, kw_only=True)
class Types:
    """The properties whose values the portal writes in several ways, or as HTML.

    Attributes:
        zone: that of the portal's people, in which an instant's day is told; empty where it was
            not asked for.
    """

    dates: tuple[str, ...] = ()
    instants: tuple[str, ...] = ()
    html: tuple[str, ...] = ()
    zone: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a stream was read.

    Attributes:
        since: all changes before it are known, also those that the search told late.
        listed: when the last complete reading was begun.
        archived: what was archived before it is known.
        listing, window, archive: in the middle of one of these.
        digest: of all that there is, of streams that are always read as a whole.
        past: properties whose earlier values were read of all records.
    """

    shape: str
    types: Types | None = None
    since: int | None = None
    listed: int | None = None
    archived: int | None = None
    listing: ListPlace | None = None
    window: WindowPlace | None = None
    archive: ListPlace | None = None
    digest: str | None = None
    past: tuple[str, ...] = ()

    def cursor(self) -> Cursor:
        """The text for the engine to keep."""
        told = {name: value for name, value in asdict(self).items() if value not in (None, ())}
        return json.dumps({"version": _VERSION} | told, separators=(",", ":"))

    def listed_to_the_end(self, place: ListPlace, lateness: int) -> Progress:
        """This progress when a listing of everything has come to its end."""
        return replace(
            self,
            since=place.began - lateness,
            listed=place.began,
            archived=self.archived if self.archived is not None else place.began,
            listing=None,
            window=None,
        )

    def with_past(self, names: tuple[str, ...], *, before: int | None) -> Progress:
        """This progress where earlier values were read, so that it was no complete reading.

        Args:
            before: when the last complete one was begun; None where there was none, and then what
                was archived, ever, is asked for.
        """
        if before is None:
            return replace(self, past=names, archived=0)
        return replace(self, past=names, listed=before)


def shape_of(request: StreamRequest) -> str:
    """A digest of what a request asks for."""
    asked = [
        request.columns,
        request.key,
        request.options.model_dump(
            mode="json", include={"object", "of", "associations_to", "history"}
        ),
    ]
    return hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()[:16]


def progress_of(since: Cursor | None, request: StreamRequest) -> Progress:
    """What a cursor says; nothing was read where it is for another request, or unreadable."""
    shape = shape_of(request)
    try:
        told: dict[str, Any] = json.loads(since or "{}")
        if told.pop("version") != _VERSION or told["shape"] != shape:
            return Progress(shape=shape)
        parts: dict[str, type] = {
            "listing": ListPlace,
            "window": WindowPlace,
            "archive": ListPlace,
        }
        for name, kind in parts.items():
            if name in told:
                told[name] = kind(**told[name])
        told["past"] = tuple(told.get("past", ()))
        if "types" in told:
            zone = told["types"].pop("zone", "")
            lists = {name: tuple(v) for name, v in told["types"].items()}
            told["types"] = Types(**lists, zone=zone)
        return Progress(**told)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Progress(shape=shape)


def milliseconds(instant: datetime) -> int:
    """An instant as HubSpot's filters take it."""
    return int(instant.timestamp() * 1000)


def written(at: int) -> str:
    """An instant as HubSpot's answers write it."""
    text = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
