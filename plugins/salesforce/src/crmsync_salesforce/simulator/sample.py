"""The sample company's records, as they would stand in an org, and the config that reads them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from crmsync_salesforce.simulator.values import told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crmsync_salesforce.simulator.org import Org, Row

    _Source = Mapping[str, object]


# What an administrator of the sample company has added to the standard objects.
CUSTOM = (
    "Account Status__c picklist(40)",
    "Account Tier__c picklist(40)",
    "Account Time_Zone__c string(40)",
    "Account Renewal_Date__c date",
    "Account Customer_Since__c date",
    "Account Do_Not_Contact__c boolean",
    "Account Primary_Contact__c reference(Contact)",
    "Account CurrencyIsoCode picklist(255)",
    "Contact Role__c picklist(40)",
    "Contact Time_Zone__c string(40)",
    "Contact Locale__c string(40)",
    "Opportunity CurrencyIsoCode picklist(255)",
    "Task Direction__c picklist(40)",
    "Task Automated__c boolean",
    "Event Direction__c picklist(40)",
    "Event Cancelled__c boolean",
    "Case Topic__c picklist(40)",
)

MAPPING = """\
  streams:
    accounts:
      table: account
      object: Account
      key: Id
      merged_into: MasterRecordId
      fields:
        name: Name
        domain: Website
        owner: OwnerId
        parent: ParentId
        primary_contact: Primary_Contact__c
        tier: Tier__c
        status:
          column: Status__c
          values: {Customer: active, Onboarding: onboarding, Churned: churned}
        industry: Industry
        country: BillingCountry
        time_zone: Time_Zone__c
        currency: CurrencyIsoCode
        recurring_revenue: AnnualRevenue
        customer_since: Customer_Since__c
        renewal_date: Renewal_Date__c
        do_not_contact: Do_Not_Contact__c
        created_at: CreatedDate
        updated_at: SystemModstamp
    contacts:
      table: contact
      object: Contact
      key: Id
      fields:
        account: AccountId
        first_name: FirstName
        last_name: LastName
        name: Name
        email: Email
        role: Role__c
        country: MailingCountry
        time_zone: Time_Zone__c
        locale: Locale__c
        unsubscribed: HasOptedOutOfEmail
        bounced: IsEmailBounced
        created_at: CreatedDate
        updated_at: SystemModstamp
    users:
      table: user
      object: User
      key: Id
      fields:
        name: Name
        email: Email
        manager: ManagerId
        time_zone: TimeZoneSidKey
        active: IsActive
    # Calls, mails and things to do. WhoId and WhatId lead to several objects: behind the colon
    # stands the one that is meant here.
    tasks:
      table: activity
      object: Task
      key: Id
      fields:
        account: AccountId
        contact: WhoId:Contact
        deal: WhatId:Opportunity
        owner: OwnerId:User
        kind: {column: TaskSubtype, values: {Call: call, Email: email, "*": task}}
        direction: {column: Direction__c, values: {Inbound: inbound, Outbound: outbound}}
        at: {column: [CompletedDateTime, ActivityDate]}
        automated: Automated__c
        status: {column: IsClosed, values: {"true": completed, "false": planned}}
        subject: Subject
        text: Description
        updated_at: SystemModstamp
    events:
      table: activity
      object: Event
      key: Id
      fields:
        account: AccountId
        contact: WhoId:Contact
        deal: WhatId:Opportunity
        owner: OwnerId:User
        kind: {value: meeting}
        direction: {column: Direction__c, values: {Inbound: inbound, Outbound: outbound}}
        at: {column: [StartDateTime, ActivityDate]}
        ended_at: EndDateTime
        status: {column: Cancelled__c, values: {"true": cancelled, "false": completed}}
        subject: Subject
        updated_at: SystemModstamp
    deals:
      table: deal
      object: Opportunity
      key: Id
      fields:
        account: AccountId
        owner: OwnerId
        name: Name
        kind: Type
        stage: StageName
        amount: Amount
        currency: CurrencyIsoCode
        close_date: CloseDate
        open: {column: IsClosed, values: {"true": false, "false": true}}
        won: IsWon
        updated_at: SystemModstamp
    tickets:
      table: ticket
      object: Case
      key: Id
      fields:
        account: AccountId
        contact: ContactId
        owner: OwnerId:User
        subject: Subject
        topic: Topic__c
        status: Status
        priority: Priority
        opened_at: CreatedDate
        closed_at: ClosedDate
        updated_at: SystemModstamp
