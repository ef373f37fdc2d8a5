"""Mail that was sent elsewhere, as an org keeps it on record.

Where Enhanced Email is on, that is an ``EmailMessage``, from which the org makes a task by itself.
Where it is off, the object takes mail of cases only, and a completed task stands for the mail.
https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_emailmessage.htm
"""

from __future__ import annotations

from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from crmsync_salesforce import soql
from crmsync_salesforce.errors import RefusedError

if TYPE_CHECKING:
    from crmsync.model.actions import LogEmail
    from crmsync_salesforce.describing import Descriptions

MAIL = "EmailMessage"
_SENT = "3"
# Without Enhanced Email the object lacks them, or nobody may fill them in.
_ENHANCED = ("RelatedToId", "ToIds", "MessageIdentifier")
_WHO = "contact"


def keeps_mail(descriptions: Descriptions) -> bool:
    """Whether the org keeps mail that belongs to no case.

    Raises:
        ConnectorError: the org cannot be asked.
    """
    try:
        described = descriptions.object(MAIL)
    except RefusedError:
        return False
    fields = descriptions.fields(MAIL)
    may = bool(described.get("createable"))
    return may and all(name in fields and fields[name]["createable"] for name in _ENHANCED)


def as_message(action: LogEmail) -> dict[str, Any]:
    """The mail as an ``EmailMessage``; once it is made, the org lets nobody change it."""
    names, addresses = zip(*getaddresses([action.sender]), strict=True)
    record: dict[str, Any] = {
        "attributes": {"type": MAIL},
        "Subject": action.subject,
        "TextBody": action.text,
        "FromAddress": addresses[0],
        "FromName": names[0] or addresses[0],
        "Incoming": False,
        "Status": _SENT,
        "MessageDate": soql.instant(action.at),
        # As mail programs write it, so that the org's own threading knows the reply.
        "MessageIdentifier": f"<{action.message_id}>",
    }
    if action.html is not None:
        record["HtmlBody"] = action.html
    people = list(dict.fromkeys(about.id for about in action.about if about.table == _WHO))
    if people:
        record["ToIds"] = people  # the address stands at the contact
    else:
        record["ToAddress"] = getaddresses([action.recipient])[0][1]
    about = next((about.id for about in action.about if about.table != _WHO), None)
    return record if about is None else record | {"RelatedToId": about}


def as_task(action: LogEmail) -> dict[str, Any]:
    """The mail as a task that is done, where the org keeps no other mail than that of cases."""
    return {
        "attributes": {"type": "Task"},
        "TaskSubtype": "Email",
        "Status": "Completed",
        "Subject": action.subject,
        "Description": action.text,
        "ActivityDate": action.at.date().isoformat(),
    }
