"""The simulated portal answers as the documentation has it, and refuses what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from portal_on_wire import PortalOnWire

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def wire() -> Iterator[PortalOnWire]:
    one = PortalOnWire()
    yield one
    one.close()


def test_a_listing_goes_on_after_its_token(wire: PortalOnWire) -> None:
    made = [wire.make("companies", name=f"C{n}") for n in range(5)]
    first = wire.get("/crm/v3/objects/companies", limit=3, properties="name")
    following = first["paging"]["next"]["after"]
    assert isinstance(following, str)
    last = wire.get("/crm/v3/objects/companies", limit=3, properties="name", after=following)
    assert "paging" not in last
    assert [one["id"] for one in first["results"] + last["results"]] == made
    assert first["results"][0]["properties"]["name"] == "C0"