"""

_SUBTYPES = {"call": "Call", "email": "Email"}


def load_sample(org: Org, sample: Mapping[str, Sequence[Mapping[str, object]]]) -> dict[str, str]:
    """Put the sample's records into an org; answers with the org's id for each of the sample's."""
    ids: dict[str, str] = {}
    names = ("users", "accounts", "contacts", "deals", "tickets")
    objects = ("User", "Account", "Contact", "Opportunity", "Case")
    for file, name in zip(names, objects, strict=True):
        for row in sample.get(file, ()):
            ids[str(row["id"])] = org.minted(name)
    meetings = [row for row in sample.get("activities", ()) if row["type"] == "Meeting"]
    others = [row for row in sample.get("activities", ()) if row["type"] != "Meeting"]
    for name, activities in (("Event", meetings), ("Task", others)):
        for row in activities:
            ids[str(row["id"])] = org.minted(name)
    sources = {
        "User": (sample.get("users", ()), _user),
        "Account": (sample.get("accounts", ()), _account),
        "Contact": (sample.get("contacts", ()), _contact),
        "Opportunity": (sample.get("deals", ()), _deal),
        "Case": (sample.get("tickets", ()), _case),
        "Event": (meetings, _event),
        "Task": (others, _task),
    }
    for name, (rows, made) in sources.items():
        if rows:
            org.load(name, [_whole(org, name, row, ids, made(row, ids)) for row in rows])
    return ids


def _whole(org: Org, name: str, source: _Source, ids: Mapping[str, str], row: Row) -> Row:
    """A row with all columns of its object."""
    changed = _instant(source.get("updated_at")) or org.now()
    created = _instant(source.get("created_at")) or changed
    fields = org.objects[name].fields
    empty: Row = {f.name: False if f.type == "boolean" else None for f in fields.values()}
    stamps = {
        "Id": ids[str(source["id"])],
        "CreatedDate": created,
        "LastModifiedDate": changed,
        "SystemModstamp": changed,
        "CreatedById": org.user,
        "LastModifiedById": org.user,
    }
    whole = empty | stamps | row
    return whole | ({"OwnerId": whole["OwnerId"] or org.user} if "OwnerId" in fields else {})


def _instant(value: object) -> str | None:
    if isinstance(value, datetime):
        return told(value.astimezone(UTC))
    return None


def _day(value: object) -> str | None:
    return value.isoformat() if isinstance(value, date) else None


def _yes(value: object) -> bool:
    return value == "yes"


def _text(row: _Source, name: str) -> str | None:
    return str(row.get(name) or "") or None


def _id(row: _Source, name: str, ids: Mapping[str, str]) -> str | None:
    return ids.get(str(row.get(name) or ""))


def _user(row: _Source, ids: Mapping[str, str]) -> Row:
    given, _, family = str(row["name"]).partition(" ")
    return {
        "FirstName": given,
        "LastName": family,
        "Name": row["name"],
        "Username": row["email"],
        "Email": row["email"],
        "ManagerId": _id(row, "manager_id", ids),
        "TimeZoneSidKey": row["time_zone"],
        "IsActive": _yes(row["active"]),
        "UserType": "Standard",
    }


