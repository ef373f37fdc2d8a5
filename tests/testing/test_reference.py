from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.model.actions import KeyHandling
from crmsync.testing.laws import ConnectorLaws
from crmsync.testing.reference import MemoryUnderTest

if TYPE_CHECKING:
    from pathlib import Path


class TestNativeKeys(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> MemoryUnderTest:
        return MemoryUnderTest(tmp_path, keys=KeyHandling.NATIVE)


class TestLookedUpKeys(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> MemoryUnderTest:
        return MemoryUnderTest(tmp_path, keys=KeyHandling.LOOKUP)


class TestUnsafeKeys(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> MemoryUnderTest:
        return MemoryUnderTest(tmp_path, keys=KeyHandling.UNSAFE)


class TestListedAsAWhole(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> MemoryUnderTest:
        return MemoryUnderTest(tmp_path, lists=True)
