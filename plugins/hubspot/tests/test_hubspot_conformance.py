from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from portal_under_test import KEYS, PortalUnderTest, TestedPortal

from crmsync.testing.laws import ConnectorLaws
from crmsync_hubspot import objects
from crmsync_hubspot.simulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crmsync.testing.remote import RemoteUnderTest


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The laws want pages of less than ten records."""
    monkeypatch.setattr(objects, "LISTED", 8)
    monkeypatch.setattr(objects, "SEARCHED", 8)
    monkeypatch.setattr(objects, "ASSOCIATIONS", 8)


class TestWithUniqueKeys(ConnectorLaws):
    """The portal keeps the keys of tasks and notes unique; its search is late."""

    @pytest.fixture
    def remote(self, tested: TestedPortal) -> RemoteUnderTest:
        return PortalUnderTest(tested)


class TestWithKeysThatAreLookedUp(ConnectorLaws):
    """The portal has unique properties only where HubSpot's documentation promises them.

    The search is not late here, because the laws ask for a key at once; crmsync waits until it
    knows (``lands_within``).
    """

    @pytest.fixture
    def remote(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteUnderTest]:
        settings = Settings(index_lag=timedelta(0))
        portal = TestedPortal(tmp_path, custom=KEYS, settings=settings)
        portal.clock.put_in_place(monkeypatch)
        yield PortalUnderTest(portal)
        portal.close()
        assert portal.service.mistakes == []
