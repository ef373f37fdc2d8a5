"""How a simulated portal is set up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

ALL_SCOPES = frozenset(
    {
        "oauth",
        "communication_preferences.read_write",
        "tickets",
        "e-commerce",
        "sales-email-read",
        "crm.objects.companies.read",
        "crm.objects.companies.write",
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.objects.deals.read",
        "crm.objects.deals.write",
        "crm.objects.line_items.read",
        "crm.objects.line_items.write",
        "crm.objects.feedback_submissions.read",
        "crm.objects.custom.read",
        "crm.objects.custom.write",
        "crm.objects.owners.read",
        "crm.schemas.companies.read",
        "crm.schemas.companies.write",
        "crm.schemas.contacts.read",
        "crm.schemas.contacts.write",
        "crm.schemas.deals.read",
        "crm.schemas.deals.write",
        "crm.schemas.tickets.read",
        "crm.schemas.tickets.write",
        "crm.schemas.line_items.read",
        "crm.schemas.custom.read",
        "crm.schemas.custom.write",
    }
)


@dataclass(kw_only=True)
class Settings:
    """How a portal is set up; may be changed while it runs.

    Attributes:
        scopes: what the private app and the OAuth app were granted.
        index_lag: how much later than a write a search sees it.
        association_lag: how much later than a write of a record its associations are told.
        burst: calls an app may make within ten seconds; ``searches`` an account within one.
        daily: calls an account may make from midnight to midnight, in its own time zone.
        unique_on: the vendor's types that take properties with unique values.
        page_rows: the most records on a page of a listing; ``history_rows`` with history.
        listed_ends: the most associations with an object that stand beside a listed record.
        merge_keeps_id: a merged record has the id of the primary one, as contacts had until 2025.
        null_values: tell a property or a label without a value as null; else leave it out.
        numeric_ends: tell the other end of an association as a number; else as a text.
        limit_category: a 429 has a ``category``, as every other error has.
        retry_after: a 429 says when to come again, unless the day is used up.

    Where the service does one thing and its published description has another, which concerns
    nulls, ends and categories of limits, the defaults are the description's; `as_observed` gives
    the service's.
    """

    token: str = "pat-eu1-00000000-simulated"  # noqa: S105  it opens nothing real
    client_id: str = "00000000-0000-4000-8000-000000000001"
    client_secret: str = "00000000-0000-4000-8000-simulated001"  # noqa: S105  likewise
    refresh_token: str = "eu1-0000-simulated-refresh"  # noqa: S105  likewise
    redirect_uri: str = "http://localhost:3000/callback"
    rotates: bool = True
    token_lives: timedelta = timedelta(minutes=30)
    portal_id: int = 48_000_001
    app_id: int = 2_100_001
    user_id: int = 71_000_001
    time_zone: str = "Europe/Berlin"
    currency: str = "EUR"
    scopes: frozenset[str] = ALL_SCOPES
    index_lag: timedelta = timedelta(seconds=5)
    association_lag: timedelta = timedelta(0)
    burst: int = 190
    searches: int = 5
    daily: int = 650_000
    unique_on: frozenset[str] = frozenset({"companies", "contacts", "deals", "tickets"})
    page_rows: int = 100
    history_rows: int = 50
    listed_ends: int = 100
    merge_keeps_id: bool = False
    null_values: bool = False
    numeric_ends: bool = False
    limit_category: bool = True
    retry_after: bool = True

    @classmethod
    def as_observed(cls) -> Settings:
        """A portal that answers as the service does where its description says otherwise."""
        return cls(null_values=True, numeric_ends=True, limit_category=False)
