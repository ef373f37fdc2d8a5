"""Fields that the org fills in by itself when a record is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crmsync_salesforce.simulator.objects import ObjectDefinition
    from crmsync_salesforce.simulator.org import Org, Row

_DEFAULTS: dict[str, Row] = {
    "Task": {"Status": "Not Started", "Priority": "Normal", "TaskSubtype": "Task"},
    "Event": {"ShowAs": "Busy"},
    "Case": {"Status": "New", "Priority": "Medium"},
    "Lead": {"Status": "Open - Not Contacted"},
    "User": {"TimeZoneSidKey": "Europe/Zurich", "UserType": "Standard"},
    "Contract": {"Status": "Draft"},
    "CampaignMember": {"Status": "Sent"},
    "EmailMessage": {"Status": "0"},
    "Opportunity": {"Probability": 10.0},
}
_WON, _LOST = "Closed Won", "Closed Lost"


def derived(org: Org, one: ObjectDefinition, row: Row) -> Row:
    """The org's own values for a record that will have these values."""
    found = {k: v for k, v in _DEFAULTS.get(one.name, {}).items() if row.get(k) is None}
    row = row | found
    match one.name:
        case "Task":
            found |= _task(org, row)
        case "Event":
            found["AccountId"] = _account_of(org, row)
            found["EndDate"] = (row.get("EndDateTime") or row.get("ActivityDate") or "")[
                :10
            ] or None
        case "Contact" | "Lead" | "User":
            found["Name"] = " ".join(n for n in (row.get("FirstName"), row["LastName"]) if n)
        case "Opportunity":
            found |= {
                "IsClosed": row["StageName"] in {_WON, _LOST},
                "IsWon": row["StageName"] == _WON,
            }
        case "Case":
            closed = row["Status"] == "Closed"
            found |= {"IsClosed": closed, "CaseNumber": row["Id"][-8:]}
            found["ClosedDate"] = (row.get("ClosedDate") or org.now()) if closed else None
        case "Contract":
            found["ContractNumber"] = row["Id"][-8:]
        case "EmailMessage":
            found["MessageDate"] = row.get("MessageDate") or org.now()
        case "Order":
            found["OrderNumber"] = row["Id"][-8:]
    if "IsEmailBounced" in one.fields:
        found["IsEmailBounced"] = row.get("EmailBouncedDate") is not None
    return found


def _task(org: Org, row: Row) -> Row:
    closed = row["Status"] in org.closing
    return {
        "IsClosed": closed,
        "IsHighPriority": row["Priority"] == "High",
        "CompletedDateTime": (row.get("CompletedDateTime") or org.now()) if closed else None,
        "AccountId": _account_of(org, row),
    }


def _account_of(org: Org, row: Row) -> str | None:
    """The account of an activity: that of what it is about, else of whom."""
    for field in ("WhatId", "WhoId"):
        if row.get(field) is not None:
            target = org.object_of(row[field])
            other = org.get(target.name, row[field]) if target else None
            if target is not None and target.name == "Account":
                return str(row[field])
            if other is not None and other.get("AccountId"):
                return str(other["AccountId"])
    return None


def after_write(org: Org, one: ObjectDefinition, row: Row) -> None:
    """Roll up the last activity of an account: no stamp of the account is moved by it."""
    day = row.get("ActivityDate")
    account = _account_of(org, row) if one.name in {"Task", "Event"} else None
    if day is None or account is None or (one.name == "Task" and row["Status"] not in org.closing):
        return
    table = org.tables["Account"]
    with org.connected() as connection:
        older = table.c.LastActivityDate.is_(None) | (table.c.LastActivityDate < day)
        connection.execute(
            table.update().where((table.c.Id == account) & older).values(LastActivityDate=day)
        )
