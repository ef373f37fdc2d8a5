"""The mission's rule over the sample company in a CRM; whom it names, counted without crmsync."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crmsync.app.sample.company import ZONE
from support.commands import AT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RULE = """\
rule: renewal-at-risk
description: A renewal is near and nobody has spoken with the customer.
subject: account
when:
  - status: active
  - renewal_date: {in_next: 60 days}
  - last_contact: {older_than: 14 days}
then:
  - task:
      assign_to: [owner, team.success]
      subject: "Call {{ account.name }}: renews {{ account.renewal_date | date }}"
      body: "Last contact {{ account.last_contact | date }}."
      due: 1 business day
  - note:
      text: "Renewal watch began."
"""


def write_config(folder: Path, connections: str) -> Path:
    """A config with these connections and the rule.

    Args:
        connections: YAML, each line of it under ``connections:`` already.
    """
    path = folder / "config.yaml"
    path.write_text(
        f"""\
company: {{name: Brightwater, email: hello@brightwater.example, time_zone: {ZONE}, country: CH}}
existing: enrol
policy: {{most_share_of_accounts: 1.0}}
teams: {{success: [marta.lindqvist@brightwater.example]}}
connections:
{connections}""",
        encoding="utf-8",
    )
    for name in ("rules", "segments", "templates"):
        (folder / name).mkdir()
    (folder / "rules" / "renewal-at-risk.yaml").write_text(RULE)
    return path


def expected(sample: Mapping[str, list[dict[str, Any]]]) -> set[str]:
    """Whom the rule names, counted without crmsync."""
    now, today = AT, AT.date()
    # What happened with an account that was merged since, happened with its survivor.
    survivor = {row["id"]: row["merged_into"] or row["id"] for row in sample["accounts"]}
    last: dict[str, datetime] = {}
    for row in sample["activities"]:
        at = row["start"].astimezone(UTC)
        contact = row["type"] in {"Call", "Email", "Meeting"} and row["automated"] == "no"
        if contact and row["status"] == "completed" and at <= now:
            account = survivor[row["account_id"]]
            last[account] = max(last.get(account, at), at)
    return {
        row["name"]
        for row in sample["accounts"]
        if not row["merged_into"]
        and row["status"] == "Customer"
        and _within(row["renewal_date"], today)
        and row["id"] in last
        and last[row["id"]] < now - timedelta(days=14)
    }


def _within(day: date, today: date) -> bool:
    return today <= day <= today + timedelta(days=60)
