"""Associations: as they stand beside listed records, and as the portal tells them of many.

A search tells none. Each is told with its types; a contact's, deal's or ticket's company may be
the primary one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crmsync.errors import TransientError
from crmsync_hubspot import objects
from crmsync_hubspot.records import only_absent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from crmsync_hubspot.client import HubSpotClient

# Of a stream of associations; a column for each object comes to them.
TYPES = "types"
LINK_COLUMNS = ("id", "from", "to", "to_object", TYPES)
_PRIMARY = {"1", "5", "26"}  # contact, deal and ticket to their primary company
_WITH_PRIMARY = {"contacts", "deals", "tickets"}
_MOST_PAGES = 1000


@dataclass(frozen=True, kw_only=True)
class Link:
    """A record at the other end.

    Attributes:
        types: the names or numbers of the association's types.
    """

    to: str
    types: tuple[str, ...]
    primary: bool


# For each record, its links.
Links = dict[str, list[Link]]


def beside(
    results: Sequence[Mapping[str, Any]], source: str, target: str
) -> tuple[Links, list[str]]:
    """The links in a list's answer, and the records of which it does not tell enough.

    It may tell some of them only, not say which company of several is the primary one, or name a
    custom object otherwise.
    """
    found: Links = {}
    unclear: list[str] = []
    for result in results:
        there = result.get("associations") or {}
        told = there.get(target) or there.get(target.replace("_", " "))
        if told is None:
            # A custom object stands there under its full name, whichever it was asked for by.
            if target not in objects.STANDARD and any(map(_is_another, there)):
                unclear.append(str(result["id"]))
            continue
        types: dict[str, list[str]] = {}
        for one in told.get("results") or ():
            types.setdefault(str(one["id"]), []).append(str(one.get("type") or ""))
        several = len(types) > 1 and target == "companies" and source in _WITH_PRIMARY
        if several or (told.get("paging") or {}).get("next"):
            unclear.append(str(result["id"]))
        found[str(result["id"])] = [
            Link(to=to, types=tuple(sorted(names)), primary=False) for to, names in types.items()
        ]
    return found, unclear


def _is_another(name: str) -> bool:
    """Whether what is associated is none of the objects that every portal has."""
    return name.replace(" ", "_") not in objects.STANDARD


def asked_for(client: HubSpotClient, source: str, target: str, ids: Sequence[str]) -> Links:
    """The links of these records to those of another object; a thousand in a call.

    Raises:
        ConnectorError: the portal cannot be asked.
    """
    found: Links = {}
    path = f"/crm/v4/associations/{source}/{target}/batch/read"
    waiting: list[dict[str, str]] = [{"id": one} for one in ids]
    for _ in range(_MOST_PAGES + len(ids) // objects.ASSOCIATIONS):
        if not waiting:
            return found
        some, waiting = waiting[: objects.ASSOCIATIONS], waiting[objects.ASSOCIATIONS :]
        # 207: of those that have none, this is told as an error.
        answer = client.call("POST", path, body={"inputs": some}, accepted=(200, 207))
        only_absent(answer.body)
        for result in answer.body.get("results") or ():
            record = str(result["from"]["id"])
            found.setdefault(record, []).extend(map(_link, result.get("to") or ()))
            after = ((result.get("paging") or {}).get("next") or {}).get("after")
            if after is not None:
                waiting.append({"id": record, "after": str(after)})
    raise TransientError("HubSpot's list of associations does not end")


def _link(told: Mapping[str, Any]) -> Link:
    types = told.get("associationTypes") or ()
    numbers = tuple(sorted(str(one.get("typeId")) for one in types))
    labels = {str(one.get("label") or "") for one in types}
    primary = bool(_PRIMARY & set(numbers)) or "Primary" in labels
    return Link(to=str(told["toObjectId"]), types=numbers, primary=primary)


def foremost(links: Iterable[Link]) -> str | None:
    """The record that counts where only one can: the primary one, else that of the lowest id."""
    chosen = min(links, key=lambda link: (not link.primary, number(link.to)), default=None)
    return None if chosen is None else chosen.to


def number(record_id: str) -> int:
    """An id as the number that it is: “9” comes before “10”."""
    return int(record_id) if record_id.isdigit() else 0
