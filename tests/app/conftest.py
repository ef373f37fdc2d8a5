from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.commands import AT, call
from support.ledgers import empty_ledgers, ledger_at

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["demo", "empty_ledgers", "ledger_at", "synced_demo"]


@pytest.fixture(scope="session")
def synced_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample company, laid out and read once; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    assert call("demo", "--prepare", "--dir", folder, "--at", AT.isoformat()).exit_code == 0
    # One row of the sample cannot be read, which is a finding.
    result = call("sync", "--config", folder / "config.yaml", "--at", AT.isoformat())
    assert result.exit_code == 1, result.output
    return folder


@pytest.fixture
def demo(synced_demo: Path, tmp_path: Path) -> Path:
    """A copy of the sample company after its first sync."""
    shutil.copytree(synced_demo, tmp_path / "demo")
    return tmp_path / "demo"
