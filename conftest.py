"""What the tests of all distributions share."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crmsync.rules.unit_tests import memory
from crmsync.warehouse import texts

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Shared(texts.QueryTexts):
    """Compiled queries that all tests with the same config know, each in a state folder of its own.

    Users' processes share them by the folder. Here a key that does not say all that its query
    depends on would give one test the query of another.
    """

    everywhere: Path  # a folder of all workers

    def __init__(self, folder: Path | None = None, basis: str = "") -> None:
        super().__init__(folder, basis)
        self._common = None if folder is None else _common(self.everywhere, basis)

    def get(self, key: str) -> str | None:
        found = super().get(key)
        return self._common.get(key) if found is None and self._common is not None else found

    def keep(self, key: str, text: str) -> None:
        super().keep(key, text)
        if self._common is not None:
            self._common.keep(key, text)


_ALONE = texts.QueryTexts
_COMPILED: dict[str, texts.QueryTexts] = {}


def _common(everywhere: Path, basis: str) -> texts.QueryTexts:
    if basis not in _COMPILED:
        # Each in a folder of its own, since what stands beside another basis is deleted.
        folder = everywhere / sha256(basis.encode()).hexdigest()[:16]
        _COMPILED[basis] = _ALONE(folder, basis)
    return _COMPILED[basis]


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """To compile takes a quarter of the time of a test that runs commands."""
    own = tmp_path_factory.getbasetemp()
    everywhere = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "compiled"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_Shared, "everywhere", everywhere, raising=False)
        patched.setattr(texts, "QueryTexts", _Shared)
        patched.setattr(memory, "_TEXTS", _common(everywhere, "in memory"))
        yield


@pytest.fixture
def compiled_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that look at what is compiled: nobody has compiled it for them."""
    monkeypatch.setattr(texts, "QueryTexts", _ALONE)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data that none of us wrote; tests that need it are skipped, visibly, where it is absent."""
    root = Path(__file__).resolve().parent
    folder = Path(os.environ.get("CRMSYNC_SHARED", root.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside the checkout; set CRMSYNC_SHARED to its folder")
    return folder
