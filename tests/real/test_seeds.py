"""Anonymised rows of real CRM tables: field names, id shapes and nulls as they occur."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crmsync.app.syncing import sync_all
from crmsync.clock import FixedClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crmsync.app.workspace import Workspace
    from crmsync.clock import Clock

    Open = Callable[[str, str, Clock], Workspace]

_CLOCK = FixedClock(instant=datetime(2024, 1, 1, tzinfo=UTC))


def _nowhere(_label: str, _done: int) -> None:
    """Progress that nobody watches."""


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def _kept(rows: list[dict[str, str]], key: str, deleted: str) -> set[str]:
    return {row[key] for row in rows if row[deleted].lower() != "true"}


def test_salesforce_rows(real_workspace: Open, shared_data: Path) -> None:
    folder = shared_data / "fivetran_salesforce_seeds"
    workspace = real_workspace("salesforce_seeds", folder.name, _CLOCK)
    result = sync_all(workspace, advance=_nowhere)
    assert not result.findings
    with workspace.warehouse.reading() as records:
        accounts = records.query(records.table("account")).to_pylist()
        contacts = records.query(records.table("contact")).to_pylist()
        deals = records.query(records.table("deal")).to_pylist()
        activities = records.query(records.table("activity")).to_pylist()
        users = records.count("user")
    assert {account["id"].removeprefix("sf:") for account in accounts} == _kept(
        _rows(folder / "sf_account_data.csv"), "id", "is_deleted"
    )
    assert {deal["id"].removeprefix("sf:") for deal in deals} == _kept(
        _rows(folder / "sf_opportunity_data.csv"), "id", "is_deleted"
    )
    assert {activity["id"].removeprefix("sf:") for activity in activities} == _kept(
        _rows(folder / "sf_task_data.csv"), "id", "is_deleted"
    ) | _kept(_rows(folder / "sf_event_data.csv"), "id", "is_deleted")
    assert len(contacts) == 4
    assert users == len(_kept(_rows(folder / "sf_user_data.csv"), "id", "_fivetran_deleted"))
    janet = next(contact for contact in contacts if contact["name"] == "Janet Yellen")
    assert janet["account"] == "sf:0011G00000eM9wvQAC"
    assert (janet["unsubscribed"], janet["bounced"], janet["country"]) == (False, False, "US")
    assert janet["updated_at"] == datetime(2019, 11, 11, 17, 23, 34, tzinfo=UTC)


def test_hubspot_rows(real_workspace: Open, shared_data: Path) -> None:
    folder = shared_data / "fivetran_hubspot_seeds"
    workspace = real_workspace("hubspot_seeds", folder.name, _CLOCK)
    result = sync_all(workspace, advance=_nowhere)
    assert not result.findings
    with workspace.warehouse.reading() as records:
        accounts = records.query(records.table("account")).to_pylist()
        activities = records.query(records.table("activity")).to_pylist()
        links = records.query(records.table("activity_link")).to_pylist()
        counts = {table: records.count(table) for table in ("deal", "user")}
        by_stream = records.counts()
    assert {account["id"].removeprefix("hs:") for account in accounts} == _kept(
        _rows(folder / "company_data.csv"), "id", "is_deleted"
    )
    first = next(account for account in accounts if account["id"] == "hs:2182162682")
    assert first["odd"] == 23
    assert first["updated_at"] == datetime(2020, 12, 30, 3, 15, 52, tzinfo=UTC)
    assert counts["deal"] == len(_kept(_rows(folder / "deal_data.csv"), "deal_id", "is_deleted"))
    assert counts["user"] == len({row["owner_id"] for row in _rows(folder / "owner_data.csv")})
    kinds = [activity["kind"] for activity in activities]
    assert (kinds.count("meeting"), kinds.count("task")) == (100, 2)
    assert [by_stream["hs", stream] for stream in ("meetings", "tasks")] == [100, 2]
    assert [(link["activity"], link["account"]) for link in links] == [
        ("hs:31479928586", "hs:9991774791")
    ]
