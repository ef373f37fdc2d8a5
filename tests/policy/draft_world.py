"""A mail and a task that the gates are asked about."""

from __future__ import annotations

from datetime import UTC, datetime

from crmsync.config.settings import Company
from crmsync.model.actions import ActionKind, CreateTask, SendEmail
from crmsync.policy.drafts import Draft

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TASK = CreateTask(key="k", subject="Call")
MAIL = SendEmail(
    key="k",
    message_id="k@vendor.example",
    sender="v@vendor.example",
    recipient="ann@customer.example",
    subject="Hello",
    text="Hello",
    at=NOW,
)
DRAFT = Draft(
    rule="r",
    subject="crm:a1",
    step="email",
    connection="crm",
    action=MAIL,
    abilities=frozenset(ActionKind),
    company=Company(name="Vendor", email="v@vendor.example"),
    account={"id": "crm:a1"},
    contact={"id": "crm:c1"},
)
