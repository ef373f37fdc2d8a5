"""The reference connector, whole and in halves, keeps all laws."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from crmsync.model.actions import ActionKind, KeyHandling
from crmsync.testing.laws import ConnectorLaws
from crmsync.testing.laws.reading import ReadingLaws
from crmsync.testing.memory import MemoryConnector
from crmsync.testing.reference import MemoryUnderTest
from crmsync.testing.remote import Failure, Feature, RemoteUnderTest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from crmsync.plugins.contract import Connector
    from crmsync.testing.remote import SampleRecord


class TestNativeKeys(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> RemoteUnderTest:
        return MemoryUnderTest(tmp_path, keys=KeyHandling.NATIVE)


class TestLookedUpKeys(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> RemoteUnderTest:
        return MemoryUnderTest(tmp_path, keys=KeyHandling.LOOKUP)


class TestUnsafeKeys(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> RemoteUnderTest:
        return MemoryUnderTest(tmp_path, keys=KeyHandling.UNSAFE)


class TestListedAsAWhole(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> RemoteUnderTest:
        return MemoryUnderTest(tmp_path, lists=True)


class _OwnIds(MemoryUnderTest):
    """A remote whose records have other ids than the laws give them."""

    def sample_id(self, remote_id: str) -> str:
        return remote_id.removeprefix("001X")

    def put(self, records: Sequence[SampleRecord]) -> None:
        super().put([replace(record, id=f"001X{record.id}") for record in records])

    def delete(self, ids: Sequence[str], at: datetime) -> None:
        super().delete([f"001X{record_id}" for record_id in ids], at)

    def merge(self, loser: str, survivor: str, at: datetime) -> None:
        super().merge(f"001X{loser}", f"001X{survivor}", at)

    def spoil(self, record_id: str, at: datetime) -> None:
        super().spoil(f"001X{record_id}", at)


class TestIdsOfTheRemotesOwn(ReadingLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> RemoteUnderTest:
        return _OwnIds(tmp_path)


class TestListedIdsOfTheRemotesOwn(ReadingLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> RemoteUnderTest:
        return _OwnIds(tmp_path, lists=True)


class _ReadingHalf:
    def __init__(self, whole: MemoryConnector) -> None:
        self.check = whole.check
        self.close = whole.close
        self.describe = whole.describe
        self.read = whole.read


class _WritingHalf:
    def __init__(self, whole: MemoryConnector) -> None:
        self.check = whole.check
        self.close = whole.close
        self.apply = whole.apply
        self.find = whole.find


class _OnlyReads(MemoryUnderTest):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.spec = replace(self.spec, actions={}, custom=())
        self.absent = {
            Feature.WRITES: "it is an archive",
            Failure.REJECTED: "nothing is written, so nothing is refused",
            Failure.UNCERTAIN: "nothing is written, so nothing is uncertain",
        }

    def connect(self) -> Connector:
        whole = super().connect()
        assert isinstance(whole, MemoryConnector)
        return _ReadingHalf(whole)


class _OnlySends(MemoryUnderTest):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        actions = {ActionKind.EMAIL: KeyHandling.NATIVE, ActionKind.TASK: KeyHandling.NATIVE}
        self.spec = replace(self.spec, actions=actions, custom=())
        self.remote.kinds = tuple(actions)
        self.absent = {
            Feature.READS: "it is a mail gateway",
            Feature.COMPARES: "it updates nothing",
        }

    def connect(self) -> Connector:
        whole = super().connect()
        assert isinstance(whole, MemoryConnector)
        return _WritingHalf(whole)

    def put(self, records: Sequence[SampleRecord]) -> None:
        raise NotImplementedError(f"there is nothing to put {len(records)} records into")


class TestOnlyReads(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> RemoteUnderTest:
        return _OnlyReads(tmp_path)


class TestOnlySends(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> RemoteUnderTest:
        return _OnlySends(tmp_path)