def _account(row: _Source, ids: Mapping[str, str]) -> Row:
    return {
        "Name": row["name"],
        "Website": row["website"],
        "OwnerId": _id(row, "owner_id", ids),
        "Primary_Contact__c": _id(row, "primary_contact_id", ids),
        "Tier__c": _text(row, "tier"),
        "Status__c": _text(row, "status"),
        "Industry": _text(row, "industry"),
        "BillingCountry": _text(row, "country"),
        "Time_Zone__c": _text(row, "time_zone"),
        "CurrencyIsoCode": _text(row, "currency"),
        "AnnualRevenue": row["annual_revenue"],
        "Customer_Since__c": _day(row["customer_since"]),
        "Renewal_Date__c": _day(row["renewal_date"]),
        "Do_Not_Contact__c": _yes(row["do_not_contact"]),
        # The sample's merged accounts lead into another: here they are in the recycle bin.
        "MasterRecordId": _id(row, "merged_into", ids),
        "IsDeleted": bool(row.get("merged_into")),
    }


def _contact(row: _Source, ids: Mapping[str, str]) -> Row:
    return {
        "AccountId": _id(row, "account_id", ids),
        "FirstName": _text(row, "first_name"),
        "LastName": row["last_name"],
        "Name": row["full_name"] or row["last_name"],
        "Email": _text(row, "email"),
        "Role__c": _text(row, "role"),
        "MailingCountry": _text(row, "country"),
        "Time_Zone__c": _text(row, "time_zone"),
        "Locale__c": _text(row, "locale"),
        "HasOptedOutOfEmail": _yes(row["opted_out"]),
        "IsEmailBounced": _yes(row["bounced"]),
    }


def _deal(row: _Source, ids: Mapping[str, str]) -> Row:
    return {
        "AccountId": _id(row, "account_id", ids),
        "OwnerId": _id(row, "owner_id", ids),
        "Name": row["name"],
        "Type": row["kind"],
        "StageName": row["stage"],
        "IsClosed": row["stage"] in {"Closed Won", "Closed Lost"},
        "IsWon": row["stage"] == "Closed Won",
        "Amount": row["amount"],
        "CurrencyIsoCode": row["currency"],
        "CloseDate": _day(row["close_date"]),
    }


def _case(row: _Source, ids: Mapping[str, str]) -> Row:
    return {
        "AccountId": _id(row, "account_id", ids),
        "ContactId": _id(row, "contact_id", ids),
        "OwnerId": _id(row, "agent_id", ids),
        "CaseNumber": str(row["id"])[-5:],
        "Subject": row["subject"],
        "Topic__c": row["topic"],
        "Status": row["status"],
        "Priority": row["priority"],
        "CreatedDate": _instant(row["opened"]),
        "ClosedDate": _instant(row["closed"]),
        "IsClosed": bool(row["closed"]),
    }


def _about(row: _Source, ids: Mapping[str, str]) -> Row:
    account = _id(row, "account_id", ids)
    return {
        "WhatId": account,
        "AccountId": account,
        "WhoId": _id(row, "contact_id", ids),
        "OwnerId": _id(row, "owner_id", ids),
        "Subject": _text(row, "subject"),
        "Direction__c": str(row.get("direction") or "").capitalize() or None,
    }


def _event(row: _Source, ids: Mapping[str, str]) -> Row:
    start, end = row["start"], row.get("end") or row["start"]
    return _about(row, ids) | {
        "StartDateTime": _instant(start),
        "EndDateTime": _instant(end),
        "ActivityDateTime": _instant(start),
        "ActivityDate": (_instant(start) or "")[:10],
        "EndDate": (_instant(end) or "")[:10],
        "Cancelled__c": row.get("status") == "cancelled",
        "ShowAs": "Busy",
    }


def _task(row: _Source, ids: Mapping[str, str]) -> Row:
    at = _instant(row["start"])
    done = row.get("status") != "planned"
    return _about(row, ids) | {
        "TaskSubtype": _SUBTYPES.get(str(row["type"]).lower(), "Task"),
        "ActivityDate": (at or "")[:10],
        "Status": "Completed" if done else "Not Started",
        "IsClosed": done,
        "CompletedDateTime": at if done else None,
        "Priority": "Normal",
        "Automated__c": _yes(row.get("automated")),
    }
