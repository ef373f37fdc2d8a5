"""Reading a simulated portal, as tests do it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from crmsync_hubspot.simulator.records import record
from crmsync_hubspot.simulator.values import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_under_test import TestedPortal

    from crmsync.model.pages import Page
    from crmsync_hubspot.connector import HubSpotConnector

HOUR = timedelta(hours=1)


def read(connector: HubSpotConnector, since: str | None = None) -> list[Page]:
    return list(connector.read("records", since))


def rows(pages: Sequence[Page]) -> list[dict[str, Any]]:
    return [row for page in pages for row in page.records.to_pylist()]


def first_load(connector: HubSpotConnector) -> str:
    return read(connector)[-1].cursor


def many(tested: TestedPortal, kind: str, count: int, **values: str) -> list[int]:
    """So many records that were all changed at the same instant, as by an import."""
    at = milliseconds(tested.clock.now())
    made = [tested.portal.minted(kind) for _ in range(count)]
    tested.portal.load(kind, [record(one, at, at, None, values) for one in made])
    return made


def asked(tested: TestedPortal) -> list[str]:
    """The calls since it was last asked."""
    calls = list(tested.service.calls)
    tested.service.calls.clear()
    return calls
