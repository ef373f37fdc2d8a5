"""What is known of HubSpot's objects without asking a portal."""

from __future__ import annotations

# Objects of every portal, by the name that stands in paths.
STANDARD = (
    "companies",
    "contacts",
    "deals",
    "tickets",
    "tasks",
    "emails",
    "calls",
    "meetings",
    "notes",
    "line_items",
    "feedback_submissions",
)
# Those that not every portal has; they are read in the same way.
# Source: the pages “CRM objects” of the documentation.
OTHERS = (
    "appointments",
    "carts",
    "commerce_payments",
    "communications",
    "contracts",
    "courses",
    "discounts",
    "fees",
    "goal_targets",
    "invoices",
    "leads",
    "listings",
    "orders",
    "partner_clients",
    "partner_services",
    "postal_mail",
    "products",
    "projects",
    "quotes",
    "services",
    "subscriptions",
    "taxes",
    "users",
)
# What is listed as a whole, because HubSpot tells no changes of it.
DESCRIBED_BY_ANOTHER = ("pipelines", "properties")
WITHOUT_CHANGES = ("owners", *DESCRIBED_BY_ANOTHER)

# The canonical tables whose records an action can be about.
OBJECT_OF_TABLE = {
    "account": "companies",
    "contact": "contacts",
    "deal": "deals",
    "ticket": "tickets",
}

# The columns of a stream that are no properties.
ID, CREATED, UPDATED, ARCHIVED, ARCHIVED_AT = (
    "id",
    "createdAt",
    "updatedAt",
    "archived",
    "archivedAt",
)
# Read-only as a property: that somebody wants no mail is written by an API of its own.
OPTED_OUT = "hs_email_optout"
# What says when a record was last changed.
CHANGE_COLUMNS = frozenset({UPDATED, "hs_lastmodifieddate", "lastmodifieddate"})
TOP_LEVEL = (ID, CREATED, UPDATED, ARCHIVED, ARCHIVED_AT)
# `associations.companies` is the id of the company that a record is associated with: the primary
# one, else that with the lowest id.
ASSOCIATED = "associations."
MERGED_IDS = "hs_merged_object_ids"
# Of contacts, whose merges have been told in it since long before: each id with its time.
MERGED_VIDS = "hs_calculated_merged_vids"
MERGED = (MERGED_IDS, MERGED_VIDS)
_NEVER_MERGED = {"tasks", "emails", "calls", "meetings", "notes", "feedback_submissions"}
# Properties whose values are HTML, whatever else the portal describes as such.
RICH_TEXT = frozenset(
    {
        "hs_call_body",
        "hs_internal_meeting_notes",
        "hs_meeting_body",
        "hs_note_body",
        "hs_task_body",
    }
)
OBJECT_ID = "hs_object_id"

# The values of a property that HubSpot keeps; of contacts it is 45.
VERSIONS_KEPT = 20

LISTED, SEARCHED, BATCH, HISTORY, ASSOCIATIONS = 100, 200, 100, 50, 1000  # records in a call


def change_property(object_name: str) -> str:
    """The property that says when a record was last changed."""
    return "lastmodifieddate" if object_name == "contacts" else "hs_lastmodifieddate"


def targets(columns: tuple[str, ...]) -> tuple[str, ...]:
    """The objects that these columns name the associated records of."""
    return tuple(
        dict.fromkeys(c.removeprefix(ASSOCIATED) for c in columns if c.startswith(ASSOCIATED))
    )


def properties(columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that are properties."""
    return tuple(c for c in columns if c not in TOP_LEVEL and not c.startswith(ASSOCIATED))


def merge_properties(object_name: str) -> tuple[str, ...]:
    """The properties that say which records one was made of; none where nothing is merged."""
    if object_name in _NEVER_MERGED:
        return ()
    return MERGED if object_name == "contacts" else (MERGED_IDS,)
