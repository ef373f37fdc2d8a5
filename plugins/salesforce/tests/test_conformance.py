from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from org_under_test import OrgUnderTest, TestedOrg

from crmsync.testing.laws import ConnectorLaws

if TYPE_CHECKING:
    from crmsync.testing.remote import RemoteUnderTest


class TestByQueries(ConnectorLaws):
    @pytest.fixture
    def remote(self, org: TestedOrg) -> RemoteUnderTest:
        return OrgUnderTest(org)


class TestByBulkJobs(ConnectorLaws):
    @pytest.fixture
    def remote(self, org: TestedOrg) -> RemoteUnderTest:
        return OrgUnderTest(org, bulk_from=1)
