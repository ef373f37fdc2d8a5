"""The kinds of records, and the properties that each portal has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# The first words of a line: names of the type, its number, the properties with the instants of
# creation and of the last change, and how a property of the type's record is named in errors.
# The lines below it: name, type, then flags, and the options of an enumeration.
_TYPES = """
contacts contact 0-1 createdate lastmodifieddate
  email string unique default search
  firstname string default search
  lastname string default search
  phone phone_number search
  mobilephone phone_number
  jobtitle string
  company string search
  website string
  address string
  city string
  state string
  zip string
  country string
  hs_language enumeration : en de fr es it nl pl pt
  hs_timezone enumeration external
  lifecyclestage enumeration : subscriber lead marketingqualifiedlead salesqualifiedlead \
opportunity customer evangelist other
  hs_lead_status enumeration : NEW OPEN IN_PROGRESS OPEN_DEAL UNQUALIFIED CONNECTED BAD_TIMING
  hubspot_owner_id enumeration owner
  associatedcompanyid number readonly
  hs_calculated_merged_vids string readonly
  hs_email_optout bool readonly
  hs_email_bounce number readonly
  hs_email_hard_bounce_reason_enum enumeration readonly
  notes_last_contacted datetime readonly
  hs_additional_emails enumeration external
  message string
companies company 0-2 createdate hs_lastmodifieddate
  name string default search
  domain string default search
  website string search
  phone phone_number search
  description string
  address string
  city string
  state string
  zip string
  country string
  timezone string
  industry string
  type enumeration : PROSPECT PARTNER RESELLER VENDOR OTHER
  lifecyclestage enumeration : subscriber lead marketingqualifiedlead salesqualifiedlead \
opportunity customer evangelist other
  hs_lead_status enumeration : NEW OPEN IN_PROGRESS OPEN_DEAL UNQUALIFIED CONNECTED BAD_TIMING
  annualrevenue number
  numberofemployees number
  hubspot_owner_id enumeration owner
  hs_parent_company_id number
  hs_num_child_companies number readonly
  notes_last_contacted datetime readonly
deals deal 0-3 createdate hs_lastmodifieddate
  dealname string default search
  dealstage enumeration default stage
  pipeline enumeration default pipeline
  amount number default
  closedate datetime default
  dealtype enumeration : newbusiness existingbusiness
  description string search
  deal_currency_code enumeration external
  hubspot_owner_id enumeration owner
  hs_is_closed bool readonly
  hs_is_closed_won bool readonly
  hs_priority enumeration : low medium high
  closed_lost_reason string
  closed_won_reason string
tickets ticket 0-5 createdate hs_lastmodifieddate
  subject string default search
  content string default search
  hs_pipeline enumeration default pipeline
  hs_pipeline_stage enumeration default stage required
  hs_ticket_category enumeration default multiple : \
PRODUCT_ISSUE BILLING_ISSUE FEATURE_REQUEST GENERAL_INQUIRY
  hs_ticket_priority enumeration default : LOW MEDIUM HIGH URGENT
  hubspot_owner_id enumeration owner
  closed_date datetime
  source_type enumeration : CHAT EMAIL FORM PHONE
line_items line_item 0-8 createdate hs_lastmodifieddate
  name string default search
  quantity number default
  price number default
  amount number default readonly
  hs_product_id number
  hs_sku string
  recurringbillingfrequency enumeration : \
weekly biweekly monthly quarterly per_six_months annually per_two_years
  hs_recurring_billing_period string
  hs_recurring_billing_start_date date
  hs_line_item_currency_code enumeration external
feedback_submissions feedback_submission 0-19 hs_createdate hs_lastmodifieddate
  hs_survey_type enumeration : NPS CES CSAT CUSTOM
  hs_survey_id number
  hs_survey_name string search
  hs_submission_timestamp datetime
  hs_response_group enumeration : detractor passive promoter negative neutral positive
  hs_value string
  hs_content string search
  hs_survey_channel enumeration : EMAIL PAGE LINK SMS
