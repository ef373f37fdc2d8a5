from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from portal_under_test import TestedPortal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestedPortal]:
    """A simulated portal, and the ways to it; nobody waits but in its own time."""
    portal = TestedPortal(tmp_path)
    portal.clock.put_in_place(monkeypatch)
    yield portal
    portal.close()
    assert portal.service.mistakes == []
