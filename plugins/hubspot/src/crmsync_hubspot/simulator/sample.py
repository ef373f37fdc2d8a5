"""The sample company's records, as they would stand in a portal, and the config that reads them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from crmsync_hubspot.simulator.records import record
from crmsync_hubspot.simulator.values import milliseconds, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from crmsync_hubspot.simulator.portal import Portal
    from crmsync_hubspot.simulator.records import Record

    _Source = Mapping[str, object]
    _Sample = Mapping[str, Sequence[_Source]]


# What an administrator of the sample company has added to the standard objects.
CUSTOM = (
    "companies customer_status enumeration : Customer Onboarding Churned",
    "companies customer_tier enumeration : starter growth strategic",
    "companies customer_since date",
    "companies renewal_date date",
    "companies account_currency string",
    "companies do_not_contact bool",
    "companies main_contact_id string",
    "contacts customer_role string",
    "contacts iana_time_zone string",
    "contacts locale string",
    "tickets topic string",
    "emails automated bool",
)

MAPPING = """\
  streams:
    companies:
      table: account
      object: companies
      key: id
      fields:
        name: name
        domain: domain
        owner: hubspot_owner_id
        parent: hs_parent_company_id
        primary_contact: main_contact_id
        tier: customer_tier
        status:
          column: customer_status
          values: {Customer: active, Onboarding: onboarding, Churned: churned}
        industry: industry
        country: country
        time_zone: timezone
        currency: account_currency
        recurring_revenue: annualrevenue
        customer_since: customer_since
        renewal_date: renewal_date
        do_not_contact: do_not_contact
        created_at: createdAt
        updated_at: updatedAt
    contacts:
      table: contact
      object: contacts
      key: id
      fields:
        account: associations.companies
        first_name: firstname
        last_name: lastname
        name: {join: [firstname, lastname]}
        email: email
        role: customer_role
        country: country
        time_zone: iana_time_zone
        locale: locale
        unsubscribed: hs_email_optout
        bounced: {column: hs_email_bounce, values: {"0": false, "*": true}}
        created_at: createdAt
        updated_at: updatedAt
    owners:
      table: user
      object: owners
      key: id
      fields:
        name: {join: [firstName, lastName]}
        email: email
    deals:
      table: deal
      object: deals
      key: id
      fields:
        account: associations.companies
        contact: associations.contacts
        owner: hubspot_owner_id
        name: dealname
        kind: {column: dealtype, values: {newbusiness: new business, existingbusiness: expansion}}
        pipeline: pipeline
        stage:
          column: dealstage
          values:
            contractsent: Negotiation
            presentationscheduled: Proposal
            closedwon: Closed Won
            closedlost: Closed Lost
        amount: amount
        currency: deal_currency_code
        close_date: closedate
        open: {column: hs_is_closed, values: {"true": false, "false": true}}
        won: hs_is_closed_won
        updated_at: updatedAt
    tickets:
      table: ticket
      object: tickets
      key: id
      fields:
        account: associations.companies
        contact: associations.contacts
        owner: hubspot_owner_id
        subject: subject
        topic: topic
        status:
          column: hs_pipeline_stage
          values: {"1": open, "2": waiting, "3": open, "4": closed}
        priority:
          column: hs_ticket_priority
          values: {LOW: low, MEDIUM: normal, HIGH: high, URGENT: urgent}
        opened_at: createdAt
        closed_at: closed_date
        updated_at: updatedAt
    # Calls, mails, meetings, notes and things to do are five objects of their own.
    calls:
      table: activity
      object: calls
      key: id
      fields:
        account: associations.companies
        contact: associations.contacts
        owner: hubspot_owner_id
        kind: {value: call}
        direction: {column: hs_call_direction, values: {INBOUND: inbound, OUTBOUND: outbound}}
        at: hs_timestamp
        status: {column: hs_call_status, values: {CANCELED: cancelled, "*": completed}}
        subject: hs_call_title
        text: hs_call_body
        updated_at: updatedAt
    emails:
      table: activity
      object: emails
      key: id
      fields:
        account: associations.companies
        contact: associations.contacts
        owner: hubspot_owner_id
        kind: {value: email}
        direction: {column: hs_email_direction, values: {INCOMING_EMAIL: inbound, "*": outbound}}
        at: hs_timestamp
        status:
          column: hs_email_status
          values: {SCHEDULED: planned, BOUNCED: cancelled, FAILED: cancelled, "*": completed}
        automated: automated
        subject: hs_email_subject
        text: hs_email_text
        updated_at: updatedAt
    meetings:
      table: activity
      object: meetings
      key: id
      fields:
        account: associations.companies
        contact: associations.contacts
        owner: hubspot_owner_id
        kind: {value: meeting}
        at: {column: [hs_meeting_start_time, hs_timestamp]}
        ended_at: hs_meeting_end_time
        status:
          column: hs_meeting_outcome
          values:
            SCHEDULED: planned
            RESCHEDULED: cancelled
            CANCELLED: cancelled
            NO_SHOW: cancelled
            "*": completed
        subject: hs_meeting_title
        updated_at: updatedAt
    notes:
      table: activity
      object: notes
      key: id
      fields:
        account: associations.companies
        contact: associations.contacts
        owner: hubspot_owner_id
        kind: {value: note}
        at: hs_timestamp
        text: hs_note_body
        updated_at: updatedAt
    tasks:
      table: activity
      object: tasks
      key: id
      fields:
        account: associations.companies
        contact: associations.contacts
        deal: associations.deals
        owner: hubspot_owner_id
        kind: {value: task}
        at: hs_timestamp
        status: {column: hs_task_status, values: {COMPLETED: completed, "*": planned}}
        subject: hs_task_subject
        text: hs_task_body
        updated_at: updatedAt
