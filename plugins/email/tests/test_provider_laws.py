from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import respx
from providers_under_test import (
    MailgunUnderTest,
    PostmarkUnderTest,
    SendgridUnderTest,
    SesUnderTest,
)

from crmsync.testing.laws import ConnectorLaws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crmsync.testing.remote import RemoteUnderTest


@pytest.fixture
def router() -> Iterator[respx.MockRouter]:
    with respx.mock(assert_all_called=False) as router:
        yield router


class TestPostmark(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path, router: respx.MockRouter) -> RemoteUnderTest:
        return PostmarkUnderTest(tmp_path, router)


class TestSendgrid(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path, router: respx.MockRouter) -> RemoteUnderTest:
        return SendgridUnderTest(tmp_path, router)


class TestMailgun(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path, router: respx.MockRouter) -> RemoteUnderTest:
        return MailgunUnderTest(tmp_path, router)


class TestSes(ConnectorLaws):
    @pytest.fixture
    def remote(self, tmp_path: Path, router: respx.MockRouter) -> RemoteUnderTest:
        return SesUnderTest(tmp_path, router)
