"""Reads what is listed as a whole each time: owners, pipelines and properties.

HubSpot tells no changes of these, and they are few. Where all is as it was, no page comes.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
import pyarrow as pa

from crmsync.errors import TransientError
from crmsync.model.pages import Page, Snapshot
from crmsync_hubspot.cursor import progress_of
from crmsync_hubspot.options import HubSpotStreamOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.model.pages import Cursor
    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.client import HubSpotClient

COLUMNS = {
    "owners": ("id", "email", "type", "firstName", "lastName", "userId", "createdAt", "updatedAt"),
    "pipelines": ("id", "pipeline", "pipelineLabel", "label", "displayOrder", "isClosed",
                  "probability", "createdAt", "updatedAt"),
    "properties": ("id", "label", "type", "fieldType", "groupName", "createdAt", "updatedAt"),
}  # fmt: skip
_OWNERS_A_PAGE = 500
_MOST_PAGES = 1000


def whole_pages(
    client: HubSpotClient, request: StreamRequest, since: Cursor | None
) -> Iterator[Page]:
    """All of it as one listing, where something has changed since that cursor.

    Raises:
        ConnectorError: one of the five.
    """
    assert isinstance(request.options, HubSpotStreamOptions)  # noqa: S101  the spec names that model
    progress = progress_of(since, request)
    rows = list(_rows(client, request.options))
    digest = hashlib.sha256(orjson.dumps(rows)).hexdigest()[:32]
    if digest == progress.digest:
        return
    names = COLUMNS[request.options.object]
    records = pa.table(
        {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    )
    cursor = replace(progress, digest=digest).cursor()
    yield Page(records=records, cursor=cursor, snapshot=Snapshot(id=uuid4().hex, last=True))


def _rows(client: HubSpotClient, options: HubSpotStreamOptions) -> Iterator[dict[str, str | None]]:
    match options.object:
        case "owners":
            for one in _owners(client):
                yield _texts(one, "owners")
        case "pipelines":
            for pipeline in client.call("GET", f"/crm/v3/pipelines/{options.of}").body["results"]:
                for stage in pipeline["stages"]:
                    metadata = stage.get("metadata") or {}
                    more = {"pipeline": pipeline["id"], "pipelineLabel": pipeline["label"]}
                    yield _texts({**metadata, **stage, **more}, "pipelines")
        case _:
            for one in client.call("GET", f"/crm/v3/properties/{options.of}").body["results"]:
                yield _texts({**one, "id": one["name"]}, "properties")


def _owners(client: HubSpotClient) -> Iterator[dict[str, Any]]:
    query: list[tuple[str, str]] = [("limit", str(_OWNERS_A_PAGE)), ("archived", "false")]
    seen: set[str] = set()
    after: str | None = None
    while True:
        more = [] if after is None else [("after", after)]
        answer = client.call("GET", "/crm/v3/owners/", query=[*query, *more])
        yield from answer.body["results"]
        after = ((answer.body.get("paging") or {}).get("next") or {}).get("after")
        if after is None:
            return
        if after in seen:
            raise TransientError("HubSpot's list of owners repeats itself, and has no end")
        seen.add(after)


def _texts(one: dict[str, Any], kind: str) -> dict[str, str | None]:
    return {name: None if one.get(name) is None else str(one[name]) for name in COLUMNS[kind]}