"""

_STAGES = {
    "Closed Won": "closedwon",
    "Closed Lost": "closedlost",
    "Proposal": "presentationscheduled",
    "Negotiation": "contractsent",
}
_TICKET_STAGES = {"open": "1", "waiting": "2", "closed": "4"}
_PRIORITIES = {"low": "LOW", "normal": "MEDIUM", "high": "HIGH", "urgent": "URGENT"}
_OUTCOMES = {"planned": "SCHEDULED", "completed": "COMPLETED", "cancelled": "CANCELLED"}
_OBJECTS = {"Call": "calls", "Email": "emails", "Meeting": "meetings", "Note": "notes"}
_PRIMARY = {"contacts": 1, "deals": 5, "tickets": 26}


def load_sample(portal: Portal, sample: _Sample) -> dict[str, str]:
    """Put the sample's records into a portal; answers with its id for each of the sample's."""
    ids = {str(row["id"]): str(_owner(portal, row)) for row in sample.get("users", ())}
    accounts = sample.get("accounts", ())
    _mint(portal, "companies", accounts, ids)
    contacts = sample.get("contacts", ())
    _mint(portal, "contacts", contacts, ids)
    lost = [row for row in accounts if row["merged_into"]]
    for row in lost:
        ids[str(row["id"])], former = ids[str(row["merged_into"])], ids[str(row["id"])]
        portal.tables["companies"].merged[int(former)] = int(ids[str(row["id"])])
        ids[f"merged into {row['merged_into']}"] = former
    kept = [row for row in accounts if not row["merged_into"]]
    _load(portal, "companies", kept, ids, _company)
    for name, rows, made in (
        ("contacts", contacts, _contact),
        ("deals", sample.get("deals", ()), _deal),
        ("tickets", sample.get("tickets", ()), _ticket),
        *((name, _of_type(sample, kind), _activity) for kind, name in _OBJECTS.items()),
        ("feedback_submissions", sample.get("feedback", ()), _submission),
    ):
        _mint(portal, name, rows, ids)
        _load(portal, name, rows, ids, made)
        _associate(portal, name, rows, ids)
    return ids


def _of_type(sample: _Sample, kind: str) -> list[_Source]:
    return [row for row in sample.get("activities", ()) if row["type"] == kind]


def _owner(portal: Portal, row: _Source) -> int:
    given, _, family = str(row["name"]).partition(" ")
    number = portal.add_owner(str(row["email"]), given, family)
    portal.owners[number].archived = not _yes(row["active"])
    return number


def _mint(portal: Portal, name: str, rows: Iterable[_Source], ids: dict[str, str]) -> None:
    for row in rows:
        key = str(row["id"])
        if key not in ids:
            ids[key] = str(portal.minted(name))


def _load(
    portal: Portal,
    name: str,
    rows: Iterable[_Source],
    ids: Mapping[str, str],
    made: Callable[[_Source, Mapping[str, str]], Mapping[str, str | None]],
) -> None:
    portal.load(name, [_whole(portal, row, ids, made(row, ids)) for row in rows])


def _whole(
    portal: Portal, row: _Source, ids: Mapping[str, str], values: Mapping[str, str | None]
) -> Record:
    """A record with the instants of the sample; those that it does not tell are guessed."""
    changed = row.get("updated_at") or row.get("answered_at")
    updated = milliseconds(changed) if isinstance(changed, datetime) else portal.now()
    made = row.get("created_at") or row.get("opened") or row.get("start")
    created = milliseconds(made) if isinstance(made, datetime) else updated
    kept = {name: value for name, value in values.items() if value}
    return record(int(ids[str(row["id"])]), min(created, updated), updated, None, kept)


def _associate(portal: Portal, name: str, rows: Iterable[_Source], ids: Mapping[str, str]) -> None:
    for row in rows:
        own, company = int(ids[str(row["id"])]), ids.get(str(row.get("account_id") or ""))
        if company is not None and portal.links.plain(name, "companies") is not None:
            primary = [_PRIMARY[name]] if name in _PRIMARY else []
            portal.links.add(name, own, "companies", int(company), primary)
        contact = ids.get(str(row.get("contact_id") or ""))
        if contact is not None and name != "contacts":
            portal.links.add(name, own, "contacts", int(contact))


def _instant(value: object) -> str | None:
    return told(milliseconds(value.astimezone(UTC))) if isinstance(value, datetime) else None


def _day(value: object) -> str | None:
    return value.isoformat() if isinstance(value, date) else None


def _yes(value: object) -> bool:
    return value == "yes"


def _flag(value: object) -> str:
    return "true" if _yes(value) else "false"


def _text(row: _Source, name: str) -> str | None:
    return str(row.get(name) or "") or None


def _id(row: _Source, name: str, ids: Mapping[str, str]) -> str | None:
    return ids.get(str(row.get(name) or ""))


def _company(row: _Source, ids: Mapping[str, str]) -> dict[str, str | None]:
    website = str(row["website"])
    return {
        "name": _text(row, "name"),
        "website": website,
        "domain": website.removeprefix("https://").removeprefix("www."),
        "hubspot_owner_id": _id(row, "owner_id", ids),
        "main_contact_id": _id(row, "primary_contact_id", ids),
        "customer_tier": _text(row, "tier"),
        "customer_status": _text(row, "status"),
        "lifecyclestage": "customer",
        "industry": _text(row, "industry"),
        "country": _text(row, "country"),
        "timezone": _text(row, "time_zone"),
        "account_currency": _text(row, "currency"),
        "annualrevenue": _text(row, "annual_revenue"),
        "customer_since": _day(row["customer_since"]),
        "renewal_date": _day(row["renewal_date"]),
        "do_not_contact": _flag(row["do_not_contact"]),
        "hs_merged_object_ids": ids.get(f"merged into {row['id']}"),
    }


def _contact(row: _Source, ids: Mapping[str, str]) -> dict[str, str | None]:
    del ids
    return {
        "firstname": _text(row, "first_name"),
        "lastname": _text(row, "last_name"),
        "email": _text(row, "email"),
        "customer_role": _text(row, "role"),
        "country": _text(row, "country"),
        "iana_time_zone": _text(row, "time_zone"),
        "locale": _text(row, "locale"),
        "hs_email_optout": _flag(row["opted_out"]),
        "hs_email_bounce": "1" if _yes(row["bounced"]) else "0",
    }


def _deal(row: _Source, ids: Mapping[str, str]) -> dict[str, str | None]:
    closes = row["close_date"]
    return {
        "dealname": _text(row, "name"),
        "pipeline": "default",
        "dealstage": _STAGES[str(row["stage"])],
        "dealtype": "newbusiness" if row["kind"] == "new business" else "existingbusiness",
        "amount": _text(row, "amount"),
        "deal_currency_code": _text(row, "currency"),
        "closedate": f"{closes.isoformat()}T00:00:00Z" if isinstance(closes, date) else None,
        "hubspot_owner_id": _id(row, "owner_id", ids),
    }


def _ticket(row: _Source, ids: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "subject": _text(row, "subject"),
        "topic": _text(row, "topic"),
        "hs_pipeline": "0",
        "hs_pipeline_stage": _TICKET_STAGES[str(row["status"])],
        "hs_ticket_priority": _PRIORITIES[str(row["priority"])],
        "hubspot_owner_id": _id(row, "agent_id", ids),
        "closed_date": _instant(row["closed"]),
    }


def _activity(row: _Source, ids: Mapping[str, str]) -> dict[str, str | None]:
    basics = {
        "hs_timestamp": _instant(row["start"]),
        "hubspot_owner_id": _id(row, "owner_id", ids),
    }
    subject = _text(row, "subject")
    match row["type"]:
        case "Call":
            return basics | {
                "hs_call_title": subject,
                "hs_call_direction": str(row["direction"]).upper() or None,
                "hs_call_status": "COMPLETED",
            }
        case "Email":
            incoming = row["direction"] == "inbound"
            return basics | {
                "hs_email_subject": subject,
                "hs_email_direction": "INCOMING_EMAIL" if incoming else "EMAIL",
                "hs_email_status": "SENT",
                "automated": _flag(row["automated"]),
            }
        case "Meeting":
            return basics | {
                "hs_meeting_title": subject,
                "hs_meeting_start_time": _instant(row["start"]),
                "hs_meeting_end_time": _instant(row["end"]),
                "hs_meeting_outcome": _OUTCOMES[str(row["status"])],
            }
    return basics | {"hs_note_body": subject}


def _submission(row: _Source, ids: Mapping[str, str]) -> dict[str, str | None]:
    del ids
    return {
        "hs_survey_type": _text(row, "survey"),
        "hs_survey_name": _text(row, "survey"),
        "hs_value": _text(row, "score"),
        "hs_content": _text(row, "comment"),
        "hs_submission_timestamp": _instant(row["answered_at"]),
    }
