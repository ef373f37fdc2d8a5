"""Ledgers on either engine, for the folders whose tests run over both."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from crmsync.ledger.store import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.postgres import Schemas

    # Where an empty ledger lies, until the end of the block.
    EmptyLedgers = Callable[[], AbstractContextManager[Path | str]]


@contextmanager
def _file() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder) / "ledger.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_ledgers(request: pytest.FixtureRequest) -> EmptyLedgers:
    """For tests that need many, one after the other."""
    if request.param == "sqlite":
        return _file
    schemas: Schemas = request.getfixturevalue("schemas")
    return lambda: nullcontext(schemas.empty())


@pytest.fixture
def ledger_at(empty_ledgers: EmptyLedgers) -> Iterator[Path | str]:
    """Where an empty ledger lies; on SQLite it is made when it is opened."""
    with empty_ledgers() as at:
        yield at


@pytest.fixture(params=["sqlite", "postgresql"])
def unmade_ledger_at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where there is no ledger yet, for tests that make one, or change its tables."""
    if request.param == "sqlite":
        yield tmp_path / "ledger.sqlite"
        return
    schemas: Schemas = request.getfixturevalue("schemas")
    with schemas.new() as at:
        yield at


@pytest.fixture
def ledger(ledger_at: Path | str) -> Iterator[Ledger]:
    with Ledger(ledger_at) as opened:
        yield opened
