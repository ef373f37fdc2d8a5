"""What a new task or note is attached to, with HubSpot's numbers for the types of association."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubspot.crm.association_type import AssociationType

from crmsync.errors import RejectedError
from crmsync_hubspot import objects

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
_DEFINED = "HUBSPOT_DEFINED"


class Targets:
    """The associations of what is made."""

    def __init__(self, client: HubSpotClient, streams: Mapping[str, StreamRequest]) -> None:
        self._client = client
        self._custom: dict[tuple[str, str], tuple[str, int]] = {}
        self._objects = dict(objects.OBJECT_OF_TABLE)
        del streams

    def association(self, source: str, ref: RecordRef) -> dict[str, Any]:
        """An association with a record, as a new record is sent with it.

        Raises:
            RejectedError: HubSpot has none to such a record.
        """
        target = self._objects.get(ref.table)
        if target is None:
            raise RejectedError(
                f"HubSpot's {source} cannot be attached to a record of “{ref.table}”, only to "
                f"{', '.join(self._objects)}"
            )
        number = getattr(AssociationType, f"{_SINGULAR[source]}_TO_{_SINGULAR[target]}")
        return {
            "to": {"id": ref.id},
            "types": [{"associationCategory": _DEFINED, "associationTypeId": number}],
        }
