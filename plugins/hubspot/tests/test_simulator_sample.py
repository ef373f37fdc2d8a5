"""The sample company in a simulated portal, and shapes of real portals' rows."""

from __future__ import annotations

import csv
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from crmsync.app.sample.company import build
from crmsync.clock import FixedClock, SystemClock
from crmsync.plugins.contract import SimulatorRequest
from crmsync_hubspot import crmsync_simulators
from crmsync_hubspot.simulator.links import Links
from crmsync_hubspot.simulator.running import RunningPortal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningPortal]:
    (spec,) = crmsync_simulators()
    request = SimulatorRequest(
        folder=tmp_path, port=0, sample=build(AT), clock=FixedClock(instant=AT)
    )
    one = spec.start(request)
    assert isinstance(one, RunningPortal)
    yield one
    one.close()
    assert one.service.mistakes == []


def company() -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The sample company, as a simulator gets it."""
    return build(AT)


def everything(client: httpx.Client, name: str) -> list[dict[str, Any]]:
    """All records of a type, page after page."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        query: dict[str, Any] = {"limit": 100, "associations": "companies,contacts"}
        query |= {"after": after} if after else {}
        page = client.get(f"/crm/v3/objects/{name}", params=query).json()
        found += page["results"]
        after = page.get("paging", {}).get("next", {}).get("after")
        if after is None:
            return found


def test_the_sample_company_is_in_the_portal(running: RunningPortal) -> None:
    sample = company()
    config = yaml.safe_load(running.config)["hubspot"]
    token = Path(config["access_token"].removeprefix("file:")).read_text()
    with httpx.Client(
        base_url=config["url"], headers={"Authorization": f"Bearer {token}"}, trust_env=False
    ) as client:
        companies = everything(client, "companies")
        assert len(companies) == sum(not row["merged_into"] for row in sample["accounts"])
        contacts = everything(client, "contacts")
        assert len(contacts) == len(sample["contacts"])
        assert all(one["associations"]["companies"] for one in contacts)
        calls = everything(client, "calls")
        told = [row for row in sample["activities"] if row["type"] == "Call"]
        assert sorted(one["createdAt"][:10] for one in calls) == sorted(
            row["start"].astimezone(UTC).date().isoformat() for row in told
        )
        owners = client.get("/crm/v3/owners").json()["results"]
        assert len(owners) == sum(row["active"] == "yes" for row in sample["users"])
        merged = {"filters": [{"propertyName": "hs_merged_object_ids", "operator": "HAS_PROPERTY"}]}
        body = {"filterGroups": [merged], "properties": ["hs_merged_object_ids"]}
        found = client.post("/crm/v3/objects/companies/search", json=body).json()
        assert found["total"] == sum(bool(row["merged_into"]) for row in sample["accounts"])
        survivor = found["results"][0]
        former = survivor["properties"]["hs_merged_object_ids"]
        one = client.get(f"/crm/v3/objects/companies/{former}").json()
        assert one["id"] == survivor["id"]


def test_the_mapping_names_what_the_portal_has(running: RunningPortal) -> None:
    top = {"id", "createdAt", "updatedAt"}
    streams = yaml.safe_load(running.config)["hubspot"]["streams"]
    for stream in streams.values():
        if stream["object"] == "owners":
            continue
        known = running.portal.types[stream["object"]].properties
        for field in stream["fields"].values():
            told = field if isinstance(field, dict) else {"column": field}
            columns = told.get("column", told.get("join", []))
            for column in [columns] if isinstance(columns, str) else columns or []:
                assert column in known or column in top or column.startswith("associations.")


def test_time_passes_where_the_clock_stands_still(running: RunningPortal, tmp_path: Path) -> None:
    first = running.portal.clock.now()
    assert first > AT
    assert first < running.portal.clock.now()
    (spec,) = crmsync_simulators()
    request = SimulatorRequest(folder=tmp_path, port=0, sample={}, clock=SystemClock())
    other = spec.start(request)
    assert isinstance(other, RunningPortal)
    assert abs((other.portal.clock.now() - datetime.now(UTC)).total_seconds()) < 60
    assert next(other.portal.tables["companies"].live(), None) is None
    other.close()


@pytest.fixture(scope="module")
def seeds() -> Path:
    """Rows of real portals, anonymised; what needs them is skipped, visibly, without them."""
    root = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("CRMSYNC_SHARED", root.parent / "shared")) / "data"
    if not (folder / "fivetran_hubspot_seeds").is_dir():
        pytest.skip("no shared data beside the checkout; set CRMSYNC_SHARED to its folder")
    return folder / "fivetran_hubspot_seeds"


def rows(seeds: Path, name: str) -> list[dict[str, str]]:
    with (seeds / f"{name}_data.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "other", "column"),
    [
        ("engagement_company", "companies", "engagement_type"),
        ("engagement_contact", "contacts", "engagement_type"),
        ("engagement_deal", "deals", "engagement_type"),
    ],
)
def test_association_types_are_those_of_a_real_portal(
    seeds: Path, name: str, other: str, column: str
) -> None:
    links = Links()
    told = [row for row in rows(seeds, name) if row.get("type_id")]
    assert told
    for row in told:
        kind = f"{row[column].lower()}s"
        assert links.plain(kind, other) == int(row["type_id"])
        assert links.types[kind, other][int(row["type_id"])].category == row["category"]


def test_engagements_have_the_properties_of_real_rows(seeds: Path, running: RunningPortal) -> None:
    # Written by the portal's own screens and by other apps; nothing of ours reads them.
    unknown = {
        "hs_all_owner_ids",
        "hs_all_team_ids",
        "hubspot_team_id",
        "hs_modified_by",
        "hs_body_preview",
        "hs_engagement_source",
    }
    for singular in ("task", "email", "call", "note"):
        header = rows(seeds, f"engagement_{singular}")[0]
        names = {name.removeprefix("property_") for name in header if name.startswith("property_")}
        assert names - unknown <= set(running.portal.types[f"{singular}s"].properties)


def test_a_merge_in_a_real_portal_made_a_new_id(seeds: Path) -> None:
    by_survivor: dict[str, set[str]] = {}
    for row in rows(seeds, "merged_deal"):
        by_survivor.setdefault(row["deal_id"], set()).add(row["merged_deal_id"])
    assert by_survivor
    for survivor, former in by_survivor.items():
        # Where one of two kept its id, some would have a single former one.
        assert len(former) > 1
        assert survivor not in former
    told = [row["property_hs_merged_object_ids"] for row in rows(seeds, "contact")]
    assert any(re.fullmatch(r"\d+(;\d+)+", one) for one in told)


def test_the_printed_mapping_has_the_words_that_rules_use(running: RunningPortal) -> None:
    (connection,) = yaml.safe_load(running.config).values()
    priority = connection["streams"]["tickets"]["fields"]["priority"]
    assert priority["column"] == "hs_ticket_priority"
    assert {row["priority"] for row in build(AT)["tickets"]} <= set(priority["values"].values())