tasks task 0-27 hs_createdate hs_lastmodifieddate
  hs_timestamp datetime required
  hs_task_subject string search
  hs_task_body string search
  hs_task_status enumeration : NOT_STARTED IN_PROGRESS WAITING COMPLETED DEFERRED
  hs_task_priority enumeration : NONE LOW MEDIUM HIGH
  hs_task_type enumeration : TODO EMAIL CALL
  hs_task_reminders string
  hs_task_completion_date datetime readonly
  hs_queue_membership_ids enumeration external
  hubspot_owner_id enumeration owner
emails email 0-49 hs_createdate hs_lastmodifieddate
  hs_timestamp datetime required
  hs_email_subject string search
  hs_email_text string search
  hs_email_html string
  hs_email_direction enumeration : EMAIL INCOMING_EMAIL FORWARDED_EMAIL
  hs_email_status enumeration : BOUNCED FAILED SCHEDULED SENDING SENT
  hs_email_headers string
  hs_email_from_email string readonly
  hs_email_from_firstname string readonly
  hs_email_from_lastname string readonly
  hs_email_to_email string readonly
  hs_email_to_firstname string readonly
  hs_email_to_lastname string readonly
  hs_email_message_id string readonly
  hs_email_thread_id string readonly
  hs_attachment_ids enumeration external multiple
  hubspot_owner_id enumeration owner
calls call 0-48 hs_createdate hs_lastmodifieddate
  hs_timestamp datetime required
  hs_call_title string search
  hs_call_body string search
  hs_call_direction enumeration : INBOUND OUTBOUND
  hs_call_disposition enumeration external
  hs_call_duration number
  hs_call_status enumeration : BUSY CALLING_CRM_USER CANCELED COMPLETED CONNECTING FAILED \
IN_PROGRESS NO_ANSWER QUEUED RINGING
  hs_call_from_number string
  hs_call_to_number string
  hs_activity_type enumeration external
  hubspot_owner_id enumeration owner
meetings meeting 0-47 hs_createdate hs_lastmodifieddate
  hs_timestamp datetime required
  hs_meeting_title string search
  hs_meeting_body string search
  hs_internal_meeting_notes string
  hs_meeting_location string
  hs_meeting_external_url string
  hs_meeting_start_time datetime
  hs_meeting_end_time datetime
  hs_meeting_outcome enumeration : SCHEDULED COMPLETED RESCHEDULED NO_SHOW CANCELED
  hs_activity_type enumeration external
  hubspot_owner_id enumeration owner
notes note 0-46 hs_createdate hs_lastmodifieddate
  hs_timestamp datetime required
  hs_note_body string search
  hs_attachment_ids enumeration external multiple
  hubspot_owner_id enumeration owner
"""
ENGAGEMENTS = frozenset({"tasks", "emails", "calls", "meetings", "notes"})
_FIELD_TYPES = {
    "string": "text",
    "number": "number",
    "date": "date",
    "datetime": "date",
    "enumeration": "select",
    "bool": "booleancheckbox",
    "phone_number": "phonenumber",
}


@dataclass(kw_only=True)
class Property:
    """The definition of a property.

    Attributes:
        source: what the values are the ids of: ``owner``, ``pipeline``, ``stage``; else empty.
        external: an enumeration whose options are kept elsewhere; any value is taken.
        multiple: an enumeration with several values, with semicolons between.
        required: a record cannot be made without it.
        searchable: ``query`` of a search looks at it.
        archived: when it was archived, in milliseconds.
    """

    name: str
    type: str
    field_type: str
    label: str
    group: str
    description: str = ""
    options: list[dict[str, Any]] = field(default_factory=list)
    source: str = ""
    external: bool = False
    multiple: bool = False
    required: bool = False
    searchable: bool = False
    read_only: bool = False
    unique: bool = False
    hubspot_defined: bool = False
    calculated: bool = False
    hidden: bool = False
    form_field: bool = False
    display_order: int = -1
    created: int | None = None
    updated: int | None = None
    archived: int | None = None

    @property
    def values(self) -> list[str]:
        """The options' values."""
        return [one["value"] for one in self.options]


