"""What a new record is attached to, with HubSpot's numbers for the types of association."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubspot.crm.association_type import AssociationType

from crmsync.errors import RejectedError
from crmsync_hubspot.errors import RefusedError
from crmsync_hubspot.objects import OBJECT_OF_TABLE, WITHOUT_CHANGES
from crmsync_hubspot.options import HubSpotStreamOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crmsync.model.actions import RecordRef
    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.client import HubSpotClient

_SINGULAR = {
    "companies": "COMPANY",
    "contacts": "CONTACT",
    "deals": "DEAL",
    "tickets": "TICKET",
    "tasks": "TASK",
    "notes": "NOTE",
    "emails": "EMAIL",
}


class Targets:
    """The records of a portal to which others can be attached."""

    def __init__(self, client: HubSpotClient, streams: Mapping[str, StreamRequest]) -> None:
        self._client = client
        self._objects: dict[str, set[str]] = {}
        for request in streams.values():
            options = request.options
            if not isinstance(options, HubSpotStreamOptions) or options.associations_to:
                continue
            if options.object not in WITHOUT_CHANGES:
                self._objects.setdefault(request.table, set()).add(options.object)
        self._types: dict[tuple[str, str], dict[str, Any]] = {}

    def associations(self, source: str, about: tuple[RecordRef, ...]) -> list[dict[str, Any]]:
        """Associations with records, as a new record is sent with them.

        Where HubSpot can attach it to some of them only, those are taken.

        Raises:
            RejectedError: HubSpot has none to any of them.
            ConnectorError: the portal cannot be asked for the types of a custom object.
        """
        found: list[dict[str, Any]] = []
        refused: RejectedError | None = None
        for ref in about:
            try:
                found.append({"to": {"id": ref.id}, "types": [self._type(source, ref)]})
            except RejectedError as error:
                refused = error
        if refused is not None and not found:
            raise refused
        return found

    def _type(self, source: str, ref: RecordRef) -> dict[str, Any]:
        target = self._object(ref.table)
        if target is None:
            raise RejectedError(
                f"HubSpot's {source} cannot be attached to a record of “{ref.table}”: which object "
                "it is in the portal, no stream says, or several do"
            )
        if target in _SINGULAR:
            name = f"{_SINGULAR[source]}_TO_{_SINGULAR[target]}"
            number = getattr(AssociationType, name, None)
            if number is not None:
                return {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}
        if (source, target) not in self._types:
            self._types[source, target] = self._asked(source, target)
        return self._types[source, target]

    def _object(self, table: str) -> str | None:
        """The object whose records a table has."""
        there = self._objects.get(table, set())
        if len(there) == 1:
            return next(iter(there))
        usual = OBJECT_OF_TABLE.get(table)
        return usual if not there or usual in there else None

    def _asked(self, source: str, target: str) -> dict[str, Any]:
        """The type without a label: of custom objects each portal has numbers of its own."""
        path = f"/crm/v4/associations/{source}/{target}/labels"
        try:
            told = self._client.call("GET", path).body["results"]
        except RefusedError as error:
            raise RejectedError(f"{source} cannot be attached to {target}: {error}") from None
        plain = [one for one in told if not one.get("label")] or told
        if not plain:
            raise RejectedError(f"HubSpot's {source} cannot be attached to {target}")
        return {
            "associationCategory": plain[0]["category"],
            "associationTypeId": plain[0]["typeId"],
        }
