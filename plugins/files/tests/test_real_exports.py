"""Exports that none of us wrote, read from where they lie."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

import pytest

from crmsync.clock import FixedClock
from crmsync.model.pages import PROBLEM
from crmsync.plugins.contract import ConnectionContext, StreamRequest
from crmsync.testing.samples import START
from crmsync_files.connector import FilesConnector
from crmsync_files.options import FilesOptions, FilesStreamOptions

_SHARED = os.environ.get("CRMSYNC_SHARED") or Path(__file__).parents[4] / "shared"
DATA = Path(_SHARED) / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared exports are not here")


def rows(folder: str, file: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
    request = StreamRequest(
        name="s",
        options=FilesStreamOptions(file=file),
        columns=columns,
        key=columns[:1],
    )
    connector = FilesConnector(
        ConnectionContext(
            name="crm",
            options=FilesOptions(path=folder),
            streams={"s": request},
            folder=DATA,
            clock=FixedClock(instant=START),
        )
    )
    pages = list(connector.read("s", None))
    assert list(connector.read("s", pages[-1].cursor)) == []
    return [row for page in pages for row in page.records.to_pylist()]


def test_the_published_totals_of_the_sales_opportunities() -> None:
    deals = rows(
        "crm_sales_opportunities",
        "sales_pipeline.csv",
        ("opportunity_id", "deal_stage", "close_value"),
    )
    stages = Counter(deal["deal_stage"] for deal in deals)
    assert stages == {"Won": 4238, "Lost": 2473, "Engaging": 1589, "Prospecting": 500}
    won = [deal["close_value"] for deal in deals if deal["deal_stage"] == "Won"]
    assert sum(float(value) for value in won) == 10_005_534


@pytest.mark.parametrize(
    "folder", ["crm_sales_opportunities", "fivetran_salesforce_seeds", "fivetran_hubspot_seeds"]
)
def test_every_export_reads_as_the_csv_module_reads_it(folder: str) -> None:
    files = sorted((DATA / folder).glob("*.csv"))
    assert files
    for file in files:
        with file.open(encoding="utf-8-sig", newline="") as source:
            expected = list(csv.DictReader(source))
        names = tuple(expected[0]) if expected else ()
        found = rows(folder, file.name, names) if names else []
        assert not [row for row in found if row.get(PROBLEM)], file.name
        assert [{name: row[name] for name in names} for row in found] == expected, file.name
