"""The Tooling API, as far as it makes custom fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync_salesforce.simulator.errors import OrgError
from crmsync_salesforce.simulator.messages import Answer
from crmsync_salesforce.simulator.objects import FieldDefinition, minted_id

if TYPE_CHECKING:
    from crmsync_salesforce.simulator.messages import Request
    from crmsync_salesforce.simulator.org import Org

_ON_ACTIVITIES = ("Task", "Event")


def tooling(org: Org, request: Request, *, shown: bool) -> Answer:
    """Answer a request to the Tooling API.

    Args:
        shown: whether an administrator shows what is made to the API's user at once; else
            field-level security hides it, as it does of all that is made so.

    Raises:
        OrgError: it is refused.
    """
    if (request.method, request.parts) != ("POST", ("tooling", "sobjects", "CustomField")):
        raise OrgError("NOT_FOUND", "The requested resource does not exist", status=404)
    asked = request.json()
    object_name, _, name = str(asked.get("FullName", "")).partition(".")
    metadata = asked.get("Metadata", {})
    if not name.endswith("__c") or metadata.get("type") != "Text":
        raise OrgError("FIELD_INTEGRITY_EXCEPTION", "the simulator makes custom text fields only")
    # Fields of tasks and events are made on their common object.
    if object_name in _ON_ACTIVITIES:
        raise OrgError("INVALID_TYPE", f"{object_name} takes no custom fields; use Activity")
    for target in _ON_ACTIVITIES if object_name == "Activity" else (object_name,):
        if name in org.object(target).fields:
            raise OrgError("DUPLICATE_DEVELOPER_NAME", f"There is already a field named {name}")
        added = FieldDefinition(
            name=name,
            type="string",
            length=int(metadata["length"]),
            external_id=bool(metadata.get("externalId")),
            unique=bool(metadata.get("unique")),
        )
        org.add_field(target, added)
        if not shown:
            org.object(target).hidden.add(name)
    return Answer(
        status=201, body={"id": minted_id("00N", 1), "success": True, "errors": [], "warnings": []}
    )
