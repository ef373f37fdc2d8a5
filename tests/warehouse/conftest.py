from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.model.tables import CANONICAL_TABLES
from crmsync.warehouse.store import Warehouse
from warehouse.warehouse_world import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Warehouse(tmp_path / "warehouse.duckdb", CANONICAL_TABLES))
