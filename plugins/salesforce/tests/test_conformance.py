from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from org_under_test import START, OrgUnderTest, TestedOrg

from crmsync.testing.laws import ConnectorLaws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crmsync.testing.remote import RemoteUnderTest


class TestByQueries(ConnectorLaws):
    @pytest.fixture
    def remote(self, org: TestedOrg) -> RemoteUnderTest:
        return OrgUnderTest(org)


class TestByBulkJobs(ConnectorLaws):
    @pytest.fixture
    def remote(self, org: TestedOrg) -> RemoteUnderTest:
        return OrgUnderTest(org, bulk_from=1)


class TestWithoutAFieldForKeys(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path) -> Iterator[RemoteUnderTest]:
        org = TestedOrg(tmp_path, start=START, custom=())
        yield OrgUnderTest(org, key_field=None)
        org.close()
