from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from org_under_test import TestedOrg

from crmsync.testing.samples import START
from crmsync_salesforce import bulk

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are looked at again at once."""
    monkeypatch.setattr(bulk, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(bulk, "LONGEST_WAIT", 0.0)


@pytest.fixture
def org(tmp_path: Path) -> Iterator[TestedOrg]:
    """A simulated org, and the ways to it."""
    tested = TestedOrg(tmp_path, start=datetime.fromisoformat(START.isoformat()))
    yield tested
    tested.close()
    assert tested.service.mistakes == []


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Traffic that none of us made up; what needs it is skipped, visibly, where it is absent."""
    root = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("CRMSYNC_SHARED", root.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside the checkout; set CRMSYNC_SHARED to its folder")
    return folder
