"""The keys of actions: found again in the portal, so that nothing is made twice.

Where the portal keeps the property of keys unique, it refuses a second record of a key itself, and
records are read by it at once. Where it does not, keys are searched for, and the search knows of a
record some minutes late; what this process has made itself it knows without asking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crmsync.errors import AuthError, TransientError
from crmsync.model.actions import Receipt
from crmsync_hubspot import objects
from crmsync_hubspot.errors import RefusedError
from crmsync_hubspot.records import ROOM, batch_read, following, search

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crmsync_hubspot.client import HubSpotClient
    from crmsync_hubspot.describing import Descriptions

# The objects that actions make.
MADE = ("tasks", "notes", "emails")
_MOST_PAGES = 50  # of a search for a hundred keys, which is one page where all is well


class Keys:
    """The keys that a portal knows."""

    def __init__(self, client: HubSpotClient, descriptions: Descriptions) -> None:
        self._client, self._descriptions = client, descriptions
        self.property = client.options.key_property
        self._made: dict[tuple[str, str], Receipt] = {}

    def are_unique(self, object_name: str) -> bool:
        """Whether the portal itself keeps a key from being used twice.

        Raises:
            AuthError: it has no property for keys.
            ConnectorError: it cannot be asked.
        """
        definition = self._descriptions.properties(object_name).get(self.property)
        if definition is None:
            raise AuthError(
                f"{object_name} have no property {self.property} to keep keys in; “crmsync "
                "connections setup” makes it"
            )
        return bool(definition.get("hasUniqueValue"))

    def note(self, object_name: str, receipt: Receipt) -> None:
        """What was made is known from then on."""
        self._made[object_name, receipt.key] = receipt

    def known(self, object_name: str, keys: Sequence[str]) -> dict[str, Receipt]:
        """What is there under these keys, before it is made.

        Raises:
            ConnectorError: that cannot be told now.
        """
        made = {key: one for key in keys if (one := self._made.get((object_name, key)))}
        return made | self.found(object_name, [key for key in keys if key not in made])

    def everywhere(self, keys: Sequence[str]) -> dict[str, Receipt]:
        """What was made under these keys, of whatever kind.

        Raises:
            ConnectorError: that cannot be told now.
        """
        found: dict[str, Receipt] = {}
        for object_name in MADE:
            left = [key for key in dict.fromkeys(keys) if key not in found]
            if left and self.property in self._descriptions.properties(object_name):
                found |= self.found(object_name, left)
        return found

    def found(self, object_name: str, keys: Sequence[str]) -> dict[str, Receipt]:
        """The records of an object that have these keys.

        Raises:
            ConnectorError: that cannot be told now.
        """
        found: dict[str, Receipt] = {}
        ask = self._read if self.are_unique(object_name) else self._searched
        for some in _some_at_once(keys):
            for record in ask(object_name, some):
                key = record["properties"].get(self.property)
                # The portal compares without case; keys differ in more.
                if key in some:
                    found[key] = Receipt(key=key, remote_id=str(record["id"]), already=True)
        return found

    def _read(self, object_name: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        asked = {"idProperty": self.property, "properties": [self.property]}
        try:
            return list(batch_read(self._client, object_name, asked, keys).values())
        except RefusedError as error:
            if error.status != 404:  # noqa: PLR2004  HTTP: not found; none of them
                raise
            return []

    def _searched(self, object_name: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        wanted = {
            "propertyName": self.property,
            "operator": "IN",
            # HubSpot compares lists of texts in small letters.
            "values": sorted({key.lower() for key in keys}),
        }
        found: list[dict[str, Any]] = []
        after = "0"
        for _ in range(_MOST_PAGES):
            answer = search(
                self._client,
                object_name,
                [wanted],
                properties=[self.property],
                limit=objects.SEARCHED,
                after=after,
            )
            found += answer["results"]
            more = following(answer)
            if more is None:
                # A key that somebody has copied to another record stands for the first one.
                return list(reversed(found))
            after = more
        # Who takes a page that is not the last for all there is makes things twice.
        raise TransientError(f"HubSpot's search of {object_name} has no end")


def _some_at_once(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many as a call takes, and as a search has room for."""
    some: list[str] = []
    length = 0
    for key in keys:
        length += len(key) + 3
        if some and (length > ROOM or len(some) == objects.BATCH):
            yield some
            some, length = [], len(key) + 3
        some.append(key)
    if some:
        yield some