@dataclass(kw_only=True)
class ObjectType:
    """A kind of records.

    Attributes:
        name: the plural, as it stands in paths.
        singular: as it stands in the names of associations.
        id: the vendor's number for it.
        created: the property with the instant of creation; ``modified``: of the last change.
        defaults: the properties of a record that was asked for without naming any.
        custom: the parts of a custom object's schema; None for the vendor's own types.
    """

    name: str
    singular: str
    id: str
    created: str
    modified: str
    properties: dict[str, Property] = field(default_factory=dict)
    defaults: tuple[str, ...] = ()
    custom: dict[str, Any] | None = None

    @property
    def full_name(self) -> str:
        """What the portal calls it in its answers."""
        return self.name if self.custom is None else str(self.custom["fullyQualifiedName"])

    def is_called(self, told: str) -> bool:
        """Whether a request means it by that name, in small letters."""
        if self.custom is None:
            return told in {self.name, self.singular, self.id, f"{self.singular}s"}
        return told in {self.id, self.full_name.lower(), f"p_{self.name}".lower()}

    def add(self, one: Property) -> None:
        """Let the type have a property."""
        self.properties[one.name] = one

    def live(self, name: str) -> Property | None:
        """A property that is not archived."""
        one = self.properties.get(name)
        return None if one is None or one.archived is not None else one


def options(*values: str) -> list[dict[str, Any]]:
    """The options of an enumeration, labelled as they are."""
    return [
        {"label": value, "value": value, "displayOrder": place, "hidden": False}
        for place, value in enumerate(values)
    ]


def with_basics(one: ObjectType) -> ObjectType:
    """Add what all types have: the id, the instants, and the ids of what was merged into it."""
    group = f"{one.singular}information"
    basics = {one.created: "datetime", one.modified: "datetime", "hs_object_id": "number"}
    for name, kind in (basics | {"hs_merged_object_ids": "enumeration"}).items():
        one.add(
            Property(
                name=name,
                type=kind,
                field_type=_FIELD_TYPES[kind],
                label=name,
                group=group,
                read_only=True,
                hubspot_defined=True,
                external=kind == "enumeration",
                multiple=kind == "enumeration",
            )
        )
    return one


def own_property(line: str, group: str) -> Property:
    """A property from a line such as ``tier enumeration : a b``; not the vendor's own."""
    head, _, values = line.partition(" : ")
    name, kind, *flags = head.split()
    known = {
        "unique",
        "default",
        "search",
        "external",
        "owner",
        "readonly",
        "stage",
        "pipeline",
        "required",
        "multiple",
    }
    if kind not in _FIELD_TYPES or not known.issuperset(flags):
        raise ValueError(f"“{line}” is no property")
    source = next((flag for flag in flags if flag in {"owner", "stage", "pipeline"}), "")
    return Property(
        name=name,
        type=kind,
        field_type="checkbox" if "multiple" in flags else _FIELD_TYPES[kind],
        label=name,
        group=group,
        options=options(*values.split()),
        source=source,
        external="external" in flags,
        multiple="multiple" in flags,
        required="required" in flags,
        searchable="search" in flags,
        read_only="readonly" in flags,
        unique="unique" in flags,
    )


def standard_types() -> dict[str, ObjectType]:
    """The vendor's own types, each new, by their names."""
    found: dict[str, ObjectType] = {}
    for line in _TYPES.strip().splitlines():
        if not line.startswith(" "):
            name, singular, number, created, modified = line.split()
            current = ObjectType(
                name=name, singular=singular, id=number, created=created, modified=modified
            )
            found[name] = current
            current.defaults = (created, modified, "hs_object_id")
            continue
        one = own_property(line, f"{current.singular}information")
        one.hubspot_defined = True
        one.calculated = one.read_only
        current.add(one)
        if " default" in line.partition(" : ")[0]:
            current.defaults += (one.name,)
    return {name: with_basics(one) for name, one in found.items()}
