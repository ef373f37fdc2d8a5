"""What a new record is attached to, with HubSpot's numbers for the types of association."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubspot.crm.association_type import AssociationType

from crmsync.errors import RejectedError
from crmsync_hubspot.objects import OBJECT_OF_TABLE

if TYPE_CHECKING:
    from crmsync.model.actions import RecordRef

_SINGULAR = {
    "companies": "COMPANY",
    "contacts": "CONTACT",
    "deals": "DEAL",
    "tickets": "TICKET",
    "tasks": "TASK",
    "notes": "NOTE",
    "emails": "EMAIL",
}


def association(source: str, ref: RecordRef) -> dict[str, Any]:
    """An association with a record, as a new record is sent with it.

    Raises:
        RejectedError: HubSpot has none to such a record.
    """
    target = OBJECT_OF_TABLE.get(ref.table)
    if target is None:
        raise RejectedError(
            f"HubSpot's {source} cannot be attached to a record of “{ref.table}”, only to one of "
            f"{', '.join(OBJECT_OF_TABLE)}"
        )
    number = getattr(AssociationType, f"{_SINGULAR[source]}_TO_{_SINGULAR[target]}")
    return {
        "to": {"id": ref.id},
        "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}],
    }
