"""What is sent to make a record: a task, a note, or a mail that went out elsewhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any

import orjson

from crmsync.errors import RejectedError
from crmsync.model.actions import AddNote, CreateTask, LogEmail
from crmsync_hubspot import texts
from crmsync_hubspot.cursor import milliseconds, written
from crmsync_hubspot.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

    from crmsync.plugins.contract import StreamRequest
    from crmsync_hubspot.client import HubSpotClient

Made = CreateTask | AddNote | LogEmail
OBJECT: dict[type[Made], str] = {CreateTask: "tasks", AddNote: "notes", LogEmail: "emails"}
_NOON = time(12)


def noon(day: date, zone: ZoneInfo) -> datetime:
    """The middle of a day in a zone: so far from both its ends that it is that day elsewhere."""
    return datetime.combine(day, _NOON, zone).astimezone(UTC)


class Inputs:
    """Actions as a portal takes them."""

    def __init__(self, client: HubSpotClient, streams: Mapping[str, StreamRequest]) -> None:
        self._client = client
        self._targets = Targets(client, streams)

    def due(self, action: CreateTask) -> datetime | None:
        """When a task is due: at noon of its day in the portal's zone, where that is its day."""
        if action.due is None:
            return None
        return noon(action.due, self._client.portal_zone())

    def of(self, action: Made) -> dict[str, Any]:
        """What is sent to make a record.

        Raises:
            RejectedError: no portal can hold it.
            ConnectorError: the portal cannot be asked for its zone, or for types of association.
        """
        properties = self._properties(action)
        properties[self._client.options.key_property] = action.key
        for name, value in properties.items():
            if texts.cannot_be_kept(value):
                raise RejectedError(
                    f"the action {action.key!r} has a character that HubSpot cannot keep"
                )
            if len(value) > texts.LONGEST:
                raise RejectedError(
                    f"{name} has {len(value):,} characters, and HubSpot takes {texts.LONGEST:,}"
                )
        source = OBJECT[type(action)]
        return {
            "properties": properties,
            "associations": self._targets.associations(source, action.about),
        }

    def _properties(self, action: Made) -> dict[str, str]:
        now = written(milliseconds(self._client.clock.now()))
        match action:
            case CreateTask():
                due = self.due(action)
                owner = {} if action.assignee is None else {"hubspot_owner_id": action.assignee}
                return {
                    "hs_task_subject": action.subject,
                    "hs_task_body": texts.as_html(action.body),
                    "hs_task_status": "NOT_STARTED",
                    "hs_task_type": "TODO",
                    # HubSpot has no task without a time; one without a day is due when it is made.
                    "hs_timestamp": now if due is None else written(milliseconds(due)),
                } | owner
            case AddNote():
                return {"hs_note_body": texts.as_html(action.text), "hs_timestamp": now}
        return self._mail(action)

    def _mail(self, action: LogEmail) -> dict[str, str]:
        headers = {
            "from": _party(action.sender),
            "to": [_party(action.recipient)],
            "cc": [],
            "bcc": [],
        }
        html = action.html or ""
        # The text says the same; a mail that is too long for HubSpot in HTML is on record in text.
        kept = {"hs_email_html": html} if 0 < len(html) <= texts.LONGEST else {}
        return {
            "hs_timestamp": written(milliseconds(action.at)),
            "hs_email_direction": "EMAIL",
            "hs_email_status": "SENT",
            "hs_email_subject": action.subject,
            "hs_email_text": action.text,
            # The names and addresses of a logged mail are read-only; HubSpot takes them from here.
            "hs_email_headers": orjson.dumps(headers).decode(),
            self._client.options.message_id_property: action.message_id,
        } | kept


def _party(address: str) -> dict[str, str]:
    name, mailbox = parseaddr(address)
    first, _, last = name.rpartition(" ")
    told = {"email": mailbox or address, "firstName": first or last, "lastName": last * bool(first)}
    return {key: value for key, value in told.items() if value}
