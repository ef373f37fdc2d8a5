"""What all kill tests share: who gives birth to what is killed, and where its ledger lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.chaos import Mother

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.postgres import Schemas


@pytest.fixture
def ledger_at(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Of the engine that the test names as parameter of this fixture."""
    if request.param == "sqlite":
        return tmp_path / "state" / "ledger.sqlite"
    schemas: Schemas = request.getfixturevalue("schemas")
    return schemas.empty()


@pytest.fixture(scope="session")
def mother(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mother]:
    with Mother.ready(tmp_path_factory.mktemp("installed")) as ready:
        yield ready
