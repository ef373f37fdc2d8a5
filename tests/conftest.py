"""What tests of several areas share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from support.postgres import Schemas, served

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes says more of the machine than of the code.
settings.register_profile("crmsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("crmsync")

# Tests say what time it is, whatever it is on the machine they run on.
os.environ["CRMSYNC_AHEAD_OF_TIME"] = "1"


@pytest.fixture(scope="session")
def schemas() -> Iterator[Schemas]:
    """A real PostgreSQL; tests that need it are skipped, visibly, where there is none."""
    with served() as url, Schemas.of(url) as made:
        yield made
