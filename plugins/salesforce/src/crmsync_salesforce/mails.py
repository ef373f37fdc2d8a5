"""Mail that was sent elsewhere, as an org keeps it on record.

Where Enhanced Email is on, that is an ``EmailMessage``, from which the org makes a task by itself.
Where it is off, the object takes mail of cases only, and a completed task stands for the mail.
https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_emailmessage.htm
"""

from __future__ import annotations

from email.utils import getaddresses
from typing import TYPE_CHECKING, Any

from simple_salesforce.format import format_soql

from crmsync.errors import ConnectorError
from crmsync.observe import logger
from crmsync_salesforce import soql
from crmsync_salesforce.batches import Batches
from crmsync_salesforce.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crmsync.model.actions import LogEmail, Receipt
    from crmsync_salesforce.client import SalesforceClient
    from crmsync_salesforce.describing import Descriptions

_log = logger()

MAIL, _RELATION = "EmailMessage", "EmailMessageRelation"
_SENT = "3"
_FROM = "FromAddress"
_RELATED = ("EmailMessageId", "RelationType")
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


class Senders:
    """Who has sent a logged mail, as the org relates mails to its users."""

    def __init__(self, client: SalesforceClient, descriptions: Descriptions) -> None:
        self._client, self._descriptions = client, descriptions
        self._users: dict[str, str | None] = {}

    def relate(self, logged: Sequence[tuple[Receipt, str]]) -> None:
        """Relate mails to the users who sent them; where one has no user, its address stays alone.

        The mails are on record already, with the addresses of their senders, so that what fails
        here is told in the log and fails nothing else.

        Args:
            logged: the receipts of mails with their senders, as a header names them.
        """
        try:
            missing = self._missing(logged)
            answers = Batches(self._client).sent("POST", dict(enumerate(missing)))
        except ConnectorError as error:
            _log.warning("sender_not_related", why=str(error))
            return
        for answer in answers.values():
            if isinstance(answer, ConnectorError):
                _log.warning("sender_not_related", why=str(answer))

    def _missing(self, logged: Sequence[tuple[Receipt, str]]) -> list[dict[str, Any]]:
        if not keeps_mail(self._descriptions) or not self._may_relate():
            return []
        users = {receipt.remote_id: self._user(sender) for receipt, sender in logged}
        before = [receipt.remote_id for receipt, _ in logged if receipt.already]
        if before:
            # The one who logged them may have come to an end before it related them.
            query = soql.with_values(_RELATION, _RELATED, "EmailMessageId", before)
            there = self._client.records("query", query)
            for row in there:
                if row["RelationType"] == _FROM:
                    users.pop(row["EmailMessageId"], None)
        return [
            {
                "attributes": {"type": _RELATION},
                "EmailMessageId": mail,
                "RelationId": user,
                "RelationType": _FROM,
            }
            for mail, user in users.items()
            if user is not None
        ]

    def _may_relate(self) -> bool:
        try:
            return bool(self._descriptions.object(_RELATION).get("createable"))
        except RefusedError:
            return False

    def _user(self, sender: str) -> str | None:
        """The one active user with that address; several are nobody."""
        address = getaddresses([sender])[0][1].lower()
        if address not in self._users:
            where = format_soql("WHERE Email = {} AND IsActive = true", address)
            found = self._client.records("query", soql.everything("User", ("Id",), where))
            self._users[address] = found[0]["Id"] if len(found) == 1 else None
        return self._users[address]


def as_task(action: LogEmail, *, status: str) -> dict[str, Any]:
    """The mail as a task that is done, where the org keeps no other mail than that of cases."""
    return {
        "attributes": {"type": "Task"},
        "TaskSubtype": "Email",
        "Status": status,
        "Subject": action.subject,
        "Description": action.text,
        "ActivityDate": action.at.date().isoformat(),
    }
