"""What the tests of all distributions share."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crmsync.warehouse import texts

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMPILED: defaultdict[str, dict[str, str]] = defaultdict(dict)


class _Shared(texts.QueryTexts):
    """Compiled queries that all tests with the same config know, each in a state folder of its own.

    Users' processes share them by the folder. Here a key that does not say all that its query
    depends on would give one test the query of another.
    """

    def __init__(self, folder: Path | None = None, basis: str = "") -> None:
        super().__init__(folder, basis)
        if folder is not None:
            self._known = _COMPILED[basis]


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """To compile takes a quarter of the time of a test that runs commands."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(texts, "QueryTexts", _Shared)
        yield


@pytest.fixture
def compiled_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at what is compiled: nobody has compiled it for them."""
    monkeypatch.setattr(texts, "QueryTexts", _Shared.__base__)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data that none of us wrote; tests that need it are skipped, visibly, where it is absent."""
    root = Path(__file__).resolve().parent
    folder = Path(os.environ.get("CRMSYNC_SHARED", root.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside the checkout; set CRMSYNC_SHARED to its folder")
    return folder
