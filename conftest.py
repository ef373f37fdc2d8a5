"""What the tests of all distributions share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data that none of us wrote; tests that need it are skipped, visibly, where it is absent."""
    root = Path(__file__).resolve().parent
    folder = Path(os.environ.get("CRMSYNC_SHARED", root.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside the checkout; set CRMSYNC_SHARED to its folder")
    return folder
