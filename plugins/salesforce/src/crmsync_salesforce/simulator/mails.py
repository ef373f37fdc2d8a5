"""What an org does with mail on its own: it makes a task of it, and keeps who is concerned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync_salesforce.simulator.errors import OrgError

if TYPE_CHECKING:
    from crmsync_salesforce.simulator.org import Org, Row

MAIL = "EmailMessage"
_DRAFT, _SENT = "5", "3"
_CHANGEABLE = {"IsExternallyVisible"}
# Without Enhanced Email, mail belongs to cases alone.
ENHANCED = frozenset({"RelatedToId", "ToIds"})


def refuse_mail(row: Row, *, enhanced: bool) -> None:
    """Hold a new mail against what the org takes.

    Raises:
        OrgError: it is refused.
    """
    if row.get("ParentId") is not None:
        return
    if not enhanced:
        raise OrgError(
            "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [ParentId]",
            fields=("ParentId",),
        )
    if row.get("ActivityId") is not None:
        raise OrgError(
            "FIELD_INTEGRITY_EXCEPTION",
            "ActivityId can be set for the email messages of cases only",
            fields=("ActivityId",),
        )


def refuse_change(before: Row, values: Row) -> None:
    """Of mail that is no draft any more nearly nothing can be changed.

    Raises:
        OrgError: it is refused.
    """
    fixed = [name for name in values if name not in _CHANGEABLE and not name.endswith("__c")]
    if before["Status"] != _DRAFT and fixed:
        raise OrgError(
            "INVALID_OPERATION",
            f"email messages that are no drafts cannot be changed: {', '.join(sorted(fixed))}",
        )


def after_mail(org: Org, row: Row) -> None:
    """Make the task that stands for a mail that was sent, and the relations to its people."""
    people = [one for one in str(row.get("ToIds") or "").split(";") if one]
    for person in people:
        values = {"EmailMessageId": row["Id"], "RelationId": person, "RelationType": "ToAddress"}
        org.create("EmailMessageRelation", values)
    if row["Status"] != _SENT or row.get("ActivityId") is not None or row.get("ParentId"):
        return
    who = next((one for one in people if not one.startswith("005")), None)
    task = org.create(
        "Task",
        {
            "Subject": f"Email: {row.get('Subject') or ''}"[:255],
            "Description": (row.get("TextBody") or "")[:32_000],
            "Status": org.closing[0],
            "TaskSubtype": "Email",
            "ActivityDate": str(row["MessageDate"])[:10],
            "WhatId": row.get("RelatedToId"),
            "WhoId": who,
        },
    )
    table = org.tables[MAIL]
    with org.connected() as connection:
        connection.execute(table.update().where(table.c.Id == row["Id"]).values(ActivityId=task))
