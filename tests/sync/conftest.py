from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.config.settings import ConnectionSettings
from crmsync.model.tables import CANONICAL_TABLES
from crmsync.warehouse.store import Warehouse
from sync.sync_world import ACCOUNTS, CONTACTS, Run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    settings = ConnectionSettings.model_validate(
        {"connector": "listed", "streams": {"accounts": ACCOUNTS, "contacts": CONTACTS}}
    )
    streams = {("crm", name): stream.table for name, stream in settings.streams.items()}
    return Run(Warehouse(tmp_path / "warehouse.duckdb", CANONICAL_TABLES, streams), settings)
