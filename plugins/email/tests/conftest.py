from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Mail that none of us wrote; tests that need it are skipped, visibly, where it is absent."""
    root = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("CRMSYNC_SHARED", root.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside the checkout; set CRMSYNC_SHARED to its folder")
    return folder
