from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from org_under_test import TestedOrg

from crmsync.testing.samples import START
from crmsync_salesforce import bulk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
