from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from crmsync.clock import FixedClock
from crmsync.plugins.contract import ConnectionContext, StreamRequest
from crmsync_files import reading
from crmsync_files.connector import FilesConnector
from crmsync_files.formats import delimited
from crmsync_files.options import FilesOptions, FilesStreamOptions

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

Connect = Callable[..., FilesConnector]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "crm"
    path.mkdir()
    return path


@pytest.fixture
def connect(folder: Path) -> Connect:
    """Opens the folder with one stream “accounts”."""

    def connected(
        file: str = "accounts.csv",
        columns: tuple[str, ...] = ("id", "name"),
        *,
        key: tuple[str, ...] = ("id",),
        now: datetime = NOW,
        **options: Any,
    ) -> FilesConnector:
        request = StreamRequest(
            name="accounts",
            options=FilesStreamOptions(file=file, **options),
            columns=columns,
            key=key,
        )
        return FilesConnector(
            ConnectionContext(
                name="crm",
                options=FilesOptions(path=folder.name),
                streams={"accounts": request},
                folder=folder.parent,
                clock=FixedClock(instant=now),
            )
        )

    return connected


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of some dozen rows has several pages."""
    monkeypatch.setattr(reading, "_PAGE_ROWS", 10)
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 64)
